package cli

import (
	"context"
	"errors"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

// Many are the arguments of commands that work on many machines at once.
type Many struct {
	Hosts  []string      `arg:"" optional:"" name:"host" help:"Names, addresses, ranges such as node[1-5], tags such as @lab; default AMT_HOST."`
	Fanout int           `short:"F" default:"64" placeholder:"N" help:"Machines to work on at once."`
	Delay  time.Duration `placeholder:"TIME" help:"Pause between two machines, so that not all power supplies switch at once."`
}

// A problem is a failure for programs.
type problem struct {
	Class   string `json:"class"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func problemOf(f *failure) *problem {
	class := console.Kind(f.code).String()
	if f.code == exitInterrupted {
		class = "interrupted"
	}
	return &problem{Class: class, Message: f.text(), Hint: oneLine(f.hint)}
}

// eachHost does something to every machine of list, several at once, and hands each outcome over as soon as it is there:
// good to show, or failed. It returns the error of the whole: none, that of the only machine, or a partial failure.
func eachHost[R any](a *app, list []hosts.Host, m Many, do func(context.Context, *console.Client) (R, error), show func(h hosts.Host, value R, bad *failure) error) error {
	if m.Fanout < 1 {
		return usage("", "--fanout: %d is not a number of machines", m.Fanout)
	}
	work := func(ctx context.Context, h hosts.Host) (R, error) {
		client, err := a.connect(h)
		if err != nil {
			var none R
			return none, err
		}
		defer client.Close()
		return do(ctx, client)
	}
	var errs []error
	for out := range console.Each(a.ctx, list, &console.EachOptions{Fanout: m.Fanout, Delay: m.Delay}, work) {
		errs = append(errs, out.Err)
		var bad *failure
		if out.Err != nil {
			bad = judge(out.Err)
		}
		if err := show(out.Target, out.Value, bad); err != nil {
			return err
		}
		if bad != nil {
			name := out.Target.Name
			if len(list) == 1 {
				name = ""
			}
			a.complain(name, bad)
		}
	}
	return a.sum(errs)
}

// sum makes the exit code of many outcomes, whose failures have been told.
func (a *app) sum(errs []error) error {
	err := console.Sum(errs)
	var partial *console.PartialError
	if err == nil {
		return nil
	}
	if errors.As(err, &partial) {
		code := exitPartial
		if partial.Failed == partial.Total {
			code = exitFailed
		}
		return errReported{code}
	}
	return errReported{judge(err).code}
}

// hostColumn is a column wide enough for the names of the machines.
func hostColumn(list []hosts.Host) column {
	width := 0
	for _, h := range list {
		width = max(width, len(h.Name))
	}
	return column{"HOST", min(width, 40)}
}

// failedRow is the row of a machine that failed among others; the reason is told on stderr.
func failedRow(h hosts.Host, bad *failure) []cell {
	return []cell{plain(h.Name), {console.Kind(bad.code).String(), toneBad}}
}
