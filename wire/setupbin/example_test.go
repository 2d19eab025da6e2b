package setupbin_test

import (
	"fmt"

	"github.com/outband/outband/wire/setupbin"
)

// A file that sets up any number of machines by hand, without a word being typed.
func Example() {
	record := setupbin.NewRecord(0)
	for _, s := range []struct{ name, value string }{
		{"current-password", setupbin.DefaultPassword},
		{"new-password", "P@ssw0rd"},
		{"manageability", "amt"},
		{"redirection", "sol+ider+password"},
		{"kvm", "on"},
		{"manual-setup", "manual"},
	} {
		v, err := setupbin.Make(s.name, s.value)
		if err != nil {
			fmt.Println(err)
			return
		}
		record.Set(v)
	}
	file, err := setupbin.New(setupbin.V3, setupbin.Reusable, record)
	if err != nil {
		fmt.Println(err)
		return
	}
	octets, err := file.Append(nil)
	fmt.Println(len(octets), "octets,", err, file.Check())

	again, err := setupbin.Parse(octets)
	fmt.Println(again.Version(), err)
	for _, v := range again.Records[0].Variables {
		fmt.Println(v)
	}
	// Output:
	// 1024 octets, <nil> []
	// 3.0 <nil>
	// current-password=***
	// new-password=***
	// manageability=amt
	// redirection=sol+ider+password
	// kvm=on
	// manual-setup=manual
}

// What a BIOS does with an inserted key.
func ExampleFile_Consume() {
	variable, _ := setupbin.Make("current-password", "admin")
	password, _ := setupbin.Make("new-password", "P@ssw0rd")
	kvm, _ := setupbin.Make("kvm", "on")
	file, _ := setupbin.New(setupbin.V4, 0, setupbin.NewRecord(setupbin.Scrambled, variable, password, kvm))

	changed, err := file.Consume("admin", func(v setupbin.Variable) error {
		fmt.Println("set", v)
		return nil
	})
	fmt.Println(changed, err, file.Consumed, "of", file.Count)
	// Output:
	// set new-password=***
	// set kvm=on
	// true <nil> 1 of 1
}
