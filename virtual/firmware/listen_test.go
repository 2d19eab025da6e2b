package firmware

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/outband/outband/wire/wsman"
)

// dialTCP reaches a machine on its address.
func dialTCP(address string, port int) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil || port != PortHTTPS {
			return conn, err
		}
		return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, CipherSuites: rsaSuites}), nil
	}
}

// loopback returns an address of this process's own, so that test runs side by side do not meet.
func loopback(block, n int) string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 64+pid%128, (pid/128+block)%256, n+1)
}

func TestListen(t *testing.T) {
	for i, tt := range []struct {
		config Config
		open   []int
		closed []int
	}{
		{Config{Generation: 11}, []int{PortHTTP}, []int{PortHTTPS}},
		{Config{Generation: 11, TLS: true}, []int{PortHTTPS}, []int{PortHTTP}},
		{Config{}, []int{PortHTTPS}, []int{PortHTTP}},
		{Config{Generation: 19}, []int{PortHTTPS}, []int{PortHTTP}},
	} {
		m, err := New(tt.config)
		if err != nil {
			t.Fatal(err)
		}
		address := loopback(0, i)
		l, err := m.Listen(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range tt.open {
			c := &wsman.Client{Dial: dialTCP(address, port), Password: DefaultPassword}
			if _, err := wsman.Identify(t.Context(), c); err != nil {
				t.Errorf("%+v: port %d: %v", tt.config, port, err)
			}
			e, err := wsman.Get(t.Context(), c, wsman.ClassURI("AMT_EthernetPortSettings"), wsman.Selectors{{Name: "InstanceID", Value: wiredPort}})
			if err != nil || e.ChildText("IPAddress") != address {
				t.Errorf("%+v: IP address %q, %v", tt.config, e.ChildText("IPAddress"), err)
			}
			c.Close()
		}
		for _, port := range tt.closed {
			if conn, err := dialTCP(address, port)(t.Context()); err == nil {
				conn.Close()
				t.Errorf("%+v: port %d is open", tt.config, port)
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if got := l.Ports(); len(got) != 0 {
			t.Errorf("ports %v after Close", got)
		}
	}
}

// TestCommitChanges switches TLS on and off again: ports come and go with CommitChanges, not with Put.
func TestCommitChanges(t *testing.T) {
	m := newMachine(t, Config{Generation: 12})
	address := loopback(1, 0)
	l, err := m.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	plain := &wsman.Client{Dial: dialTCP(address, PortHTTP), Password: DefaultPassword}
	secure := &wsman.Client{Dial: dialTCP(address, PortHTTPS), Password: DefaultPassword}
	defer plain.Close()
	defer secure.Close()
	has := func(port int) bool { return slices.Contains(l.Ports(), port) }
	put := func(c *wsman.Client, enabled, nonSecure string) {
		t.Helper()
		uri := wsman.ClassURI("AMT_TLSSettingData")
		sel := wsman.Selectors{{Name: "InstanceID", Value: networkTLS}}
		e, err := wsman.Get(t.Context(), c, uri, sel)
		if err != nil {
			t.Fatal(err)
		}
		set(e, "Enabled", enabled)
		set(e, "AcceptNonSecureConnections", nonSecure)
		if _, err := wsman.Put(t.Context(), c, uri, sel, e); err != nil {
			t.Fatal(err)
		}
	}
	commit := func(c *wsman.Client) {
		t.Helper()
		out, err := wsman.Invoke(t.Context(), c, wsman.ClassURI("AMT_SetupAndConfigurationService"), "CommitChanges", nil)
		if err != nil || out.ChildText("ReturnValue") != "0" {
			t.Fatalf("CommitChanges: %+v, %v", out, err)
		}
	}
	put(plain, "true", "true")
	if has(PortHTTPS) || !has(PortHTTP) {
		t.Errorf("after Put: %v", l.Ports())
	}
	commit(plain)
	if !has(PortHTTPS) || !has(PortHTTP) {
		t.Errorf("with both: %v", l.Ports())
	}
	put(secure, "true", "false")
	commit(secure)
	if !has(PortHTTPS) || has(PortHTTP) {
		t.Errorf("with TLS only: %v", l.Ports())
	}
	put(secure, "false", "true")
	commit(secure)
	if has(PortHTTPS) || !has(PortHTTP) {
		t.Errorf("in the end: %v", l.Ports())
	}
}

// TestCommitWantsMEBxPassword is about releases from 19 on.
func TestCommitWantsMEBxPassword(t *testing.T) {
	c := client(t, newMachine(t, Config{Generation: 19}))
	uri := wsman.ClassURI("AMT_SetupAndConfigurationService")
	for _, step := range []struct{ method, password, want string }{
		{"CommitChanges", "", "2057"},
		{"SetMEBxPassword", "weak", "2054"},
		{"SetMEBxPassword", "P@ssw0rd1", "0"},
		{"CommitChanges", "", "0"},
	} {
		var params []wsman.Element
		if step.password != "" {
			params = append(params, wsman.El(uri, "Password", step.password))
		}
		out, err := wsman.Invoke(t.Context(), c, uri, step.method, nil, params...)
		if err != nil || out.ChildText("ReturnValue") != step.want {
			t.Errorf("%s: %+v, %v; want %s", step.method, out, err, step.want)
		}
	}
}

// TestTLSOnlyRefusals: releases that know nothing else do not let it be switched off.
func TestTLSOnlyRefusals(t *testing.T) {
	c := client(t, newMachine(t, Config{Generation: 16}))
	uri := wsman.ClassURI("AMT_TLSSettingData")
	sel := wsman.Selectors{{Name: "InstanceID", Value: networkTLS}}
	e, err := wsman.Get(t.Context(), c, uri, sel)
	if err != nil || e.ChildText("Enabled") != "true" || e.ChildText("NonSecureConnectionsSupported") != "false" {
		t.Fatalf("%+v, %v", e, err)
	}
	set(e, "Enabled", "false")
	if _, err := wsman.Put(t.Context(), c, uri, sel, e); !errors.Is(err, wsman.ErrInvalidRepresentation) {
		t.Errorf("got %v", err)
	}
}

// TestCertificates: pins of two machines differ although they share a key, and a machine keeps its own.
func TestCertificates(t *testing.T) {
	pin := func(m *Machine) [32]byte {
		conn, err := dialer(t, m, PortHTTPS)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := conn.(*tls.Conn)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(c.ConnectionState().PeerCertificates[0].Raw)
	}
	a, b := newMachine(t, Config{Generation: 16, Seed: "a"}), newMachine(t, Config{Generation: 16, Seed: "b"})
	if pin(a) == pin(b) {
		t.Error("two machines with the same certificate")
	}
	if first, again := pin(a), pin(a); first != again {
		t.Error("a machine with two certificates")
	}
}

func TestPorts(t *testing.T) {
	m := newMachine(t, Config{Generation: 16})
	if got := m.Ports(); slices.Contains(got, PortHTTP) || !slices.Contains(got, PortHTTPS) {
		t.Errorf("network: %v", got)
	}
	if got := m.LocalPorts(); !slices.Contains(got, PortHTTP) {
		t.Errorf("local: %v", got)
	}
	if got := newMachine(t, Config{Generation: 19}).LocalPorts(); slices.Contains(got, PortHTTP) || !slices.Contains(got, PortHTTPS) {
		t.Errorf("local, 19: %v", got)
	}
	here, there := net.Pipe()
	defer here.Close()
	if err := m.ServeConn(t.Context(), there, PortHTTP); !errors.Is(err, ErrPortClosed) {
		t.Errorf("got %v", err)
	}
}

// TestServeConnEndsWithContext: the context's owner gets the goroutine back.
func TestServeConnEndsWithContext(t *testing.T) {
	m := newMachine(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	here, there := net.Pipe()
	defer here.Close()
	done := make(chan error)
	go func() { done <- m.ServeConn(ctx, there, PortHTTP) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestMemory makes many machines with listeners and sees that one takes less than 100 KiB at rest, after each has
// answered something.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("opens hundreds of ports")
	}
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc + s.StackInuse
	}
	make := func(i int) *Machine {
		m, err := New(Config{Generation: 12, Seed: strconv.Itoa(i)})
		if err != nil {
			t.Fatal(err)
		}
		address := loopback(3+i/200, i%200)
		if _, err := m.Listen(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		c := &wsman.Client{Dial: dialTCP(address, PortHTTP), Password: DefaultPassword}
		defer c.Close()
		if _, err := wsman.Get(t.Context(), c, wsman.ClassURI("AMT_GeneralSettings"), nil); err != nil {
			t.Fatal(err)
		}
		return m
	}
	defer make(0).Close() // what all share
	const n = 200
	before := used()
	var machines []*Machine
	for i := range n {
		machines = append(machines, make(i+1))
	}
	each := (used() - before) / n
	t.Logf("%d octets for each machine", each)
	if each > 100<<10 {
		t.Errorf("a machine at rest takes %d octets", each)
	}
	for _, m := range machines {
		m.Close()
	}
}
