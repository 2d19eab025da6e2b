package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/wsman"
)

// password is the one of all machines here. fence_amt cuts quotes and shells eat dollars, so it has neither.
const password = firmware.DefaultPassword

// patience is how long a test waits for something that takes a second.
const patience = 30 * time.Second

// A world is one virtual machine on an IP address of its own.
type world struct {
	*lab.Running
}

// machine starts a machine. It is switched off unless told otherwise.
func machine(t testing.TB, m lab.Machine) *world {
	t.Helper()
	l, err := lab.Start(context.Background(), lab.World{Machines: []lab.Machine{m}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return &world{l.Machines[0]}
}

// wait returns when what is true of the PC. It looks again after each event.
func (w *world) wait(t testing.TB, what string, is func(*pc.PC) bool) {
	t.Helper()
	events := make(chan struct{}, 1)
	cancel := w.PC.Watch(func(firmware.Event) {
		select {
		case events <- struct{}{}:
		default:
		}
	})
	defer cancel()
	late := time.After(patience)
	for !is(w.PC) {
		select {
		case <-events:
		case <-late:
			t.Fatalf("the PC does not come to be %s: power %v, %s, last boot %+v", what, w.PC.Power(), w.PC.Phase(), w.PC.LastBoot())
		}
	}
}

func isOff(p *pc.PC) bool     { return p.Power() == firmware.S5 }
func isRunning(p *pc.PC) bool { return p.Power() == firmware.S0 && p.Phase() == pc.Running }

// booted is true once the PC runs after having booted n times.
func booted(n int) func(*pc.PC) bool {
	return func(p *pc.PC) bool { return p.LastBoot().Number >= n && isRunning(p) }
}

// ours returns our own client for a machine without TLS.
func ours(t testing.TB, w *world) *wsman.Client {
	t.Helper()
	c := &wsman.Client{
		Dial: func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", net.JoinHostPort(w.Address, "16992"))
		},
		Password: password,
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// fingerprint returns the SHA-256 of the certificate that the machine shows, in hex.
func (w *world) fingerprint(t testing.TB) string {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) { // old machines have RSA key exchange only
		config.CipherSuites = append(config.CipherSuites, suite.ID)
	}
	conn, err := tls.Dial("tcp", net.JoinHostPort(w.Address, "16993"), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:])
}

// tool returns the path of a program, or skips the test. In CI everything has to be there.
func tool(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err == nil {
		return path
	}
	missing(t, fmt.Sprintf("%s is not installed (Debian package %s)", name, debianPackage))
	return ""
}

func missing(t testing.TB, why string) {
	t.Helper()
	need.Missing(t, errors.New(why))
}

// A result is what a program left behind.
type result struct {
	out, err string
	code     int
}

// run runs a program with additions to the environment and returns what it printed and its exit code.
func run(t testing.TB, env []string, stdin, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %q does not end; it printed %q, %q", name, args, out.String(), talk.String())
	}
	return result{out.String(), talk.String(), cmd.ProcessState.ExitCode()}
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// outband builds our command once and returns its path.
func outband(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "outband-conformance-"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(built.dir, "outband"), "./cmd/outband")
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "outband")
}

// calledAs returns a folder in which our command stands under other names.
func calledAs(t testing.TB, names ...string) string {
	t.Helper()
	bin, dir := outband(t), t.TempDir()
	for _, name := range names {
		if err := os.Symlink(bin, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}
