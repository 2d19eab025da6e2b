package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type powerPolicyCmd struct {
	List powerPolicyListCmd `cmd:"" help:"List the power policies that a machine offers: when the management engine stays on."`
	Set  powerPolicySetCmd  `cmd:"" help:"Put a power policy in force, or say how long the engine stays awake."`
}

// A powerPolicyRecord is one policy of one machine.
type powerPolicyRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	Number  int      `json:"number,omitempty"`
	Name    string   `json:"name,omitempty"`
	GUID    string   `json:"guid,omitempty"`
	Current bool     `json:"current"`
	Idle    string   `json:"idle_timeout,omitempty"` // of the machine, whatever the policy
	Error   *problem `json:"error,omitempty"`
}

// policies does something to many machines whose outcome is their policies.
func (a *app) policies(m Many, do func(ctx context.Context, c *console.Client) (console.PowerPolicies, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"NO", 2}, column{"IN FORCE", 8}, column{"AWAKE FOR", 10}, column{"POLICY", 0})
	return eachHost(a, list, m, do, func(h hosts.Host, policies console.PowerPolicies, bad *failure) error {
		if bad != nil {
			return out.failed(powerPolicyRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for i, p := range policies.List {
			current, idle := plain(""), ""
			if p.Current {
				current = cell{"yes", toneGood}
			}
			if policies.IdleTimeout > 0 {
				idle = policies.IdleTimeout.String()
			}
			r := powerPolicyRecord{Host: h.Name, OK: true, Number: i + 1, Name: p.Name, GUID: p.GUID, Current: p.Current, Idle: idle}
			if err := out.record(r, plain(h.Name), plain(fmt.Sprint(i+1)), current, plain(idle), plain(p.Name)); err != nil {
				return err
			}
		}
		return nil
	})
}

const powerPolicyHelp = "A policy that says \"ON in S0\" alone has the machine answer only while the PC runs; others let the engine wake in sleep " +
	"(S3, S4) and soft-off (S5), where it stays awake for the idle timeout after the last traffic.\n\n"

type powerPolicyListCmd struct{ Many }

func (powerPolicyListCmd) Help() string {
	return powerPolicyHelp + example("outband powerpolicy list nuc1")
}

func (c *powerPolicyListCmd) Run(a *app) error {
	return a.policies(c.Many, func(ctx context.Context, client *console.Client) (console.PowerPolicies, error) {
		return client.PowerPolicies(ctx)
	})
}

type powerPolicySetCmd struct {
	Policy string `arg:"" help:"Its number in the list, a part of its name that no other has, or its GUID; current leaves it."`
	Many
	IdleTimeout time.Duration `placeholder:"TIME" help:"How long the engine stays awake after the last traffic, in whole minutes."`
}

func (powerPolicySetCmd) Help() string {
	return powerPolicyHelp + example("outband powerpolicy set 2 nuc1", "outband powerpolicy set 'ME Wake in S3' @lab", "outband powerpolicy set current nuc1 --idle-timeout 30m")
}

func (c *powerPolicySetCmd) Run(a *app) error {
	name := c.Policy
	switch {
	case name == "":
		return usage("outband powerpolicy list shows them", "no policy is named")
	case name == "current" && c.IdleTimeout == 0:
		return usage("--idle-timeout says how long the engine stays awake", "nothing is to be changed")
	case name == "current":
		name = ""
	}
	return a.policies(c.Many, func(ctx context.Context, client *console.Client) (console.PowerPolicies, error) {
		return client.SetPowerPolicy(ctx, name, c.IdleTimeout)
	})
}
