package firmware_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// request asks for a power state as a console does and returns ReturnValue.
func (w *world) request(t *testing.T, want cim.PowerState) status.Status {
	t.Helper()
	system := wsman.Ref("CIM_ComputerSystem", "Name", "ManagedSystem")
	_, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(t.Context(), w, cim.PowerManagementServiceRequestPowerStateChangeIn{
		PowerState: &want, ManagedElement: &system})
	return code(t, err)
}

// code returns the return value of a method call.
func code(t *testing.T, err error) status.Status {
	t.Helper()
	var refusal *status.Error
	if err != nil && !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	if refusal == nil {
		return status.Success
	}
	return refusal.Code
}

func (w *world) power(t *testing.T) *cim.AssociatedPowerManagementService {
	t.Helper()
	s, err := class.Get[cim.AssociatedPowerManagementService](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAvailablePowerStates(t *testing.T) {
	on := pc.Options{On: true}
	for _, tt := range []struct {
		name       string
		generation int
		o          pc.Options
		before     func(pc.Person)
		session    bool
		state      cim.PowerState
		want       []cim.PowerState
	}{
		{name: "on", o: on, state: 2, want: []cim.PowerState{10, 8, 5, 11, 4, 7, 14, 12}}, // recorded
		{name: "on, no agent", o: pc.Options{On: true, NoAgent: true}, state: 2, want: []cim.PowerState{10, 8, 5, 11}},
		{name: "on, session", o: on, session: true, state: 2, want: []cim.PowerState{10, 11, 4, 7, 14}},
		{name: "on, session, no agent", o: pc.Options{On: true, NoAgent: true}, session: true, state: 2, want: []cim.PowerState{10, 11}},
		{name: "on, standby", o: pc.Options{On: true, Standby: true}, state: 2, want: []cim.PowerState{10, 8, 5, 11, 14, 12}},
		{name: "off", state: 8, want: []cim.PowerState{2}}, // recorded
		{name: "asleep", o: on, before: pc.Person.Sleep, state: 4, want: []cim.PowerState{2, 5, 8, 10}},
		{name: "asleep, session", o: on, before: pc.Person.Sleep, session: true, state: 4, want: []cim.PowerState{2, 10}},
		{name: "hibernated", o: on, before: pc.Person.Hibernate, state: 7, want: []cim.PowerState{2}},
		{name: "old release", generation: 8, o: on, state: 2},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: tt.generation}, tt.o)
			if tt.before != nil {
				tt.before(w.pc.Person())
				w.settle()
			}
			if tt.session {
				defer w.BeginSession()()
			}
			got := w.power(t)
			if class.Value(got.PowerState) != tt.state || !slices.Equal(got.AvailableRequestedPowerStates, tt.want) {
				t.Errorf("got %v, %d; want %v, %d", *got.PowerState, got.AvailableRequestedPowerStates, tt.state, tt.want)
			}
			if got.RequestedPowerState != nil {
				t.Errorf("RequestedPowerState %v before any request", *got.RequestedPowerState)
			}
		})
	}
}

func TestRequestPowerStateChange(t *testing.T) {
	on := pc.Options{On: true}
	for _, tt := range []struct {
		name       string
		generation int
		o          pc.Options
		before     func(pc.Person)
		session    bool
		request    cim.PowerState
		code       status.Status
		soon       cim.PowerState // 200 ms later
		state      cim.PowerState // in the end
		boots      int
	}{
		{name: "on", request: 2, soon: 2, state: 2, boots: 1},
		{name: "on while on", o: on, request: 2, code: 2, soon: 2, state: 2},
		{name: "off", o: on, request: 8, soon: 8, state: 8},
		{name: "off while off", request: 8, code: 2, soon: 8, state: 8},
		{name: "cycle is off on the way", o: on, request: 5, soon: 8, state: 2, boots: 1},
		{name: "hard cycle is taken as cycle", o: on, request: 9, soon: 8, state: 2, boots: 1},
		{name: "reset", o: on, request: 10, soon: 2, state: 2, boots: 1},
		{name: "reset while off", request: 10, code: 2, soon: 8, state: 8},
		{name: "reset of what hangs", o: on, before: pc.Person.Hang, request: 10, soon: 2, state: 2, boots: 1},
		{name: "interrupt", o: on, request: 11, soon: 2, state: 2},
		{name: "resume is no boot", o: on, before: pc.Person.Sleep, request: 2, soon: 2, state: 2},
		{name: "sleep", o: on, request: 4, soon: 2, state: 4},
		{name: "hibernate", o: on, request: 7, soon: 2, state: 7},
		{name: "graceful off", o: on, request: 12, soon: 2, state: 8},
		{name: "graceful reset", o: on, request: 14, soon: 2, state: 2, boots: 1},
		{name: "graceful off, deaf", o: pc.Options{On: true, Deaf: true}, request: 12, soon: 2, state: 2},
		{name: "graceful off, no agent", o: pc.Options{On: true, NoAgent: true}, request: 12, code: 2, soon: 2, state: 2},
		{name: "off in a session", o: on, session: true, request: 8, code: 2, soon: 2, state: 2},
		{name: "cycle in a session", o: on, session: true, request: 5, code: 2, soon: 2, state: 2},
		{name: "reset in a session", o: on, session: true, request: 10, soon: 2, state: 2, boots: 1},
		{name: "sleep with standby", o: pc.Options{On: true, Standby: true}, request: 4, code: 1, soon: 2, state: 2},
		{name: "never supported", o: on, request: 6, code: 1, soon: 2, state: 2},
		{name: "interrupt on an old release", generation: 8, o: on, request: 11, code: 1, soon: 2, state: 2},
		{name: "no such state", o: on, request: 42, code: 5, soon: 2, state: 2},
		{name: "state 1", o: on, request: 1, code: 5, soon: 2, state: 2},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: tt.generation}, tt.o)
			if tt.before != nil {
				tt.before(w.pc.Person())
				w.settle()
			}
			if tt.session {
				defer w.BeginSession()()
			}
			if got := w.request(t, tt.request); got != tt.code {
				t.Errorf("ReturnValue %d, want %d", got, tt.code)
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if got := *w.power(t).PowerState; got != tt.soon {
				t.Errorf("soon after: %v, want %v", got, tt.soon)
			}
			w.settle()
			got := w.power(t)
			if *got.PowerState != tt.state || w.pc.LastBoot().Number != tt.boots {
				t.Errorf("in the end: %v after %d boots, want %v after %d", *got.PowerState, w.pc.LastBoot().Number, tt.state, tt.boots)
			}
			if (got.RequestedPowerState != nil) != (tt.code == 0) {
				t.Errorf("RequestedPowerState %v after ReturnValue %d", got.RequestedPowerState, tt.code)
			}
		})
	}
}

func TestRequestPowerStateChangeParameters(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		invoke := func(in cim.PowerManagementServiceRequestPowerStateChangeIn) status.Status {
			_, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(t.Context(), w, in)
			return code(t, err)
		}
		soon := wsman.Every(time.Minute)
		if got := invoke(cim.PowerManagementServiceRequestPowerStateChangeIn{}); got != 5 {
			t.Errorf("no state: ReturnValue %d, want 5", got)
		}
		if got := invoke(cim.PowerManagementServiceRequestPowerStateChangeIn{PowerState: new(cim.PowerStateOffSoft), TimeoutPeriod: &soon}); got != 4098 {
			t.Errorf("with a timeout: ReturnValue %d, want 4098", got)
		}
	})
}

// A second request is refused until the first is done: the PC is off, or its BIOS has finished.
func TestBusy(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{SelfTest: 2 * time.Second})
		if got := w.request(t, cim.PowerStateOn); got != 0 {
			t.Fatalf("on: ReturnValue %d", got)
		}
		time.Sleep(time.Second) // in the self-test
		if got := w.request(t, cim.PowerStateMasterBusReset); got != 2 {
			t.Errorf("reset during the self-test: ReturnValue %d, want 2", got)
		}
		time.Sleep(1100 * time.Millisecond)
		if got := w.request(t, cim.PowerStateOffSoft); got != 0 {
			t.Errorf("off after the self-test: ReturnValue %d, want 0", got)
		}
		time.Sleep(60 * time.Millisecond)
		if got := w.request(t, cim.PowerStateOn); got != 0 {
			t.Errorf("on when it is off: ReturnValue %d, want 0", got)
		}
	})
	inBubble(t, "a BIOS that never finishes", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{SelfTest: time.Hour})
		w.request(t, cim.PowerStateOn)
		time.Sleep(2900 * time.Millisecond)
		if got := w.request(t, cim.PowerStateOffSoft); got != 2 {
			t.Errorf("before 3 s: ReturnValue %d, want 2", got)
		}
		time.Sleep(200 * time.Millisecond)
		if got := w.request(t, cim.PowerStateOffSoft); got != 0 {
			t.Errorf("after 3 s: ReturnValue %d, want 0", got)
		}
	})
}

func TestOnPower(t *testing.T) {
	inBubble(t, "refuses", func(t *testing.T) {
		var asked []cim.PowerState
		w := newWorld(t, firmware.Config{Hooks: firmware.Hooks{OnPower: func(_ context.Context, want cim.PowerState) status.Status {
			asked = append(asked, want)
			return 4
		}}}, pc.Options{On: true})
		if got := w.request(t, cim.PowerStateOffSoft); got != 4 {
			t.Errorf("ReturnValue %d, want 4", got)
		}
		w.request(t, cim.PowerStateOn) // is not possible, so nobody is asked
		w.settle()
		if !slices.Equal(asked, []cim.PowerState{8}) || w.pc.Power() != firmware.S0 {
			t.Errorf("asked for %v, PC in %v; want 8 alone, and S0", asked, w.pc.Power())
		}
		if got := w.request(t, cim.PowerStateOffSoft); got != 4 {
			t.Errorf("a refusal does not leave the machine busy: ReturnValue %d, want 4", got)
		}
	})
	inBubble(t, "delays", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Hooks: firmware.Hooks{OnPower: func(context.Context, cim.PowerState) status.Status {
			time.Sleep(2 * time.Second)
			return 0
		}}}, pc.Options{On: true})
		start := time.Now()
		if got := w.request(t, cim.PowerStateOffSoft); got != 0 || time.Since(start) < 2*time.Second {
			t.Errorf("ReturnValue %d after %v, want 0 after 2 s", got, time.Since(start))
		}
	})
}

func TestPowerEnumeration(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		list, err := class.All[cim.ServiceAvailableToElement](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, s := range list {
			for _, e := range s.Extra {
				found = found || e.Local == "PowerState" && e.Text == "2"
			}
		}
		if !found {
			t.Errorf("no PowerState in the items of CIM_ServiceAvailableToElement: %+v", list)
		}
	})
}

func TestHostBootReason(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		for _, step := range []struct {
			name     string
			do       func()
			reason   ips.HostBootReasonReason
			details  string
			previous uint32
		}{
			{"power up", func() { w.request(t, cim.PowerStateOn) }, 1, "Power Up", 5},
			{"reset", func() { w.request(t, cim.PowerStateMasterBusReset) }, 1, "Reset", 0},
			{"cycle", func() { w.request(t, cim.PowerStateCycleSoft) }, 1, "Power Cycle", 5},
			{"hibernate, button", func() {
				w.pc.Person().Hibernate()
				w.settle()
				w.pc.Person().Press()
			}, 0, "", 4},
			{"graceful reset", func() { w.request(t, cim.PowerStateMasterBusResetGraceful) }, 1, "Reset", 0},
		} {
			step.do()
			w.settle()
			got, err := class.Get[ips.HostBootReason](t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			if class.Value(got.Reason) != step.reason || class.Value(got.ReasonDetails) != step.details || class.Value(got.PreviousSxState) != step.previous {
				t.Errorf("%s: got %v %q from S%d; want %v %q from S%d", step.name, class.Value(got.Reason), class.Value(got.ReasonDetails),
					class.Value(got.PreviousSxState), step.reason, step.details, step.previous)
			}
		}
	})
}

func TestOSPowerSaving(t *testing.T) {
	request := func(t *testing.T, w *world, want ips.OSPowerSavingState) status.Status {
		_, err := ips.PowerManagementServiceRequestOSPowerSavingStateChange.Invoke(t.Context(), w,
			ips.PowerManagementServiceRequestOSPowerSavingStateChangeIn{OSPowerSavingState: &want})
		return code(t, err)
	}
	state := func(t *testing.T, w *world) ips.OSPowerSavingState {
		s, err := class.Get[ips.PowerManagementService](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		return class.Value(s.OSPowerSavingState)
	}
	inBubble(t, "standby", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true, Standby: true})
		if got := state(t, w); got != 2 {
			t.Errorf("awake: %v", got)
		}
		w.pc.Person().Sleep()
		if got := state(t, w); got != 3 || *w.power(t).PowerState != cim.PowerStateOn {
			t.Errorf("asleep: %v in %v, want 3 in 2", got, *w.power(t).PowerState)
		}
		if got := request(t, w, 2); got != 0 || state(t, w) != 2 {
			t.Errorf("woken: ReturnValue %d, %v", got, state(t, w))
		}
		if got := request(t, w, 7); got != 5 {
			t.Errorf("no such state: ReturnValue %d, want 5", got)
		}
	})
	inBubble(t, "none", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		if got := request(t, w, 3); got != 1 || state(t, w) != 1 {
			t.Errorf("ReturnValue %d, %v; want 1 and 1", got, state(t, w))
		}
	})
}

// A machine without a PC is always on, and says no.
func TestNoPlatform(t *testing.T) {
	m, err := firmware.New(firmware.Config{Generation: 12})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w := &world{Machine: m}
	w.Client = w.login(t, "admin", firmware.DefaultPassword)
	if got := w.request(t, cim.PowerStateOffSoft); got != 2 {
		t.Errorf("ReturnValue %d, want 2", got)
	}
	if got := w.power(t); *got.PowerState != cim.PowerStateOn || got.AvailableRequestedPowerStates != nil {
		t.Errorf("got %v, %v", *got.PowerState, got.AvailableRequestedPowerStates)
	}
}

// A buttoned PC has an agent that can press the power button, and nothing else.
type buttoned struct{ *pc.PC }

func (buttoned) Takes(wish firmware.Wish) bool {
	return wish == firmware.WishShutDown || wish == firmware.WishReboot
}

// What is listed is what works: no sleep where nobody can put the operating system to sleep.
func TestAgentOfSomeWishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{pc: pc.New(pc.Options{On: true})}
		defer w.pc.Close()
		var err error
		if w.Machine, err = firmware.New(firmware.Config{Generation: 12, Platform: buttoned{w.pc}}); err != nil {
			t.Fatal(err)
		}
		defer w.Machine.Close()
		w.Client = w.login(t, "admin", firmware.DefaultPassword)
		if got, want := w.power(t).AvailableRequestedPowerStates, []cim.PowerState{10, 8, 5, 11, 14, 12}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if code := w.request(t, cim.PowerStateSleepDeep); code != 2 {
			t.Errorf("sleep: %v", code)
		}
	})
}
