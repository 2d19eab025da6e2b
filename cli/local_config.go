package cli

import (
	"context"
	"net"
	"strconv"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/wire/amthi"
)

type localConfigCmd struct {
	Start localConfigStartCmd `cmd:"" like:"AmtStartConfig;AmtConfig" help:"Have AMT say hello to its setup server, and let that one in."`
	Stop  localConfigStopCmd  `cmd:"" like:"AmtStopConfig" help:"Have AMT look for its setup server no more."`
}

// A localConfigRecord is how remote configuration stands.
type localConfigRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	State   string   `json:"provisioning_state,omitempty"`
	Mode    string   `json:"control_mode,omitempty"`
	Server  string   `json:"setup_server,omitempty"` // with port; no name: ProvisionServer in AMT's own domain
	Changed bool     `json:"changed"`
	Error   *problem `json:"error,omitempty"`
}

type localConfigStartCmd struct {
	IPv6            bool   `name:"ipv6" help:"Over IPv6."`
	SetupServerOTP  bool   `name:"otp" help:"Set a one-time password first, which the setup server must know too: from --otp-file, AMT_SETUP_OTP, or asked for."`
	SetupServerFile string `name:"otp-file" placeholder:"FILE" help:"First line of FILE is the one-time password, 8 to 32 characters."`
	Bus
}

func (localConfigStartCmd) Help() string {
	return "For remote configuration: a setup server in the network sets AMT up, with a setup certificate that AMT believes. AMT finds it under the name that " +
		"was set, or as the host ProvisionServer in its own domain, and keeps its network port open to it for a few hours. outband local activate needs " +
		"no such server.\n\n" +
		example("sudo outband local config start", "outband local config start --bus unix:me.sock")
}

func (c *localConfigStartCmd) Run(a *app) error {
	o := agent.StartOptions{IPv6: c.IPv6}
	if c.SetupServerOTP || c.SetupServerFile != "" {
		var err error
		if o.OTP, err = a.secret(c.SetupServerFile, "--otp-file", "AMT_SETUP_OTP", "One-time password for the setup server"); err != nil {
			return err
		}
	}
	return c.Bus.configure(a, func(ctx context.Context, ag *agent.Agent) (agent.Configuration, error) {
		return ag.StartConfiguration(ctx, o)
	})
}

type localConfigStopCmd struct{ Bus }

func (localConfigStopCmd) Help() string {
	return "What a setup server has begun and not ended is lost.\n\n" +
		example("sudo outband local config stop", "outband local config stop --bus unix:me.sock")
}

func (c *localConfigStopCmd) Run(a *app) error {
	return c.Bus.configure(a, func(ctx context.Context, ag *agent.Agent) (agent.Configuration, error) {
		return ag.StopConfiguration(ctx)
	})
}

// configure changes remote configuration and tells how it stands then.
func (b *Bus) configure(a *app, change func(context.Context, *agent.Agent) (agent.Configuration, error)) error {
	out := a.printer(column{"HOST", 8}, column{"PROVISIONING", 16}, column{"CHANGED", 8}, column{"SETUP SERVER", 0})
	fail := func(err error) error {
		f := judge(localFailure(err))
		if err := out.failed(localConfigRecord{Host: localName, Error: problemOf(f)}, false, nil); err != nil {
			return err
		}
		return f
	}
	ag, shut, err := b.agent(a)
	if err != nil {
		return fail(err)
	}
	defer shut()
	now, err := change(a.ctx, ag)
	if err != nil {
		return fail(err)
	}
	r := localConfigRecord{Host: localName, OK: true, State: now.State.String(), Mode: now.Mode.String(), Changed: now.Done, Server: serverText(now.Server)}
	return out.record(r, plain(localName), plain(r.State), plain(map[bool]string{true: "yes", false: "no"}[now.Done]), plain(r.Server))
}

func serverText(s amthi.ConfigurationServer) string {
	name := first(s.FQDN, s.Address, "ProvisionServer")
	if s.Port == 0 {
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(s.Port)))
}
