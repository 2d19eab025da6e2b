package watchdog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outband/outband/wire/mei"
	heci "github.com/outband/outband/wire/watchdog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A wdt is a kernel's watchdog device.
type wdt struct {
	mu                    sync.Mutex // guards what follows
	opened, closed, beats int
	timeout               int
	fail                  error // of the next heartbeat
}

func (w *wdt) open(string) (timer, error)   { w.locked(func() { w.opened++ }); return w, nil }
func (w *wdt) SetTimeout(seconds int) error { w.locked(func() { w.timeout = seconds }); return nil }
func (w *wdt) Close() error                 { w.locked(func() { w.closed++ }); return nil }

func (w *wdt) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *wdt) KeepAlive() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err, w.fail = w.fail, nil; err == nil {
		w.beats++
	}
	return err
}

// The device is fed twice in its timeout, opened again when it goes away, and stopped in the end.
func TestDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var w wdt
		var states []State
		d := &Device{Timeout: 200 * time.Second, OnState: func(s State) { states = append(states, s) }, open: w.open}
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		time.Sleep(250 * time.Second)
		synctest.Wait()
		w.locked(func() {
			if w.beats != 3 || w.timeout != 200 || w.opened != 1 {
				t.Errorf("after 250 s: %d heartbeats, timeout %d, opened %d times", w.beats, w.timeout, w.opened)
			}
			w.fail = errGone
		})
		time.Sleep(60 * time.Second) // the heartbeat at 300 s fails, 1 s later it is opened anew
		synctest.Wait()
		w.locked(func() {
			if w.opened != 2 || w.closed != 1 || w.beats != 4 {
				t.Errorf("after the device went: opened %d times, closed %d, %d heartbeats", w.opened, w.closed, w.beats)
			}
		})
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || w.closed != 2 {
			t.Errorf("ended with %v, closed %d times", err, w.closed)
		}
		if want := []State{Running, Stopped, Running, Stopped}; !slices.Equal(states, want) {
			t.Errorf("states %v, want %v", states, want)
		}
	})
}

// A device that cannot be opened is tried a few times; one that does not exist is not.
func TestDeviceMissing(t *testing.T) {
	for _, tt := range []struct {
		err   error
		tries int
	}{{ErrNoDevice, 1}, {errors.New("busy"), 1 + reopens}} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			d := &Device{open: func(string) (timer, error) { tries++; return nil, tt.err }}
			if err := d.Run(t.Context()); !errors.Is(err, tt.err) || tries != tt.tries {
				t.Errorf("%v after %d tries, want %v after %d", err, tries, tt.err, tt.tries)
			}
		})
	}
}

// The feeder winds the firmware's timer, comes back after a reset of the engine, and stops the timer in the end.
func TestFeeder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired := 0
		server := &heci.Server{OnExpire: func() { expired++ }}
		engine, host := mei.NewEngine(), mei.NewHost()
		if err := engine.Add(mei.Client{Properties: mei.Properties{Client: mei.Watchdog, Version: 2, MaxConnections: 1, MaxMsgLen: 512},
			Serve: func(ctx context.Context, c mei.Conn) { server.Serve(ctx, c) }}); err != nil {
			t.Fatal(err)
		}
		there, here := mei.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		go engine.Run(ctx, here)
		go host.Run(ctx, there)
		go server.Run(ctx)
		if err := host.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		states := make(chan State, 16)
		feeding, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		f := &Feeder{Bus: host, OnState: func(s State) { states <- s }}
		go func() { done <- f.Run(feeding) }()
		expect := func(want State) {
			t.Helper()
			if got := <-states; got != want {
				t.Errorf("state %v, want %v", got, want)
			}
		}
		expect(NotRequired)
		server.Require(true)
		expect(Running)
		time.Sleep(10 * time.Minute)
		if !server.Running() || expired != 0 {
			t.Errorf("after 10 minutes: running %v, expired %d times", server.Running(), expired)
		}
		engine.Reset()
		expect(Stopped)
		expect(Running)
		time.Sleep(10 * time.Minute)
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		expect(Stopped)
		synctest.Wait()
		if server.Running() || expired != 0 {
			t.Errorf("in the end: running %v, expired %d times", server.Running(), expired)
		}
	})
}

func TestTimes(t *testing.T) {
	for _, f := range []Feeder{{Timeout: 119 * time.Second}, {Timeout: 65536 * time.Second}, {Every: 120 * time.Second}, {Every: -1}} {
		if err := f.Run(t.Context()); err == nil {
			t.Errorf("timeout %v, every %v: taken", f.Timeout, f.Every)
		}
	}
}
