package smbios_test

import (
	"fmt"

	"github.com/outband/outband/wire/smbios"
)

// A table as /sys/firmware/dmi/tables/DMI has it, with a structure of type 2, the main board.
func Example() {
	table := smbios.Structure{Type: 2, Handle: 0x200, Data: []byte{2, 8, 0, 2, 1, 2, 0, 3}, Strings: []string{"Lenovo", "3140", "L1HF1234"}}.Append(nil)
	list, err := smbios.Parse(table)
	if err != nil {
		fmt.Println(err)
		return
	}
	board := smbios.NewInventory(smbios.Entry{Major: 3, Minor: 4}, list).Boards[0]
	fmt.Println(board.Manufacturer, board.Product, board.Serial)
	// Output: Lenovo 3140 L1HF1234
}
