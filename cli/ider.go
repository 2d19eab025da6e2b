package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	For    time.Duration `placeholder:"TIME" help:"End the session after that time."`
	Redirection
}

func (iderCmd) Help() string {
	return "The machine sees a CD drive and a removable disk with these images in them, until Ctrl-C. When its operating system ejects a\n" +
		"medium it is taken out, and another one can be put in by a command: insert cd disc2.iso.\n\n" +
		example("outband ider nuc1 debian.iso", "outband ider nuc1 https://example.org/debian.iso", "outband ider nuc1 --floppy dos.img --write")
}

// An iderRecord is what became of a session.
type iderRecord struct {
	Host    string `json:"host"`
	OK      bool   `json:"ok"`
	Image   string `json:"image,omitempty"`
	Floppy  string `json:"floppy,omitempty"`
	Read    int64  `json:"bytes_read"`
	Written int64  `json:"bytes_written,omitempty"`
	TookMS  int64  `json:"took_ms"`
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
		a.note("%s: the drives are there; Ctrl-C ends", h.Name)
		if c.Prompt || a.interactive() {
			go bay.prompt(ctx, cancel) // nobody can end a read of a terminal: it ends with the program
		}
		err = c.watch(ctx, a, s)
		stats := s.Stats()
		r.Read, r.Written = stats.Read, stats.Written
		return errors.Join(err, s.Close())
	})
	r.TookMS = time.Since(start).Milliseconds()
	if err != nil && !errors.Is(err, errTimeIsUp) && !errors.Is(err, errHungUp) && !errors.Is(err, context.Canceled) {
		return err
	}
	return a.printer(column{"HOST", 16}, column{"READ", 10}, column{"TIME", 0}).record(r, plain(r.Host), plain(byteCount(r.Read)),
		plain(time.Since(start).Round(time.Second).String()))
}

// watch shows progress until the session or ctx ends.
func (c *iderCmd) watch(ctx context.Context, a *app, s *ider.Session) error {
	tick := time.NewTicker(progressTime)
	defer tick.Stop()
	var last int64
	for {
		select {
		case <-s.Done():
			return s.Err()
		case <-ctx.Done():
			if cause := context.Cause(ctx); errors.Is(cause, errTimeIsUp) || errors.Is(cause, errHungUp) {
				return nil
			}
			return context.Cause(ctx)
		case <-tick.C:
			stats := s.Stats()
			if now := stats.Read + stats.Written; now != last && isTerminal(a.err) {
				fmt.Fprintf(a.err, "\r%s read, %s/s   ", byteCount(stats.Read), byteCount(now-last))
				last = now
			}
		}
	}
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
