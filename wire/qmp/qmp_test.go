package qmp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// greeting is QEMU 7.2's, as Debian has it.
const greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2+dfsg-7+deb12u18"}, "capabilities": ["oob"]}}` + "\r\n"

// A talk is what a server says: it waits for a command that contains what stands before the arrow.
type talk []struct{ wait, say string }

func (talk talk) play(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	io.WriteString(conn, greeting)
	for _, part := range talk {
		if part.wait != "" {
			line, err := r.ReadString('\n')
			if err != nil || !strings.Contains(line, part.wait) {
				io.WriteString(conn, `{"event":"UNEXPECTED `+strings.ReplaceAll(strings.TrimSpace(line), `"`, "'")+`"}`+"\n")
				return
			}
		}
		io.WriteString(conn, part.say+"\r\n")
	}
}

// start opens a session with a server that plays its part.
func start(t *testing.T, talk talk, events func(Event)) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); talk.play(theirs) }()
	t.Cleanup(func() { ours.Close(); <-done })
	c, err := Open(t.Context(), ours, events)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestSession(t *testing.T) {
	events := make(chan Event, 9)
	c := start(t, talk{
		{`"execute":"qmp_capabilities"`, `{"return": {}, "id": 1}`},
		{`{"execute":"query-status","id":2}`, `{"timestamp": {"seconds": 1700000000, "microseconds": 500000}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}`},
		{"", `{"return": {"status": "prelaunch", "running": false}, "id": 2}`},
		{`"arguments":{"id":"cd0"}`, `{"id": 3, "error": {"class": "DeviceNotFound", "desc": "Device 'cd0' not found"}}`},
		{`"execute":"quit"`, `{"return": {}, "id": 4}`},
		{"", `{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}}`},
		{"", `{"event": "ODD", "data": [1]}`},
	}, func(e Event) { events <- e })
	if want := (Version{7, 2, 22, "Debian 1:7.2+dfsg-7+deb12u18"}); c.Version != want || c.Version.String() != "7.2.22" {
		t.Errorf("got %+v, want %+v", c.Version, want)
	}
	var status struct{ Status string }
	if err := c.Do(t.Context(), "query-status", nil, &status); err != nil || status.Status != "prelaunch" {
		t.Errorf("query-status: got %+v, %v", status, err)
	}
	var refused *Error
	err := c.Do(t.Context(), "device_del", map[string]string{"id": "cd0"}, nil)
	if !errors.As(err, &refused) || *refused != (Error{"device_del", "DeviceNotFound", "Device 'cd0' not found"}) {
		t.Errorf("device_del: got %v", err)
	}
	if err := c.Do(t.Context(), "quit", nil, nil); err != nil {
		t.Errorf("quit: %v", err)
	}
	<-c.Done()
	if err := c.Do(t.Context(), "cont", nil, nil); !errors.Is(err, ErrCut) {
		t.Errorf("after the end: got %v, want %v", err, ErrCut)
	}
	for _, want := range []Event{
		{"RESET", time.Unix(1700000000, 500000000), Data{Guest: true, Reason: "guest-reset"}},
		{"SHUTDOWN", time.Time{}, Data{Reason: "host-qmp-quit"}},
		{"ODD", time.Time{}, Data{}},
	} {
		if got := <-events; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// A command that is given up does not hold others up; nor does its late answer hurt.
func TestGivenUp(t *testing.T) {
	c := start(t, talk{
		{"qmp_capabilities", `{"return": {}, "id": 1}`},
		{"stop", ``},
		{"cont", `{"return": {}, "id": 2}`},
		{"", `{"return": {}, "id": 3}`},
		{"nothing more comes", ``}, // so that it stays open
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(ctx, "stop", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stop: got %v, want %v", err, context.Canceled)
	}
	if err := c.Do(t.Context(), "cont", nil, nil); err != nil {
		t.Errorf("cont: %v", err)
	}
	c.Close()
	if err := c.Do(t.Context(), "cont", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want %v", err, ErrClosed)
	}
}

func TestBadServers(t *testing.T) {
	for _, tt := range []struct {
		name, says string
		want       error
	}{
		{"silent", "", ErrCut},
		{"half a line", `{"QMP"`, ErrCut},
		{"no JSON", "SSH-2.0-OpenSSH_9.2\n", ErrProtocol},
		{"nothing", "{}\n", ErrProtocol},
		{"two things", `{"QMP": {}, "event": "A"}` + "\n", ErrProtocol},
		{"no greeting", `{"event": "A"}` + "\n", ErrProtocol},
		{"endless", strings.Repeat("x", MaxMessage+1), ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Open(t.Context(), &script{strings.NewReader(tt.says)}, nil); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	if _, err := Open(ctx, ours, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}
}

// A script is a connection whose other end has said everything already.
type script struct{ io.Reader }

func (script) Write(p []byte) (int, error) { return len(p), nil }
func (script) Close() error                { return nil }

// Whatever QEMU says, a session ends.
func FuzzOpen(f *testing.F) {
	f.Add(greeting + `{"return": {}, "id": 1}` + "\n" + `{"return": {"status": "running"}, "id": 2}` + "\n")
	f.Add(greeting + `{"id": 1, "error": {"class": "GenericError", "desc": "no"}}` + "\n")
	f.Add(greeting + `{"event": "RESET", "data": {"guest": 1}, "timestamp": {"seconds": 1e30}}` + "\n")
	f.Fuzz(func(t *testing.T, says string) {
		c, err := Open(t.Context(), &script{strings.NewReader(says)}, func(e Event) {
			if e.Name == "" {
				t.Error("an event without a name")
			}
		})
		if err != nil {
			return
		}
		var result struct{ Status string }
		c.Do(t.Context(), "query-status", nil, &result)
		c.Close()
	})
}
