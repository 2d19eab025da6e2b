package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/pet"
)

type alertListenCmd struct {
	HTTP  string        `name:"http" default:":16990" placeholder:"ADDRESS:PORT" help:"Where to wait for events by HTTP; default :16990; off for not at all."`
	Traps string        `default:"off" placeholder:"ADDRESS:PORT" help:"Where to wait for SNMP traps, UDP; on is :162, which wants a privilege; default off."`
	For   time.Duration `placeholder:"TIME" help:"End after that time; default is to go on until Ctrl-C."`
	Count int           `placeholder:"N" help:"End after N events."`

	ReceiveCert string `placeholder:"FILE" help:"Speak TLS, with this certificate, PEM."`
	ReceiveKey  string `placeholder:"FILE" help:"Key of the certificate, PEM."`
	Receiver
}

func (alertListenCmd) Help() string {
	return "Machines that outband alert subscribe has told to send events here are printed as they do. With --receiver-user machines must give name and " +
		"password, as they were told when subscribing.\n\n" +
		example("outband alert listen", "outband alert listen --http 192.0.2.9:16990 --traps on -o json", "outband alert listen --count 1 --for 5m")
}

// A receivedRecord is one event that came.
type receivedRecord struct {
	Host       string            `json:"host"` // who sent it
	OK         bool              `json:"ok"`
	Kind       string            `json:"kind,omitempty"` // ws-eventing, pet, snmp
	Time       time.Time         `json:"time,omitzero"`  // by the machine's clock
	Severity   string            `json:"severity,omitempty"`
	Event      string            `json:"event,omitempty"`
	MessageID  string            `json:"message_id,omitempty"`
	Arguments  []string          `json:"arguments,omitempty"`
	Group      string            `json:"group,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"` // that the subscription asked to be given back
	UUID       string            `json:"uuid,omitempty"`
	Sequence   uint16            `json:"sequence,omitempty"`
	Entity     string            `json:"entity,omitempty"`
	Sensor     string            `json:"sensor,omitempty"`
	Enterprise string            `json:"enterprise,omitempty"`
	Specific   uint32            `json:"specific,omitempty"`
	Error      *problem          `json:"error,omitempty"`
}

func newReceivedRecord(r console.ReceivedAlert) receivedRecord {
	out := receivedRecord{Host: r.From.String(), OK: true}
	switch {
	case r.Event != nil:
		a := &r.Event.Alert
		out.Kind, out.Time, out.Severity, out.Event, out.MessageID, out.Arguments, out.Group = "ws-eventing", a.Time, a.Severity.String(), a.Text(), a.MessageID, a.Arguments, a.Filter
		for _, p := range r.Event.Parameters {
			if out.Parameters == nil {
				out.Parameters = make(map[string]string)
			}
			out.Parameters[p.Local] = p.Text
		}
	case r.PET != nil:
		e := r.PET.Event
		if r.PET.Seconds != 0 {
			out.Time = e.When()
		} else {
			e.Time = 1 // it tells none, which is not to make it an empty record
		}
		out.Kind, out.Severity, out.Event, out.Entity, out.Sensor = "pet", e.Severity.String(), e.Text(), e.Entity.String(), e.Sensor.String()
		out.UUID, out.Sequence = r.PET.GUID.String(), r.PET.Sequence
	default:
		out.Kind, out.Enterprise, out.Specific = "snmp", r.Trap.Enterprise, r.Trap.Specific
		out.Event = fmt.Sprintf("SNMP trap %d of %s, specific %d", r.Trap.Generic, r.Trap.Enterprise, r.Trap.Specific)
	}
	return out
}

func (r *receivedRecord) cells() []cell {
	tone := toneFaint
	switch r.Severity {
	case "warning", "minor", "non-critical":
		tone = toneWarn
	case "major", "critical", "fatal", "non-recoverable":
		tone = toneBad
	}
	at := ""
	if !r.Time.IsZero() {
		at = r.Time.Format(time.RFC3339)
	}
	return []cell{plain(r.Host), plain(at), {r.Severity, tone}, plain(r.Kind), plain(r.Event)}
}

func (c *alertListenCmd) Run(a *app) error {
	if c.Count < 0 || c.For < 0 {
		return usage("", "--count and --for must not be negative")
	}
	if c.Traps == "on" {
		c.Traps = fmt.Sprintf(":%d", pet.Port)
	}
	if c.HTTP == "off" && c.Traps == "off" {
		return usage("", "--http off and --traps off: nothing to listen for")
	}
	password, err := c.password(a)
	if err != nil {
		return err
	}
	ctx, enough := context.WithCancel(a.ctx)
	defer enough()
	if c.For > 0 {
		var late context.CancelFunc
		ctx, late = context.WithTimeout(ctx, c.For)
		defer late()
	}
	l := &alertListen{app: a, count: c.Count, enough: enough, out: a.printer(column{"FROM", 15}, column{"TIME", 20}, column{"SEVERITY", 12}, column{"KIND", 11}, column{"EVENT", 0})}
	sink := &console.Sink{Username: c.ReceiverUser, Password: password, OnAlert: l.print, OnBad: l.bad}
	if err := l.run(ctx, c, sink); err != nil {
		return err
	}
	if l.err != nil {
		return l.err
	}
	if c.Count > 0 && l.printed < c.Count && a.ctx.Err() == nil {
		return &failure{exitIndeterminate, fmt.Errorf("%d of %s came in %v", l.printed, plural(c.Count, "event"), c.For),
			"outband alert list shows whether the machine has subscribed this address; a firewall must let its connections in"}
	}
	return nil // Ctrl-C is how it ends
}

// run listens until ctx ends.
func (l *alertListen) run(ctx context.Context, c *alertListenCmd, sink *console.Sink) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	var config net.ListenConfig
	errs := make(chan error, 2)
	serve := func(what string, at net.Addr, f func() error) {
		l.app.note("listening for %s on %s", what, at)
		wg.Go(func() {
			if err := f(); err != nil {
				errs <- err
				stop()
			}
		})
	}
	if c.HTTP != "off" {
		secure, err := c.tls()
		if err != nil {
			return err
		}
		ln, err := config.Listen(ctx, "tcp", c.HTTP)
		if err != nil {
			return usage("--http takes another address and port", "cannot listen: %v", err)
		}
		if secure != nil {
			ln = tls.NewListener(ln, secure)
		}
		serve("events", ln.Addr(), func() error { return sink.Serve(ctx, ln) })
	}
	if c.Traps != "off" {
		conn, err := config.ListenPacket(ctx, "udp", c.Traps)
		if err != nil {
			stop()
			wg.Wait()
			return usage("ports below 1024 want a privilege; --traps takes another address and port", "cannot listen: %v", err)
		}
		serve("SNMP traps", conn.LocalAddr(), func() error { return sink.ServeTraps(ctx, conn) })
	}
	<-ctx.Done()
	stop()
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// tls returns the settings of TLS; nil for none.
func (c *alertListenCmd) tls() (*tls.Config, error) {
	if (c.ReceiveCert == "") != (c.ReceiveKey == "") {
		return nil, usage("", "--receive-cert and --receive-key go together")
	}
	if c.ReceiveCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.ReceiveCert, c.ReceiveKey)
	if err != nil {
		return nil, usage("", "--receive-cert, --receive-key: %v", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// An alertListen prints what comes.
type alertListen struct {
	app    *app
	count  int
	enough context.CancelFunc

	mu      sync.Mutex // guards what follows, and what is written
	out     *printer
	printed int
	err     error // of writing
}

func (l *alertListen) print(r console.ReceivedAlert) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.count > 0 && l.printed >= l.count {
		return
	}
	record := newReceivedRecord(r)
	l.err = l.out.record(record, record.cells()...)
	l.printed++
	if l.err != nil || l.count > 0 && l.printed >= l.count {
		l.enough()
	}
}

// bad tells of what is no event.
func (l *alertListen) bad(from netip.Addr, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	hint := ""
	if errors.Is(err, console.ErrSinkPassword) {
		hint = "; it was subscribed with another --receiver-user or password"
	}
	l.app.note("%s: not taken: %v%s", from, err, hint)
}
