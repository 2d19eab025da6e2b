package asset_test

import (
	"encoding/base64"
	"fmt"

	"github.com/outband/outband/wire/asset"
)

// TableData of AMT_AssetTable with the TableType 131.
func Example() {
	data, _ := base64.StdEncoding.DecodeString("CgAAAEAAAAABAAAAPwAAAAAAAAAAAAAA+ACCUQAAAAAp4AAAAQAQAEwIGQAAAAAA/gD//wAAAAAAAAAA5gEAAHZQcm8AAAAA")
	table, err := asset.ParseTableData(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	vpro, err := table.VPro()
	fmt.Println(vpro.EngineVersion, vpro.Chipset, err)
	// Output: 16.1.25.2124 00:1f.0 8086:5182 <nil>
}

// A structure with strings, and back.
func ExampleStructure_Append() {
	s := asset.Structure{Type: asset.TypeBoard, Handle: 2, Data: []byte{1, 2, 0, 0, 0}, Strings: []string{"Outband", "Virtual board"}}
	b, err := s.Append(nil)
	fmt.Printf("%q %v\n", b, err)
	again, _, _ := asset.ParseStructure(b)
	board, err := again.Board()
	fmt.Println(board.Manufacturer, board.Product, err)
	// Output:
	// "\x02\t\x02\x00\x01\x02\x00\x00\x00Outband\x00Virtual board\x00\x00" <nil>
	// Outband Virtual board <nil>
}
