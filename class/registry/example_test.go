package registry_test

import (
	"fmt"

	"github.com/outband/outband/class/registry"
)

func ExampleNew() {
	fmt.Printf("%T\n", registry.New("CIM_Chip"))
	fmt.Println(registry.New("CIM_Toaster"))
	// Output:
	// *cim.Chip
	// <nil>
}
