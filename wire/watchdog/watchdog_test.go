package watchdog

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var zeros17 = strings.Repeat("00", 17)

// Start and stop are as observed of Linux 6.1's iamt_wdt; the others by the layouts in specs watchdog.md 2, amthi.md 5.
func TestMessages(t *testing.T) {
	type message interface{ Append([]byte) []byte }
	for _, tt := range []struct {
		name, wire string
		parse      func([]byte) (message, error)
		want       message
	}{
		{"start, observed", "02 15 13 10 78 00" + zeros17, func(b []byte) (message, error) { return ParseStart(b) }, Start{120}},
		{"stop, observed", "02 02 14 10", func(b []byte) (message, error) { return ParseStop(b) }, Stop{}},
		{"answer", "02 04 83 10 00 00", func(b []byte) (message, error) { return ParseStartReply(b) }, StartReply{}},
		{"not required", "02 04 83 10 00 01", func(b []byte) (message, error) { return ParseStartReply(b) }, StartReply{NotRequired: true}},
		{"enabled?", "05 02 51 10", func(b []byte) (message, error) { return ParseRequest(b) }, Request{Kind: KindEnabled}},
		{"change", "05 02 52 10", func(b []byte) (message, error) { return ParseRequest(b) }, Request{Kind: KindChange}},
		{"set", "05 03 53 10 01", func(b []byte) (message, error) { return ParseRequest(b) }, Request{Kind: KindSet, On: true}},
		{"set answer", "05 03 53 10 10000000", func(b []byte) (message, error) { return ParseSetReply(b) }, SetReply{status.NotPermitted}},
		{"flags", "83", func(b []byte) (message, error) { return ParseChangeFlags(b) }, NewInterface | Operational | ChangeAllowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := wiretest.Hex(t, tt.wire)
			got, err := tt.parse(wire)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if again := got.Append(nil); !bytes.Equal(again, wire) {
				t.Errorf("wrote % x", again)
			}
			if _, err := tt.parse(wire[:len(wire)-len(wire)%4]); len(wire) < 4 && !errors.Is(err, ErrShort) {
				t.Errorf("cut: %v", err)
			}
			if _, err := tt.parse(nil); !errors.Is(err, ErrShort) {
				t.Errorf("empty: %v", err)
			}
		})
	}
	// Other forms.
	if got, err := ParseStart(wiretest.Hex(t, "02 12 13 10 78 00"+strings.Repeat("00", 14))); got.Timeout != 120 || err != nil {
		t.Errorf("the old driver's start: %v, %v", got, err)
	}
	if _, err := ParseStart(wiretest.Hex(t, "02 11 13 10 78 00"+strings.Repeat("00", 13))); !errors.Is(err, ErrShort) {
		t.Errorf("a start too short: %v", err)
	}
	if got, err := ParseStartReply(wiretest.Hex(t, "02 02 83 10")); got != (StartReply{}) || err != nil {
		t.Errorf("a bare answer: %v, %v", got, err)
	}
	if got, err := ParseSetReply(wiretest.Hex(t, "03000000")); got.Status != status.InvalidPTMode || err != nil {
		t.Errorf("the guide's set answer: %v, %v", got, err)
	}
	if got, err := ParseChangeFlags(wiretest.Hex(t, "01000000")); got != ChangeAllowed || err != nil {
		t.Errorf("old firmware's flags: %v, %v", got, err)
	}
	for _, wire := range []string{"02 15 13 11", "05 02 55 10", "06 02 51 10"} {
		if _, err := ParseRequest(wiretest.Hex(t, wire)); !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", wire, err)
		}
	}
	if _, err := ParseRequest(wiretest.Hex(t, "05 02 53 10")); !errors.Is(err, ErrShort) {
		t.Errorf("got %v", err)
	}
	if f := ChangeAllowed | Operational; f.Has(Operational) || !f.Has(ChangeAllowed) || !(f | NewInterface).Has(Operational) {
		t.Error("flags")
	}
}

func FuzzParse(f *testing.F) {
	for _, wire := range []string{"02 15 13 10 78 00" + zeros17, "02 02 14 10", "02 04 83 10 00 01", "05 03 53 10 01", "05 03 53 10 10000000"} {
		f.Add(wiretest.Hex(f, wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ParseStart(b); err == nil {
			if again, err := ParseStart(m.Append(nil)); again != m || err != nil {
				t.Fatal(again, err)
			}
		}
		if m, err := ParseStartReply(b); err == nil {
			if again, err := ParseStartReply(m.Append(nil)); again != m || err != nil {
				t.Fatal(again, err)
			}
		}
		if m, err := ParseRequest(b); err == nil {
			if again, err := ParseRequest(m.Append(nil)); again != m || err != nil {
				t.Fatal(again, err)
			}
		}
		if m, err := ParseSetReply(b); err == nil {
			if again, err := ParseSetReply(m.Append(nil)); again != m || err != nil {
				t.Fatal(again, err)
			}
		}
		ParseStop(b)
		ParseChangeFlags(b)
		(&Server{}).answer(b)
		(&Timer{Version: 2, Required: true}).Receive(b, time.Unix(0, 0))
		(&Host{Version: 2, state: Running}).Receive(b)
	})
}

// The driver's life, as observed: load sends start and stop; opening sends start twice; closing sends stop.
func TestHostSteps(t *testing.T) {
	h := &Host{Version: 2}
	state := func(want State) {
		t.Helper()
		if h.State() != want {
			t.Fatalf("state %v, want %v", h.State(), want)
		}
	}
	if got := h.Probe(); !bytes.Equal(got, wiretest.Hex(t, "02 15 13 10 78 00"+zeros17)) || !h.Waiting() {
		t.Fatalf("got % x", got)
	}
	state(Probing)
	if err := h.Open(); !errors.Is(err, ErrState) {
		t.Errorf("open: %v", err)
	}
	if _, err := h.Ping(); !errors.Is(err, ErrState) {
		t.Errorf("ping: %v", err)
	}
	stop, err := h.Receive(wiretest.Hex(t, "02 04 83 10 00 00"))
	if err != nil || !bytes.Equal(stop, wiretest.Hex(t, "02 02 14 10")) || h.Waiting() {
		t.Fatalf("got % x, %v", stop, err)
	}
	state(Idle)
	if more, err := h.Receive(nil); more != nil || err != nil { // an empty answer to stop
		t.Error(more, err)
	}
	if err := h.Open(); err != nil {
		t.Fatal(err)
	}
	state(Starting)
	for _, bad := range []time.Duration{119 * time.Second, 65536 * time.Second, 0} {
		if err := h.SetTimeout(bad); !errors.Is(err, ErrTimeout) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if err := h.SetTimeout(300 * time.Second); err != nil {
		t.Error(err)
	}
	if ping, err := h.Ping(); err != nil || ping[4] != 0x2c || ping[5] != 1 { // the new timeout goes with the next heartbeat
		t.Errorf("got % x, %v", ping, err)
	}
	state(Running)
	if _, err := h.Receive(wiretest.Hex(t, "02 04 83 10 05 00")); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	if _, err := h.Receive(wiretest.Hex(t, "02 04 84 10 00 00")); !errors.Is(err, ErrOther) {
		t.Errorf("got %v", err)
	}
	if _, err := h.Receive(wiretest.Hex(t, "02 04 83 10 00 01")); err != nil {
		t.Error(err)
	}
	state(NotRequired)
	if err := h.Open(); !errors.Is(err, ErrNotRequired) {
		t.Errorf("open: %v", err)
	}
	if _, err := h.Ping(); !errors.Is(err, ErrNotRequired) {
		t.Errorf("ping: %v", err)
	}
	if got := h.Notified(); got == nil {
		t.Error("an event, and no question")
	}
	state(Probing)
	if h.Notified() != nil {
		t.Error("asked twice")
	}

	old := &Host{Version: 1} // version 1 answers nothing
	if old.Probe() != nil || old.State() != Idle || old.Open() != nil {
		t.Error(old.State())
	}
	if got := old.Stop(); got != nil || old.State() != Idle {
		t.Error("stop before the first heartbeat")
	}
	old.Open()
	if ping, err := old.Ping(); ping == nil || err != nil || old.Waiting() {
		t.Error(ping, err)
	}
	if got := old.Stop(); !bytes.Equal(got, wiretest.Hex(t, "02 02 14 10")) || old.State() != Stopping {
		t.Errorf("got % x, %v", got, old.State())
	}
	old.Stopped()
	if old.State() != Idle {
		t.Error(old.State())
	}
}

func TestTimerSteps(t *testing.T) {
	now := time.Unix(1000, 0)
	start := Start{120}.Append(nil)
	timer := Timer{Version: 2, Required: true}
	if got, err := timer.Receive(start, now); !bytes.Equal(got, wiretest.Hex(t, "02 04 83 10 00 00")) || err != nil {
		t.Errorf("got % x, %v", got, err)
	}
	if timer.Expire(now.Add(119 * time.Second)) {
		t.Error("too early")
	}
	timer.Receive(start, now.Add(119*time.Second)) // heartbeat
	if timer.Expire(now.Add(238 * time.Second)) {
		t.Error("too early after the heartbeat")
	}
	if !timer.Expire(now.Add(239*time.Second)) || timer.Expire(now.Add(240*time.Second)) {
		t.Error("not exactly once")
	}
	for name, end := range map[string]func(){
		"stop":  func() { timer.Receive(Stop{}.Append(nil), now) },
		"reset": func() { timer.Reset() },
	} {
		timer.Receive(start, now)
		end()
		if _, running := timer.Running(); running || timer.Expire(now.Add(time.Hour)) {
			t.Errorf("runs after %s", name)
		}
	}
	timer.Required = false
	if got, _ := timer.Receive(start, now); !bytes.Equal(got, wiretest.Hex(t, "02 04 83 10 00 01")) || timer.Expire(now.Add(time.Hour)) {
		t.Errorf("not required: % x", got)
	}
	old := Timer{Version: 1, Required: true}
	if got, err := old.Receive(start, now); got != nil || err != nil || !old.Expire(now.Add(120*time.Second)) {
		t.Errorf("version 1: % x, %v", got, err)
	}
	if _, err := old.Receive([]byte("nonsense"), now); !errors.Is(err, ErrOther) {
		t.Errorf("got %v", err)
	}
}

// firmware is a Server on a virtual ME; it returns a bus to it.
func firmware(t *testing.T, s *Server) *mei.Host {
	t.Helper()
	h, _ := engine(t, s)
	return h
}

// engine returns the management engine, too.
func engine(t *testing.T, s *Server) (*mei.Host, *mei.Engine) {
	t.Helper()
	host, me := mei.Pipe()
	h, e := mei.NewHost(), mei.NewEngine()
	version := s.Version
	if version == 0 {
		version = 2
	}
	err := e.Add(mei.Client{Properties: mei.Properties{Client: mei.Watchdog, Version: version, MaxConnections: 2, MaxMsgLen: 512},
		Serve: func(ctx context.Context, c mei.Conn) { s.Serve(ctx, c) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { e.Run(ctx, me) })
	group.Go(func() { h.Run(ctx, host) })
	group.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h, e
}

func dial(t *testing.T, h *mei.Host) mei.Conn {
	t.Helper()
	c, err := h.Connect(t.Context(), mei.Watchdog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pass lets time of the bubble pass, and all that comes of it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// feeding runs Feed and notes its states.
type feeding struct {
	mu     sync.Mutex
	states []string
	done   chan error
	cancel context.CancelCauseFunc
}

var errEnough = errors.New("enough")

func feed(t *testing.T, c mei.Conn, how Feeding) *feeding {
	ctx, cancel := context.WithCancelCause(t.Context())
	f := &feeding{done: make(chan error, 1), cancel: cancel}
	how.OnState = func(s State) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.states = append(f.states, s.String())
	}
	go func() { f.done <- Feed(ctx, c, how) }()
	return f
}

func (f *feeding) want(t *testing.T, states ...string) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.states, states) {
		t.Errorf("states %v, want %v", f.states, states)
	}
}

func TestFeed(t *testing.T) {
	for _, version := range []uint8{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			expired := 0
			s := &Server{Version: version, OnExpire: func() { expired++ }}
			s.Require(true)
			c := dial(t, firmware(t, s))
			f := feed(t, c, Feeding{})
			pass(time.Hour)
			if expired != 0 || !s.Running() {
				t.Errorf("version %d: expired %d times, running %t", version, expired, s.Running())
			}
			f.cancel(errEnough)
			if err := <-f.done; !errors.Is(err, errEnough) {
				t.Errorf("got %v", err)
			}
			if version == 2 {
				f.want(t, "PROBE", "IDLE", "START", "RUNNING", "STOPPING", "IDLE")
			} else {
				f.want(t, "START", "RUNNING", "STOPPING", "IDLE")
			}
			if s.Running() {
				t.Error("not stopped")
			}
			pass(time.Hour)
			if expired != 0 {
				t.Error("expired after stop")
			}
		})
	}
}

// The host hangs: the firmware notices after the timeout, once.
func TestFeederHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		s := &Server{OnExpire: func() { at = append(at, time.Since(start)) }}
		s.Require(true)
		c := dial(t, firmware(t, s))
		if _, err := mei.Call(t.Context(), c, Start{120}.Append(nil)); err != nil {
			t.Fatal(err)
		}
		pass(100 * time.Second)
		mei.Call(t.Context(), c, Start{300}.Append(nil))
		pass(time.Hour)
		if !slices.Equal(at, []time.Duration{400 * time.Second}) {
			t.Errorf("expired at %v", at)
		}
		mei.Call(t.Context(), c, Start{120}.Append(nil))
		s.Reset() // of the machine
		pass(time.Hour)
		if len(at) != 1 {
			t.Errorf("expired at %v", at)
		}
	})
}

// A restart of the engine is noticed at once, not at the next heartbeat.
func TestFeederHearsOfRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		s.Require(true)
		h, e := engine(t, s)
		f := feed(t, dial(t, h), Feeding{})
		pass(time.Minute + time.Second)
		start := time.Now()
		s.Reset()
		e.Reset()
		if err := <-f.done; !errors.Is(err, mei.ErrDisconnected) || time.Since(start) > time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestNotRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		c := dial(t, firmware(t, s))
		f := feed(t, c, Feeding{Every: 10 * time.Second})
		f.want(t, "PROBE", "NOT_REQUIRED")
		pass(time.Hour)
		s.Require(true) // AMT was provisioned: an event
		f.want(t, "PROBE", "NOT_REQUIRED", "PROBE", "IDLE", "START", "RUNNING")
		if !s.Running() {
			t.Error("not running")
		}
		s.Require(false) // another event, which is a reason for a heartbeat, whose answer says so
		f.want(t, "PROBE", "NOT_REQUIRED", "PROBE", "IDLE", "START", "RUNNING", "NOT_REQUIRED")
		s.Require(true)
		pass(time.Second)
		if !s.Running() {
			t.Error("not running again")
		}
		f.cancel(errEnough)
		if err := <-f.done; !errors.Is(err, errEnough) {
			t.Errorf("got %v", err)
		}
	})
	// Without events there is nothing to wait for.
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, firmware(t, &Server{}))
		if err := Feed(t.Context(), struct{ mei.Conn }{c}, Feeding{}); !errors.Is(err, ErrNotRequired) {
			t.Errorf("got %v", err)
		}
	})
}

// A client of version 2 that does not answer: the driver hangs, Feed gives up.
func TestFeedUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, me := mei.Pipe()
		h, e := mei.NewHost(), mei.NewEngine()
		e.Add(mei.Client{Properties: mei.Properties{Client: mei.Watchdog, Version: 2, MaxConnections: 1, MaxMsgLen: 512},
			Serve: func(ctx context.Context, c mei.Conn) { <-ctx.Done() }})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { e.Run(ctx, me) })
		group.Go(func() { h.Run(ctx, host) })
		defer group.Wait()
		defer cancel()
		h.Ready(t.Context())
		start := time.Now()
		err := Feed(t.Context(), dial(t, h), Feeding{})
		if took := time.Since(start); !errors.Is(err, mei.ErrNoAnswer) || took != 10*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if err := Feed(t.Context(), unused{}, Feeding{Timeout: time.Second}); !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v", err)
		}
	})
}

// unused is a connection that must not be used.
type unused struct{ mei.Conn }

func (unused) Version() uint8 { return 2 }

func TestStateCommands(t *testing.T) {
	flags, code := NewInterface|ChangeAllowed|TLSEnforced, status.Success
	on := false
	s := &Server{ChangeEnabled: func() ChangeFlags { return flags }, SetOperational: func(v bool) status.Status { on = v; return code }}
	c := dial(t, firmware(t, s))
	ctx := t.Context()
	if got, err := ChangeEnabled(ctx, c); got != flags || err != nil || got.Has(Operational) || !got.Has(TLSEnforced) {
		t.Errorf("got %08b, %v", got, err)
	}
	if err := SetOperational(ctx, c, true); err != nil || !on {
		t.Errorf("%v, %t", err, on)
	}
	code = status.InvalidPTMode
	var refused *status.Error
	if err := SetOperational(ctx, c, false); !errors.As(err, &refused) || refused.Code != status.InvalidPTMode || on {
		t.Errorf("%v, %t", err, on)
	}
	if err := ChangeToAMT(ctx, c); !errors.Is(err, status.ErrNotPermitted) { // the old command on new firmware
		t.Errorf("got %v", err)
	}
	flags, code = ChangeAllowed, status.Success
	if err := ChangeToAMT(ctx, c); err != nil || !on {
		t.Errorf("%v, %t", err, on)
	}
	// Without hooks all is refused; nonsense is ignored and the next request answered.
	c = dial(t, firmware(t, &Server{}))
	mei.Send(ctx, c, []byte("nonsense"))
	if got, err := ChangeEnabled(ctx, c); got != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if err := SetOperational(ctx, c, true); !errors.Is(err, status.ErrNotPermitted) {
		t.Errorf("got %v", err)
	}
}
