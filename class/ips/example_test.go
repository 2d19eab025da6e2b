package ips_test

import (
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
)

// Who must agree before a console may see the screen.
func Example() {
	consent := ips.OptInService{OptInRequired: new(ips.OptInServiceOptInRequiredKVM), OptInCodeTimeout: new(uint32(120))}
	fmt.Println(class.Value(consent.OptInRequired), class.Value(consent.OptInCodeTimeout), "s")
	// Output: KVM 120 s
}
