package cli

import (
	"context"
	"fmt"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type powerPolicyCmd struct {
	List powerPolicyListCmd `cmd:"" help:"List the power policies that a machine offers: when the management engine stays on."`
	Set  powerPolicySetCmd  `cmd:"" help:"Put a power policy in force."`
}

// A powerPolicyRecord is one policy of one machine.
type powerPolicyRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	Number  int      `json:"number,omitempty"`
	Name    string   `json:"name,omitempty"`
	GUID    string   `json:"guid,omitempty"`
	Current bool     `json:"current"`
	Error   *problem `json:"error,omitempty"`
}

// policies does something to many machines whose outcome is their policies.
func (a *app) policies(m Many, do func(ctx context.Context, c *console.Client) ([]console.PowerPolicy, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"NO", 2}, column{"IN FORCE", 8}, column{"POLICY", 0})
	return eachHost(a, list, m, do, func(h hosts.Host, policies []console.PowerPolicy, bad *failure) error {
		if bad != nil {
			return out.failed(powerPolicyRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for i, p := range policies {
			current := plain("")
			if p.Current {
				current = cell{"yes", toneGood}
			}
			r := powerPolicyRecord{Host: h.Name, OK: true, Number: i + 1, Name: p.Name, GUID: p.GUID, Current: p.Current}
			if err := out.record(r, plain(h.Name), plain(fmt.Sprint(i+1)), current, plain(p.Name)); err != nil {
				return err
			}
		}
		return nil
	})
}

type powerPolicyListCmd struct{ Many }

func (powerPolicyListCmd) Help() string { return example("outband powerpolicy list nuc1") }

func (c *powerPolicyListCmd) Run(a *app) error {
	return a.policies(c.Many, func(ctx context.Context, client *console.Client) ([]console.PowerPolicy, error) {
		return client.PowerPolicies(ctx)
	})
}

type powerPolicySetCmd struct {
	Policy string `arg:"" help:"Its number in the list, a part of its name that no other has, or its GUID."`
	Many
}

func (powerPolicySetCmd) Help() string {
	return example("outband powerpolicy set 2 nuc1", "outband powerpolicy set 'ON in S0, ME Wake' @lab")
}

func (c *powerPolicySetCmd) Run(a *app) error {
	return a.policies(c.Many, func(ctx context.Context, client *console.Client) ([]console.PowerPolicy, error) {
		return client.SetPowerPolicy(ctx, c.Policy)
	})
}
