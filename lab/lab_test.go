package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client speaks to a machine that has plain HTTP.
func client(t *testing.T, r *Running) *wsman.Client {
	c := &wsman.Client{Password: r.Password, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", net.JoinHostPort(r.Address, fmt.Sprint(firmware.PortHTTP)))
	}}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestWorld(t *testing.T) {
	w, err := Start(t.Context(), World{Machines: []Machine{
		{Name: "old", Profile: 8}, {Name: "new", Profile: 19, Power: "on"}, {Name: "asleep", Profile: 12, Power: "asleep"}, {Name: "hibernated", Profile: 11, Power: "hibernated"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	addresses := map[string]bool{}
	for _, m := range w.Machines {
		addresses[m.Address] = true
		want := map[string]string{"old": "off", "new": "on", "asleep": "asleep", "hibernated": "hibernated"}[m.Name]
		if got := m.Power(); got != want {
			t.Errorf("%s: power is %q, want %q", m.Name, got, want)
		}
		plain := m.Generation() < 16
		if got := slices.Contains(m.Ports(), firmware.PortHTTP); got != plain {
			t.Errorf("%s: plain port open: %v, want %v", m.Name, got, plain)
		}
		if got := m.Fingerprint(); (got == "") != plain {
			t.Errorf("%s: fingerprint is %q", m.Name, got)
		}
	}
	if len(addresses) != len(w.Machines) {
		t.Errorf("addresses are %v", addresses)
	}
	id, err := wsman.Identify(t.Context(), client(t, w.Machines[0]))
	if err != nil || id.ProductVersion != "AMT 8.1" {
		t.Errorf("identify: got %+v, %v", id, err)
	}
}

// All start or none does: the address of the second is that of the first.
func TestAllOrNone(t *testing.T) {
	w, err := Start(t.Context(), World{Machines: []Machine{{Profile: 12}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	taken := w.Machines[0].Address
	free := freeAddress()
	if _, err := Start(t.Context(), World{Machines: []Machine{{Profile: 12, Address: free}, {Profile: 12, Address: taken}}}); err == nil {
		t.Fatal("two machines have one address")
	}
	again, err := Start(t.Context(), World{Machines: []Machine{{Profile: 12, Address: free}}})
	if err != nil {
		t.Fatalf("the first was not stopped: %v", err)
	}
	again.Close()
}

// A machine that is started from a saved state is the one that was saved.
func TestState(t *testing.T) {
	const name = "kept"
	w, err := Start(t.Context(), World{Machines: []Machine{{Profile: 12, Power: "asleep", KeepCertificate: true, TLS: true}, {Profile: 11}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := client(t, w.Machines[1])
	uri := wsman.ClassURI("AMT_GeneralSettings")
	settings, err := wsman.Get(t.Context(), c, uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	settings.Child("HostName").Text = name
	if _, err := wsman.Put(t.Context(), c, uri, nil, settings); err != nil {
		t.Fatal(err)
	}
	text, err := w.State()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(w.Machines[0].Password)) {
		t.Error("the password is in the state")
	}
	states, err := ParseState(text)
	if err != nil || len(states) != 2 {
		t.Fatalf("%d states, %v", len(states), err)
	}
	again, err := Start(t.Context(), World{Machines: []Machine{{State: states[0]}, {State: states[1]}}})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for i, m := range again.Machines {
		was := w.Machines[i]
		if m.UUID() != was.UUID() || m.Generation() != was.Generation() || m.Power() != was.Power() || m.Fingerprint() != was.Fingerprint() {
			t.Errorf("machine %d: got %s %d %s %q, was %s %d %s %q", i, m.UUID(), m.Generation(), m.Power(), m.Fingerprint(),
				was.UUID(), was.Generation(), was.Power(), was.Fingerprint())
		}
	}
	settings, err = wsman.Get(t.Context(), client(t, again.Machines[1]), uri, nil)
	if err != nil || settings.ChildText("HostName") != name {
		t.Errorf("host name is %q, %v", settings.ChildText("HostName"), err)
	}
}

// A dump that does not tell its release is of one that speaks nothing but TLS: whoever pins what is told reaches it.
func TestFingerprintIsOfWhatIsShown(t *testing.T) {
	w, err := Start(t.Context(), World{Machines: []Machine{{Dump: []byte("{}")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	m := w.Machines[0]
	conn, err := tls.Dial("tcp", net.JoinHostPort(m.Address, "16993"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw)
	if want := hex.EncodeToString(sum[:]); m.Fingerprint() != want {
		t.Errorf("told %q, shown %s", m.Fingerprint(), want)
	}
}

func TestParseState(t *testing.T) {
	for _, bad := range []string{"", "{}", `{"version": 2}`, `{"version": 1, "machines": [`, "[]"} {
		if _, err := ParseState([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, err := Start(t.Context(), World{Machines: []Machine{{State: json.RawMessage(`{"power": "on", "firmware": 3}`)}}}); err == nil {
		t.Error("a state without a machine was accepted")
	}
}

func TestParseMachine(t *testing.T) {
	m, err := ParseMachine([]byte(`{"power": "off", "refuse": {"RequestPowerStateChange": 2}, "faults": {"delay": "1.5s", "only": ["CIM_Chip"]}}`))
	if err != nil || m.Refuse["RequestPowerStateChange"] != 2 || m.Faults.Delay.Seconds() != 1.5 {
		t.Errorf("got %+v, %v", m, err)
	}
	for _, bad := range []string{`{"pwer": "on"}`, `{} {}`, `{"faults": {"dealy": "1s"}}`, ``} {
		if _, err := ParseMachine([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	for _, bad := range []Machine{{Power: "sideways"}, {Profile: 7}, {UUID: "x"}, {Boot: "soon"}, {Stray: "dog"}, {Certificate: &Certificate{PEM: "x"}}} {
		if w, err := Start(t.Context(), World{Machines: []Machine{bad}}); err == nil {
			w.Close()
			t.Errorf("%+v was started", bad)
		}
	}
}

// What is accepted can be asked for again.
func FuzzParseMachine(f *testing.F) {
	f.Add([]byte(`{"profile": 11, "power": "on", "refuse": {"RequestPowerStateChange": 2}, "faults": {"cut": 400, "delay": "1s"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMachine(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseMachine(again); err != nil || got.Profile != m.Profile || got.Power != m.Power || len(got.Refuse) != len(m.Refuse) {
			t.Errorf("%s became %+v, %v", again, got, err)
		}
	})
}

func FuzzParseState(f *testing.F) {
	f.Add([]byte(`{"version": 1, "machines": [{"power": "on", "certificate": "", "firmware": {}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if states, err := ParseState(text); err == nil {
			for _, s := range states {
				m := Machine{State: s}
				m.config("127.0.0.1", nil) // must not panic; what it says does not matter here
			}
		}
	})
}

// Machines wait for what a client does to them, not for time.
func TestAwait(t *testing.T) {
	w, err := Start(t.Context(), World{Machines: []Machine{{Profile: 12}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	m := w.Machines[0]
	m.PC.Person().Press()
	if err := m.Await(t.Context(), func(m *Running) bool { return m.Power() == "on" }); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Await(ctx, func(*Running) bool { return false }); err == nil {
		t.Error("waiting did not end")
	}
}
