// Package agent is what a program does for the AMT of the PC it runs on: it tells what that is and how far its setup has
// come, sets it up in client or admin control mode, takes it from one to the other, and out of management again.
//
// It asks the firmware over the management engine interface (packages mei, amthi, watchdog) and speaks WS-Management to
// its local ports through a port forwarding session of its own (package apf), so that it needs no LMS; where one runs,
// [Agent].Dial goes through it.
//
//	a := &agent.Agent{Bus: &mei.Device{}}
//	plan, err := a.Plan(ctx, agent.Goal{Mode: amthi.ClientControl, Password: password}) // changes nothing
//	result, err := a.Reach(ctx, goal)                                                  // does it
//
// Every step looks first whether it has been done. What was interrupted can be begun again; what fails on the way is
// taken back as far as the firmware lets it.
//
// Sources: spec activation.md, amthi.md, lms.md section 12; Intel AMT Implementation and Reference Guide.
//
// The package needs the rights to open the bus, mostly root's. It stores nothing: whoever calls it keeps the password.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/watchdog"
)

// An Agent speaks to the AMT of one PC. Fields must not change after the first call.
type Agent struct {
	Bus mei.Bus // leads to the management engine

	// Dial opens a connection to one of AMT's local ports through a program that has the engine's port forwarding
	// already, such as LMS. It is used if the engine says that somebody has it. Nil: there is no such program.
	Dial func(ctx context.Context, port int) (net.Conn, error)

	OnStep func(Step)   // told of each step when it begins; may be nil
	Log    *slog.Logger // nil is silent
}

// Errors of the package; those of the firmware are *status.Error.
var (
	ErrOff         = errors.New("AMT is switched off")
	ErrState       = errors.New("not possible in the state that AMT is in")
	ErrPassword    = errors.New("the administrator has another password")
	ErrNoPassword  = errors.New("the administrator's password is needed")
	ErrWeak        = errors.New("AMT takes no such password")
	ErrCertificate = errors.New("certificate refused") // wraps those of package activation
	ErrNotAllowed  = errors.New("AMT does not allow this control mode")
	ErrNotReached  = errors.New("not reached in time")
	ErrMaker       = errors.New("not the certificate that AMT has announced")
)

// Info is what AMT tells programs on its PC. It asks for no account.
type Info struct {
	Off     bool // AMT is switched off; nothing else is known but what says so
	TLSOnly bool // its local ports want TLS
	CanTurn bool // it may be switched on and off by programs

	BIOS     string
	Versions amthi.CodeVersions
	UUID     guid.GUID
	Mode     amthi.ControlMode
	State    amthi.ProvisioningState
	Hashes   []amthi.CertificateHash // root certificates that setup may come with
	Wired    amthi.LAN
	Wireless *amthi.LAN // nil: there is none
	Suffix   string     // DNS suffix for setup that was set by hand; "" if none was
	Remote   amthi.RemoteAccess
}

// Release returns AMT's version: "16.1.27".
func (i *Info) Release() string { return i.Versions.Get(amthi.VersionAMT) }

// Info asks AMT what it is.
func (a *Agent) Info(ctx context.Context) (Info, error) {
	info := Info{}
	if err := a.flags(ctx, &info); err != nil {
		return info, err
	}
	err := a.ask(ctx, func(c *amthi.Client) error { return info.read(ctx, c) })
	if errors.Is(err, amthi.ErrDisabled) {
		info.Off, err = true, nil
	}
	return info, err
}

// flags asks what is known even if AMT is off. Old firmware has no such client, or is asked by somebody else: then it is
// not known.
func (a *Agent) flags(ctx context.Context, info *Info) error {
	c, err := a.Bus.Connect(ctx, mei.Watchdog)
	if errors.Is(err, mei.ErrNoClient) || errors.Is(err, mei.ErrBusy) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("management engine: %w", err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	flags, err := watchdog.ChangeEnabled(ctx, c)
	if err != nil {
		a.log().Info("change flags", "error", err)
		return nil
	}
	info.CanTurn = flags&watchdog.NewInterface != 0
	info.TLSOnly = flags.Has(watchdog.TLSEnforced)
	info.Off = info.CanTurn && !flags.Has(watchdog.Operational)
	return nil
}

// answerTime is how long the firmware may think about a message of which it is not certain that it is answered.
const answerTime = 5 * time.Second

// read asks everything, one after the other: the connection takes one command at a time.
func (i *Info) read(ctx context.Context, c *amthi.Client) (err error) {
	for _, ask := range []func() error{
		func() error { i.Versions, err = c.CodeVersions(ctx); i.BIOS = i.Versions.BIOS; return err },
		func() error { i.UUID, err = c.UUID(ctx); return err },
		func() error { i.Mode, err = c.ControlMode(ctx); return err },
		func() error { i.State, err = c.ProvisioningState(ctx); return err },
		func() error { i.Hashes, err = c.CertificateHashes(ctx); return err },
		func() error { i.Wired, _, err = c.LANInterfaceSettings(ctx, amthi.Wired); return err },
		func() error {
			lan, ok, err := c.LANInterfaceSettings(ctx, amthi.Wireless)
			if ok {
				i.Wireless = &lan
			}
			return err
		},
		func() error { i.Suffix, err = c.DNSSuffix(ctx); return err },
		func() error { i.Remote, err = c.RemoteAccessConnectionStatus(ctx); return err },
	} {
		if err := ask(); err != nil {
			return err
		}
	}
	return nil
}

// ask does something on a connection to AMTHI. Others use it too: a busy one is asked for again.
func (a *Agent) ask(ctx context.Context, do func(*amthi.Client) error) error {
	c, err := amthi.Dial(ctx, mei.Retry{Bus: a.Bus})
	if err != nil {
		return fmt.Errorf("management engine: %w", err)
	}
	defer c.Close()
	return do(c)
}

// now reads mode and state, which is where every step begins and ends.
func (a *Agent) now(ctx context.Context) (mode amthi.ControlMode, state amthi.ProvisioningState, err error) {
	err = a.ask(ctx, func(c *amthi.Client) (err error) {
		if mode, err = c.ControlMode(ctx); err == nil {
			state, err = c.ProvisioningState(ctx)
		}
		return err
	})
	return mode, state, err
}

func (a *Agent) log() *slog.Logger {
	if a.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return a.Log
}
