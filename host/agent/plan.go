package agent

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/wsman"
)

// A Goal is what AMT shall be.
type Goal struct {
	Mode amthi.ControlMode // ClientControl, AdminControl; NotProvisioned takes it out of management

	// Password of the administrator: the one that AMT is to have, or has already. Out of client control mode it is not
	// needed.
	Password string
	// MEBxPassword is that of the BIOS extension, which release 19 wants to be set with admin control mode. Default:
	// Password.
	MEBxPassword string
	// Certificate for admin control mode.
	Certificate *Certificate
}

// GoString keeps the passwords to itself.
func (g Goal) GoString() string { return "agent.Goal{" + g.Mode.String() + "}" }

// A Step is something that is done to AMT.
type Step string

// The steps.
const (
	StepSwitchOn   Step = "switch AMT on"
	StepStopSetup  Step = "stop a setup that was begun before"
	StepClient     Step = "set up in client control mode"
	StepChain      Step = "show the setup certificate"
	StepAdmin      Step = "set up in admin control mode"
	StepUpgrade    Step = "go from client to admin control mode"
	StepBeginTLS   Step = "begin setup over TLS"
	StepPassword   Step = "set the administrator's password"
	StepMEBx       Step = "set the password of the BIOS extension"
	StepCommit     Step = "commit"
	StepVerify     Step = "log in as admin"
	StepDeactivate Step = "unprovision: accounts, certificates and settings are lost"
	StepAwaitEnd   Step = "wait until AMT is not set up"
)

// A Plan is how a goal will be reached from where AMT is.
type Plan struct {
	From  Info
	To    amthi.ControlMode
	Steps []Step // none: nothing is to be done

	// What cannot be undone, for people: one sentence each.
	Warnings []string
}

// Plan looks at AMT and says what [Agent.Reach] would do. It changes nothing. What AMT would refuse, as far as it can be
// known, is an error: ErrState, ErrWeak, ErrCertificate, ErrNotAllowed, ErrPassword, ErrNoPassword.
func (a *Agent) Plan(ctx context.Context, g Goal) (Plan, error) {
	w, err := a.begin(ctx, g)
	if w != nil {
		w.end()
	}
	if err != nil {
		return Plan{}, err
	}
	return w.plan, nil
}

// work is one run of Reach or Plan.
type work struct {
	*Agent
	goal  Goal
	plan  Plan
	ch    *channel // nil until it is needed
	nonce []byte   // of AMT

	overTLS *wsman.Client // of setup over TLS
}

func (w *work) end() {
	if w.overTLS != nil {
		w.overTLS.Close()
	}
	if w.ch != nil {
		w.ch.close()
	}
}

// begin looks at AMT and plans. Ending the work is the caller's, also after an error if work is not nil.
func (a *Agent) begin(ctx context.Context, g Goal) (*work, error) {
	if g.MEBxPassword == "" {
		g.MEBxPassword = g.Password
	}
	w := &work{Agent: a, goal: g, plan: Plan{To: g.Mode}}
	info, err := a.Info(ctx)
	w.plan.From = info
	switch {
	case err != nil:
		return w, err
	case info.Off && g.Mode == amthi.NotProvisioned:
		return w, nil
	case info.Off && !info.CanTurn:
		return w, fmt.Errorf("%w: this firmware lets it be switched on in the BIOS only", ErrOff)
	}
	if g.Mode == amthi.NotProvisioned {
		return w, w.planEnd(ctx)
	}
	return w, w.planSetup(ctx)
}

// planSetup plans the way to client or admin control mode.
func (w *work) planSetup(ctx context.Context) error {
	g, from := &w.goal, &w.plan.From
	if g.Mode == from.Mode && !from.Off {
		if err := w.login(ctx); err != nil {
			return err
		}
		w.plan.Steps = []Step{}
		return nil
	}
	if g.Mode == amthi.ClientControl && from.Mode == amthi.AdminControl {
		return fmt.Errorf("%w: it is in admin control mode; unprovision it first", ErrState)
	}
	if from.Mode == amthi.NotProvisioned { // an upgrade keeps the password it has
		if err := activation.CheckPassword(g.Password); err != nil {
			return fmt.Errorf("%w: %w", ErrWeak, err)
		}
	}
	if err := w.planCertificate(ctx); err != nil {
		return err
	}
	add := func(steps ...Step) { w.plan.Steps = append(w.plan.Steps, steps...) }
	if from.Off {
		add(StepSwitchOn)
	}
	if from.State == amthi.InProvisioning {
		add(StepStopSetup)
	}
	switch {
	case g.Mode == amthi.ClientControl:
		add(StepClient)
		if from.TLSOnly {
			add(StepCommit)
		}
		w.warn("AMT opens its network ports; the password is its administrator's from then on")
	case from.Mode == amthi.ClientControl:
		add(StepChain, StepUpgrade)
		w.warn("admin control mode is left only by unprovisioning with the administrator's password: this PC can no longer take AMT back on its own")
	case from.TLSOnly:
		add(StepBeginTLS, StepPassword, StepMEBx, StepCommit)
		w.warn("admin control mode is left only by unprovisioning with the administrator's password", "the password of the BIOS extension (MEBx) is changed, and stays so when AMT is unprovisioned")
	default:
		add(StepChain, StepAdmin)
		w.warn("admin control mode is left only by unprovisioning with the administrator's password")
	}
	add(StepVerify)
	return nil
}

func (w *work) warn(text ...string) { w.plan.Warnings = append(w.plan.Warnings, text...) }

// planCertificate holds the certificate against AMT, and asks AMT whether it allows the mode. While AMT is off that
// cannot be known.
func (w *work) planCertificate(ctx context.Context) error {
	g, from := &w.goal, &w.plan.From
	admin := g.Mode == amthi.AdminControl
	switch {
	case admin && g.Certificate == nil:
		return fmt.Errorf("%w: admin control mode wants one", ErrCertificate)
	case from.Off && admin:
		return activation.Check(g.Certificate.Chain, w.clock(), func(*x509.Certificate) bool { return true })
	case from.Off:
		return nil
	}
	ch, err := w.channel(ctx)
	if err != nil {
		return err
	}
	client, err := w.inside(ctx, ch)
	if err != nil {
		return err
	}
	defer client.Close()
	service, err := class.Get[ips.HostBasedSetupService](ctx, client)
	if err != nil {
		return fmt.Errorf("ask what AMT allows: %w", w.wrong(err))
	}
	allowed := false
	for _, m := range service.AllowedControlModes {
		allowed = allowed || uint32(m) == uint32(g.Mode)
	}
	switch {
	case !allowed:
		return fmt.Errorf("%w: %v", ErrNotAllowed, g.Mode)
	case !admin:
		return nil
	}
	suffix := from.Suffix
	if suffix == "" {
		if setup, err := class.Get[amt.SetupAndConfigurationService](ctx, client); err == nil {
			suffix = class.Value(setup.DhcpDNSSuffix)
		}
	}
	return g.Certificate.check(from.Hashes, suffix)
}

// planEnd plans the way out of management.
func (w *work) planEnd(ctx context.Context) error {
	from := &w.plan.From
	switch {
	case from.Mode == amthi.NotProvisioned && from.State == amthi.InProvisioning:
		w.plan.Steps = []Step{StepStopSetup}
		return nil
	case from.Mode == amthi.NotProvisioned:
		w.plan.Steps = []Step{}
		return nil
	case from.Mode == amthi.AdminControl:
		if err := w.login(ctx); err != nil {
			return err
		}
		if err := w.mayUnprovision(ctx); err != nil {
			return err
		}
	}
	w.plan.Steps = []Step{StepDeactivate, StepAwaitEnd}
	w.warn("AMT forgets accounts, certificates and settings, and closes its network ports")
	return nil
}

// channel returns the way to the local ports.
func (w *work) channel(ctx context.Context) (*channel, error) {
	if w.ch == nil {
		ch, err := w.open(ctx)
		if err != nil {
			return nil, err
		}
		w.ch = ch
	}
	return w.ch, nil
}

// wrong says what a login that was refused means.
func (w *work) wrong(err error) error {
	if isUnauthorized(err) {
		return fmt.Errorf("%w: %w", ErrPassword, err)
	}
	return err
}

// needPassword is an error if the goal has none.
func (w *work) needPassword() error {
	if w.goal.Password == "" {
		return ErrNoPassword
	}
	return nil
}

var errNoProof = errors.New("AMT does not say so")
