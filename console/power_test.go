package console

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

func TestAct(t *testing.T) {
	for _, tt := range []struct {
		name   string
		verb   Verb
		opts   *ActOptions
		setup  func(*fake)
		sent   Power
		proof  Proof
		after  Power
		within time.Duration
		err    error
	}{
		{name: "off", verb: Off, sent: PowerOff, proof: ProofState, after: PowerOff, within: 3 * time.Second},
		{name: "off while off sends nothing", verb: Off, setup: func(f *fake) { f.state = PowerOff }, proof: ProofAlready, after: PowerOff},
		{name: "off while off hard sends nothing", verb: Off, setup: func(f *fake) { f.state = PowerOffHard }, proof: ProofAlready, after: PowerOffHard},
		{name: "on", verb: On, setup: func(f *fake) { f.state, f.available = PowerOff, []Power{PowerOn} }, sent: PowerOn, proof: ProofState, after: PowerOn, within: 3 * time.Second},
		{name: "on while on sends nothing", verb: On, proof: ProofAlready, after: PowerOn},
		{name: "on wakes from sleep", verb: On, setup: func(f *fake) { f.state, f.available = PowerSleepDeep, []Power{PowerOn} }, sent: PowerOn, proof: ProofState, after: PowerOn, within: 3 * time.Second},
		{name: "on leaves standby", verb: On, setup: func(f *fake) {
			v := ips.PowerManagementService{Name: new("x"), OSPowerSavingState: new(osSaving)}
			f.instances["IPS_PowerManagementService"] = []wsman.Element{v.Element()}
		}, sent: PowerOn, proof: ProofState, after: PowerOn, within: time.Second},
		{name: "off hard if only that is offered", verb: Off, setup: func(f *fake) { f.available = []Power{PowerOffHard} }, sent: PowerOffHard, proof: ProofState, after: PowerOffHard, within: 3 * time.Second},
		{name: "off is not offered while a session is open", verb: Off, setup: func(f *fake) { f.available = []Power{PowerReset, PowerNMI} }, after: PowerOn, err: ErrNotOffered},
		{name: "reset of a machine that is off", verb: Reset, setup: func(f *fake) { f.state, f.available = PowerOff, []Power{PowerOn} }, after: PowerOff, err: ErrNotOffered},
		{name: "reset of an old machine that is off and offers nothing", verb: Reset, setup: func(f *fake) { f.state, f.available = PowerOff, nil }, after: PowerOff, err: ErrNotOffered},
		{name: "forced", verb: Off, opts: &ActOptions{Force: true}, setup: func(f *fake) { f.available = []Power{PowerReset} }, sent: PowerOff, proof: ProofState, after: PowerOff, within: 3 * time.Second},
		{name: "cycle is seen", verb: Cycle, sent: PowerCycleSoft, proof: ProofTransition, after: PowerOn, within: 8 * time.Second},
		{name: "reset by boot reason", verb: Reset, setup: func(f *fake) {
			f.reaction = func(f *fake, _ Power) {
				v := ips.HostBootReason{InstanceID: new("x"), Reason: new(ips.HostBootReasonReasonRemoteControl), ReasonDetails: new("Reset")}
				f.instances["IPS_HostBootReason"] = []wsman.Element{v.Element()}
			}
		}, sent: PowerReset, proof: ProofBootReason, after: PowerOn, within: time.Second},
		{name: "reset by event log", verb: Reset, setup: func(f *fake) {
			f.absent["IPS_HostBootReason"] = true
			f.reaction = func(f *fake, _ Power) { f.records = []string{progress(2), progress(1)} }
		}, sent: PowerReset, proof: ProofEventLog, after: PowerOn, within: time.Second},
		{name: "reset without a trace is accepted, after a while", verb: Reset, sent: PowerReset, proof: ProofAccepted, after: PowerOn, within: 25 * time.Second},
		{name: "soft reset without a trace is no success", verb: SoftReset, sent: PowerResetGraceful, proof: ProofAccepted, after: PowerOn, within: 3*time.Minute + time.Second, err: ErrNotReached},
		{name: "soft off takes its time", verb: SoftOff, sent: PowerOffGraceful, proof: ProofState, after: PowerOff, within: 25 * time.Second},
		{name: "soft off that the system ignores", verb: SoftOff, setup: func(f *fake) { f.reaction = func(*fake, Power) {} }, sent: PowerOffGraceful, proof: ProofAccepted, after: PowerOn, within: 3*time.Minute + time.Second, err: ErrNotReached},
		{name: "not waited for", verb: Off, opts: &ActOptions{Wait: -1}, sent: PowerOff, proof: ProofAccepted, after: PowerOn},
		{name: "NMI", verb: NMI, sent: PowerNMI, proof: ProofAccepted, after: PowerOn},
		{name: "sleep", verb: Sleep, sent: PowerSleepDeep, proof: ProofState, after: PowerSleepDeep, within: 3 * time.Second},
		{name: "hibernate", verb: Hibernate, sent: PowerHibernate, proof: ProofState, after: PowerHibernate, within: 3 * time.Second},
		{name: "refused", verb: Off, setup: func(f *fake) { f.refuse["RequestPowerStateChange"] = 2 }, sent: PowerOff, after: PowerOn, err: status.ErrNotReady},
		{name: "unknown verb", verb: "explode", err: ErrUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				if tt.setup != nil {
					tt.setup(f)
				}
				c := Over(f, "desk-7")
				got, err := c.Act(context.Background(), tt.verb, tt.opts)
				if !errors.Is(err, tt.err) {
					t.Fatalf("got error %v, want %v", err, tt.err)
				}
				if got.Sent != tt.sent || got.Proof != tt.proof || got.After.State != tt.after {
					t.Errorf("sent %v, proof %q, after %v; want %v, %q, %v", got.Sent, got.Proof, got.After.State, tt.sent, tt.proof, tt.after)
				}
				if got.Took > tt.within {
					t.Errorf("took %v, more than %v", got.Took, tt.within)
				}
				want := 0
				if tt.sent != 0 && got.Before.OSPowerSaving != osSaving {
					want = 1
				}
				if n := f.called("CIM_PowerManagementService.RequestPowerStateChange"); n != want {
					t.Errorf("%d power requests, want %d", n, want)
				}
			})
		})
	}
}

// A request that was sent and not answered is never sent again. What the state shows decides.
func TestActIndeterminate(t *testing.T) {
	for _, tt := range []struct {
		name    string
		carried bool // the machine did it all the same
		verb    Verb
		proof   Proof
		err     error
	}{
		{"carried out", true, Off, ProofState, nil},
		{"lost", false, Off, ProofAccepted, ErrIndeterminate},
		{"reset without a trace", true, Reset, ProofAccepted, ErrIndeterminate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.fail = func(req *wsman.Request) error {
					if req.Action != wsman.ClassURI("CIM_PowerManagementService")+"/RequestPowerStateChange" {
						return nil
					}
					if tt.carried && tt.verb == Off {
						f.in(5*time.Second, PowerOff)
					}
					return fmt.Errorf("%w; %w", ErrCut, ErrIndeterminate)
				}
				c := Over(f, "desk-7")
				got, err := c.Act(context.Background(), tt.verb, nil)
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Fatalf("got error %v, want %v", err, tt.err)
				}
				if tt.err == nil && got.Proof != tt.proof {
					t.Errorf("proof %q, want %q", got.Proof, tt.proof)
				}
				if kind, _ := Explain(err); tt.err != nil && kind != KindTimeout {
					t.Errorf("kind %v", kind)
				}
				if n := f.called("CIM_PowerManagementService."); n != 1 {
					t.Errorf("sent %d times", n)
				}
			})
		})
	}
}

// A machine that is not ready yet refuses. It is asked again after a change of our own, or if told to.
func TestActPatience(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patience time.Duration
		first    bool // another action of this client goes before
		err      error
		within   time.Duration
	}{
		{"fresh client", 0, false, status.ErrNotReady, 0},
		{"after a change of our own", 0, true, nil, 12 * time.Second},
		{"told to wait", 20 * time.Second, false, nil, 12 * time.Second},
		{"told not to", -1, true, status.ErrNotReady, 0},
		{"not long enough", 3 * time.Second, false, status.ErrNotReady, 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				c := Over(f, "desk-7")
				if tt.first {
					if _, err := c.Act(context.Background(), Cycle, nil); err != nil {
						t.Fatal(err)
					}
				}
				busy := time.Now().Add(8 * time.Second)
				f.fail = func(*wsman.Request) error {
					delete(f.refuse, "RequestPowerStateChange")
					if time.Now().Before(busy) {
						f.refuse["RequestPowerStateChange"] = 2
					}
					return nil
				}
				res, err := c.Act(context.Background(), Off, &ActOptions{Patience: tt.patience})
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) || res.Took > tt.within {
					t.Errorf("got %v after %v, want %v within %v", err, res.Took, tt.err, tt.within)
				}
			})
		})
	}
}

// Links go down and up while a machine is switched; a refused password does not pass.
func TestWaitPowerTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		began := time.Now()
		f.fail = func(*wsman.Request) error {
			if time.Since(began) < 10*time.Second {
				return &UnreachableError{Address: "x", Reason: TimedOut}
			}
			return nil
		}
		c := Over(f, "desk-7")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		got, err := c.WaitPower(ctx, 0, func(now PowerInfo) bool { return now.State == PowerOn })
		if err != nil || got.State != PowerOn || time.Since(began) > 15*time.Second {
			t.Fatalf("got %v, %v after %v", got.State, err, time.Since(began))
		}
		n := f.called("Get")
		if n < 5 || n > 12 {
			t.Errorf("looked %d times in 10 s; want pauses from half a second to three", n)
		}

		f.fail = func(*wsman.Request) error { return ErrUnauthorized }
		if _, err := c.WaitPower(ctx, 0, func(PowerInfo) bool { return true }); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("got %v, want the refusal at once", err)
		}
		f.fail = func(*wsman.Request) error { return &UnreachableError{Address: "x", Reason: TimedOut} }
		if _, err := c.WaitPower(ctx, 0, func(PowerInfo) bool { return true }); !errors.Is(err, ErrNotReached) || !errors.Is(err, ErrUnreachable) {
			t.Errorf("got %v, want both not reached and unreachable", err)
		}
		gone, stop := context.WithCancel(context.Background())
		stop()
		if _, err := c.WaitPower(gone, 0, func(PowerInfo) bool { return false }); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want cancelled", err)
		}
	})
}

func TestPowerAsksForStandbyOnce(t *testing.T) {
	f := newFake()
	f.absent["IPS_PowerManagementService"] = true
	c := Over(f, "desk-7")
	for range 3 {
		info, err := c.Power(context.Background())
		if err != nil || info.State != PowerOn || info.OSPowerSaving != 0 {
			t.Fatalf("got %+v, %v", info, err)
		}
	}
	if n := f.called("Get IPS_PowerManagementService"); n != 1 {
		t.Errorf("asked %d times for a class that is not there", n)
	}
}

func TestParseVerb(t *testing.T) {
	for word, want := range map[string]Verb{"on": On, "OFF": Off, "soft_off": SoftOff, "powercycle": Cycle, "diag": NMI, "shutdown": SoftOff, "hard-reset": Reset} {
		if got, err := ParseVerb(word); got != want || err != nil {
			t.Errorf("%s: got %q, %v", word, got, err)
		}
	}
	if _, err := ParseVerb("explode"); !errors.Is(err, ErrUsage) {
		t.Errorf("got %v", err)
	}
}

func TestNotOfferedSaysWhatIs(t *testing.T) {
	err := error(&NotOfferedError{Verb: Off, State: PowerOn, Offered: []Power{PowerReset, PowerNMI, 17}})
	if got, want := err.Error(), "power off: not offered now: the machine is on and offers reset, nmi, diagnostic interrupt (INIT)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if kind, hint := Explain(err); kind != KindRefused || hint == "" {
		t.Errorf("got %v, %q", kind, hint)
	}
}
