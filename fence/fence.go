// Package fence speaks the protocol of a cluster fence agent: the program that Pacemaker, oVirt or
// Proxmox start to take the power from a node before they let another one use its disks. Parameters
// come as name=value lines on standard input, or as options when a person tries it; the answer is
// a line on standard output and an exit code. How a machine is driven is not known here: see
// [Machine].
//
// The one promise of an agent is that its success is true. So the power state is read before and
// after, a machine that is not known to be off has not been fenced, and a reset that cannot be
// verified is a failure.
//
// Exit codes: 0 done; 1 failed, whatever the reason; 2 only for the action status, if the machine
// is off. Times are seconds in parameters and [time.Duration] in Go.
//
// Sources: ClusterLabs/fence-agents doc/FenceAgentAPI.md, lib/fencing.py.py and lib/metadata.rng;
// Debian's fence-agents 4.12.1 by running it. Differences to that library are said where they are.
// The package writes no syslog: the fencer of Pacemaker logs what an agent says on standard error.
package fence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// State is what the cluster wants to know of a machine.
type State string

const (
	Unknown State = ""
	On      State = "on" // also asleep or hibernated: it could go on and write
	Off     State = "off"
)

// ErrNotOffered is what [Machine.Escalate] returns where there is nothing harder than Off.
var ErrNotOffered = errors.New("not offered by this machine")

// A Machine is what an agent drives. Methods are called one at a time. If it has a Close method
// (io.Closer), that is called at the end.
type Machine interface {
	// Power reads the state from the machine, never from memory.
	Power(ctx context.Context) (State, error)
	// On asks for power. An error means that the request was refused or its fate is not known.
	On(ctx context.Context) error
	// Off takes the power away at once; never a shutdown that an operating system could refuse.
	Off(ctx context.Context) error
	// Reset restarts the machine at once and returns nil only if it has seen, as far as the machine
	// can tell, that it really restarted.
	Reset(ctx context.Context) error
	// Escalate takes the power away in a harder way than Off, or returns [ErrNotOffered].
	Escalate(ctx context.Context) error
	// Diag sends a non-maskable interrupt, so that the system writes a crash dump.
	Diag(ctx context.Context) error
}

// A Plug is one machine behind an agent that has several.
type Plug struct {
	ID    string // what the parameter plug names it by
	Alias string // its name for people; may be empty
	State State
}

// An Agent is one fence agent: what it is called, and how it reaches machines. The zero value of
// every field but Name and Connect works.
type Agent struct {
	Name      string // as the program is called: "fence_outband"
	ShortDesc string
	LongDesc  string
	VendorURL string
	Version   string

	// Port is the default of ipport; 0: found out by Connect.
	Port int
	// PlainHTTP is for a personality whose users never asked for TLS: without any ssl parameter
	// the port 16992 means plain HTTP and no attempt at TLS. See [Options].TLS.
	PlainHTTP bool
	// LoginTimeout and ShellTimeout are the defaults of the parameters login_timeout and
	// shell_timeout; 0: 5 s and 3 s, as everywhere.
	LoginTimeout, ShellTimeout time.Duration

	// Connect reaches a machine and checks the account. It must not change anything. ctx ends when
	// login_timeout does; the Machine lives longer.
	Connect func(ctx context.Context, o Options) (Machine, error)
	// Boot chooses what the machine boots from next time; one of [BootOptions]. If nil the agent
	// has no parameter boot_option.
	Boot func(ctx context.Context, m Machine, option string) error
	// List names the machines of a device that has several; then the parameter plug is required.
	// If nil the device is the machine.
	List func(ctx context.Context, o Options) ([]Plug, error)

	Out, Err io.Writer // results and talk; nil: discarded
}

// BootOptions are the values of the parameter boot_option: the five of fence_amt, and bios for the
// setup menu.
var BootOptions = [...]string{"pxe", "hd", "hdsafe", "cd", "diag", "bios"}

// The exit codes of an agent.
const (
	exitOK     = 0
	exitFailed = 1
	exitOff    = 2 // the action status found the machine off
)

// Run does what argv (without the program's name) asks for, or standard input if argv is empty, and
// returns the exit code. Only the variables PCMK_service and AMT_PASSWORD of the environment are
// looked at; env is [os.Getenv] in a program. When ctx ends the action fails.
func (a *Agent) Run(ctx context.Context, argv []string, stdin io.Reader, env func(string) string) int {
	r := &run{agent: a, params: a.params(), start: time.Now(), log: logger{err: a.Err}}
	defer r.log.close()
	code, err := r.do(ctx, argv, stdin, env)
	if err != nil {
		r.log.error(err.Error())
		var usage *usageError
		if errors.As(err, &usage) {
			r.log.error("Please use '-h' for usage")
		}
		return exitFailed
	}
	return code
}

// run is one call of an agent.
type run struct {
	agent  *Agent
	params []param
	start  time.Time
	log    logger
	opt    Options
	t      timing
}

func (r *run) do(ctx context.Context, argv []string, stdin io.Reader, env func(string) string) (int, error) {
	var given values
	var err error
	if len(argv) > 0 {
		given, err = parseArgs(argv, r.params, r.log.warn)
	} else {
		given, err = parseStdin(stdin, r.params, r.log.warn)
	}
	if err != nil {
		return 0, usage("Parse error: %v", err)
	}
	act := given.action()
	switch {
	case given.is("help"):
		return 0, r.print(usageText(r.agent, r.params))
	case given.is("version"):
		return 0, r.print(r.agent.Version + "\n")
	case act == "metadata":
		return 0, r.print(metadata(r.agent, r.params))
	case act == "manpage":
		return 0, r.print(manpage(r.agent, r.params))
	}
	if err := r.log.setup(given); err != nil {
		return 0, err
	}
	if r.opt, r.t, err = r.agent.options(given, env, r.log.warn); err != nil {
		if act == "validate-all" {
			r.log.error(err.Error())
			return 0, usage("validate-all failed")
		}
		return 0, err
	}
	if act == "validate-all" {
		return 0, nil
	}
	if given.has("password_script") { // replaces a password, as everywhere
		password, err := runScript(ctx, given["password_script"])
		if err != nil {
			return 0, err
		}
		r.opt.Password = password
	}
	r.log.hide = string(r.opt.Password)
	r.opt.Debug = r.log.debug
	return r.act(ctx, act)
}

func (r *run) print(s string) error {
	if r.agent.Out == nil {
		return nil
	}
	if _, err := io.WriteString(r.agent.Out, s); err != nil {
		return fmt.Errorf("Failed: standard output: %w", err)
	}
	return nil
}

// usageError is a complaint about parameters.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }
