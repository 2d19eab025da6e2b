package guid_test

import (
	"fmt"

	"github.com/outband/outband/wire/guid"
)

// One machine, as it names itself in WS-Man and as people write it.
func Example() {
	g, err := guid.ParseSMBIOSHex("13AEE355D2BFBB6117A088AEDD7037EA")
	fmt.Println(g, err)
	again, err := guid.Parse("{55E3AE13-BFD2-61BB-17A0-88AEDD7037EA}")
	fmt.Println(again == g, err)
	fmt.Printf("% x\n", g[:4])
	// Output:
	// 55e3ae13-bfd2-61bb-17a0-88aedd7037ea <nil>
	// true <nil>
	// 13 ae e3 55
}
