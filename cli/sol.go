package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/asciicast"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/sol"
)

type solCmd struct {
	Host   string        `arg:"" help:"The machine: a name of the hosts database or an address."`
	Escape string        `default:"~" placeholder:"CHAR" help:"Escape character: at the beginning of a line, followed by a dot, it ends the session; none has none."`
	Log    string        `placeholder:"FILE" help:"Append what the machine sends to FILE."`
	Record string        `placeholder:"FILE" help:"Record what the machine sends, with its times, to FILE (asciicast), for \"outband play\" and asciinema."`
	Listen string        `placeholder:"ADDRESS" help:"Do not use this terminal: give the line to one program at a time that connects to ADDRESS (:PORT is on loopback), or, with pty, to a pseudo terminal."`
	For    time.Duration `placeholder:"TIME" help:"End the session after that time."`
	Once   bool          `help:"End when the session breaks, instead of opening it again."`
	Redirection
}

func (solCmd) Help() string {
	return "The keys go to the machine as they are. At the beginning of a line ~. ends the session, and ~~ sends the character.\n" +
		"A screen that stays empty: the BIOS uses the line only if it was told to; see --sol of the boot commands.\n\n" +
		example("outband sol nuc1", "outband sol nuc1 --log nuc1.log", "outband sol nuc1 --record nuc1.cast", "outband sol nuc1 --listen :2001")
}

// Reopening a session that broke.
const (
	solPause    = time.Second
	solMaxPause = 8 * time.Second
)

func (c *solCmd) Run(a *app) (err error) {
	if c.Escape != "none" && len(c.Escape) != 1 {
		return usage("", "--escape: %q is neither one character nor none", c.Escape)
	}
	h, client, err := a.reachBy(c.Host, c.Redirection)
	if err != nil {
		return err
	}
	defer client.Close()
	var log io.Writer = io.Discard
	if c.Log != "" {
		r, e := a.newLog(h.Name, c.Log)
		if e != nil {
			return e
		}
		defer func() { err = r.close(err) }()
		log = r.quietly(r.file)
	}
	if c.Record != "" {
		w, end, e := c.record(a, h.Name)
		if e != nil {
			return e
		}
		defer func() { err = end(err) }()
		log = io.MultiWriter(log, w)
	}
	err = a.redirected(a.ctx, client, redir.SOL, c.Redirection, func(ctx context.Context) error {
		s, err := client.SOL(ctx, sol.Options{})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer endAfter(c.For, cancel)()
		l := &solLine{app: a, cmd: c, client: client, log: log, session: s}
		defer l.close()
		if c.Listen != "" {
			return l.listen(ctx)
		}
		return l.terminal(ctx)
	})
	if errors.Is(err, errTimeIsUp) {
		return nil
	}
	return err
}

// record opens a recording of what the line shows.
func (c *solCmd) record(a *app, host string) (w io.Writer, end func(error) error, err error) {
	r, err := a.newRecording(host, c.Record)
	if err != nil {
		return nil, nil, err
	}
	width, height := 80, 25
	if f, ok := a.out.(*os.File); ok && c.Listen == "" {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			width, height = w, h
		}
	}
	cast, err := asciicast.NewWriter(r.file, asciicast.Header{Width: width, Height: height, Title: host})
	if r.size = cast.Size; err != nil {
		r.fail(err)
		return r.quietly(nil), r.close, nil
	}
	return r.quietly(cast), r.close, nil
}

var errTimeIsUp = errors.New("time is up")

// endAfter ends a session after a time; 0 is never. stop makes an end of that.
func endAfter(d time.Duration, end context.CancelCauseFunc) (stop func()) {
	if d <= 0 {
		return func() {}
	}
	t := time.AfterFunc(d, func() { end(errTimeIsUp) })
	return func() { t.Stop() }
}

// A solLine is a serial line that is opened again when it breaks.
type solLine struct {
	app    *app
	cmd    *solCmd
	client *console.Client
	log    io.Writer
	raw    bool // the user's terminal is

	mu      sync.Mutex
	session *sol.Session
}

func (l *solLine) now() *sol.Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

func (l *solLine) close() { l.now().Close() }

// Write sends keys to the machine. While the session is away they are lost, as on a cable that is pulled.
func (l *solLine) Write(p []byte) (int, error) {
	l.now().Write(p)
	return len(p), nil
}

// copy copies what the machine sends to w and the log, and opens the session again when it breaks. It returns when ctx
// ends, w fails, or the session cannot be had again.
func (l *solLine) copy(ctx context.Context, w io.Writer) error {
	out := io.MultiWriter(w, l.log)
	b := make([]byte, 4096)
	for {
		s := l.now()
		n, err := s.Read(b)
		if n > 0 {
			if _, err := out.Write(b[:n]); err != nil {
				return err
			}
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if why := s.Err(); why != nil {
			err = why
		}
		if l.cmd.Once {
			return err
		}
		l.say("%s: the session has ended: %v; opening it again", l.client.Address(), err)
		if err := l.reopen(ctx); err != nil {
			return err
		}
		l.say("%s: there again", l.client.Address())
	}
}

// reopen tries until the session stands again, or nothing but the user can help.
func (l *solLine) reopen(ctx context.Context) error {
	for pause := solPause; ; pause = min(2*pause, solMaxPause) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s, err := l.client.SOL(ctx, sol.Options{})
		switch {
		case err == nil:
			l.mu.Lock()
			l.session = s
			l.mu.Unlock()
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, redir.ErrConsent):
			return consentGone(l.cmd.Host)
		case errors.Is(err, redir.ErrDenied), errors.Is(err, redir.ErrDisabled), errors.Is(err, console.ErrTrust), errors.Is(err, console.ErrUnauthorized):
			return err
		}
	}
}

// say is note, on a line of its own also where a raw terminal does not return the carriage.
func (l *solLine) say(format string, args ...any) {
	if !l.raw {
		l.app.note(format, args...)
		return
	}
	fmt.Fprintf(l.app.err, "\r%s\r\n", oneLine(fmt.Sprintf(format, args...)))
}

// terminal joins the line and the user's terminal, or stdin and stdout.
func (l *solLine) terminal(ctx context.Context) error {
	a := l.app
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in, out := a.in, a.out
	if f, ok := a.in.(*os.File); ok && a.interactive() {
		raw, err := term.MakeRaw(int(f.Fd()))
		if err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
		defer term.Restore(int(f.Fd()), raw)
		l.raw = true
		if l.cmd.Escape != "none" {
			l.say("connected; Enter %s. ends", l.cmd.Escape)
		}
		in = &escapes{r: in, char: l.cmd.Escape[0], none: l.cmd.Escape == "none", lineStart: true, end: func() { cancel(errHungUp) }}
	}
	defer context.AfterFunc(ctx, func() { l.now().Close() })()
	go io.Copy(l, in) // nobody can end a read of a terminal: it ends with the program
	err := l.copy(ctx, out)
	if errors.Is(err, errHungUp) || errors.Is(context.Cause(ctx), errHungUp) {
		fmt.Fprint(a.err, "\r\n")
		return nil
	}
	return err
}

var errHungUp = errors.New("ended by the user")

// escapes looks for the end of the session among the keys.
type escapes struct {
	r         io.Reader
	char      byte
	none      bool
	end       func()
	lineStart bool
	held      bool // the escape character was typed, and what it means is not known yet
}

func (e *escapes) Read(p []byte) (int, error) {
	buf := make([]byte, len(p)/2+1)
	n, err := e.r.Read(buf)
	if e.none {
		return copy(p, buf[:n]), err
	}
	out := p[:0]
	for _, c := range buf[:n] {
		switch {
		case e.held && c == '.':
			e.end()
			return len(out), io.EOF
		case e.held:
			e.held = false
			if c != e.char {
				out = append(out, e.char)
			}
			out = append(out, c)
		case e.lineStart && c == e.char:
			e.held = true
			continue
		default:
			out = append(out, c)
		}
		e.lineStart = c == '\r' || c == '\n'
	}
	return len(out), err
}

// listen gives the line to programs that connect, one at a time.
func (l *solLine) listen(ctx context.Context) error {
	if l.cmd.Listen == "pty" {
		return l.pty(ctx)
	}
	address := l.cmd.Listen
	if address[0] == ':' {
		address = "127.0.0.1" + address
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return usage("", "--listen: %w", err)
	}
	defer ln.Close()
	defer context.AfterFunc(ctx, func() { ln.Close(); l.now().Close() })()
	l.app.note("%s: serial line on %s", l.client.Address(), ln.Addr())
	share := &solShare{}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if !share.take(conn) {
				io.WriteString(conn, "the line is in use\r\n")
				conn.Close()
				continue
			}
			go func() {
				io.Copy(l, conn)
				share.drop(conn)
			}()
		}
	}()
	err = l.copy(ctx, share)
	ln.Close()
	<-accepted
	share.drop(nil)
	return err
}

// A solShare is the one program that has the line. What the machine sends while there is none is lost to it, but not to
// the log.
type solShare struct {
	mu   sync.Mutex
	conn io.WriteCloser
}

func (s *solShare) take(conn io.WriteCloser) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return false
	}
	s.conn = conn
	return true
}

// drop hangs up on conn, or on whoever is there.
func (s *solShare) drop(conn io.WriteCloser) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && (conn == nil || s.conn == conn) {
		s.conn.Close()
		s.conn = nil
	}
}

// Write never fails: the line goes on without the program.
func (s *solShare) Write(p []byte) (int, error) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		if _, err := conn.Write(p); err != nil {
			s.drop(conn)
		}
	}
	return len(p), nil
}
