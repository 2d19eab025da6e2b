package firmware

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/outband/outband/wire/wsman"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newMachine makes a machine, generation 12 unless said otherwise.
func newMachine(t testing.TB, c Config) *Machine {
	t.Helper()
	if c.Generation == 0 && c.Version == "" {
		c.Generation = 12
	}
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// dialer returns a dial that reaches a machine through pipes, on that port.
func dialer(t testing.TB, m *Machine, port int) func(context.Context) (net.Conn, error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 1024)
	n := 0
	t.Cleanup(func() {
		cancel()
		for range n {
			<-done
		}
	})
	return func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		n++
		go func() {
			m.ServeConn(ctx, there, port)
			done <- struct{}{}
		}()
		if port == PortHTTPS {
			return tls.Client(here, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, CipherSuites: rsaSuites}), nil
		}
		return here, nil
	}
}

// client returns a client of a machine.
func client(t testing.TB, m *Machine) *wsman.Client {
	t.Helper()
	port := PortHTTP
	if !m.profile.Plain {
		port = PortHTTPS
	}
	c := &wsman.Client{Dial: dialer(t, m, port), Password: DefaultPassword, MaxConns: 1}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestIdentify(t *testing.T) {
	for _, tt := range []struct {
		generation int
		want       string
	}{{8, "AMT 8.1"}, {11, "AMT 11.8"}, {12, "AMT 12.0"}, {16, "AMT 16.1"}, {19, "AMT 19.0"}} {
		c := client(t, newMachine(t, Config{Generation: tt.generation}))
		got, err := wsman.Identify(t.Context(), c)
		if err != nil || got.ProductVersion != tt.want || got.DASHVersion != "1.0.0" || len(got.SecurityProfiles) != 1 {
			t.Errorf("generation %d: got %+v, %v; want %s", tt.generation, got, err, tt.want)
		}
	}
}

func TestGetAndEnumerate(t *testing.T) {
	c := client(t, newMachine(t, Config{}))
	e, err := wsman.Get(t.Context(), c, wsman.ClassURI("CIM_AssociatedPowerManagementService"), nil)
	if err != nil || e.ChildText("PowerState") != "2" {
		t.Errorf("got %+v, %v", e, err)
	}
	var names []string
	for e, err := range wsman.Enumerate(t.Context(), c, wsman.ClassURI("CIM_Chip"), nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Local)
	}
	if len(names) != 3 || names[0] != "CIM_Chip" || names[2] != "CIM_PhysicalMemory" {
		t.Errorf("CIM_Chip: got %v", names)
	}
	if _, err := wsman.Get(t.Context(), c, wsman.ClassURI("CIM_Nothing"), nil); !errors.Is(err, wsman.ErrDestinationUnreachable) {
		t.Errorf("unknown class: got %v", err)
	}
}
