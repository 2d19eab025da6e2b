package pc

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outband/outband/virtual/firmware"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a PC under test and what it told.
type bench struct {
	*PC
	log []string
}

func newBench(t *testing.T, o Options) *bench {
	b := &bench{PC: New(o)}
	t.Cleanup(func() { b.Close() })
	b.Watch(func(e firmware.Event) {
		text := e.Kind.String()
		switch e.Kind {
		case firmware.EventPower:
			text = fmt.Sprintf("%v>%v", e.Was, e.Power)
		case firmware.EventBoot:
			text = fmt.Sprintf("boot from %v", e.Was)
		case firmware.EventBooted:
			text = fmt.Sprintf("booted %d %d", e.Boot.Status, e.Boot.Error)
		}
		b.log = append(b.log, text)
	})
	return b
}

// settle waits until nothing happens any more and returns what was told since the last time.
func (b *bench) settle() []string {
	time.Sleep(b.Settle())
	synctest.Wait()
	log := b.log
	b.log = nil
	return log
}

func want(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestTransitions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		o      Options
		before func(Person) // then all settles, and what was told is forgotten
		action firmware.Action
		wish   int // a Wish, if action is 0
		err    error
		log    []string
		power  firmware.Sx
		phase  Phase
	}{
		{name: "power up", action: firmware.PowerUp,
			log: []string{"S5>S0", "boot from S5", "booted 0 0", "handover", "OS up", "agent up"}, power: firmware.S0, phase: Running},
		{name: "power up what is on", o: Options{On: true}, action: firmware.PowerUp, err: errState, power: firmware.S0, phase: Running},
		{name: "power down", o: Options{On: true}, action: firmware.PowerDown,
			log: []string{"agent down", "OS down", "S0>S5"}, power: firmware.S5, phase: Off},
		{name: "power down what is off", action: firmware.PowerDown, err: errState, power: firmware.S5, phase: Off},
		{name: "cycle", o: Options{On: true}, action: firmware.Cycle,
			log:   []string{"agent down", "OS down", "S0>S5", "S5>S0", "boot from S5", "booted 0 0", "handover", "OS up", "agent up"},
			power: firmware.S0, phase: Running},
		{name: "reset", o: Options{On: true}, action: firmware.Reset,
			log: []string{"agent down", "OS down", "boot from S0", "booted 0 0", "handover", "OS up", "agent up"}, power: firmware.S0, phase: Running},
		{name: "reset what is off", action: firmware.Reset, err: errState, power: firmware.S5, phase: Off},
		{name: "reset what hangs", o: Options{On: true}, before: Person.Hang, action: firmware.Reset,
			log: []string{"agent down", "OS down", "boot from S0", "booted 0 0", "handover", "OS up", "agent up"}, power: firmware.S0, phase: Running},
		{name: "interrupt", o: Options{On: true}, action: firmware.NMI, log: []string{"NMI"}, power: firmware.S0, phase: Running},
		{name: "resume", o: Options{On: true}, before: Person.Sleep, action: firmware.PowerUp,
			log: []string{"S3>S0", "OS up", "agent up"}, power: firmware.S0, phase: Running},
		{name: "reset what sleeps", o: Options{On: true}, before: Person.Sleep, action: firmware.Reset,
			log: []string{"S3>S0", "boot from S3", "booted 0 0", "handover", "OS up", "agent up"}, power: firmware.S0, phase: Running},
		{name: "power up what hibernates", o: Options{On: true}, before: Person.Hibernate, action: firmware.PowerUp,
			log: []string{"S4>S0", "boot from S4", "booted 0 0", "handover", "OS up", "agent up"}, power: firmware.S0, phase: Running},
		{name: "no plug", o: Options{On: true}, before: Person.PullPlug, action: firmware.PowerUp, err: errState, power: firmware.G3, phase: Off},
		{name: "no disk, no CD", o: Options{NoDisk: true}, before: Person.Press, action: firmware.Reset,
			log: []string{"OS down", "boot from S0", "booted 0 0", "handover", "OS up"}, power: firmware.S0, phase: Running}, // from CD, so no agent

		{name: "wish shut down", o: Options{On: true}, wish: int(firmware.WishShutDown),
			log: []string{"agent down", "OS down", "S0>S5"}, power: firmware.S5, phase: Off},
		{name: "wish reboot", o: Options{On: true}, wish: int(firmware.WishReboot),
			log: []string{"agent down", "OS down", "boot from S0", "booted 0 0", "handover", "OS up", "agent up"}, power: firmware.S0, phase: Running},
		{name: "wish sleep", o: Options{On: true}, wish: int(firmware.WishSleep),
			log: []string{"agent down", "OS down", "S0>S3"}, power: firmware.S3, phase: Off},
		{name: "wish hibernate", o: Options{On: true}, wish: int(firmware.WishHibernate),
			log: []string{"agent down", "OS down", "S0>S4"}, power: firmware.S4, phase: Off},
		{name: "wish without agent", o: Options{On: true, NoAgent: true}, err: firmware.ErrNoAgent, power: firmware.S0, phase: Running},
		{name: "wish to the deaf", o: Options{On: true, Deaf: true}, power: firmware.S0, phase: Running},
		{name: "wish to what hangs", o: Options{On: true}, before: Person.Hang, power: firmware.S0, phase: Hung},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, tt.o)
				if tt.before != nil {
					tt.before(b.Person())
					b.settle()
				}
				var err error
				if tt.action != 0 {
					err = b.Do(t.Context(), tt.action, nil)
				} else {
					err = b.Ask(t.Context(), firmware.Wish(tt.wish), nil)
				}
				if !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				want(t, "told", b.settle(), tt.log)
				if b.Power() != tt.power || b.Phase() != tt.phase {
					t.Errorf("ended in %v, %v; want %v, %v", b.Power(), b.Phase(), tt.power, tt.phase)
				}
			})
		})
	}
}

func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{On: true})
		if err := b.Do(t.Context(), firmware.Cycle, nil); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after time.Duration // since the last step
			phase Phase
		}{{49 * time.Millisecond, Running}, {2 * time.Millisecond, Off}, {998 * time.Millisecond, Off},
			{2 * time.Millisecond, SelfTest}, {300 * time.Millisecond, Starting}, {500 * time.Millisecond, Running}} {
			time.Sleep(step.after)
			synctest.Wait()
			if got := b.Phase(); got != step.phase {
				t.Fatalf("%v later: %v, want %v", step.after, got, step.phase)
			}
		}
	})
}

func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		name           string
		o              Options
		plan           firmware.BootPlan
		insert, remove firmware.BootSource
		from           firmware.BootSource
		phase          Phase
		log            []string
	}{
		{name: "ordinary", from: firmware.BootDisk, phase: Running, log: []string{"booted 0 0", "handover", "OS up", "agent up"}},
		{name: "PXE", plan: firmware.BootPlan{Source: firmware.BootPXE}, from: firmware.BootPXE, phase: Running, log: []string{"booted 0 0", "handover", "OS up"}},
		{name: "PXE without a server", plan: firmware.BootPlan{Source: firmware.BootPXE}, remove: firmware.BootPXE, phase: NoMedium, log: []string{"booted 0 0", "no medium"}},
		{name: "redirected CD", plan: firmware.BootPlan{Source: firmware.BootIDERCD}, insert: firmware.BootIDERCD, from: firmware.BootIDERCD, phase: Running, log: []string{"booted 0 0", "handover", "OS up"}},
		{name: "redirected CD that is not there", plan: firmware.BootPlan{Source: firmware.BootIDERCD}, from: firmware.BootDisk, phase: Running, log: []string{"booted 0 0", "handover", "OS up", "agent up"}},
		{name: "setup", plan: firmware.BootPlan{Setup: true}, phase: Setup, log: []string{"booted 0 0", "setup"}},
		{name: "pause", plan: firmware.BootPlan{Pause: true}, phase: Paused, log: []string{"booted 0 0"}},
		{name: "erase", o: Options{Password: "x"}, plan: firmware.BootPlan{SecureErase: true, ErasePassword: "x"}, from: firmware.BootCD, phase: Running, log: []string{"booted 0 0", "handover", "OS up"}},
		{name: "erase, wrong password", o: Options{Password: "x"}, plan: firmware.BootPlan{SecureErase: true}, from: firmware.BootDisk, phase: Running, log: []string{"booted 65535 2", "handover", "OS up", "agent up"}},
		{name: "unknown source", plan: firmware.BootPlan{Source: 99}, phase: NoMedium, log: []string{"booted 0 0", "no medium"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, tt.o)
				if tt.insert != 0 {
					b.Insert(tt.insert, true)
				}
				if tt.remove != 0 {
					b.Insert(tt.remove, false)
				}
				asked := 0
				plan := func() firmware.BootPlan {
					asked++
					b.Power() // locks may be taken here
					return tt.plan
				}
				if err := b.Do(t.Context(), firmware.PowerUp, plan); err != nil {
					t.Fatal(err)
				}
				want(t, "told", b.settle(), append([]string{"S5>S0", "boot from S5"}, tt.log...))
				boot := b.LastBoot()
				if asked != 1 || boot.Number != 1 || !boot.Remote || boot.From != tt.from || b.Phase() != tt.phase {
					t.Errorf("asked %d times; boot %+v; %v; want 1, from %v, %v", asked, boot, b.Phase(), tt.from, tt.phase)
				}
				if tt.phase == Setup || tt.phase == Paused {
					b.Person().Key()
					want(t, "told after the key", b.settle(), []string{"handover", "OS up", "agent up"})
				}
			})
		})
	}
}

// A plan is asked when the boot begins, and not at all if none does.
func TestPlanOfBootThatNeverBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{On: true, Deaf: true})
		asked := 0
		plan := func() firmware.BootPlan { asked++; return firmware.BootPlan{} }
		if err := b.Ask(t.Context(), firmware.WishReboot, plan); err != nil {
			t.Fatal(err)
		}
		b.settle()
		if err := b.Do(t.Context(), firmware.Cycle, plan); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond) // it is off now
		b.Person().PullPlug()
		b.settle()
		b.Person().Plug()
		b.Person().Press()
		b.settle()
		if boot := b.LastBoot(); asked != 0 || boot.Number != 1 || boot.Remote {
			t.Errorf("asked %d times, boot %+v; want never, and one boot by hand", asked, boot)
		}
	})
}

func TestLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{On: true})
		plan := func() firmware.BootPlan {
			return firmware.BootPlan{LockPower: true, LockReset: true, LockSleep: true, LockKeyboard: true, Pause: true}
		}
		if err := b.Do(t.Context(), firmware.Reset, plan); err != nil {
			t.Fatal(err)
		}
		b.settle()
		h := b.Person()
		for name, f := range map[string]func(){"power": h.Press, "reset": h.Reset, "sleep": h.Sleep, "keyboard": h.Key} {
			f()
			want(t, name, b.settle(), nil)
		}
		h.Hold()
		want(t, "held", b.settle(), []string{"S0>S5"})
		h.Press() // an ordinary boot: nothing is locked any more
		b.settle()
		h.Reset()
		want(t, "reset", b.settle(), []string{"agent down", "OS down", "boot from S0", "booted 0 0", "handover", "OS up", "agent up"})
	})
}

func TestStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{On: true, Standby: true})
		b.Person().Sleep()
		want(t, "told", b.settle(), nil)
		if !b.Saving() || b.Power() != firmware.S0 {
			t.Errorf("saving %v in %v, want saving in S0", b.Saving(), b.Power())
		}
		if err := b.SetSaving(t.Context(), false); err != nil || b.Saving() {
			t.Errorf("woken: %v, saving %v", err, b.Saving())
		}
		if err := New(Options{On: true}).SetSaving(t.Context(), true); !errors.Is(err, errState) {
			t.Errorf("without standby: %v, want %v", err, errState)
		}
	})
}

func TestAgentComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{On: true, NoAgent: true})
		b.Person().RunAgent(true)
		b.Person().RunAgent(false)
		want(t, "told", b.settle(), []string{"agent up", "agent down"})
		cancelled := b.Watch(func(firmware.Event) { t.Error("told after cancel") })
		cancelled()
		b.Person().Hold()
		b.settle()
	})
}

// Close in the middle of a transition leaves no timer and no goroutine behind; synctest and goleak see to that.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		p.Watch(func(firmware.Event) {})
		if err := p.Do(t.Context(), firmware.PowerUp, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond)
		p.Close()
		time.Sleep(time.Minute)
		if p.Phase() != SelfTest {
			t.Errorf("went on after Close: %v", p.Phase())
		}
		p.Do(t.Context(), firmware.Reset, nil)
		p.Close()
	})
}
