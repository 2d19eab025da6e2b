package nic_test

import (
	"fmt"
	"time"

	"github.com/outband/outband/virtual/nic"
)

// A PC is cut off the network: all frames that it sends are dropped and counted.
func Example() {
	var port nic.Port
	frame := make([]byte, 60)
	fmt.Println(port.Offer(nic.Transmit, frame).Verdict)

	port.Apply(&nic.Policy{Handle: 1, Filters: []nic.Filter{{Handle: 7, Direction: nic.Transmit, Action: nic.DropCount}}}, time.Now())
	got := port.Offer(nic.Transmit, frame)
	fmt.Println(got.Verdict, "by filter", got.By)
	// Output:
	// passed
	// dropped by filter 7
}
