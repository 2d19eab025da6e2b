package lab_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/fat"
	"github.com/outband/outband/wire/setupbin"
	"github.com/outband/outband/wire/wsman"
)

// stick writes the image of a key that sets one machine up, and returns its name.
func stick(t *testing.T, password string) string {
	t.Helper()
	r := setupbin.NewRecord(0)
	for name, value := range map[string]string{"current-password": "admin", "new-password": password, "manual-setup": "manual"} {
		v, err := setupbin.Make(name, value)
		if err != nil {
			t.Fatal(err)
		}
		r.Add(v)
	}
	file, err := setupbin.New(setupbin.V3, 0, r)
	if err != nil {
		t.Fatal(err)
	}
	content, err := file.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "stick.img")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 8 << 20
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := fat.Write(f, fat.Options{Size: size}, fat.File{Name: "SETUP.BIN", Content: content}); err != nil {
		t.Fatal(err)
	}
	return name
}

// A machine that nobody has set up has no ports; a key sets it up, once, whether the PC is off or on before.
func TestKey(t *testing.T) {
	for _, power := range []string{"off", "on"} {
		image := stick(t, "N3w$ecret")
		w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{
			{Profile: 12, Unset: true},
			{Profile: 12, Unset: true, USB: image, Power: power},
			{Profile: 12, Unset: true, USB: image, Power: power},
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct {
			mode  firmware.ControlMode
			power string
		}{{firmware.ModeNone, "off"}, {firmware.ModeAdmin, "on"}, {firmware.ModeNone, "on"}} {
			m := w.Machines[i]
			if got := m.Firmware.ControlMode(); got != want.mode || m.Power() != want.power || (len(m.Ports()) > 0) != (want.mode == firmware.ModeAdmin) {
				t.Errorf("%s, machine %d: %v, %s, ports %v; want %v, %s", power, i+1, got, m.Power(), m.Ports(), want.mode, want.power)
			}
		}
		w.Close()
	}
	if _, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{USB: "nothing.img"}}}); err == nil || !strings.Contains(err.Error(), "USB key") {
		t.Errorf("no such image: %v", err)
	}
}

// A saved machine has the password that it had, unless it is given another.
func TestStateKeepsThePassword(t *testing.T) {
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Unset: true, USB: stick(t, "N3w$ecret")}}})
	if err != nil {
		t.Fatal(err)
	}
	state, err := w.Machines[0].State()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{"": "N3w$ecret", "0ther$ecret": "0ther$ecret"} {
		w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{State: state, Password: given}}})
		if err != nil {
			t.Fatal(err)
		}
		for password, ok := range map[string]bool{want: true, firmware.DefaultPassword: false} {
			c := &wsman.Client{Password: password, Dial: func(ctx context.Context) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", net.JoinHostPort(w.Machines[0].Address, "16992"))
			}}
			if _, err := wsman.Get(t.Context(), c, wsman.ClassURI("AMT_GeneralSettings"), nil); (err == nil) != ok {
				t.Errorf("given %q: password %q: %v", given, password, err)
			}
			c.Close()
		}
		w.Close()
	}
}
