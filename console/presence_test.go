package console_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/console"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/wsman"
)

// A watcher is a virtual machine that watches programs, behind a pipe, so that its time can be a bubble's; and what
// changed something of what it was sent.
type watcher struct {
	*firmware.Machine
	*console.Client
	mu     sync.Mutex // guards what follows
	sent   []string
	forget bool                           // say yes to changes, and do nothing
	cut    func(req *wsman.Request) error // an error instead of the answer, after the machine has done it
}

func watch(t *testing.T) *watcher {
	t.Helper()
	m, err := firmware.New(firmware.Config{Generation: 12})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	inner := &wsman.Client{Username: "admin", Password: firmware.DefaultPassword, MaxConns: 1, Dial: func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		served.Go(func() { m.ServeConn(ctx, there, firmware.PortHTTP) })
		return here, nil
	}}
	w := &watcher{Machine: m}
	w.Client = console.Over(roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
		return w.roundTrip(ctx, req, inner)
	}), "watcher")
	t.Cleanup(func() {
		inner.Close()
		cancel()
		served.Wait()
		m.Close()
	})
	return w
}

func (w *watcher) roundTrip(ctx context.Context, req *wsman.Request, inner wsman.RoundTripper) (*wsman.Response, error) {
	name, verb := wsman.ClassName(req.ResourceURI), wsman.ClassName(req.Action)
	method := strings.HasPrefix(req.Action, req.ResourceURI) && !strings.HasPrefix(verb, "Get")
	w.mu.Lock()
	if method || req.Action == wsman.ActionCreate || req.Action == wsman.ActionDelete {
		w.sent = append(w.sent, verb)
	}
	forget, cut := w.forget, w.cut
	w.mu.Unlock()
	answer := &wsman.Response{Action: req.Action + wsman.ResponseSuffix, RelatesTo: req.MessageID, ResourceURI: req.ResourceURI}
	switch {
	case forget && method:
		answer.Body = new(wsman.Group(req.ResourceURI, verb+"_OUTPUT", wsman.El(req.ResourceURI, "ReturnValue", "0")))
		return answer, nil
	case forget && req.Action == wsman.ActionCreate:
		ref := wsman.Ref(name, "DeviceID", "x")
		answer.Body = new(ref.Element(wsman.NSTransfer, "ResourceCreated"))
		return answer, nil
	case forget && req.Action == wsman.ActionDelete:
		return answer, nil
	}
	answer, err := inner.RoundTrip(ctx, req)
	if cut != nil {
		if lost := cut(req); lost != nil {
			return nil, lost
		}
	}
	return answer, err
}

// took returns what was sent since it was asked last.
func (w *watcher) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent
}

// state is the state of the only watchdog.
func (w *watcher) state(t *testing.T) eventlog.AgentState {
	t.Helper()
	p, err := w.Presence(t.Context())
	if err != nil || len(p.Watchdogs) != 1 {
		t.Fatalf("got %+v, %v", p, err)
	}
	return p.Watchdogs[0].State
}

func guard() console.Watchdog {
	return console.Watchdog{ID: guid.GUID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, Name: "guard", Startup: time.Minute, Timeout: 9 * time.Second}
}

func (w *watcher) mustAdd(t *testing.T, x console.Watchdog) {
	t.Helper()
	if _, err := w.AddWatchdog(t.Context(), x); err != nil {
		t.Fatal(err)
	}
}

func TestWatchdogs(t *testing.T) {
	w := watch(t)
	want := guard()
	got, err := w.AddWatchdog(t.Context(), want)
	want.State = eventlog.NotStarted
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatalf("added: %v\n%s", err, cmp.Diff(want, got))
	}
	expired := console.WatchdogAction{From: eventlog.Running | eventlog.NotStarted, To: eventlog.Expired, Event: true, Policy: console.PolicyOn}
	back := console.WatchdogAction{From: eventlog.Expired, To: eventlog.Running, Policy: console.PolicyOff, EAC: new(true)}
	for _, a := range []console.WatchdogAction{expired, back} {
		if _, err := w.AddWatchdogAction(t.Context(), "guard", a); err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.WatchdogActions(t.Context(), want.ID.String())
	expired.EAC = new(false)
	want.Actions = []console.WatchdogAction{expired, back}
	if diff := cmp.Diff([]console.Watchdog{want}, all); err != nil || diff != "" {
		t.Errorf("actions: %v\n%s", err, diff)
	}
	p, err := w.Presence(t.Context())
	if err != nil || p.MaxWatchdogs != 16 || p.MaxActions != 64 || p.SureActions != 3 || p.PolicyOn != nil || len(p.Watchdogs) != 1 {
		t.Errorf("presence %+v, %v", p, err)
	}
	if was, err := w.RemoveWatchdogActions(t.Context(), "guard"); err != nil || len(was.Actions) != 2 {
		t.Errorf("actions removed: %+v, %v", was, err)
	}
	w.took()
	if was, err := w.RemoveWatchdogActions(t.Context(), "guard"); err != nil || len(was.Actions) != 0 || w.took() != nil {
		t.Errorf("no actions removed: %+v, %v", was, err)
	}
	if gone, err := w.RemoveWatchdogs(t.Context(), "guard"); err != nil || len(gone) != 1 {
		t.Errorf("removed: %+v, %v", gone, err)
	}
	if p, err := w.Presence(t.Context()); err != nil || len(p.Watchdogs) != 0 {
		t.Errorf("left: %+v, %v", p, err)
	}
}

// What the firmware would refuse is refused before.
func TestWatchdogsRefusedBefore(t *testing.T) {
	w := watch(t)
	w.mustAdd(t, guard())
	action := console.WatchdogAction{From: eventlog.Running, To: eventlog.Expired, Event: true}
	if _, err := w.AddWatchdogAction(t.Context(), "guard", action); err != nil {
		t.Fatal(err)
	}
	with := func(change func(x *console.Watchdog)) func() error {
		x := guard()
		x.ID, x.Name = guid.FromSeed("x"), "x"
		change(&x)
		return func() error {
			_, err := w.AddWatchdog(t.Context(), x)
			return err
		}
	}
	act := func(agent string, change func(a *console.WatchdogAction)) func() error {
		a := action
		change(&a)
		return func() error {
			_, err := w.AddWatchdogAction(t.Context(), agent, a)
			return err
		}
	}
	w.took()
	for _, tt := range []struct {
		name string
		do   func() error
	}{
		{"GUID zero", with(func(x *console.Watchdog) { x.ID = guid.GUID{} })},
		{"the same GUID", with(func(x *console.Watchdog) { x.ID = guard().ID })},
		{"the same name", with(func(x *console.Watchdog) { x.Name = "guard" })},
		{"no name", with(func(x *console.Watchdog) { x.Name = "" })},
		{"a long name", with(func(x *console.Watchdog) { x.Name = "seventeen letters" })},
		{"no startup interval", with(func(x *console.Watchdog) { x.Startup = 0 })},
		{"half a second", with(func(x *console.Watchdog) { x.Timeout = 1500 * time.Millisecond })},
		{"a day", with(func(x *console.Watchdog) { x.Timeout = 24 * time.Hour })},
		{"no such watchdog", act("other", func(*console.WatchdogAction) {})},
		{"the same action", act("guard", func(*console.WatchdogAction) {})},
		{"nothing to do", act("guard", func(a *console.WatchdogAction) { a.Event = false })},
		{"no states", act("guard", func(a *console.WatchdogAction) { a.From = 0 })},
		{"unknown states", act("guard", func(a *console.WatchdogAction) { a.To = 32 })},
		{"no change", act("guard", func(a *console.WatchdogAction) { a.To = a.From })},
		{"an odd policy", act("guard", func(a *console.WatchdogAction) { a.Policy = "maybe" })},
		{"one wrong name among others", func() error {
			_, err := w.RemoveWatchdogs(t.Context(), "guard", "other")
			return err
		}},
	} {
		if err := tt.do(); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if sent := w.took(); sent != nil {
			t.Errorf("%s: sent %v", tt.name, sent)
		}
	}
	for i := range 15 {
		x := guard()
		x.ID, x.Name = guid.FromSeed(fmt.Sprint(i)), fmt.Sprint(i)
		w.mustAdd(t, x)
	}
	w.took()
	if err := with(func(*console.Watchdog) {})(); !errors.Is(err, console.ErrNotOffered) || w.took() != nil {
		t.Errorf("the seventeenth: %v", err)
	}
}

// A machine that says yes and does nothing is found out.
func TestWatchdogsReadBack(t *testing.T) {
	w := watch(t)
	w.mustAdd(t, guard())
	action := console.WatchdogAction{From: eventlog.Running, To: eventlog.Expired, Event: true}
	if _, err := w.AddWatchdogAction(t.Context(), "guard", action); err != nil {
		t.Fatal(err)
	}
	agent, err := w.RegisterAgent(t.Context(), "guard")
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.forget = true
	w.mu.Unlock()
	other := guard()
	other.ID, other.Name = guid.FromSeed("x"), "x"
	action.Event, action.Policy = false, console.PolicyOn
	for name, do := range map[string]func() error{
		"add":            func() error { _, err := w.AddWatchdog(t.Context(), other); return err },
		"add action":     func() error { _, err := w.AddWatchdogAction(t.Context(), "guard", action); return err },
		"remove actions": func() error { _, err := w.RemoveWatchdogActions(t.Context(), "guard"); return err },
		"remove":         func() error { _, err := w.RemoveWatchdogs(t.Context(), "guard"); return err },
	} {
		if err := do(); !errors.Is(err, console.ErrDiffers) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := agent.Shutdown(t.Context()); err == nil {
		t.Error("a shutdown that the machine did not hear is taken for one")
	}
}

// An agent beats in time for hours, and ends in good order.
func TestAgentRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		w.mustAdd(t, guard())
		agent, err := w.RegisterAgent(t.Context(), "guard")
		if err != nil || agent.Timeout != 9*time.Second {
			t.Fatalf("got %+v, %v", agent, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := agent.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if agent.Beats < 1195 || agent.Beats > 1200 || w.state(t) != eventlog.Running {
			t.Errorf("%d heartbeats in an hour, state %v", agent.Beats, w.state(t))
		}
		if err := agent.Shutdown(t.Context()); err != nil || w.state(t) != eventlog.Stopped {
			t.Errorf("shutdown: %v, state %v", err, w.state(t))
		}
		if _, err := w.RegisterAgent(t.Context(), "guard"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := w.state(t); got != eventlog.Expired {
			t.Errorf("silent: %v", got)
		}
	})
}

// Heartbeats whose answers are lost, and time lost, do not end an agent: it registers again, and tells.
func TestAgentThroughTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		w.mustAdd(t, guard())
		agent, err := w.RegisterAgent(t.Context(), "guard")
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		agent.OnTrouble = func(err error) { told = append(told, fmt.Sprint(err != nil)) }
		from, until := time.Now().Add(time.Minute), time.Now().Add(2*time.Minute)
		w.mu.Lock()
		w.cut = func(*wsman.Request) error {
			if now := time.Now(); now.After(from) && now.Before(until) {
				return console.ErrIndeterminate
			}
			return nil
		}
		w.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		if err := agent.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := w.state(t); got != eventlog.Running {
			t.Errorf("after the trouble: %v", got)
		}
		if !slices.Equal(told, []string{"true", "false"}) {
			t.Errorf("told %v", told)
		}
		lost := false
		w.mu.Lock()
		w.cut = func(req *wsman.Request) error { // the machine has heard this heartbeat, and we do not know
			if strings.HasSuffix(req.Action, "/AssertPresence") && !lost {
				lost = true
				return console.ErrIndeterminate
			}
			return nil
		}
		w.mu.Unlock()
		if err := agent.Beat(t.Context()); !errors.Is(err, console.ErrIndeterminate) {
			t.Errorf("a lost answer: %v", err)
		}
		if err := agent.Shutdown(t.Context()); err != nil || w.state(t) != eventlog.Stopped {
			t.Errorf("shutdown: %v, state %v", err, w.state(t))
		}
	})
}

// What time does not cure ends the heartbeats.
func TestAgentGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		w.mustAdd(t, guard())
		agent, err := w.RegisterAgent(t.Context(), "guard")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.RemoveWatchdogs(t.Context(), "guard"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		if err := agent.Run(ctx); err == nil || time.Since(began) > time.Minute {
			t.Errorf("its watchdog is gone, and it has beaten for %v: %v", time.Since(began), err)
		}
		if _, err := w.RegisterAgent(t.Context(), "guard"); !errors.Is(err, console.ErrUsage) {
			t.Errorf("no watchdog: %v", err)
		}
	})
}

func TestAgentStateWords(t *testing.T) {
	for _, tt := range []struct {
		words []string
		want  eventlog.AgentState
		back  string
	}{
		{[]string{"any"}, 31, "not-started,stopped,running,expired,suspended"},
		{[]string{"running", "Not-Started"}, 5, "not-started,running"},
		{nil, 0, ""},
	} {
		got, err := console.ParseAgentStates(tt.words)
		if err != nil || got != tt.want || strings.Join(console.AgentStateNames(got), ",") != tt.back {
			t.Errorf("%v: %v, %v", tt.words, got, err)
		}
	}
	if _, err := console.ParseAgentStates([]string{"gone"}); !errors.Is(err, console.ErrUsage) {
		t.Errorf("gone: %v", err)
	}
	if got := console.AgentStateNames(40); !slices.Equal(got, []string{"expired", "unknown(32)"}) {
		t.Errorf("40: %v", got)
	}
}

// A machine without agent presence says so.
func TestNoAgentPresence(t *testing.T) {
	c := console.Over(roundTrip(func(context.Context, *wsman.Request) (*wsman.Response, error) {
		return nil, wsman.ErrDestinationUnreachable
	}), "x")
	if _, err := c.Presence(t.Context()); !errors.Is(err, console.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
