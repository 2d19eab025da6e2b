package agent_test

import (
	"context"
	"fmt"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/amthi"
)

// A program asks a PC's AMT, fresh from the factory, how to get it into client control mode. On a real PC the bus is
// &mei.Device{}, and nothing else changes.
func Example() {
	machine, err := firmware.New(firmware.Config{Generation: 12, Factory: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer machine.Close()
	bus, stop := machine.MEBus()
	defer stop()
	ctx := context.Background()
	if err := bus.Ready(ctx); err != nil {
		fmt.Println(err)
		return
	}

	a := &agent.Agent{Bus: bus}
	info, err := a.Info(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Mode, info.Release())
	plan, err := a.Plan(ctx, agent.Goal{Mode: amthi.ClientControl, Password: "P@ssw0rd"})
	fmt.Printf("%q, %v\n", plan.Steps, err)
	// Output:
	// not provisioned 12.0.67
	// ["set up in client control mode" "log in as admin"], <nil>
}
