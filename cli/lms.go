package cli

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/host/lms"
)

type lmsCmd struct {
	Listening
	Duties
	Bus
	For time.Duration `placeholder:"TIME" help:"End after that time; default is to go on until told to end."`
}

// Listening is where the ports of AMT are offered to programs on the PC.
type Listening struct {
	Listen   []string `placeholder:"ADDRESS" help:"Loopback addresses to listen on; default 127.0.0.1 and ::1."`
	TellName bool     `default:"true" negatable:"" help:"Tell AMT what this PC calls itself, hourly."`
}

func (lmsCmd) Help() string {
	return "Runs on the managed PC, as root: programs there reach its AMT at localhost, ports 16992 to 16995, 623 and 664, as far as AMT has them open. " +
		"It takes the place of Intel's LMS, and does what else AMT expects of its operating system: it shuts down, reboots, sleeps or hibernates when AMT asks for it, " +
		"sets AMT's clock, tells AMT the address of the PC, and tells programs what AMT has to say. It starts over by itself when the management engine restarts, and ends on SIGINT (Ctrl-C) or SIGTERM. " +
		"Each change of the ports is printed, and what is done for AMT. Under systemd use Type=notify.\n\n" +
		example("sudo outband lms", "sudo outband lms --power /usr/local/sbin/amt-power --dbus off", "outband lms --bus unix:/run/user/1000/me.sock --listen 127.8.0.2")
}

// A serviceRecord is a change of a service of the PC.
type serviceRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	Service string   `json:"service"`         // lms, watchdog, power or dbus
	State   string   `json:"state"`           // lms: listening, waiting; watchdog: running, stopped, not required; power: what was asked for; dbus: telling, stopped
	Ports   []int    `json:"ports,omitempty"` // lms
	Error   *problem `json:"error,omitempty"`
}

// A service prints the changes of services and tells them to systemd.
type service struct {
	app *app
	n   *notifier

	mu   sync.Mutex // guards what follows
	host string
	out  *printer
	err  error // of printing
}

func newService(a *app) *service {
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	return &service{app: a, n: a.notifier(), host: name,
		out: a.printer(column{"HOST", len(name)}, column{"SERVICE", 8}, column{"STATE", 12}, column{"PORTS", 0})}
}

func (s *service) print(r serviceRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Host = s.host
	ports := strings.Trim(fmt.Sprint(r.Ports), "[]")
	if s.err == nil {
		s.err = s.out.record(r, plain(r.Host), plain(r.Service), plain(r.State), plain(ports))
	}
	s.n.status("%s: %s", r.Service, strings.TrimSpace(r.State+" "+ports))
}

// until runs services until ctx ends or one of them fails, which ends the others. Ending in good order is no error.
func (s *service) until(ctx context.Context, services ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	errs := make(chan error, len(services))
	for _, run := range services {
		work.Go(func() {
			if err := run(ctx); ctx.Err() == nil {
				errs <- err
				cancel(err)
			}
		})
	}
	work.Go(func() { s.n.alive(ctx) })
	work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case err := <-errs:
		return noEngine(err)
	default:
		return s.err
	}
}

// forAWhile limits a context by --for.
func forAWhile(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithCancel(ctx)
}

// lms returns the service.
func (c *Listening) lms(s *service) (*lms.Service, error) {
	l := &lms.Service{Log: s.app.serviceLog()}
	for _, text := range c.Listen {
		at, err := netip.ParseAddr(text)
		if err != nil || !at.Unmap().IsLoopback() {
			return nil, usage("such as 127.0.0.1; who reaches AMT from elsewhere does not need this service", "--listen: %q is no loopback address", text)
		}
		l.Addresses = append(l.Addresses, at)
	}
	if c.TellName {
		l.HostName, _ = os.Hostname() // without a name there is nothing to tell
	}
	l.OnState = func(now lms.State) {
		r := serviceRecord{OK: len(now.Ports) > 0, Service: "lms", State: "listening", Ports: now.Ports}
		if !r.OK {
			r.State = "waiting"
		}
		if now.Err != nil {
			r.Error = problemOf(judge(noEngine(now.Err)))
		}
		s.print(r)
	}
	return l, nil
}

func (c *lmsCmd) Run(a *app) error {
	s := newService(a)
	l, err := c.lms(s)
	if err != nil {
		return err
	}
	bus, shut, err := c.Bus.open(a.ctx)
	if err != nil {
		return err
	}
	defer shut()
	l.Bus = bus
	services, err := c.Duties.start(s, l, bus)
	if err != nil {
		return err
	}
	ctx, cancel := forAWhile(a.ctx, c.For)
	defer cancel()
	return s.until(ctx, append(services, l.Run)...)
}
