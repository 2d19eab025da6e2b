package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type powerCmd struct {
	Status    powerStatusCmd    `cmd:"" help:"Tell the power state, and which changes are possible now."`
	On        powerOnCmd        `cmd:"" help:"Switch on, or wake."`
	Off       powerOffCmd       `cmd:"" help:"Switch off at once, as if the cable were pulled."`
	Cycle     powerCycleCmd     `cmd:"" help:"Switch off at once and on again."`
	Reset     powerResetCmd     `cmd:"" help:"Reset at once; power stays on."`
	SoftOff   powerSoftOffCmd   `cmd:"" aliases:"soft" help:"Ask the operating system to shut down."`
	SoftReset powerSoftResetCmd `cmd:"" help:"Ask the operating system to restart."`
	Sleep     powerSleepCmd     `cmd:"" help:"Ask the operating system to sleep (S3)."`
	Hibernate powerHibernateCmd `cmd:"" help:"Ask the operating system to hibernate (S4)."`
	NMI       powerNMICmd       `cmd:"" name:"nmi" aliases:"diag" help:"Send a diagnostic interrupt: the operating system may write a crash dump."`
}

// powerWord is the state of a machine in one word, as in JSON output.
func powerWord(p console.Power) string {
	switch {
	case p == console.PowerOn:
		return "on"
	case console.IsOff(p):
		return "off"
	case p == console.PowerHibernate:
		return "hibernated"
	case console.IsAsleep(p):
		return "asleep"
	}
	return fmt.Sprint(p)
}

func powerTone(p console.Power) tone {
	switch {
	case p == console.PowerOn:
		return toneGood
	case console.IsOff(p):
		return toneBad
	}
	return toneWarn
}

// offerWords names requests by the commands that make them; those that no command makes, by the firmware's name.
func offerWords(states []console.Power) []string {
	if states == nil {
		return nil
	}
	words := []string{}
	for _, s := range states {
		word, ok := map[console.Power]string{
			console.PowerOn: "on", console.PowerOff: "off", console.PowerCycleSoft: "cycle", console.PowerReset: "reset",
			console.PowerOffGraceful: "soft-off", console.PowerResetGraceful: "soft-reset", console.PowerSleepDeep: "sleep",
			console.PowerHibernate: "hibernate", console.PowerNMI: "nmi",
		}[s]
		if !ok {
			word = fmt.Sprint(s)
		}
		words = append(words, word)
	}
	return words
}

// A powerRecord is what one machine says about its power, or what became of a change.
type powerRecord struct {
	Host   string        `json:"host"`
	OK     bool          `json:"ok"`
	State  string        `json:"state,omitempty"`       // on, off, asleep, hibernated
	Number console.Power `json:"power_state,omitempty"` // as the firmware has it
	Offers []string      `json:"offers,omitempty"`      // changes that are possible now; absent if not told
	Before string        `json:"before,omitempty"`
	Action string        `json:"action,omitempty"`
	Proof  string        `json:"known_by,omitempty"` // by what the change is known; see console.Proof
	TookMS int64         `json:"took_ms,omitempty"`
	Error  *problem      `json:"error,omitempty"`
}

type powerStatusCmd struct{ Many }

func (powerStatusCmd) Help() string {
	return example("outband power status nuc1", "outband power status 'node[1-20]' -o json")
}

func (c *powerStatusCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"POWER", 10}, column{"POSSIBLE NOW", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.PowerInfo, error) {
		return client.Power(ctx)
	}, func(h hosts.Host, info console.PowerInfo, bad *failure) error {
		if bad != nil {
			return out.failed(powerRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := powerRecord{Host: h.Name, OK: true, State: powerWord(info.State), Number: info.State, Offers: offerWords(info.Available)}
		offers := strings.Join(r.Offers, " ")
		if r.Offers == nil {
			offers = "(not told)"
		}
		return out.record(r, plain(h.Name), cell{r.State, powerTone(info.State)}, plain(offers))
	})
}

// PowerAction are the flags of commands that change the power state.
type PowerAction struct {
	Many
	Wait  waitTime `placeholder:"TIME" help:"Wait that long for the state; default one minute, or three if the operating system has to comply."`
	Yes   bool     `short:"y" help:"Do not ask before switching several machines."`
	Force bool     `help:"Send the request even if the machine does not offer it now."`
}

// powerPatience is how long a machine is asked again, at most, that is still busy with the last change of power.
const powerPatience = 10 * time.Second

// patience is powerPatience, unless --timeout is shorter.
func (a *app) patience() time.Duration {
	if a.Timeout > 0 {
		return min(powerPatience, a.Timeout)
	}
	return powerPatience
}

// A waitTime is how long to wait. A flag of it may stand alone, for the default.
type waitTime time.Duration

// Decode takes the next word if it is a time.
func (w *waitTime) Decode(ctx *kong.DecodeContext) error {
	*w = 0
	next := ctx.Scan.Peek()
	text, isText := next.Value.(string)
	if !next.IsValue() || !isText {
		return nil
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil && next.Type == kong.FlagValueToken:
		return fmt.Errorf("%q is not a time such as 90s or 2m", text)
	case err != nil: // the name of a machine
		return nil
	case d < 0:
		return fmt.Errorf("%v is negative", d)
	}
	ctx.Scan.Pop()
	*w = waitTime(d)
	return nil
}

// do carries a verb out on all machines and says by what the outcome is known.
func (c *PowerAction) do(a *app, verb console.Verb, danger bool) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if danger && len(list) > 1 && !c.Yes && a.interactive() {
		yes, err := a.confirm(fmt.Sprintf("power %s: %d machines?", verb, len(list)), false)
		if err != nil {
			return err
		}
		if !yes {
			return usage("--yes answers beforehand", "canceled; nothing was sent")
		}
	}
	out := a.printer(hostColumn(list), column{"POWER", 10}, column{"BEFORE", 10}, column{"KNOWN BY", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.PowerResult, error) {
		return client.Act(ctx, verb, &console.ActOptions{Wait: time.Duration(c.Wait), Patience: a.patience(), Force: c.Force})
	}, func(h hosts.Host, res console.PowerResult, bad *failure) error {
		r := powerRecord{Host: h.Name, OK: bad == nil, Action: string(verb), Proof: string(res.Proof), TookMS: res.Took.Milliseconds()}
		if res.After.State != 0 {
			r.State, r.Number, r.Before = powerWord(res.After.State), res.After.State, powerWord(res.Before.State)
			r.Offers = offerWords(res.After.Available)
		}
		if bad != nil {
			r.Error, r.Proof = problemOf(bad), ""
			return out.failed(r, len(list) > 1, failedRow(h, bad))
		}
		return out.record(r, plain(h.Name), cell{r.State, powerTone(res.After.State)}, cell{r.Before, toneFaint}, plain(proofWords(res.Proof)))
	})
}

// proofWords says by what an outcome is known.
func proofWords(p console.Proof) string {
	switch p {
	case console.ProofState:
		return "state read again"
	case console.ProofTransition:
		return "seen off and on again"
	case console.ProofBootReason:
		return "firmware's boot record"
	case console.ProofEventLog:
		return "event log of the BIOS"
	case console.ProofAlready:
		return "was so already"
	case console.ProofAccepted:
		return "firmware accepted; no way to see more"
	}
	return string(p)
}

type (
	powerOnCmd        struct{ PowerAction }
	powerOffCmd       struct{ PowerAction }
	powerCycleCmd     struct{ PowerAction }
	powerResetCmd     struct{ PowerAction }
	powerSoftOffCmd   struct{ PowerAction }
	powerSoftResetCmd struct{ PowerAction }
	powerSleepCmd     struct{ PowerAction }
	powerHibernateCmd struct{ PowerAction }
	powerNMICmd       struct{ PowerAction }
)

func (c *powerOnCmd) Run(a *app) error        { return c.do(a, console.On, false) }
func (c *powerOffCmd) Run(a *app) error       { return c.do(a, console.Off, true) }
func (c *powerCycleCmd) Run(a *app) error     { return c.do(a, console.Cycle, true) }
func (c *powerResetCmd) Run(a *app) error     { return c.do(a, console.Reset, true) }
func (c *powerSoftOffCmd) Run(a *app) error   { return c.do(a, console.SoftOff, true) }
func (c *powerSoftResetCmd) Run(a *app) error { return c.do(a, console.SoftReset, true) }
func (c *powerSleepCmd) Run(a *app) error     { return c.do(a, console.Sleep, true) }
func (c *powerHibernateCmd) Run(a *app) error { return c.do(a, console.Hibernate, true) }
func (c *powerNMICmd) Run(a *app) error       { return c.do(a, console.NMI, true) }

func (powerOnCmd) Help() string {
	return example("outband power on nuc1", "outband power on @lab --delay 200ms")
}
func (powerOffCmd) Help() string {
	return example("outband power off nuc1", "outband power off --yes @lab")
}
func (powerCycleCmd) Help() string { return example("outband power cycle nuc1 --wait 2m") }
func (powerResetCmd) Help() string { return example("outband power reset nuc1") }
func (powerSoftOffCmd) Help() string {
	return "The agent (LMS) must run in the operating system.\n\n" + example("outband power soft-off nuc1")
}
func (powerSoftResetCmd) Help() string {
	return "The agent (LMS) must run in the operating system.\n\n" + example("outband power soft-reset nuc1")
}
func (powerSleepCmd) Help() string     { return example("outband power sleep nuc1") }
func (powerHibernateCmd) Help() string { return example("outband power hibernate nuc1") }
func (powerNMICmd) Help() string       { return example("outband power nmi nuc1") }
