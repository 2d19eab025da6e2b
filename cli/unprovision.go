package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type unprovisionCmd struct {
	Host    string        `arg:"" optional:"" name:"host" help:"Name or address; default AMT_HOST."`
	Full    bool          `xor:"kind" help:"Back to what it was in the factory; this is the default."`
	Partial bool          `xor:"kind" help:"Keep the administrator, name and setup server, and wait for that server."`
	Wait    time.Duration `placeholder:"TIME" help:"How long the ports may take to close; default 1m."`
	Twice
}

func (unprovisionCmd) Help() string {
	return "Takes a machine out of management. AMT forgets accounts, certificates and settings, and closes its network ports: somebody must set it " +
		"up anew, at the machine or from its operating system. The machine is named twice: at a prompt, or by --yes. What blocks it, such as " +
		"an auditor who has not agreed, is told before anything is sent; success is told when the ports are closed.\n\n" +
		example("outband unprovision nuc1", "outband unprovision nuc1 --yes nuc1", "outband unprovision nuc1 --partial --yes nuc1")
}

// An unprovisionRecord is what came of unprovisioning one machine.
type unprovisionRecord struct {
	Host     string   `json:"host"`
	OK       bool     `json:"ok"`
	Kind     string   `json:"kind"`               // full, partial
	Mode     string   `json:"mode,omitempty"`     // it was in before
	Blocking []string `json:"blocking,omitempty"` // what forbids it
	Proof    string   `json:"proof,omitempty"`    // by what it is known
	TookMS   int64    `json:"took_ms,omitempty"`
	Error    *problem `json:"error,omitempty"`
}

func (c *unprovisionCmd) Run(a *app) error {
	if c.Wait < 0 {
		return usage("", "--wait: %v is negative", c.Wait)
	}
	h, err := a.target(c.Host)
	if err != nil {
		return err
	}
	kind := "full"
	if c.Partial {
		kind = "partial"
	}
	if err := c.Twice.check(a, h, fmt.Sprintf("unprovision %s (%s)", h.Name, kind)); err != nil {
		return err
	}
	out := a.printer(hostColumn([]hosts.Host{h}), column{"WAS IN", 20}, column{"NOW", 0})
	return eachHost(a, []hosts.Host{h}, Many{Fanout: 1}, func(ctx context.Context, client *console.Client) (console.UnprovisionResult, error) {
		return client.Unprovision(ctx, c.Partial, c.Wait)
	}, func(h hosts.Host, res console.UnprovisionResult, bad *failure) error {
		r := unprovisionRecord{Host: h.Name, OK: bad == nil, Kind: kind, Mode: res.Before.Mode, Blocking: res.Before.Blocking, Proof: string(res.Proof), TookMS: res.Took.Milliseconds()}
		if bad != nil {
			r.Error = problemOf(bad)
			return out.failed(r, false, nil)
		}
		return out.record(r, plain(h.Name), plain(strings.TrimSpace(r.Mode)), cell{"unprovisioned (" + r.Proof + ")", toneWarn})
	})
}
