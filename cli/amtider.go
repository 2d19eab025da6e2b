package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
)

// The program amtider, as upstream's amtterm 1.8 has it: options, AMT_PASSWORD, the states that it tells, Ctrl-C to end.
// What differs is what differs for amtterm; -r works; a medium may be an address of the web; and how much was
// read is told in the end. Source: kraxel/amtterm amtider.c; ecosystem section 1.2.

const amtiderUsage = `
Shows a disk image to Intel AMT machines, as a CD or a floppy (IDE redirection).

usage: amtider [options] host[:port] file
options:
   -h            print this text
   -v            verbose (default)
   -q            quiet
   -c            the image is of a CD (default)
   -f            the image is of a floppy
   -g            start gracefully: not while the machine uses the drive
   -r            start at the next reset of the machine
   -u user       username (default: admin)
   -p pass       password (default: $AMT_PASSWORD)
   -P            plain connection, without TLS
   -C cacert     check the machine's certificate with these authorities
   -L            legacy authentication allowed

By default port 16995 (TLS) is used, or 16994 where the machine has no TLS.
If no password is given amtider will ask for one.

`

func amtiderMain(a *app, args []string) int {
	t := &amtterm{app: a, kind: redir.IDER, user: "admin", pass: a.env("AMT_PASSWORD"), state: "NONE", newline: "\n"}
	help, floppy, when := false, false, ider.Now
	words, bad := getopt("hvqu:p:PLC:cfgr", args, func(letter byte, value string) {
		switch letter {
		case 'c':
			floppy = false
		case 'f':
			floppy = true
		case 'g':
			when = ider.Gracefully
		case 'r':
			when = ider.OnReboot
		default:
			help = !t.option(letter, value) || help
		}
	})
	switch {
	case bad != "":
		fmt.Fprintf(a.err, "amtider: %s\n%s", bad, amtiderUsage)
		return 1
	case help:
		fmt.Fprint(a.out, amtiderUsage)
		return 0
	case len(words) < 2:
		fmt.Fprint(a.err, amtiderUsage)
		return 1
	}
	t.host = words[0]
	if host, port, err := net.SplitHostPort(t.host); err == nil {
		if t.host = host; !t.setPort(port) {
			return 1
		}
	}
	return t.exit(t.serve(words[1], floppy, when))
}

// serve is a session of amtider.
func (t *amtterm) serve(file string, floppy bool, when ider.Moment) error {
	m, err := console.OpenImage(t.ctx, file)
	if err != nil {
		return err
	}
	defer m.Close()
	conn, err := t.open(t.ctx)
	if err != nil {
		return err
	}
	t.enter("INIT_IDER")
	o := ider.Options{CD: m.Medium(), When: when}
	if floppy {
		o.CD, o.Floppy = nil, o.CD
	}
	s, err := ider.Open(context.WithoutCancel(t.ctx), conn, o)
	if err != nil {
		return err
	}
	defer s.Close()
	t.enter("RUN_IDER")
	t.say("IDE redirection ok")
	t.say("connected now, use Ctrl-C to end")
	start := time.Now()
	select {
	case <-s.Done():
		return errors.Join(errors.New("session ended by the machine"), s.Err())
	case <-t.ctx.Done():
	}
	t.enter("CLOSING")
	if err := s.Close(); err != nil {
		return err
	}
	t.enter("CLOSED")
	stats := s.Stats()
	t.say("%s read in %v", byteCount(stats.Read), time.Since(start).Round(time.Second))
	return nil
}
