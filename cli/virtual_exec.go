package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/outband/outband/host/lms"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/devmei"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/mkhi"
)

// virtualGroup is "outband virtual", which runs machines, and what runs beside them.
type virtualGroup struct {
	Serve virtualCmd     `cmd:"" default:"withargs" help:"Run virtual AMT machines; the word serve may be left out."`
	Exec  virtualExecCmd `cmd:"" help:"Run a program on the PC of a virtual machine: it finds /dev/mei0 there."`
}

type virtualExecCmd struct {
	Profile int      `placeholder:"N" help:"Generation of the firmware: 8, 11, 12, 16 or 19; default 19, or what --from or --state say."`
	Release string   `placeholder:"VERSION" help:"A release instead, such as 12.0.67."`
	Listen  string   `placeholder:"ADDRESS" help:"Address of the machine in the network. Default is a free loopback address."`
	State   string   `placeholder:"FILE" help:"Load the machine's state from FILE if it is there, passwords included, and save it in the end."`
	From    string   `placeholder:"DUMP" help:"Be the machine that outband dump has written to DUMP."`
	Power   string   `enum:"on,off," default:"" placeholder:"on|off" help:"Power state at the start; default is on, or what --state says."`
	TLS     bool     `name:"tls" help:"Switch TLS on, on releases that also speak without."`
	Unset   bool     `help:"AMT is not set up."`
	Roots   string   `name:"setup-roots" placeholder:"FILE" help:"Authorities (PEM) whose certificates may set AMT up, beside those that are built in."`
	Connect string   `placeholder:"BUS" help:"Use the machine that already runs: unix:PATH, as outband virtual --me PATH offers it."`
	LMS     bool     `name:"lms" default:"true" negatable:"" help:"Offer the ports of AMT at localhost, as if LMS ran, once the program connects to one. --no-lms leaves LME to the program."`
	Command []string `arg:"" passthrough:"partial" help:"Program and its arguments."`
}

func (virtualExecCmd) Help() string {
	return "Starts a virtual machine and runs the program on its PC, unchanged: it opens /dev/mei0, reads /sys/class/mei, and finds AMT at localhost:16992, " +
		"and so do its children. Nothing is installed and no privilege is needed. The program's exit code is that of the command, 128 and the signal " +
		"if one has ended it; the machine ends with the program, and so do processes that it leaves behind. In the program's environment AMT_HOST is " +
		"the machine's address in the network, and AMT_PASSWORD its password if it was made up. Linux on x86-64 and ARM64 only.\n\n" +
		example("outband virtual exec --unset -- rpc amtinfo", "outband virtual exec --profile 16 --unset --state pc.json -- outband local activate",
			"outband virtual exec --connect unix:me.sock -- ./mei-amt-version")
}

func (c *virtualExecCmd) Run(a *app) error {
	words := c.Command
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		return usage("outband virtual exec -- PROGRAM ARGUMENTS", "no program to run")
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return usage("the program comes after --", "%w", err)
	}
	if c.Connect != "" && (c.Profile != 0 || c.Release != "" || c.Listen != "" || c.State != "" || c.From != "" || c.Power != "" || c.TLS || c.Unset || c.Roots != "") {
		return usage("", "--connect: that machine is what it is; only --lms can be chosen")
	}
	// The machine outlives Ctrl-C: the program may want to see to it first.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(a.ctx))
	defer cancel(nil)
	defer context.AfterFunc(a.ctx, func() {
		if cause := context.Cause(a.ctx); cause == context.Canceled || cause == context.DeadlineExceeded { // no signal
			cancel(cause)
		}
	})()
	signals, stop := passSignals()
	defer stop()
	p := &devmei.Program{Path: path, Args: words[1:], Env: os.Environ(), Stdin: a.in, Stdout: a.out, Stderr: a.err, Signals: signals, Log: a.serviceLog()}
	var end func() error
	if c.Connect != "" {
		end, err = c.connect(ctx, p)
	} else {
		end, err = c.machine(ctx, a, p)
	}
	if err != nil {
		return err
	}
	services := newLocalPorts(ctx, p)
	if c.LMS {
		p.Local = services.at
	} else {
		p.Local = func(context.Context, uint16) (netip.AddrPort, error) { return netip.AddrPort{}, errNoLMS }
	}
	code, err := p.Run(ctx)
	services.close()
	if ended := end(); err == nil {
		err = ended
	}
	switch {
	case errors.Is(err, devmei.ErrUnsupported):
		return &failure{exitUnsupported, err, "it takes Linux 5.14 on x86-64 or ARM64, where programs may filter system calls; containers may need --security-opt seccomp=unconfined"}
	case err != nil:
		return err
	case code != 0:
		return errReported{code}
	}
	return nil
}

// connect takes the machine that runs elsewhere.
func (c *virtualExecCmd) connect(ctx context.Context, p *devmei.Program) (end func() error, err error) {
	bus, shut, err := (&Bus{Bus: c.Connect}).open(ctx)
	if err != nil {
		return nil, err
	}
	p.Bus, p.Facts = bus, facts(ctx, bus)
	return func() error { shut(); return nil }, nil
}

// machine starts one.
func (c *virtualExecCmd) machine(ctx context.Context, a *app, p *devmei.Program) (end func() error, err error) {
	v := virtualCmd{Profile: c.Profile, Release: c.Release, Listen: c.Listen, Count: 1, State: c.State, From: c.From, Power: c.Power, TLS: c.TLS, Unset: c.Unset, Roots: c.Roots}
	machines, err := v.machines(a)
	if err != nil {
		return nil, err
	}
	m := &machines[0]
	if m.Power == "" && m.State == nil {
		m.Power = "on" // a program needs a PC that runs
	}
	w, err := lab.Start(ctx, lab.World{Machines: machines})
	if err != nil {
		return nil, &failure{exitFailed, err, startHint(err)}
	}
	running := w.Machines[0]
	bus, stop := running.Firmware.MEBus()
	if err := bus.Ready(ctx); err != nil {
		stop()
		w.Close()
		return nil, err
	}
	p.Bus, p.Facts = bus, facts(ctx, bus)
	p.Env = append(p.Env, "AMT_HOST="+running.Address)
	if a.env("AMT_PASSWORD") == "" && m.State == nil && !m.Unset {
		p.Env = append(p.Env, "AMT_PASSWORD="+running.Password)
	}
	return func() error {
		defer w.Close()
		stop()
		if c.State == "" {
			return nil
		}
		state, err := w.State()
		if err != nil {
			return fmt.Errorf("save state: %w", err)
		}
		return writeFile(c.State, state)
	}, nil
}

// facts are what the driver would tell of the machine: those of the driver of Linux 6.12 on a chip whose firmware works.
// The versions of the firmware are zeros if it does not tell them within the time that the driver waits.
// Source: spec mei.md sections 5, 11.1 and 14.
func facts(ctx context.Context, bus mei.Bus) mei.Facts {
	versions := make([]mei.FirmwareVersion, 3)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if c, err := bus.Connect(ctx, mei.MKHIFixed); err == nil {
		told, _ := mkhi.Versions(ctx, c)
		copy(versions, told)
		c.Close()
	}
	return mei.Facts{
		FirmwareVersions: versions,
		FirmwareStatus:   []uint32{0x14000245, 0x09F10506, 0x00000020, 0x00004000, 0x00041F03, 0x00000000},
		HBM:              mei.Version{Major: 2, Minor: 2}, DriverHBM: mei.Version{Major: 2, Minor: 2}, QueueLimit: 50, State: "ENABLED", Kind: "mei",
	}
}

var errNoLMS = errors.New("no LMS on this PC")

// localPorts is LMS on the PC of the virtual machine: on an address of its own, and not before it is needed, as it takes LME.
type localPorts struct {
	ctx     context.Context
	cancel  context.CancelFunc
	service *lms.Service
	address netip.Addr
	work    sync.WaitGroup

	mu      sync.Mutex // guards what follows
	started bool
	state   lms.State
	changed chan struct{} // closed at each change
	ended   error
}

func newLocalPorts(ctx context.Context, p *devmei.Program) *localPorts {
	l := &localPorts{changed: make(chan struct{}), address: netip.AddrFrom4([4]byte{127, byte(200 + rand.IntN(50)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.service = &lms.Service{Bus: p.Bus, Addresses: []netip.Addr{l.address}, Log: p.Log, OnState: func(s lms.State) {
		l.change(func() { l.state = s })
	}}
	return l
}

func (l *localPorts) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// at says where a port is, once LMS knows.
func (l *localPorts) at(ctx context.Context, port uint16) (netip.AddrPort, error) {
	l.mu.Lock()
	if !l.started {
		l.started = true
		l.work.Go(func() {
			err := l.service.Run(l.ctx)
			l.change(func() { l.ended = err })
		})
	}
	for len(l.state.Ports) == 0 && l.state.Err == nil && l.ended == nil {
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return netip.AddrPort{}, context.Cause(ctx)
		}
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	switch {
	case slices.Contains(l.state.Ports, int(port)):
		return netip.AddrPortFrom(l.address, port), nil
	case errors.Is(l.state.Err, mei.ErrBusy): // there is another LMS, or a program that does its work
		return netip.AddrPort{}, devmei.ErrPass
	}
	return netip.AddrPort{}, errors.Join(errNoLMS, l.state.Err, l.ended)
}

func (l *localPorts) close() {
	l.cancel()
	l.work.Wait()
}
