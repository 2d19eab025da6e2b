package console_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/rfb"
)

// share opens the machine's screen for viewers.
func share(t *testing.T, c *console.Client, o console.ShareOptions) *console.Share {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := c.Share(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	var run sync.WaitGroup
	run.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		run.Wait()
	})
	return s
}

// view is a viewer of the share.
func view(t *testing.T, s *console.Share, o rfb.ClientOptions) *rfb.Client {
	t.Helper()
	a, b := net.Pipe()
	var served sync.WaitGroup
	served.Go(func() { s.Serve(context.Background(), b) })
	o.Encodings = []rfb.Encoding{rfb.EncodingZRLE, rfb.EncodingRaw, rfb.EncodingDesktopSize}
	v, err := rfb.Connect(t.Context(), a, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.Close()
		served.Wait()
	})
	return v
}

func chord(v *rfb.Client, keys ...uint32) {
	for _, k := range keys {
		v.Key(k, true)
	}
	for _, k := range keys {
		v.Key(k, false)
	}
}

// What is typed, and the clipboards of viewers and machine: the machine's goes to all viewers, a viewer's is typed when
// the keys for that are pressed there, and goes to the machine as it is.
func TestShareText(t *testing.T) {
	m := manage(t, lab.Machine{Version: "16.0.15.1735", Power: "on", Programs: true})
	if _, err := m.SetFeatures(t.Context(), true, console.FeatureKVM); err != nil {
		t.Fatal(err)
	}
	keys, err := rfb.ParseKeys("ctrl-alt-v")
	if err != nil {
		t.Fatal(err)
	}
	s := share(t, m.Client, console.ShareOptions{Paste: keys})
	one, two := make(chan string, 10), make(chan string, 10)
	v := view(t, s, rfb.ClientOptions{Text: func(b []byte) { one <- string(b) }})
	view(t, s, rfb.ClientOptions{Text: func(b []byte) { two <- string(b) }})
	both := func(want string) {
		t.Helper()
		for _, c := range []chan string{one, two} {
			if got := <-c; got != want {
				t.Errorf("clipboard %q, want %q", got, want)
			}
		}
	}
	if err := s.Type(t.Context(), "copy Typed, by \"us\"!\n"); err != nil {
		t.Fatal(err)
	}
	both(`Typed, by "us"!`)
	v.Send(rfb.ClientText{Text: []byte("copy from a Viewer\n")})
	chord(v, rfb.KeyControl+1, rfb.KeyAlt, 'v') // right or left Ctrl is the same
	both("from a Viewer")
	for _, text := range []string{"caf\u00e9", strings.Repeat("x", 5000)} {
		if err := s.Type(t.Context(), text); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	late := make(chan string, 1)
	view(t, s, rfb.ClientOptions{Text: func(b []byte) { late <- string(b) }})
	if got := <-late; got != "from a Viewer" {
		t.Errorf("a late viewer has %q", got)
	}
}

// Who only watches types nothing.
func TestShareViewOnly(t *testing.T) {
	m := manage(t, lab.Machine{Version: "16.0.15.1735", Power: "on", Programs: true})
	if _, err := m.SetFeatures(t.Context(), true, console.FeatureKVM); err != nil {
		t.Fatal(err)
	}
	s := share(t, m.Client, console.ShareOptions{ViewOnly: true})
	got := make(chan string, 10)
	v := view(t, s, rfb.ClientOptions{Text: func(b []byte) { got <- string(b) }})
	for _, r := range "copy of a viewer\n" {
		sym, _, _ := rfb.TypeRune(r)
		chord(v, sym)
	}
	if err := s.Type(t.Context(), "copy of ours\n"); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "of ours" {
		t.Errorf("clipboard %q", text)
	}
}

// The data channel reaches the program at its other end, and its answer comes back.
func TestKVMData(t *testing.T) {
	m := manage(t, lab.Machine{Version: "16.0.15.1735", Power: "on", Programs: true})
	if _, err := m.SetFeatures(t.Context(), true, console.FeatureKVM); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	s, err := m.KVM(t.Context(), rfb.ClientOptions{Data: func(b []byte) { got <- string(b) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		if err := s.SendData([]byte(`{"action":"present","ver":1}`)); err != nil {
			t.Fatal(err)
		}
		if text := <-got; !strings.Contains(text, `"platform":`) {
			t.Errorf("answer %s", text)
		}
	}
}

func TestScreens(t *testing.T) {
	m := manage(t, lab.Machine{Version: "16.0.15.1735", Power: "on", Monitors: []string{"1024x768", "1280x800"}})
	c := m.spy()
	if _, err := m.SetFeatures(t.Context(), true, console.FeatureKVM); err != nil {
		t.Fatal(err)
	}
	got, err := c.Screens(t.Context())
	want := console.Display{Number: 2, X: 1024, Width: 1280, Height: 800}
	if err != nil || len(got.Displays) != 2 || got.Displays[1] != want || !got.Displays[0].Shown || !got.CanBlank || got.Dark {
		t.Errorf("%+v, %v", got, err)
	}
	m.sent = nil
	for _, n := range []int{0, 3, -1, 300} {
		if _, err := c.ShowScreen(t.Context(), n); !errors.Is(err, console.ErrNotOffered) || m.sent != nil {
			t.Errorf("screen %d: %v, sent %v", n, err, m.sent)
		}
	}
	if got, err = c.ShowScreen(t.Context(), 2); err != nil || got.Displays[0].Shown || !got.Displays[1].Shown {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.BlankScreens(t.Context(), true); err == nil {
		t.Error("dark without a session")
	}
	s, err := m.KVM(t.Context(), rfb.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err = c.BlankScreens(t.Context(), true); err != nil || !got.Dark || !m.machine.PC.Blanked() {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = c.BlankScreens(t.Context(), false); err != nil || got.Dark || m.machine.PC.Blanked() {
		t.Errorf("%+v, %v", got, err)
	}
	old := manage(t, lab.Machine{Profile: 8, Power: "on"})
	if _, err := old.BlankScreens(t.Context(), true); !errors.Is(err, console.ErrUnsupported) {
		t.Errorf("release 8: %v", err)
	}
	if can, err := old.KVMAbilities(t.Context()); err != nil || can != (console.KVMAbilities{}) {
		t.Errorf("release 8: %+v, %v", can, err)
	}
	if can, err := m.KVMAbilities(t.Context()); err != nil || can != (console.KVMAbilities{Compress: true, Gray: true, Decimate: true}) {
		t.Errorf("release 16: %+v, %v", can, err)
	}
}
