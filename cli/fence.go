package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/outband/outband/console"
	"github.com/outband/outband/fence"
)

// fenceCmd is the fence agent under its own name; fence_outband and fence_amt_ws are the same by theirs.
type fenceCmd struct {
	Args []string `arg:"" optional:"" help:"Options of the agent; without any, name=value lines on stdin."`
}

func (fenceCmd) Help() string {
	return "Takes the options of fence agents (--action, --ip, --username ...), or name=value lines on stdin, and keeps their exit codes: " +
		"0 done, 1 failed, 2 status found the machine off. The password comes from stdin, --password-script or AMT_PASSWORD.\n\n" +
		example("outband fence -o status -a 192.168.1.40",
			`printf 'action=reboot\nip=192.168.1.40\npassword_script=/etc/cluster/amt-password\n' | outband fence`,
			"outband fence -o metadata")
}

func (c *fenceCmd) Run(a *app) error {
	if code := fenceAgent(a, "fence_outband", c.Args); code != 0 {
		return errReported{code}
	}
	return nil
}

// fenceAgent runs the agent of that name and returns its exit code.
func fenceAgent(a *app, name string, args []string) int {
	agent := newFenceAgent(name)
	agent.Out, agent.Err = a.out, a.err
	return agent.Run(a.ctx, args, a.in, a.env)
}

func newFenceAgent(name string) *fence.Agent {
	agent := &fence.Agent{
		Name:      name,
		ShortDesc: "Fence agent for Intel AMT (WS-Management)",
		LongDesc: name + " is an agent for machines with Intel Active Management Technology. It switches them over the network whatever " +
			"their operating system does, and reports success only when the machine itself says that it is off.",
		VendorURL: "https://www.intel.com/amt",
		Version:   Version,
		Connect:   connectFence,
		Boot:      bootFence,
	}
	if name == "fence_amt_ws" {
		asAMTWS(agent)
	}
	return agent
}

// A fenced is a machine as the agent drives it.
type fenced struct{ client *console.Client }

// connectFence finds the machine and tries the account.
func connectFence(ctx context.Context, o fence.Options) (fence.Machine, error) {
	cfg := console.Config{
		Address: o.IP, Port: o.Port, Username: o.Username, Password: string(o.Password), Timeout: o.Shell,
		// Old firmware has RSA key exchange only. Whoever pinned this certificate, or wants none checked, has chosen.
		TLS: console.TLSConfig{Pin: o.Pin, CAFile: o.CAFile, LegacyCiphers: o.Pin != "" || o.TLS == fence.TLSInsecure},
	}
	switch o.TLS {
	case fence.TLSOff:
		cfg.Scheme = console.HTTP
	case fence.TLSVerify:
		cfg.Scheme = console.HTTPS
	case fence.TLSInsecure:
		cfg.Scheme = console.HTTPS
		cfg.TLS.OnUnknown = func(context.Context, *x509.Certificate, error) bool { return true }
	}
	client, err := console.New(cfg)
	if err != nil {
		return nil, err
	}
	m := &fenced{client}
	if _, err := m.Power(ctx); err != nil {
		client.Close()
		return nil, err
	}
	at, err := client.Endpoint(ctx)
	if err != nil {
		client.Close()
		return nil, err
	}
	o.Debug(fmt.Sprintf("connected to %s by %s on port %d", o.IP, at.Scheme, at.Port))
	return m, nil
}

// bootFence chooses what the machine boots from.
func bootFence(ctx context.Context, m fence.Machine, option string) error {
	device, err := console.ParseBootDevice(option)
	if err != nil {
		return err
	}
	f, ok := m.(*fenced)
	if !ok {
		return errors.New("not a machine of this agent")
	}
	_, err = f.client.Boot(ctx, console.BootRequest{Device: device})
	return err
}

// Power reads the state. A machine that sleeps is on: it could go on and write.
func (f *fenced) Power(ctx context.Context) (fence.State, error) {
	info, err := f.client.Power(ctx)
	switch {
	case err != nil:
		return fence.Unknown, err
	case info.State == console.PowerOn || console.IsAsleep(info.State):
		return fence.On, nil
	case console.IsOff(info.State):
		return fence.Off, nil
	}
	return fence.Unknown, nil
}

// On asks for power.
func (f *fenced) On(ctx context.Context) error { return f.client.SetPower(ctx, console.PowerOn) }

// Off takes the power away at once.
func (f *fenced) Off(ctx context.Context) error { return f.client.SetPower(ctx, console.PowerOff) }

// Reset restarts, and believes only what it has seen.
func (f *fenced) Reset(ctx context.Context) error {
	res, err := f.client.Act(ctx, console.Reset, nil)
	if err == nil && res.Proof == console.ProofAccepted {
		return errors.New("the firmware accepted the reset, but there is no sign that the machine restarted")
	}
	return err
}

// Escalate cuts the power harder, where the machine offers it.
func (f *fenced) Escalate(ctx context.Context) error {
	info, err := f.client.Power(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(info.Available, console.PowerOffHard) {
		return fence.ErrNotOffered
	}
	return f.client.SetPower(ctx, console.PowerOffHard)
}

// Diag sends a diagnostic interrupt.
func (f *fenced) Diag(ctx context.Context) error { return f.client.SetPower(ctx, console.PowerNMI) }

// Close ends the connections.
func (f *fenced) Close() error { return f.client.Close() }
