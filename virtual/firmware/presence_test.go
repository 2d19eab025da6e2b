package firmware_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// guardID is the vendor's example of the order of octets. Source: spec watchdog.md section 7.
var guardID = guid.GUID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

const guardDevice = "AAECAwQFBgcICQoLDA0ODw=="

func watchdog(device string, startup, timeout time.Duration) *amt.AgentPresenceWatchdog {
	return &amt.AgentPresenceWatchdog{CreationClassName: new("0"), DeviceID: &device, SystemCreationClassName: new("0"), SystemName: new("0"),
		MonitoredEntityDescription: new("guard"), StartupInterval: new(uint16(startup.Seconds())), TimeoutInterval: new(uint32(timeout.Seconds()))}
}

// addWatchdog has an agent watched: it may take a minute to start and be silent for ten seconds.
func addWatchdog(t *testing.T, w *world, id guid.GUID) wsman.Selector {
	t.Helper()
	device := base64.StdEncoding.EncodeToString(id[:])
	ref, err := class.Create(t.Context(), w, watchdog(device, time.Minute, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got := ref.Selectors.Value("DeviceID"); got != device || ref.Selectors.Value("CreationClassName") != "AMT_AgentPresenceWatchdog" {
		t.Fatalf("created %+v", ref)
	}
	return wsman.Selector{Name: "DeviceID", Value: device}
}

func agentState(t *testing.T, w *world, at wsman.Selector) eventlog.AgentState {
	t.Helper()
	v, err := class.Get[amt.AgentPresenceWatchdog](t.Context(), w, at)
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.AgentState(class.Value(v.CurrentState))
}

func wantState(t *testing.T, w *world, at wsman.Selector, what string, want eventlog.AgentState) {
	t.Helper()
	if got := agentState(t, w, at); got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// register begins a session and returns the number it gives.
func register(t *testing.T, w *world, at wsman.Selector) uint32 {
	t.Helper()
	out, err := amt.AgentPresenceWatchdogRegisterAgent.Invoke(t.Context(), w, amt.AgentPresenceWatchdogRegisterAgentIn{}, at)
	if err != nil || out.SessionSequenceNumber == nil || class.Value(out.TimeoutInterval) != 10 {
		t.Fatalf("register: %+v, %v", out, err)
	}
	return *out.SessionSequenceNumber
}

func beat(t *testing.T, w *world, at wsman.Selector, n uint32) status.Status {
	t.Helper()
	_, err := amt.AgentPresenceWatchdogAssertPresence.Invoke(t.Context(), w, amt.AgentPresenceWatchdogAssertPresenceIn{SequenceNumber: &n}, at)
	return code(t, err)
}

func shutdown(t *testing.T, w *world, at wsman.Selector, n uint32) status.Status {
	t.Helper()
	_, err := amt.AgentPresenceWatchdogAssertShutdown.Invoke(t.Context(), w, amt.AgentPresenceWatchdogAssertShutdownIn{SequenceNumber: &n}, at)
	return code(t, err)
}

const anyState = 31

func addAction(t *testing.T, w *world, at wsman.Selector, from, to uint16, event bool, policy *amt.AgentPresenceWatchdogAddActionActionSd) status.Status {
	t.Helper()
	in := amt.AgentPresenceWatchdogAddActionIn{OldState: &from, NewState: &to, EventOnTransition: &event, ActionSd: policy}
	_, err := amt.AgentPresenceWatchdogAddAction.Invoke(t.Context(), w, in, at)
	return code(t, err)
}

// agentEvents returns the states that the event log tells of an agent, the oldest first.
func agentEvents(w *world) (out []eventlog.AgentState) {
	for _, r := range slices.Backward(w.Events()) {
		if r.Sensor == eventlog.SystemEvent {
			out = append(out, eventlog.AgentState(r.Data[7]))
		}
	}
	return out
}

// An agent starts, beats, ends, starts again and dies.
func TestAgentLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		at := addWatchdog(t, w, guardID)
		if got := addAction(t, w, at, anyState, anyState, true, nil); got != status.Success {
			t.Fatal(got)
		}
		wantState(t, w, at, "created", eventlog.NotStarted)
		time.Sleep(59 * time.Second)
		n := register(t, w, at)
		wantState(t, w, at, "registered", eventlog.Running)
		for range 5 {
			time.Sleep(9 * time.Second)
			if n++; beat(t, w, at, n) != status.Success {
				t.Fatal("a heartbeat is refused")
			}
		}
		wantState(t, w, at, "after 45 s of heartbeats", eventlog.Running)
		if got := beat(t, w, at, n); got != status.InvalidParameter {
			t.Errorf("a number twice: %v", got)
		}
		if got := shutdown(t, w, at, n+2); got != status.Success {
			t.Errorf("a shutdown with a wrong number: %v", got)
		}
		wantState(t, w, at, "after a shutdown with a wrong number", eventlog.Running)
		if got := shutdown(t, w, at, n+1); got != status.Success {
			t.Errorf("shutdown: %v", got)
		}
		wantState(t, w, at, "after its shutdown", eventlog.Stopped)
		if got := beat(t, w, at, n+2); got != status.NotFound {
			t.Errorf("a heartbeat after the shutdown: %v", got)
		}
		time.Sleep(time.Hour)
		wantState(t, w, at, "an hour after its shutdown", eventlog.Stopped)
		register(t, w, at)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		wantState(t, w, at, "silent for 9 s", eventlog.Running)
		time.Sleep(time.Second)
		synctest.Wait()
		wantState(t, w, at, "silent for 10 s", eventlog.Expired)
		want := []eventlog.AgentState{eventlog.Running, eventlog.Stopped, eventlog.Running, eventlog.Expired}
		if got := agentEvents(w); !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
		r := w.Events()[0]
		if r.EventType != eventlog.Discrete || r.Offset != 0 || r.Source != eventlog.ManagementCard || r.Severity != eventlog.Monitor || r.Entity != eventlog.Engine ||
			r.Number != 0xff || r.Data != [8]byte{0xaa, 0, 1, 2, 3, 4, 5, 8} {
			t.Errorf("the event is %+v", r)
		}
		if got := eventlog.AgentID(r); got != "03020100-0504-..." {
			t.Errorf("it tells of agent %s", got)
		}
	})
}

// An agent that never comes expires after the startup interval; time counts only while the PC is on.
func TestAgentNeverStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		at := addWatchdog(t, w, guardID)
		time.Sleep(time.Hour)
		synctest.Wait()
		wantState(t, w, at, "the PC is off", eventlog.NotStarted)
		_, err := amt.AgentPresenceWatchdogRegisterAgent.Invoke(t.Context(), w, amt.AgentPresenceWatchdogRegisterAgentIn{}, at)
		if got := code(t, err); got != status.NotReady {
			t.Errorf("registered while the PC is off: %v", got)
		}
		w.pc.Person().Press()
		w.settle()
		wantState(t, w, at, "just booted", eventlog.NotStarted)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantState(t, w, at, "a minute after the boot", eventlog.Expired)
		if got := agentEvents(w); got != nil {
			t.Errorf("events without an action: %v", got)
		}
	})
}

// Sleep stops the time and gives the state back; a boot begins anew.
func TestAgentAndPower(t *testing.T) {
	for _, tt := range []struct {
		name   string
		down   func(p pc.Person)
		up     func(p pc.Person)
		events []eventlog.AgentState
	}{
		{"S3", pc.Person.Sleep, pc.Person.Press, []eventlog.AgentState{eventlog.Running, eventlog.Suspended, eventlog.Running}},
		{"S4", pc.Person.Hibernate, pc.Person.Press, []eventlog.AgentState{eventlog.Running, eventlog.Suspended, eventlog.Running}},
		{"S5", pc.Person.Hold, pc.Person.Press, []eventlog.AgentState{eventlog.Running, eventlog.Suspended, eventlog.NotStarted}},
		{"reset", pc.Person.Reset, nil, []eventlog.AgentState{eventlog.Running, eventlog.Suspended, eventlog.NotStarted}},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{}, pc.Options{On: true})
			at := addWatchdog(t, w, guardID)
			addAction(t, w, at, anyState, anyState, true, nil)
			n := register(t, w, at)
			time.Sleep(4 * time.Second)
			tt.down(w.pc.Person())
			if tt.up != nil {
				time.Sleep(time.Hour)
				synctest.Wait()
				wantState(t, w, at, "down", eventlog.Suspended)
				if got := beat(t, w, at, n+1); got != status.NotFound {
					t.Errorf("a heartbeat while suspended: %v", got)
				}
				tt.up(w.pc.Person())
			}
			w.settle()
			last := tt.events[len(tt.events)-1]
			wantState(t, w, at, "up again", last)
			if got := agentEvents(w); !slices.Equal(got, tt.events) {
				t.Errorf("events %v, want %v", got, tt.events)
			}
			if last == eventlog.Running {
				if got := beat(t, w, at, n+1); got != status.Success {
					t.Errorf("the session goes on: %v", got)
				}
			} else {
				time.Sleep(time.Minute)
				synctest.Wait()
				wantState(t, w, at, "a minute later", eventlog.Expired)
			}
		})
	}
}

// While it sleeps no time passes: what was left is left.
func TestAgentTimeStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true, Shutdown: time.Second, Resume: time.Second})
		at := addWatchdog(t, w, guardID)
		register(t, w, at)
		time.Sleep(3 * time.Second)
		w.pc.Person().Sleep()
		time.Sleep(time.Second) // asleep now, 6 s are left
		synctest.Wait()
		time.Sleep(time.Hour)
		w.pc.Person().Press()
		time.Sleep(time.Second)
		synctest.Wait()
		wantState(t, w, at, "awake", eventlog.Running)
		time.Sleep(6*time.Second - time.Millisecond)
		synctest.Wait()
		wantState(t, w, at, "after 5.999 s", eventlog.Running)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantState(t, w, at, "after 6 s", eventlog.Expired)
	})
}

// Masks choose; one change of state makes one event, however many actions want it.
func TestAgentActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		at := addWatchdog(t, w, guardID)
		for _, mask := range []struct {
			from, to uint16
			event    bool
		}{{4, 8, true}, {5, 8, true}, {4, 2, false}} {
			if got := addAction(t, w, at, mask.from, mask.to, mask.event, nil); got != status.Success {
				t.Fatal(got)
			}
		}
		n := register(t, w, at) // 1 to 4: nobody wants to know
		shutdown(t, w, at, n+1) // 4 to 2: no event wanted
		register(t, w, at)      // 2 to 4
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := agentEvents(w); !slices.Equal(got, []eventlog.AgentState{eventlog.Expired}) {
			t.Errorf("events %v", got)
		}
		for _, bad := range []struct{ from, to uint16 }{{0, 8}, {4, 0}, {32, 8}, {4, 64}} {
			if got := addAction(t, w, at, bad.from, bad.to, true, nil); got != status.InvalidParameter {
				t.Errorf("action %d to %d: %v", bad.from, bad.to, got)
			}
		}
		if got := addAction(t, w, at, 4, 8, true, new(amt.AgentPresenceWatchdogAddActionActionSd(2))); got != status.InvalidParameter {
			t.Errorf("ActionSd 2: %v", got)
		}
	})
}

// Conditions and actions are listed, and tied to their watchdog by CIM_ConcreteDependency.
func TestAgentActionsListed(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	at := addWatchdog(t, w, guardID)
	other := addWatchdog(t, w, guid.FromSeed("other"))
	in := amt.AgentPresenceWatchdogAddActionIn{OldState: new(uint16(5)), NewState: new(uint16(8)), EventOnTransition: new(true),
		ActionSd: new(amt.AgentPresenceWatchdogAddActionActionSdActivatePolicy), ActionEac: new(true)}
	if _, err := amt.AgentPresenceWatchdogAddAction.Invoke(t.Context(), w, in, at); err != nil {
		t.Fatal(err)
	}
	if got := addAction(t, w, other, 8, 4, false, new(amt.AgentPresenceWatchdogAddActionActionSdDeactivatePolicy)); got != status.Success {
		t.Fatal(got)
	}
	links, err := class.All[cim.ConcreteDependency](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	from := func(class, key, value, to string) *wsman.EPR {
		for _, l := range links {
			if l.Antecedent.Class() == class && l.Antecedent.Selectors.Value(key) == value && l.Dependent.Class() == to {
				return l.Dependent
			}
		}
		t.Fatalf("nothing links %s %s to a %s", class, value, to)
		return nil
	}
	condition := from("AMT_AgentPresenceWatchdog", "DeviceID", at.Value, "AMT_StateTransitionCondition")
	action := from("AMT_StateTransitionCondition", "PolicyConditionName", condition.Selectors.Value("PolicyConditionName"), "AMT_AgentPresenceWatchdogAction")
	c, err := class.Get[amt.StateTransitionCondition](t.Context(), w, condition.Selectors...)
	if err != nil || *c.OldState != 5 || *c.NewState != 8 {
		t.Errorf("condition %+v, %v", c, err)
	}
	a, err := class.Get[amt.AgentPresenceWatchdogAction](t.Context(), w, action.Selectors...)
	if err != nil || !*a.EventOnTransition || a.ActionSd == nil || *a.ActionSd != 0 {
		t.Errorf("action %+v, %v", a, err)
	}
	eac, err := amt.AgentPresenceWatchdogActionGetActionEac.Invoke(t.Context(), w, amt.AgentPresenceWatchdogActionGetActionEacIn{}, action.Selectors...)
	if err != nil || !class.Value(eac.ActionEac) {
		t.Errorf("ActionEac %+v, %v", eac, err)
	}
	if _, err := amt.AgentPresenceWatchdogDeleteAllActions.Invoke(t.Context(), w, amt.AgentPresenceWatchdogDeleteAllActionsIn{}, at); err != nil {
		t.Fatal(err)
	}
	conditions, err := class.All[amt.StateTransitionCondition](t.Context(), w)
	if err != nil || len(conditions) != 1 || *conditions[0].OldState != 8 {
		t.Errorf("left of two agents' conditions: %+v, %v", conditions, err)
	}
	if _, err := class.Get[cim.ConcreteDependency](t.Context(), w); err != nil && !errors.Is(err, wsman.ErrInvalidSelectors) {
		t.Errorf("the links of others: %v", err)
	}
}

// The policy is asked for from the action that activates it to the one that deactivates it, and whoever applies it hears
// of both.
func TestAgentPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		var told atomic.Int32
		w.OnAgentPolicy(func() { told.Add(1) })
		at, other := addWatchdog(t, w, guardID), addWatchdog(t, w, guid.FromSeed("other"))
		for _, who := range []wsman.Selector{at, other} {
			addAction(t, w, who, anyState, 8, false, new(amt.AgentPresenceWatchdogAddActionActionSdActivatePolicy))
			addAction(t, w, who, 8, 4, false, new(amt.AgentPresenceWatchdogAddActionActionSdDeactivatePolicy))
		}
		register(t, w, at)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !w.AgentPolicy() || told.Load() != 1 {
			t.Errorf("expired: policy %v, told %d times", w.AgentPolicy(), told.Load())
		}
		time.Sleep(50 * time.Second) // the other one never came
		synctest.Wait()
		register(t, w, at)
		if !w.AgentPolicy() || told.Load() != 1 {
			t.Errorf("one of two is back: policy %v, told %d times", w.AgentPolicy(), told.Load())
		}
		register(t, w, other)
		if w.AgentPolicy() || told.Load() != 2 {
			t.Errorf("both are back: policy %v, told %d times", w.AgentPolicy(), told.Load())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, who := range []wsman.Selector{at, other} {
			if !w.AgentPolicy() {
				t.Error("expired again, and nobody asks for the policy")
			}
			if err := class.Delete[amt.AgentPresenceWatchdog](t.Context(), w, who); err != nil {
				t.Fatal(err)
			}
		}
		if w.AgentPolicy() || told.Load() != 4 {
			t.Errorf("removed: policy %v, told %d times", w.AgentPolicy(), told.Load())
		}
	})
}

// A policy that is bound for agents becomes active when one expires, and no longer is when it is back.
func TestAgentPolicyActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		policy, err := class.Create(t.Context(), w, &amt.SystemDefensePolicy{PolicyName: new("quarantine"), PolicyPrecedence: new(uint32(10)), AntiSpoofingSupport: new(uint32(0)),
			TxDefaultDrop: new(true), RxDefaultDrop: new(true), TxDefaultMatchEvent: new(false), RxDefaultMatchEvent: new(false),
			TxDefaultCount: new(false), RxDefaultCount: new(false)})
		if err != nil {
			t.Fatal(err)
		}
		port := wsman.Ref("CIM_EthernetPort", "DeviceID", "Intel(r) AMT Ethernet Port 0")
		bind := &amt.AgentPresenceInterfacePolicy{Antecedent: &port, Dependent: &policy}
		if _, err := class.Create(t.Context(), w, bind); err != nil {
			t.Fatal(err)
		}
		if _, err := class.Create(t.Context(), w, bind); !errors.Is(err, wsman.ErrAlreadyExists) {
			t.Errorf("a second policy of the port: %v", err)
		}
		at := addWatchdog(t, w, guardID)
		addAction(t, w, at, anyState, 8, false, new(amt.AgentPresenceWatchdogAddActionActionSdActivatePolicy))
		addAction(t, w, at, 8, 4, false, new(amt.AgentPresenceWatchdogAddActionActionSdDeactivatePolicy))
		look := func(what string, want bool) {
			t.Helper()
			all, err := class.All[amt.AgentPresenceInterfacePolicy](t.Context(), w)
			if err != nil || len(all) != 1 || class.Value(all[0].Enabled) != want || class.Value(all[0].Active) != want {
				t.Errorf("%s: %+v, %v; want enabled and active %v", what, all, err, want)
			}
		}
		look("not started", false)
		time.Sleep(time.Minute)
		synctest.Wait()
		look("expired", true)
		register(t, w, at)
		look("back", false)
	})
}

// A policy is bound to a port: one, that exists.
func TestAgentPolicyBinding(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	port, err := class.All[cim.EthernetPort](t.Context(), w)
	if err != nil || len(port) == 0 {
		t.Fatal(port, err)
	}
	at := wsman.EPR{ResourceURI: wsman.ClassURI("CIM_EthernetPort"), Selectors: port[0].Selectors()}
	policy := wsman.Ref("AMT_SystemDefensePolicy", "InstanceID", "Intel(r) AMT:Policy 1")
	bind := &amt.AgentPresenceInterfacePolicy{Antecedent: &at, Dependent: &policy}
	if _, err := class.Create(t.Context(), w, bind); !errors.Is(err, wsman.ErrInvalidRepresentation) {
		t.Errorf("a policy that is not there: %v", err)
	}
	bind.Dependent = &at
	if _, err := class.Create(t.Context(), w, bind); !errors.Is(err, wsman.ErrInvalidRepresentation) {
		t.Errorf("a port for a policy: %v", err)
	}
}

func TestWatchdogRefused(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	long := watchdog(guardDevice, time.Minute, time.Minute)
	long.MonitoredEntityDescription = new("seventeen letters")
	for name, v := range map[string]*amt.AgentPresenceWatchdog{
		"no GUID":               watchdog("guard", time.Minute, time.Minute),
		"15 octets":             watchdog("AAECAwQFBgcICQoLDA0O", time.Minute, time.Minute),
		"GUID zero":             watchdog("AAAAAAAAAAAAAAAAAAAAAA==", time.Minute, time.Minute),
		"no startup interval":   watchdog(guardDevice, 0, time.Minute),
		"no timeout interval":   watchdog(guardDevice, time.Minute, 0),
		"a day without a beat":  watchdog(guardDevice, time.Minute, 24*time.Hour),
		"a long name":           long,
		"no intervals at all":   {DeviceID: new(guardDevice)},
		"no identity whichever": {StartupInterval: new(uint16(1)), TimeoutInterval: new(uint32(1))},
	} {
		if _, err := class.Create(t.Context(), w, v); !errors.Is(err, wsman.ErrInvalidRepresentation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	at := addWatchdog(t, w, guardID)
	if _, err := class.Create(t.Context(), w, watchdog(guardDevice, time.Minute, time.Minute)); !errors.Is(err, wsman.ErrAlreadyExists) {
		t.Errorf("the same once more: %v", err)
	}
	changed := watchdog(guardDevice, time.Minute, 20*time.Second)
	changed.CreationClassName, changed.SystemCreationClassName, changed.SystemName = new("AMT_AgentPresenceWatchdog"), new("CIM_ComputerSystem"), new("Intel(r) AMT")
	if now, err := class.Put(t.Context(), w, changed); err != nil || *now.TimeoutInterval != 20 || *now.CurrentState != 1 {
		t.Errorf("changed: %+v, %v", now, err)
	}
	changed.TimeoutInterval = new(uint32(0))
	if _, err := class.Put(t.Context(), w, changed); !errors.Is(err, wsman.ErrInvalidRepresentation) {
		t.Errorf("changed to no timeout: %v", err)
	}
	for i := range 15 {
		addWatchdog(t, w, guid.FromSeed(fmt.Sprint(i)))
	}
	seventeenth := guid.FromSeed("seventeenth")
	_, err := class.Create(t.Context(), w, watchdog(base64.StdEncoding.EncodeToString(seventeenth[:]), time.Minute, time.Minute))
	if !errors.Is(err, wsman.ErrInternal) || !strings.Contains(err.Error(), "23") {
		t.Errorf("the seventeenth: %v", err)
	}
	// All 16 have 3 actions for sure, which leaves 16 of 64 to whoever comes first.
	for i := range 19 {
		if got := addAction(t, w, at, 4, 8, true, nil); got != status.Success {
			t.Fatalf("action %d: %v", i, got)
		}
	}
	if got := addAction(t, w, at, 4, 8, true, nil); got != status.MaxLimitReached {
		t.Errorf("action 20 of one agent: %v", got)
	}
	for i := range 4 {
		id := guid.FromSeed("3")
		want := status.Success
		if i == 3 {
			want = status.MaxLimitReached
		}
		if got := addAction(t, w, wsman.Selector{Name: "DeviceID", Value: w.DeviceID(id)}, 4, 8, true, nil); got != want {
			t.Errorf("action %d of another: %v, want %v", i, got, want)
		}
	}
}

// Before 6.0 an agent was named by hex digits.
func TestWatchdogOfOldReleases(t *testing.T) {
	w := newWorld(t, firmware.Config{Version: "5.2.10"}, pc.Options{On: true})
	if _, err := class.Create(t.Context(), w, watchdog("000102030405060708090a0b0c0d0e0f", time.Minute, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := w.DeviceID(guardID); got != "000102030405060708090A0B0C0D0E0F" {
		t.Errorf("named %s", got)
	}
	wantState(t, w, wsman.Selector{Name: "DeviceID", Value: "000102030405060708090A0B0C0D0E0F"}, "created", eventlog.NotStarted)
}

// Programs may beat and not add; consoles the other way round.
func TestAgentRealms(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	at := addWatchdog(t, w, guardID)
	as := func(name string, realm amt.Realm) *wsman.Client {
		hash := digest.HA1(name, w.Identity().Realm, "Wr0ng#pass")
		_, err := amt.AuthorizationServiceAddUserAclEntryEx.Invoke(t.Context(), w, amt.AuthorizationServiceAddUserAclEntryExIn{DigestUsername: &name,
			DigestPassword: hash[:], AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{realm}})
		if err != nil {
			t.Fatal(err)
		}
		return w.login(t, name, "Wr0ng#pass")
	}
	agent, console := as("agent", 9), as("console", 10)
	in := amt.AgentPresenceWatchdogAddActionIn{OldState: new(uint16(4)), NewState: new(uint16(8)), EventOnTransition: new(true)}
	for _, tt := range []struct {
		what string
		who  *wsman.Client
		do   func(c *wsman.Client) error
		ok   bool
	}{
		{"the program registers", agent, func(c *wsman.Client) error {
			_, err := amt.AgentPresenceWatchdogRegisterAgent.Invoke(t.Context(), c, amt.AgentPresenceWatchdogRegisterAgentIn{}, at)
			return err
		}, true},
		{"the console registers", console, func(c *wsman.Client) error {
			_, err := amt.AgentPresenceWatchdogRegisterAgent.Invoke(t.Context(), c, amt.AgentPresenceWatchdogRegisterAgentIn{}, at)
			return err
		}, false},
		{"the program adds an action", agent, func(c *wsman.Client) error {
			_, err := amt.AgentPresenceWatchdogAddAction.Invoke(t.Context(), c, in, at)
			return err
		}, false},
		{"the console adds an action", console, func(c *wsman.Client) error {
			_, err := amt.AgentPresenceWatchdogAddAction.Invoke(t.Context(), c, in, at)
			return err
		}, true},
		{"the console reads the links", console, func(c *wsman.Client) error {
			_, err := class.All[cim.ConcreteDependency](t.Context(), c)
			return err
		}, true},
		{"the program removes the watchdog", agent, func(c *wsman.Client) error {
			return class.Delete[amt.AgentPresenceWatchdog](t.Context(), c, at)
		}, false},
		{"the console removes the watchdog", console, func(c *wsman.Client) error {
			return class.Delete[amt.AgentPresenceWatchdog](t.Context(), c, at)
		}, true},
	} {
		if err := tt.do(tt.who); (err == nil) != tt.ok || err != nil && !errors.Is(err, wsman.ErrAccessDenied) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

// Subscribers learn the whole GUID.
func TestAgentAlert(t *testing.T) {
	got := make(chan eventing.Delivery, 10)
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		d, err := eventing.ParseDelivery(body)
		if err != nil {
			t.Error(err)
		}
		got <- d
	}))
	defer sink.Close()
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	if _, err := subscribe(t, w, allEvents, eventing.Subscription{Mode: eventing.Push, Address: sink.URL}); err != nil {
		t.Fatal(err)
	}
	at := addWatchdog(t, w, guardID)
	addAction(t, w, at, 1, 4, true, nil)
	register(t, w, at)
	if a := (<-got).Alert; a.MessageID != "iAMT0004" || len(a.Arguments) != 2 || a.Arguments[0] != guardID.String() {
		t.Errorf("got %+v", a)
	}
}

// Watchdogs, actions, states, sessions and the time that was left outlive a restart; an unprovision ends them.
func TestAgentState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		at, other := addWatchdog(t, w, guardID), addWatchdog(t, w, guid.FromSeed("other"))
		addAction(t, w, at, 4, 8, true, new(amt.AgentPresenceWatchdogAddActionActionSdActivatePolicy))
		n := register(t, w, at)
		register(t, w, other)
		time.Sleep(6 * time.Second)
		var saved bytes.Buffer
		if err := w.Dump(&saved); err != nil {
			t.Fatal(err)
		}
		w.Unprovision()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := agentEvents(w); got != nil {
			t.Errorf("after the unprovision: %v", got)
		}
		state, err := firmware.ReadState(&saved)
		if err != nil {
			t.Fatal(err)
		}
		again := newWorld(t, firmware.Config{State: state}, pc.Options{On: true})
		time.Sleep(3 * time.Second)
		if got := beat(t, again, at, n+1); got != status.Success {
			t.Errorf("the session goes on: %v", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		wantState(t, again, other, "4 s were left", eventlog.Expired)
		wantState(t, again, at, "it has beaten", eventlog.Running)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := agentEvents(again); !slices.Equal(got, []eventlog.AgentState{eventlog.Expired}) || !again.AgentPolicy() {
			t.Errorf("events %v, policy %v", got, again.AgentPolicy())
		}
	})
}

// The other class shows the same watchdogs, and does the same.
func TestWatchdogVA(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	at := addWatchdog(t, w, guardID)
	all, err := class.All[amt.AgentPresenceWatchdogVA](t.Context(), w)
	if err != nil || len(all) != 1 || *all[0].DeviceID != guardDevice || *all[0].CreationClassName != "AMT_AgentPresenceWatchdogVA" {
		t.Fatalf("got %+v, %v", all, err)
	}
	out, err := amt.AgentPresenceWatchdogVARegisterAgent.Invoke(t.Context(), w, amt.AgentPresenceWatchdogVARegisterAgentIn{}, at)
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, w, at, "registered", eventlog.Running)
	n := *out.SessionSequenceNumber + 1
	if _, err := amt.AgentPresenceWatchdogVAAssertPresence.Invoke(t.Context(), w, amt.AgentPresenceWatchdogVAAssertPresenceIn{SequenceNumber: &n}, at); err != nil {
		t.Error(err)
	}
	n++
	if _, err := amt.AgentPresenceWatchdogVAAssertShutdown.Invoke(t.Context(), w, amt.AgentPresenceWatchdogVAAssertShutdownIn{SequenceNumber: &n}, at); err != nil {
		t.Error(err)
	}
	wantState(t, w, at, "shut down", eventlog.Stopped)
	in := amt.AgentPresenceWatchdogVAAddActionIn{OldState: new(uint16(4)), NewState: new(uint16(8)), EventOnTransition: new(true),
		ActionSd: new(amt.AgentPresenceWatchdogVAAddActionActionSdDeactivatePolicy)}
	if _, err := amt.AgentPresenceWatchdogVAAddAction.Invoke(t.Context(), w, in, at); err != nil {
		t.Error(err)
	}
	actions, err := class.All[amt.AgentPresenceWatchdogAction](t.Context(), w)
	if err != nil || len(actions) != 1 || *actions[0].ActionSd != amt.AgentPresenceWatchdogActionActionSdDeactivatePolicy {
		t.Errorf("actions %+v, %v", actions, err)
	}
	if _, err := amt.AgentPresenceWatchdogVADeleteAllActions.Invoke(t.Context(), w, amt.AgentPresenceWatchdogVADeleteAllActionsIn{}, at); err != nil {
		t.Error(err)
	}
	if actions, err := class.All[amt.AgentPresenceWatchdogAction](t.Context(), w); err != nil || len(actions) != 0 {
		t.Errorf("left: %+v, %v", actions, err)
	}
}
