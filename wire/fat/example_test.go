package fat_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/outband/outband/wire/fat"
)

// A key with one file, as a BIOS finds it.
func Example() {
	dir, err := os.MkdirTemp("", "fat")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "key.img"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	const size = 64 << 20
	if err := f.Truncate(size); err != nil {
		fmt.Println(err)
		return
	}
	if err := fat.Write(f, fat.Options{Size: size, Label: "AMTSETUP"}, fat.File{Name: "setup.bin", Content: []byte("settings")}); err != nil {
		fmt.Println(err)
		return
	}

	v, err := fat.Open(f, size)
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := v.Find("Setup.bin")
	if err != nil {
		fmt.Println(err)
		return
	}
	content, err := v.Read(e, 1<<20)
	fmt.Printf("%v %s: %s %q %v\n", v.Type(), v.Label(), e.Name, content, err)
	// Output: FAT32 AMTSETUP: SETUP.BIN "settings" <nil>
}
