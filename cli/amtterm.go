package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/sol"
)

// The program amtterm, as Debian's 1.4 and upstream's 1.8 have it: options, AMT_PASSWORD, the states that it tells, ^] to end.
// What differs: a session that does not come about ends with exit code 1, and so does one that breaks; without a port TLS
// is used where the machine has it; Enter sends a carriage return, as terminals do. Source: kraxel/amtterm amtterm.c, and
// 1.4 run beside it.

const amttermUsage = `
Serial-over-LAN (SOL) terminal for Intel AMT machines.

usage: amtterm [options] host [port]
options:
   -h            print this text
   -v            verbose (default)
   -q            quiet
   -u user       username (default: admin)
   -p pass       password (default: $AMT_PASSWORD)
   -P            plain connection, without TLS
   -C cacert     check the machine's certificate with these authorities
   -L            legacy authentication allowed

By default port 16995 (TLS) is used, or 16994 where the machine has no TLS.
If no password is given amtterm will ask for one.

`

// An amtterm is one run of amtterm or amtider.
type amtterm struct {
	*app
	kind    redir.Kind
	host    string
	port    int // 0: not given
	user    string
	pass    string
	ca      string
	plain   bool
	legacy  bool
	quiet   bool
	state   string
	newline string // "\r\n" while the terminal is raw
}

// amttermStates are the states that the programs tell, with their words.
var amttermStates = map[string]string{
	"CONNECT": "connection to host", "INIT": "redirection initialization", "AUTH": "session authentication",
	"INIT_SOL": "serial-over-lan initialization", "RUN_SOL": "serial-over-lan active",
	"INIT_IDER": "IDE redirect initialization", "RUN_IDER": "IDE redirect active",
	"CLOSING": "redirection shutdown", "CLOSED": "connection closed", "ERROR": "failure",
}

// options parses as getopt does: options before, between and behind words, values joined or apart. letters has a colon
// behind those that take a value.
func getopt(letters string, args []string, option func(letter byte, value string)) (words []string, bad string) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			return append(words, args[i+1:]...), ""
		}
		if len(a) < 2 || a[0] != '-' {
			words = append(words, a)
			continue
		}
		for j := 1; j < len(a); j++ {
			at := strings.IndexByte(letters, a[j])
			if at < 0 || a[j] == ':' {
				return nil, fmt.Sprintf("invalid option -- '%c'", a[j])
			}
			if at+1 == len(letters) || letters[at+1] != ':' {
				option(a[j], "")
				continue
			}
			value := a[j+1:]
			if value == "" {
				if i++; i == len(args) {
					return nil, fmt.Sprintf("option requires an argument -- '%c'", a[j])
				}
				value = args[i]
			}
			option(a[j], value)
			break
		}
	}
	return words, ""
}

// option takes what both programs know, and reports whether it was that.
func (t *amtterm) option(letter byte, value string) bool {
	switch letter {
	case 'v':
		t.quiet = false
	case 'q':
		t.quiet = true
	case 'u':
		t.user = value
	case 'p':
		t.pass = value
	case 'P':
		t.plain = true
	case 'L':
		t.legacy = true
	case 'C':
		t.ca = value
	default:
		return false
	}
	return true
}

func amttermMain(a *app, args []string) int {
	t := &amtterm{app: a, kind: redir.SOL, user: "admin", pass: a.env("AMT_PASSWORD"), state: "NONE", newline: "\n"}
	help := false
	words, bad := getopt("hvqu:p:PLC:", args, func(letter byte, value string) { help = !t.option(letter, value) || help })
	switch {
	case bad != "":
		fmt.Fprintf(a.err, "amtterm: %s\n%s", bad, amttermUsage)
		return 1
	case help:
		fmt.Fprint(a.out, amttermUsage)
		return 0
	case len(words) == 0:
		fmt.Fprint(a.err, amttermUsage)
		return 1
	}
	t.host = words[0]
	if len(words) > 1 && !t.setPort(words[1]) {
		return 1
	}
	return t.exit(t.run())
}

// setPort takes a port, by number.
func (t *amtterm) setPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		fmt.Fprintf(t.err, "%s: port %q is not a number of 1 to 65535\n", t.name, text)
		return false
	}
	t.port = int(n)
	return true
}

// exit tells of an error that was not told yet, and returns the exit code.
func (t *amtterm) exit(err error) int {
	switch {
	case err == nil:
		return 0
	case t.state != "NONE" && t.state != "ERROR":
		t.enter("ERROR")
	}
	fmt.Fprintf(t.err, "%s: ERROR: %s%s", t.name, oneLine(amttermWords(err)), t.newline)
	return 1
}

// amttermWords are the words of the program for an error.
func amttermWords(err error) string {
	var refused *redir.Error
	switch {
	case errors.Is(err, redir.ErrDenied):
		return "session authentication failed"
	case errors.As(err, &refused):
		return "redirection session start failed: " + refused.Status.String()
	}
	return err.Error()
}

// say tells something, unless -q.
func (t *amtterm) say(format string, args ...any) {
	if !t.quiet {
		fmt.Fprint(t.err, oneLine(fmt.Sprintf(format, args...)), t.newline)
	}
}

// enter goes to a state and tells so.
func (t *amtterm) enter(state string) {
	t.say("%s: %s -> %s (%s)", t.name, t.state, state, amttermStates[state])
	t.state = state
}

// open asks for the password, connects and logs in.
func (t *amtterm) open(ctx context.Context) (*redir.Conn, error) {
	if t.pass == "" {
		question := fmt.Sprintf("AMT password for host %s", t.host)
		pass, ok, err := t.askPassword(question)
		if err == nil && !ok {
			fmt.Fprintf(t.err, "%s: ", question)
			pass, err = readLine(t.in)
			fmt.Fprintln(t.err)
		}
		if err != nil || pass == "" {
			return nil, errors.New("no password: give -p, or set AMT_PASSWORD")
		}
		t.pass = pass
	}
	return console.WhenFree(ctx, func() (*redir.Conn, error) {
		t.enter("CONNECT")
		conn, secure, err := t.dial(ctx)
		if err != nil {
			return nil, err
		}
		t.enter("INIT")
		s, err := redir.Open(ctx, conn, t.kind, redir.Options{Username: t.user, Password: t.pass, ClearPassword: secure || t.legacy})
		if err == nil || errors.Is(err, redir.ErrDenied) {
			t.enter("AUTH")
		}
		return s, err
	})
}

// dial connects to the port that was given, or to the one that the machine has.
func (t *amtterm) dial(ctx context.Context) (conn net.Conn, secure bool, err error) {
	ports := []int{console.PortRedirectionTLS, console.PortRedirection}
	switch {
	case t.port != 0:
		ports = []int{t.port}
	case t.plain:
		ports = ports[1:]
	case t.ca != "":
		ports = ports[:1]
	}
	var told []string
	for _, port := range ports {
		secure = !t.plain && port != console.PortRedirection
		if conn, err = t.dialPort(ctx, port, secure); err == nil {
			where, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
			t.say("%s %s [%s] %d open", family(where), t.host, where, port)
			return conn, secure, nil
		}
		reason := err
		var out *console.UnreachableError
		if errors.As(err, &out) && out.Err != nil {
			reason = fmt.Errorf("%s", out.Reason)
		}
		told = append(told, fmt.Sprintf("%s %d connect: %v", t.host, port, reason))
		if !errors.Is(err, console.ErrUnreachable) {
			break
		}
	}
	for _, line := range told {
		t.say("%s", line)
	}
	return nil, false, err
}

func family(address string) string {
	if strings.Contains(address, ":") {
		return "ipv6"
	}
	return "ipv4"
}

// dialPort connects to one port. As ever, no certificate is checked unless -C names who may sign it.
func (t *amtterm) dialPort(ctx context.Context, port int, secure bool) (net.Conn, error) {
	cfg := console.Config{
		Address: t.host, Scheme: console.HTTP, Port: port,
		TLS: console.TLSConfig{CAFile: t.ca, MinVersion: tls.VersionTLS10, LegacyCiphers: true},
	}
	if secure {
		cfg.Scheme = console.HTTPS
	} else if t.ca != "" {
		return nil, errors.New("-C asks for TLS, and this connection would be without")
	}
	if secure && t.ca == "" {
		cfg.TLS.OnUnknown = func(context.Context, *x509.Certificate, error) bool { return true }
	}
	client, err := console.New(cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if secure { // judges the certificate
		if _, err := client.Endpoint(ctx); err != nil {
			return nil, err
		}
	}
	return client.Dial(ctx, port, secure)
}

// run is a session of amtterm.
func (t *amtterm) run() error {
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	conn, err := t.open(ctx)
	if err != nil {
		return err
	}
	t.enter("INIT_SOL")
	lines := make(chan sol.Line, 16)
	s, err := sol.Open(context.WithoutCancel(ctx), conn, sol.Options{OnLine: func(l sol.Line) {
		select {
		case lines <- l:
		default: // told too often to be read
		}
	}})
	if err != nil {
		return err
	}
	defer s.Close()
	if f, ok := t.in.(*os.File); ok && t.interactive() {
		raw, err := term.MakeRaw(int(f.Fd()))
		if err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
		t.newline = "\r\n"
		defer func() {
			term.Restore(int(f.Fd()), raw)
			t.newline = "\n"
		}()
	}
	t.enter("RUN_SOL")
	t.say("serial-over-lan redirection ok")
	t.say("connected now, use ^] to escape")
	shown := make(chan error, 1)
	go func() {
		_, err := io.Copy(t.out, s)
		shown <- err
	}()
	go func() { cancel(typeInto(s, t.in)) }() // nobody can end a read of a terminal: it ends with the program
	var last sol.Line
	for {
		select {
		case l := <-lines:
			t.tellLine(last, l)
			last = l
		case err := <-shown:
			if err == nil || errors.Is(err, io.EOF) {
				err = errors.New("connection closed by the machine")
			}
			return err
		case <-ctx.Done():
			switch err := context.Cause(ctx); {
			case errors.Is(err, errHungUp):
				t.say("")
				t.say("%s: saw ^], exiting", t.name)
			case errors.Is(err, io.EOF):
				fmt.Fprint(t.err, "EOF from stdin", t.newline)
			case t.ctx.Err() == nil:
				return err
			}
			t.enter("CLOSING")
			s.Close()
			<-shown
			t.enter("CLOSED")
			return nil
		}
	}
}

// tellLine tells which signals of the host's port have come.
func (t *amtterm) tellLine(before, now sol.Line) {
	for _, s := range []struct {
		bit  sol.Control
		name string
	}{{sol.RTS, "RTS"}, {sol.DTR, "DTR"}} {
		if now.Control&s.bit != 0 && before.Control&s.bit == 0 {
			t.say("%s is asserted on the COM Port", s.name)
		}
	}
}

// escapeKey is ^].
const escapeKey = 0x1d

// typeInto sends what is typed until ^], whose error is errHungUp, or the end of the keys, which is io.EOF.
func typeInto(w io.Writer, keys io.Reader) error {
	b := make([]byte, 512)
	for {
		n, err := keys.Read(b)
		typed := b[:n]
		at := slices.Index(typed, escapeKey)
		if at >= 0 {
			typed, err = typed[:at], errHungUp
		}
		if len(typed) > 0 {
			if _, e := w.Write(bytes.Clone(typed)); e != nil {
				return e
			}
		}
		if err != nil {
			return err
		}
	}
}
