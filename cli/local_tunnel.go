package cli

import (
	"context"
	"errors"
	"time"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/status"
)

type localTunnelCmd struct {
	Shut bool          `name:"close" help:"Close it."`
	Wait time.Duration `placeholder:"TIME" default:"30s" help:"How long to wait until the tunnel is open or closed."`
	Bus
}

func (localTunnelCmd) Help() string {
	return "Asks AMT to open a tunnel to its gateway (CIRA, \"fast call for help\"), so that an administrator reaches this PC wherever it is; --close closes it. " +
		"No account is needed, but AMT must be set up for it: a gateway, and a policy for calls from the operating system (outband cira).\n\n" +
		example("sudo outband local tunnel", "sudo outband local tunnel --close", "outband local tunnel --bus unix:me.sock")
}

// A localTunnelRecord is what became of a call for help.
type localTunnelRecord struct {
	Host   string       `json:"host"`
	OK     bool         `json:"ok"`
	Remote *localRemote `json:"remote_access,omitempty"`
	Error  *problem     `json:"error,omitempty"`
}

func (c *localTunnelCmd) Run(a *app) error {
	out := a.printer(column{"HOST", 8}, column{"TUNNEL", 0})
	fail := func(err error) error {
		var refused *status.Error
		if errors.As(err, &refused) && refused.Code == status.NotPermitted {
			err = &failure{exitRefused, err, "AMT wants a gateway, and calls from the operating system allowed: outband cira"}
		}
		f := judge(localFailure(err))
		if err := out.failed(localTunnelRecord{Host: localName, Error: problemOf(f)}, false, nil); err != nil {
			return err
		}
		return f
	}
	ag, shut, err := c.Bus.agent(a)
	if err != nil {
		return fail(err)
	}
	defer shut()
	ctx, cancel := context.WithTimeout(a.ctx, c.Wait)
	defer cancel()
	remote, err := ag.Tunnel(ctx, c.Shut)
	if err != nil {
		return fail(err)
	}
	r := localTunnelRecord{Host: localName, OK: true, Remote: remoteOf(remote)}
	return out.record(r, plain(localName), cell{r.Remote.text(), toneGood})
}

func remoteOf(r amthi.RemoteAccess) *localRemote {
	out := &localRemote{Network: r.Network.String(), Status: r.Status.String(), MPS: r.MPS}
	if r.Status != 0 {
		out.Trigger = r.Trigger.String()
	}
	return out
}
