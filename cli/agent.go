package cli

import (
	"context"
	"errors"
	"time"

	"github.com/outband/outband/host/watchdog"
	"github.com/outband/outband/wire/mei"
)

type agentCmd struct {
	Listening
	Duties
	Feeding
	Bus
	LMS      bool          `name:"lms" default:"true" negatable:"" help:"Forward the ports of AMT, as outband lms does."`
	Watchdog bool          `default:"true" negatable:"" help:"Feed the watchdog, as outband watchdog does."`
	For      time.Duration `placeholder:"TIME" help:"End after that time; default is to go on until told to end."`
}

func (agentCmd) Help() string {
	return "Runs on the managed PC, as root: what outband lms and outband watchdog do, in one service. Where the firmware has no watchdog, or another " +
		"program has it (the kernel's driver mei_wdt), that is told and the rest goes on. It ends on SIGINT (Ctrl-C) or SIGTERM. Under systemd use Type=notify.\n\n" +
		example("sudo outband agent", "outband agent --bus unix:/run/user/1000/me.sock --no-watchdog -v")
}

func (c *agentCmd) Run(a *app) error {
	if !c.LMS && !c.Watchdog {
		return usage("", "--no-lms and --no-watchdog: nothing to do")
	}
	if err := c.Feeding.check(); err != nil {
		return err
	}
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
	var services []func(context.Context) error
	if c.LMS {
		if services, err = c.Duties.start(s, l, bus); err != nil {
			return err
		}
		services = append(services, l.Run)
	}
	if c.Watchdog {
		services = append(services, c.optional(s, c.feeder(s, bus)))
	}
	ctx, cancel := forAWhile(a.ctx, c.For)
	defer cancel()
	return s.until(ctx, services...)
}

// optional lets the other services go on where there is no watchdog to feed; alone it fails.
func (c *agentCmd) optional(s *service, feed func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := feed(ctx)
		missing := errors.Is(err, mei.ErrNoClient) || errors.Is(err, mei.ErrBusy) || errors.Is(err, watchdog.ErrNotRequired)
		if ctx.Err() != nil || !missing || !c.LMS {
			return err
		}
		s.print(serviceRecord{Service: "watchdog", State: "stopped", Error: problemOf(judge(noEngine(err)))})
		<-ctx.Done()
		return context.Cause(ctx)
	}
}
