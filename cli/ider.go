package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
)

type iderCmd struct {
	Host   string        `arg:"" help:"The machine: a name of the hosts database or an address."`
	Image  string        `arg:"" optional:"" help:"Image of the CD: a file, or an address of the web (http:// or https://)."`
	Floppy string        `placeholder:"IMAGE" help:"Image of the floppy, or of a USB stick: a file or an address of the web."`
	When   string        `enum:"now,gracefully,reboot" default:"gracefully" help:"When the machine sees the drives: now, gracefully (while it does not use them), or at its next reboot."`
	Write  bool          `help:"Let the machine write to the floppy's image, which must be a file."`
	Prompt bool          `help:"Take commands from stdin, to change discs: insert cd FILE, eject floppy, status, quit; at a terminal it always does."`
	Boot   bool          `help:"Have the machine boot from the CD, or from the floppy if there is no CD, once: it is reset, or switched on."`
	SOL    bool          `name:"sol" help:"With --boot: redirect the text console to the serial port during this boot."`
	Wait   waitTime      `placeholder:"TIME" help:"With --boot: wait that long for the start."`
	Idle   time.Duration `placeholder:"TIME" help:"End the session when the machine has read, and then has read nothing for that time."`
	For    time.Duration `placeholder:"TIME" help:"End the session after that time."`
	Redirection
}

func (iderCmd) Help() string {
	return "The machine sees a CD drive and a removable disk with these images in them, until Ctrl-C. Resets do not end that. When its\n" +
		"operating system ejects a medium it is taken out, and another one can be put in by a command: insert cd disc2.iso. With\n" +
		"--boot, a machine that has read nothing in the end is a failure.\n\n" +
		example("outband ider nuc1 debian.iso --boot", "outband ider nuc1 debian.iso --boot --idle 2m", "outband ider nuc1 https://example.org/debian.iso", "outband ider nuc1 --floppy dos.img --write")
}

// An iderRecord is what became of a session.
type iderRecord struct {
	Host    string      `json:"host"`
	OK      bool        `json:"ok"`
	Image   string      `json:"image,omitempty"`
	Floppy  string      `json:"floppy,omitempty"`
	Read    int64       `json:"bytes_read"`
	Written int64       `json:"bytes_written,omitempty"`
	Rate    int64       `json:"bytes_per_second,omitempty"` // while the machine read
	Boot    *bootRecord `json:"boot,omitempty"`             // with --boot
	TookMS  int64       `json:"took_ms"`
}

// progressTime is the pause between two lines of progress.
const progressTime = time.Second

func (c *iderCmd) Run(a *app) error {
	if c.Image == "" && c.Floppy == "" && !c.Prompt {
		return usage("", "no image: name one, or --floppy, or insert one later with --prompt")
	}
	ctx := a.ctx
	// Images are opened first: the machine is not touched for one that cannot be read.
	o := ider.Options{When: map[string]ider.Moment{"now": ider.Now, "gracefully": ider.Gracefully, "reboot": ider.OnReboot}[c.When]}
	r := iderRecord{OK: true}
	bay := &iderBay{app: a, write: c.Write}
	defer bay.close()
	for _, d := range []struct {
		drive  ider.Drive
		name   string
		medium **ider.Medium
		shown  *string
	}{{ider.CD, c.Image, &o.CD, &r.Image}, {ider.Floppy, c.Floppy, &o.Floppy, &r.Floppy}} {
		if d.name == "" {
			continue
		}
		m, err := bay.open(ctx, d.drive, d.name)
		if err != nil {
			return err
		}
		*d.medium, *d.shown = m.Medium(), m.Name
	}
	h, client, err := a.reachBy(c.Host, c.Redirection)
	if err != nil {
		return err
	}
	defer client.Close()
	r.Host = h.Name
	bay.host = h.Name
	o.OnEvent = bay.event
	start := time.Now()
	meter := &meter{}
	err = a.redirected(ctx, client, redir.IDER, c.Redirection, func(ctx context.Context) error {
		// The session ends by a message to the machine, not by the end of ctx.
		s, err := client.IDER(context.WithoutCancel(ctx), o)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer endAfter(c.For, cancel)()
		bay.use(s)
		meter.since, meter.moved = time.Now(), time.Now()
		if c.Boot {
			r.Boot, err = c.boot(ctx, a, h.Name, client)
		}
		if err == nil {
			a.note("%s: the drives are there; Ctrl-C ends", h.Name)
			if c.Prompt || a.interactive() {
				go bay.prompt(ctx, cancel) // nobody can end a read of a terminal: it ends with the program
			}
			err = c.watch(ctx, a, s, meter)
		}
		stats := s.Stats()
		r.Read, r.Written, r.Rate = stats.Read, stats.Written, meter.rate()
		if r.Boot != nil {
			err = errors.Join(err, c.look(ctx, a, h.Name, client, &r))
		}
		return errors.Join(err, s.Close())
	})
	r.TookMS = time.Since(start).Milliseconds()
	if err != nil && !errors.Is(err, errTimeIsUp) && !errors.Is(err, errHungUp) && !errors.Is(err, context.Canceled) {
		return err
	}
	out := a.printer(column{"HOST", 16}, column{"READ", 10}, column{"RATE", 12}, column{"TIME", 0})
	cells := []cell{plain(r.Host), plain(byteCount(r.Read)), plain(byteCount(r.Rate) + "/s"), plain(time.Since(start).Round(time.Second).String())}
	if c.Boot && r.Read == 0 {
		r.OK = false
		if err := out.record(r, cells...); err != nil {
			return err
		}
		return &failure{exitIndeterminate, fmt.Errorf("%s was started, and has read nothing of the image", h.Name),
			"the BIOS may not boot from redirected drives, or Secure Boot forbids the image; \"outband boot settings\" tells, and --secure-boot of \"outband boot ider\" is one way"}
	}
	return out.record(r, cells...)
}

// boot has the machine boot from the drives that are there now.
func (c *iderCmd) boot(ctx context.Context, a *app, host string, client *console.Client) (*bootRecord, error) {
	req := console.BootRequest{Device: console.BootIDERCD, Now: true, SOL: c.SOL, Wait: time.Duration(c.Wait), Patience: a.patience()}
	if c.Image == "" {
		req.Device = console.BootIDERFloppy
	}
	res, err := client.Boot(ctx, req)
	if err != nil {
		return nil, err
	}
	p := res.Power
	a.note("%s: power %s (%s)", host, p.Verb, proofWords(p.Proof))
	return &bootRecord{Host: host, OK: true, Device: string(req.Device), Power: &powerRecord{Host: host, OK: true, Action: string(p.Verb),
		State: powerWord(p.After.State), Before: powerWord(p.Before.State), Proof: string(p.Proof), TookMS: p.Took.Milliseconds()}}, nil
}

// look reads again what the next boot will be: the choice was for once.
func (c *iderCmd) look(ctx context.Context, a *app, host string, client *console.Client, r *iderRecord) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackTime)
	defer cancel()
	now, err := client.BootStatus(ctx)
	if err != nil {
		return err
	}
	if r.Boot.Armed = now.Armed; now.Armed != nil && *now.Armed && now.Device == console.BootDevice(r.Boot.Device) {
		a.note("%s: the choice stands still, for the next boot too; outband boot clear takes it back", host)
	}
	return nil
}

// watch shows progress until the session or ctx ends, or the machine has had enough.
func (c *iderCmd) watch(ctx context.Context, a *app, s *ider.Session, m *meter) error {
	tick := time.NewTicker(progressTime)
	defer tick.Stop()
	shown := false
	defer func() {
		if shown {
			fmt.Fprintln(a.err)
		}
	}()
	for {
		select {
		case <-s.Done():
			return s.Err()
		case <-ctx.Done():
			if cause := context.Cause(ctx); errors.Is(cause, errTimeIsUp) || errors.Is(cause, errHungUp) {
				return nil
			}
			return context.Cause(ctx)
		case now := <-tick.C:
			stats := s.Stats()
			speed, idle := m.tick(stats.Read+stats.Written, now)
			if speed > 0 && isTerminal(a.err) {
				fmt.Fprintf(a.err, "\r%s read, %s/s   ", byteCount(stats.Read), byteCount(speed))
				shown = true
			}
			if c.Idle > 0 && stats.Read > 0 && idle >= c.Idle {
				a.detail("nothing was read for %v", idle.Round(time.Second))
				return nil
			}
		}
	}
}

// A meter measures throughput. It is for one goroutine.
type meter struct {
	bytes int64
	since time.Time // of the last tick
	moved time.Time // when bytes moved last
	busy  time.Duration
}

// tick takes the bytes moved so far. speed is that since the last tick, per second; idle how long none were moved.
func (m *meter) tick(bytes int64, now time.Time) (speed int64, idle time.Duration) {
	took := now.Sub(m.since)
	if moved := bytes - m.bytes; moved > 0 && took > 0 {
		m.moved = now
		m.busy += took
		speed = int64(float64(moved) / took.Seconds())
	}
	m.bytes, m.since = bytes, now
	return speed, now.Sub(m.moved)
}

// rate is the throughput while there was any, bytes per second.
func (m *meter) rate() int64 {
	if m.busy == 0 {
		return 0
	}
	return int64(float64(m.bytes) / m.busy.Seconds())
}

// byteCount is a number of bytes for people.
func byteCount(n int64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/step, 0
	for ; f >= step && unit < 3; unit++ {
		f /= step
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGT"[unit])
}
