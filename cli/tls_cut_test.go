package cli

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// A link is what stands between a console and a machine: an address of its own that leads to the machine. It is cut at
// a wanted moment, and stays so until it is mended.
type link struct {
	address string
	machine *lab.Running
	wg      sync.WaitGroup

	mu    sync.Mutex // guards what follows
	asked int        // times that the console began to speak, on all connections
	cut   int        // at which of them the link is cut; 0: never
	after bool       // when the machine begins to answer, rather than before it hears
	down  bool
	ports map[int]net.Listener

	blocked int // port that a firewall keeps shut; 0: none
	open    map[net.Conn]bool
}

// newLink leads to a machine on those of its ports that carry WS-Man.
func newLink(t *testing.T, m *lab.Running) *link {
	t.Helper()
	host := net.ParseIP(m.Address).To4()
	l := &link{machine: m, address: fmt.Sprintf("127.%d.%d.%d", 200, host[2], host[3]), ports: map[int]net.Listener{}, open: map[net.Conn]bool{}}
	l.mu.Lock()
	err := l.follow()
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.mu.Lock()
		for _, ln := range l.ports {
			ln.Close()
		}
		l.hangUp()
		l.mu.Unlock()
		l.wg.Wait()
	})
	return l
}

// follow opens and closes ports as the machine does. mu is held.
func (l *link) follow() error {
	for _, port := range []int{firmware.PortHTTP, firmware.PortHTTPS} {
		want, have := slices.Contains(l.machine.Ports(), port) && port != l.blocked, l.ports[port]
		if want == (have != nil) {
			continue
		}
		if have != nil {
			have.Close()
			delete(l.ports, port)
			continue
		}
		ln, err := net.Listen("tcp", net.JoinHostPort(l.address, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		l.ports[port] = ln
		l.wg.Go(func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				l.wg.Go(func() { l.serve(conn, port) })
			}
		})
	}
	return nil
}

// hangUp closes all connections. mu is held.
func (l *link) hangUp() {
	for conn := range l.open {
		conn.Close()
		delete(l.open, conn)
	}
}

// breakAt cuts the link the n-th time that the console begins to speak.
func (l *link) breakAt(n int, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.cut, l.after, l.down = 0, n, after, false
}

// serve carries one connection.
func (l *link) serve(console net.Conn, port int) {
	machine, err := net.Dial("tcp", net.JoinHostPort(l.machine.Address, strconv.Itoa(port)))
	l.mu.Lock()
	if l.down || err != nil {
		l.mu.Unlock()
		console.Close()
		if err == nil {
			machine.Close()
		}
		return
	}
	l.open[console], l.open[machine] = true, true
	l.mu.Unlock()
	speaking, doomed := false, false // the console is; guarded by mu
	end := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, conn := range []net.Conn{console, machine} {
			conn.Close()
			delete(l.open, conn)
		}
	}
	var both sync.WaitGroup
	carry := func(from, to net.Conn, pass func() bool) {
		defer end()
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if err != nil || !pass() {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	both.Go(func() {
		carry(console, machine, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			if !speaking {
				speaking = true
				if l.asked++; l.asked == l.cut {
					if !l.after {
						l.down = true
						l.hangUp()
						return false
					}
					doomed = true
				}
			}
			return !l.down
		})
	})
	both.Go(func() {
		carry(machine, console, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			speaking = false
			if doomed {
				l.down = true
				l.hangUp()
			}
			return l.follow() == nil && !l.down
		})
	})
	both.Wait()
}

// instances counts what a machine has of a class, of which a text says more.
func instances(t *testing.T, m *lab.Running, class, with string) int {
	t.Helper()
	state, err := m.Firmware.State()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range state.Instances {
		if c.Name != class {
			continue
		}
		for _, e := range c.Instances {
			for _, child := range e.Children {
				if strings.Contains(child.Text, with) && child.Local == "InstanceID" {
					n++
				}
			}
		}
	}
	return n
}

// cutRun runs a command while the link is cut, and again when it is mended, and then hands over to check; at each request
// in turn, or, with -short, at each seventh. before, if it is not nil, is a command for a machine that is not cut off yet.
func cutRun(t *testing.T, before, line []string, check func(t *testing.T, l *link, m *lab.Running, env map[string]string)) {
	cutEvery(t, 1, before, line, check)
}

// cutEvery is cutRun for each step-th request: of commands that mostly read.
func cutEvery(t *testing.T, step int, before, line []string, check func(t *testing.T, l *link, m *lab.Running, env map[string]string)) {
	env := map[string]string{"OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json"), "AMT_NEW_PASSWORD": "N3w$ecret"}
	try := func(t *testing.T, n int, after bool) (asked int) {
		w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12}}})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		m := w.Machines[0]
		env["AMT_PASSWORD"] = m.Password
		l := newLink(t, m)
		if before != nil {
			if code, _, stderr := invoke(t, env, "", append(slices.Clone(before), m.Address)...); code != 0 {
				t.Fatal(stderr)
			}
		}
		command := append(slices.Clone(line), l.address)
		l.breakAt(n, after)
		code, _, stderr := invoke(t, env, "", command...)
		l.mu.Lock()
		asked = l.asked
		l.mu.Unlock()
		if n == 0 && code != 0 {
			t.Fatalf("on a whole link: exit code %d: %s", code, stderr)
		}
		l.breakAt(0, false)
		code, _, why := invoke(t, env, "", "outband", "tls", "status", l.address)
		if code == exitAuth { // the password was changed already
			changed := maps.Clone(env)
			changed["AMT_PASSWORD"] = env["AMT_NEW_PASSWORD"]
			if slices.Contains(line, "--rename") {
				changed["AMT_USER"] = "root"
			}
			code, _, why = invoke(t, changed, "", "outband", "tls", "status", l.address)
		}
		if code != 0 {
			t.Errorf("the machine cannot be reached after the cut: exit code %d: %s", code, why)
		}
		if code, _, again := invoke(t, env, "", command...); code != 0 {
			t.Errorf("again: exit code %d: %s\nfirst: %s", code, again, stderr)
		}
		check(t, l, m, env)
		return asked
	}
	total := try(t, 0, false)
	if total < 5 {
		t.Fatalf("only %d requests", total)
	}
	t.Logf("%d requests", total)
	if testing.Short() {
		step *= 7
	}
	for n := 1; n <= total; n += step {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d of %d, after it was heard: %v", n, total, after), func(t *testing.T) { try(t, n, after) })
		}
	}
}

// TestEnableTLSIsCut: wherever the link breaks while TLS is switched on, the machine can be reached, and the same
// command again completes it and leaves nothing behind.
func TestEnableTLSIsCut(t *testing.T) {
	cutRun(t, nil, []string{"outband", "tls", "enable", "--wait", "200ms"}, func(t *testing.T, l *link, m *lab.Running, env map[string]string) {
		if ports := m.Ports(); slices.Contains(ports, firmware.PortHTTP) || !slices.Contains(ports, firmware.PortHTTPS) {
			t.Errorf("ports %v", ports)
		}
		if keys, certs := instances(t, m, "AMT_PublicPrivateKeyPair", ""), instances(t, m, "AMT_PublicKeyCertificate", ""); keys != 1 || certs != 1 {
			t.Errorf("%d keys and %d certificates, want one of each", keys, certs)
		}
		ca := filepath.Join(filepath.Dir(env["OUTBAND_HOSTS"]), "ca.pem")
		if code, _, stderr := invoke(t, env, "", "outband", "power", "status", "--ca", ca, l.address); code != 0 {
			t.Errorf("checked against the authority: exit code %d: %s", code, stderr)
		}
	})
}

// TestChangeUserIsCut: wherever the link breaks while an account is changed, the administrator gets in, and the same
// command again completes the change.
func TestChangeUserIsCut(t *testing.T) {
	cutRun(t, []string{"outband", "user", "add", "ops", "--realm", "remote-control"}, []string{"outband", "user", "set", "ops", "--realm", "info", "--change-password"}, func(t *testing.T, l *link, m *lab.Running, env map[string]string) {
		env = map[string]string{"OUTBAND_HOSTS": env["OUTBAND_HOSTS"], "AMT_PASSWORD": env["AMT_NEW_PASSWORD"], "AMT_USER": "ops"}
		if code, _, stderr := invoke(t, env, "", "outband", "info", l.address); code != 0 {
			t.Errorf("with the new password: exit code %d: %s", code, stderr)
		}
	})
}

// TestChangeOwnPasswordIsCut is the same for the account in use: the machine may have the new password already when the
// command is given again with the old one.
func TestChangeOwnPasswordIsCut(t *testing.T) {
	cutRun(t, nil, []string{"outband", "user", "set", "admin", "--rename", "root", "--change-password"}, func(t *testing.T, l *link, m *lab.Running, env map[string]string) {
		env = map[string]string{"OUTBAND_HOSTS": env["OUTBAND_HOSTS"], "AMT_PASSWORD": env["AMT_NEW_PASSWORD"], "AMT_USER": "root"}
		if code, _, stderr := invoke(t, env, "", "outband", "info", l.address); code != 0 {
			t.Errorf("with the new password: exit code %d: %s", code, stderr)
		}
	})
}
