package events

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outband/outband/wire/eventing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOf(t *testing.T) {
	at := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		alert eventing.Alert
		want  Event
		ok    bool
	}{
		{"graceful reboot", eventing.Alert{MessageID: "iAMT0067", Arguments: []string{"1", eventing.ArgumentPath}, Message: "text", Time: at},
			Event{Power, 273, "text", "1", "iAMT0067", at}, true},
		{"by message alone", eventing.Alert{MessageID: "iAMT0005", Arguments: []string{"a guid", "x"}, Message: "text", Time: at},
			Event{General, 193, "text", "a guid, x", "iAMT0005", at}, true},
		{"argument without a number", eventing.Alert{MessageID: "iAMT0067", Arguments: []string{"9"}}, Event{}, false},
		{"no argument", eventing.Alert{MessageID: "iAMT0067"}, Event{}, false},
		{"no number", eventing.Alert{MessageID: "iAMT0004", Arguments: []string{"0"}}, Event{}, false},
	} {
		if got, ok := Of(tt.alert); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %+v, %t; want %+v, %t", tt.name, got, ok, tt.want, tt.ok)
		}
	}
	seen := map[uint32]string{}
	for key, n := range numbers {
		if n.category == 0 || n.id == 0 || seen[n.id] != "" {
			t.Errorf("%s: %+v, as %s", key, n, seen[n.id])
		}
		seen[n.id] = key
	}
}

func TestOwn(t *testing.T) {
	for id, want := range map[uint32]Category{PortsOpen: Service, PortsClosed: Service, RebootDone: Power, HibernateFailed: Power, WatchdogError: General} {
		if got := Own(id, "text", time.Time{}); got.Category != want || got.ID != id || got.Message != "text" {
			t.Errorf("%d: %+v", id, got)
		}
	}
}

// Where there is no bus, that is told at once, and telling events blocks nobody.
func TestNoBus(t *testing.T) {
	b := &Bus{Address: "unix:path=" + t.TempDir() + "/none"}
	for range 2 * maxEvents {
		b.Emit(Own(PortsOpen, "", time.Time{}))
	}
	if err := b.Run(t.Context()); err == nil || errors.Is(err, ErrTaken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
