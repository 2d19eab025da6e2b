package oskeyring

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/zalando/go-keyring"

	"github.com/outband/outband/console/hosts"
)

var _ hosts.Keyring = Ring{}

// TestSilentBus connects to a D-Bus that accepts and never says a word. It comes first: the other
// tests replace the real keyring for good.
func TestSilentBus(t *testing.T) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("the keyring is not behind D-Bus")
	}
	path := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+path)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	over := make(chan struct{})
	defer close(over)
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.ReadFull(c, make([]byte, 1)) // now the library waits for an answer
		cancel()
		<-over
	})
	_, err = Ring{}.Get(ctx, "outband-test", "u")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

func TestRing(t *testing.T) {
	keyring.MockInit()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
	ctx := t.Context()
	var r Ring
	if _, err := r.Get(ctx, "outband-test", "u"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get: got %v, want ErrNotExist", err)
	}
	if err := r.Set(ctx, "outband-test", "u", "s"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Get(ctx, "outband-test", "u"); got != "s" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := r.Delete(ctx, "outband-test", "u"); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, "outband-test", "u"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("delete: got %v, want ErrNotExist", err)
	}
}

func TestNoSessionBus(t *testing.T) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("the keyring is not behind D-Bus")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	if present() {
		t.Skip("this user has a session bus")
	}
	if err := (Ring{}).Set(t.Context(), "outband-test", "u", "s"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
