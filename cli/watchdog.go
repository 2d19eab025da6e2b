package cli

import (
	"context"
	"errors"
	"time"

	"github.com/outband/outband/host/watchdog"
	"github.com/outband/outband/wire/mei"
)

type watchdogCmd struct {
	Feeding
	Bus
	Device string        `placeholder:"PATH" help:"Feed a watchdog device of the kernel, such as /dev/watchdog0, instead; auto is that of AMT (driver mei_wdt)."`
	For    time.Duration `placeholder:"TIME" help:"End after that time; default is to go on until told to end."`
}

// Feeding is how the watchdog is fed.
type Feeding struct {
	Silence time.Duration `placeholder:"TIME" default:"120s" help:"How long the PC may be silent, 120s to 65535s."`
	Every   time.Duration `placeholder:"TIME" help:"How often to say that it runs; default half of --silence."`
}

func (watchdogCmd) Help() string {
	return "Runs on the managed PC, as root, and tells AMT again and again that the operating system runs; when it hangs, AMT logs that and may reset it. " +
		"It ends on SIGINT (Ctrl-C) or SIGTERM, and stops the watchdog then. While AMT is not set up it does not want the watchdog; that is printed, and " +
		"this command waits. Single programs are watched by outband presence run.\n\n" +
		example("sudo outband watchdog", "sudo outband watchdog --device auto", "outband watchdog --bus unix:/run/user/1000/me.sock --silence 300s")
}

func (c *watchdogCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	ctx, cancel := forAWhile(a.ctx, c.For)
	defer cancel()
	s := newService(a)
	if c.Device != "" {
		if c.Bus.Bus != "" {
			return usage("", "--bus and --device exclude each other")
		}
		return s.until(ctx, c.device(s, c.Device))
	}
	bus, shut, err := c.Bus.open(a.ctx)
	if err != nil {
		return err
	}
	defer shut()
	return s.until(ctx, c.feeder(s, bus))
}

func (c *Feeding) check() error {
	if c.Silence < watchdog.MinTimeout || c.Silence > watchdog.MaxTimeout {
		return usage("firmware takes 120s to 65535s", "--silence: %v", c.Silence)
	}
	if c.Every < 0 || c.Every >= c.Silence {
		return usage("", "--every: %v does not keep a timeout of %v", c.Every, c.Silence)
	}
	return nil
}

// told prints changes of the watchdog.
func (s *service) told(now watchdog.State) {
	s.print(serviceRecord{OK: now == watchdog.Running, Service: "watchdog", State: string(now)})
}

func (c *Feeding) feeder(s *service, bus mei.Bus) func(context.Context) error {
	f := &watchdog.Feeder{Bus: bus, Timeout: c.Silence, Every: c.Every, OnState: s.told, Log: s.app.serviceLog()}
	return func(ctx context.Context) error { return unwatched(f.Run(ctx)) }
}

func (c *Feeding) device(s *service, path string) func(context.Context) error {
	if path == "auto" {
		path = ""
	}
	d := &watchdog.Device{Path: path, Timeout: c.Silence, Every: c.Every, OnState: s.told, Log: s.app.serviceLog()}
	return func(ctx context.Context) error { return unwatched(d.Run(ctx)) }
}

// unwatched says what to do where there is no watchdog.
func unwatched(err error) error {
	switch {
	case errors.Is(err, watchdog.ErrNotRequired):
		return &failure{exitUnsupported, err, "AMT wants it once it is set up"}
	case errors.Is(err, watchdog.ErrNoDevice):
		return &failure{exitUnsupported, err, "modprobe mei_wdt; while AMT is not set up it makes no device"}
	}
	return err
}
