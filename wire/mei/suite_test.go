package mei

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/wire/guid"
)

// The clients that every firmware under the suite has. Each answers a message with answers(message).
var (
	many   = guid.FromSeed("many connections")  // 5120 bytes, version 1
	single = guid.FromSeed("single connection") // 512 bytes, version 2
	deaf   = guid.FromSeed("deaf")              // takes no message
	nobody = guid.FromSeed("nobody")
)

// answers is what the clients say: two messages to "two", an empty one to "empty", nothing to "silence", else an echo.
func answers(message []byte) [][]byte {
	switch string(message) {
	case "two":
		return [][]byte{[]byte("one of two"), []byte("two of two")}
	case "empty":
		return [][]byte{{}}
	case "silence":
		return nil
	}
	return [][]byte{message}
}

// A world is a bus with such firmware behind it.
type world struct {
	bus     Bus
	reset   func()                   // the firmware restarts
	hangUp  func()                   // the firmware ends the connections of many
	raise   func()                   // many raises an event on its connections
	restart func(t *testing.T) error // waits until the bus is up again
}

// suite is what every bus must do.
func suite(t *testing.T, make func(t *testing.T) world) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, w world)
	}{
		{"properties", suiteProperties},
		{"messages of all sizes", suiteSizes},
		{"order", suiteOrder},
		{"short read", suiteShortRead},
		{"empty", suiteEmpty},
		{"too long", suiteTooLong},
		{"unknown client", suiteUnknown},
		{"single connection", suiteSingle},
		{"many at once", suiteMany},
		{"deadlines", suiteDeadlines},
		{"context", suiteContext},
		{"close", suiteClose},
		{"full queue", suiteFullQueue},
		{"reset", suiteReset},
		{"hang up", suiteHangUp},
		{"events", suiteEvents},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, make(t)) })
	}
}

func dial(t *testing.T, w world, client guid.GUID) Conn {
	t.Helper()
	c, err := w.bus.Connect(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func call(t *testing.T, c Conn, message string) string {
	t.Helper()
	answer, err := Call(t.Context(), c, []byte(message))
	if err != nil {
		t.Fatalf("call %.20q: %v", message, err)
	}
	return string(answer)
}

func suiteProperties(t *testing.T, w world) {
	for client, want := range map[guid.GUID][2]int{many: {5120, 1}, single: {512, 2}} {
		c := dial(t, w, client)
		if got := [2]int{c.MaxMsgLen(), int(c.Version())}; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func suiteSizes(t *testing.T, w world) {
	c := dial(t, w, many)
	for _, n := range []int{1, 2, 3, 4, 5, 503, 504, 505, 507, 508, 509, 511, 512, 513, 1016, 1017, 4096, 5119, 5120} {
		message := make([]byte, n)
		for i := range message {
			message[i] = byte(i*7 + n)
		}
		answer, err := Call(t.Context(), c, message)
		if err != nil || !bytes.Equal(answer, message) {
			t.Fatalf("%d bytes: got %d, %v", n, len(answer), err)
		}
	}
}

func suiteOrder(t *testing.T, w world) {
	c := dial(t, w, many)
	for _, m := range []string{"first", "second", "two"} {
		if n, err := c.Write([]byte(m)); n != len(m) || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, want := range []string{"first", "second", "one of two", "two of two"} {
		if got, err := Receive(t.Context(), c); string(got) != want || err != nil {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
}

// As observed of the driver: an answer of 32 bytes is read as 10 and 22.
func suiteShortRead(t *testing.T, w world) {
	c := dial(t, w, many)
	message := []byte("0123456789abcdefghijklmnopqrstuv")
	if err := Send(t.Context(), c, message); err != nil {
		t.Fatal(err)
	}
	if err := Send(t.Context(), c, []byte("next")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := c.Read(buf[:10]); n != 10 || err != nil || string(buf[:n]) != "0123456789" {
		t.Fatalf("got %q, %v", buf[:n], err)
	}
	if n, err := c.Read(buf[:0]); n != 0 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if n, err := c.Read(buf); n != 22 || err != nil || string(buf[:n]) != string(message[10:]) {
		t.Fatalf("got %q, %v", buf[:n], err)
	}
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "next" {
		t.Fatalf("got %q, %v", buf[:n], err)
	}
}

func suiteEmpty(t *testing.T, w world) {
	c := dial(t, w, many)
	if n, err := c.Write(nil); n != 0 || err != nil {
		t.Errorf("write nothing: %d, %v", n, err)
	}
	if got := call(t, c, "empty"); got != "" {
		t.Errorf("got %q", got)
	}
	if got := call(t, c, "more"); got != "more" {
		t.Errorf("got %q", got)
	}
}

func suiteTooLong(t *testing.T, w world) {
	c := dial(t, w, many)
	n, err := c.Write(make([]byte, 5121))
	if n != 0 || !errors.Is(err, ErrTooLong) || !errors.Is(err, EFBIG) {
		t.Errorf("got %d, %v", n, err)
	}
	if got := call(t, c, "fits"); got != "fits" {
		t.Errorf("got %q", got)
	}
}

func suiteUnknown(t *testing.T, w world) {
	_, err := w.bus.Connect(t.Context(), nobody)
	if !errors.Is(err, ErrNoClient) || !errors.Is(err, ENOTTY) || Transient(err) {
		t.Errorf("got %v", err)
	}
	if want := "mei: connect " + nobody.String() + ": no such client in this firmware (ENOTTY)"; fmt.Sprint(err) != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func suiteSingle(t *testing.T, w world) {
	first := dial(t, w, single)
	if _, err := w.bus.Connect(t.Context(), single); !errors.Is(err, ErrBusy) || !Transient(err) {
		t.Fatalf("got %v", err)
	}
	if got := call(t, first, "still there"); got != "still there" {
		t.Errorf("got %q", got)
	}
	first.Close()
	if got := call(t, dial(t, w, single), "again"); got != "again" {
		t.Errorf("got %q", got)
	}
}

func suiteMany(t *testing.T, w world) {
	var group sync.WaitGroup
	for i := range 8 {
		c := dial(t, w, many)
		group.Go(func() {
			for j := range 25 {
				want := fmt.Sprintf("%d of %d %s", j, i, bytes.Repeat([]byte{byte('a' + i)}, j*50))
				got, err := Call(t.Context(), c, []byte(want))
				if err != nil || string(got) != want {
					t.Errorf("got %.20q, %v; want %.20q", got, err, want)
					return
				}
			}
		})
	}
	group.Wait()
}

var past = time.Unix(1, 0)

func suiteDeadlines(t *testing.T, w world) {
	c := dial(t, w, many)
	if err := c.SetDeadline(past); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := c.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %d, %v", n, err)
	}
	if n, err := c.Write(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %d, %v", n, err)
	}
	c.SetDeadline(time.Now().Add(time.Hour))
	if got := call(t, c, "in time"); got != "in time" {
		t.Errorf("got %q", got)
	}
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := c.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %d, %v", n, err)
	}
	// A deadline moved while somebody reads reaches him, sooner or later than he begins.
	c.SetReadDeadline(time.Time{})
	done := make(chan error)
	go func() {
		_, err := c.Read(buf)
		done <- err
	}()
	c.SetReadDeadline(past)
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	c.SetReadDeadline(time.Time{})
	if got := call(t, c, "later"); got != "later" {
		t.Errorf("got %q", got)
	}
}

func suiteContext(t *testing.T, w world) {
	why := errors.New("enough")
	ended, end := context.WithCancelCause(t.Context())
	end(why)
	if _, err := w.bus.Connect(ended, many); !errors.Is(err, why) {
		t.Errorf("connect: %v", err)
	}
	c := dial(t, w, many)
	if err := Send(ended, c, []byte("x")); !errors.Is(err, why) {
		t.Errorf("send: %v", err)
	}
	waiting, end := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() {
		_, err := Call(waiting, c, []byte("silence"))
		done <- err
	}()
	end(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("call: %v", err)
	}
	if got := call(t, c, "goes on"); got != "goes on" {
		t.Errorf("got %q", got)
	}
}

func suiteClose(t *testing.T, w world) {
	c := dial(t, w, many)
	done := make(chan error)
	go func() {
		_, err := Receive(t.Context(), c)
		done <- err
	}()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write: %v", err)
	}
	if err := c.SetDeadline(past); !errors.Is(err, os.ErrClosed) {
		t.Errorf("set deadline: %v", err)
	}
	if err := c.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

// A client that takes nothing: the queue takes its limit, and one message more is on its way.
func suiteFullQueue(t *testing.T, w world) {
	c := dial(t, w, deaf)
	n := 0
	var err error
	for ; err == nil && n < 1000; n++ {
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		_, err = c.Write([]byte("x"))
	}
	if n--; n < queueLimit || n > queueLimit+1 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d messages, %v", n, err)
	}
}

func suiteReset(t *testing.T, w world) {
	c := dial(t, w, many)
	call(t, c, "before")
	w.reset()
	if _, err := Receive(t.Context(), c); !errors.Is(err, ErrDisconnected) || !errors.Is(err, ENODEV) || !Transient(err) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, ErrDisconnected) {
		t.Errorf("write: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := w.restart(t); err != nil {
		t.Fatal(err)
	}
	if got := call(t, dial(t, w, many), "after"); got != "after" {
		t.Errorf("got %q", got)
	}
}

func suiteHangUp(t *testing.T, w world) {
	c, other := dial(t, w, many), dial(t, w, single)
	call(t, c, "before") // the other side is up
	w.hangUp()
	if _, err := Receive(t.Context(), c); !errors.Is(err, ErrDisconnected) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, ErrDisconnected) {
		t.Errorf("write: %v", err)
	}
	if got := call(t, other, "not concerned"); got != "not concerned" {
		t.Errorf("got %q", got)
	}
	if got := call(t, dial(t, w, many), "anew"); got != "anew" {
		t.Errorf("got %q", got)
	}
}

func suiteEvents(t *testing.T, w world) {
	c := dial(t, w, many)
	call(t, c, "up")
	n := c.(Notifier)
	if err := n.Notified(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("before Notify: %v", err)
	}
	if err := n.Notify(true); err != nil {
		t.Fatal(err)
	}
	w.raise()
	if err := n.Notified(t.Context()); err != nil {
		t.Error(err)
	}
	why := errors.New("enough")
	ctx, end := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- n.Notified(ctx) }()
	end(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if got := call(t, c, "meanwhile"); got != "meanwhile" {
		t.Errorf("got %q", got)
	}
	if err := n.Notify(false); err != nil {
		t.Error(err)
	}
}
