package pc_test

import (
	"fmt"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
)

// A PC with AMT in it. Somebody presses its button, and the firmware sees it.
func Example() {
	p := pc.New(pc.Options{})
	defer p.Close()
	m, err := firmware.New(firmware.Config{Generation: 16, Platform: p})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	on := make(chan struct{}, 1)
	cancel := p.Watch(func(e firmware.Event) {
		if e.Power == firmware.S0 {
			select {
			case on <- struct{}{}:
			default:
			}
		}
	})
	defer cancel()
	fmt.Println(p.Power())
	p.Person().Press()
	<-on
	fmt.Println(p.Power())
	// Output:
	// S5
	// S0
}
