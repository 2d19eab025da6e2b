package fence_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/outband/outband/fence"
)

// toy is a machine with nothing but a switch.
type toy struct{ state fence.State }

func (t *toy) Power(context.Context) (fence.State, error) { return t.state, nil }
func (t *toy) On(context.Context) error                   { t.state = fence.On; return nil }
func (t *toy) Off(context.Context) error                  { t.state = fence.Off; return nil }
func (t *toy) Reset(context.Context) error                { return nil }
func (t *toy) Escalate(context.Context) error             { return fence.ErrNotOffered }
func (t *toy) Diag(context.Context) error                 { return nil }

func ExampleAgent_Run() {
	machine := &toy{state: fence.On}
	agent := &fence.Agent{
		Name: "fence_toy", Out: os.Stdout, Err: os.Stderr,
		Connect: func(context.Context, fence.Options) (fence.Machine, error) { return machine, nil },
	}
	run := func(parameters string) {
		fmt.Println(agent.Run(context.Background(), nil, strings.NewReader(parameters), os.Getenv))
	}
	run("ip=10.0.0.7\npassword=example\naction=off")
	run("ip=10.0.0.7\npassword=example\naction=status")
	// Output:
	// Success: Powered OFF
	// 0
	// Status: OFF
	// 2
}
