package cli

import (
	"context"
	"sync"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type eventWatchCmd struct {
	Many
	Interval time.Duration `default:"5s" placeholder:"TIME" help:"Pause between two looks; default 5s."`
	Last     int           `placeholder:"N" help:"Begin with the newest N events of before."`
	Count    int           `placeholder:"N" help:"End after N events; default is to go on until Ctrl-C."`
}

func (eventWatchCmd) Help() string {
	return "The log is read again and again. A machine that cannot be reached for a while is looked at again.\n\n" +
		example("outband event watch nuc1", "outband event watch @lab --interval 30s -o json")
}

func (c *eventWatchCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if c.Interval <= 0 || c.Last < 0 || c.Count < 0 {
		return usage("", "--interval, --last and --count must not be negative, and --interval not 0")
	}
	ctx, enough := context.WithCancel(a.ctx)
	defer enough()
	w := &eventWatch{app: a, cmd: c, enough: enough, out: a.printer(eventColumns(list)...)}
	return w.run(ctx, list)
}

// An eventWatch prints the events of several machines as they come.
type eventWatch struct {
	app    *app
	cmd    *eventWatchCmd
	enough context.CancelFunc // ends it

	mu      sync.Mutex // guards what follows, and what is written
	out     *printer
	printed int
	err     error // of writing
}

func (w *eventWatch) run(ctx context.Context, list []hosts.Host) error {
	var errs []error
	for out := range console.Each(ctx, list, &console.EachOptions{Fanout: len(list), Delay: w.cmd.Delay}, w.watch) {
		if out.Err == nil || ctx.Err() != nil { // ended as it was told to
			continue
		}
		errs = append(errs, out.Err)
		w.fail(out.Target, judge(out.Err), len(list) > 1)
	}
	if w.err != nil {
		return w.err
	}
	return w.app.sum(errs)
}

// watch watches one machine.
func (w *eventWatch) watch(ctx context.Context, h hosts.Host) (struct{}, error) {
	client, err := w.app.connect(h)
	if err != nil {
		return struct{}{}, err
	}
	defer client.Close()
	o := console.WatchOptions{Interval: w.cmd.Interval, Backlog: w.cmd.Last, OnTrouble: func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.app.note("%s: %v; trying again", h.Name, err)
	}}
	for r, err := range client.WatchEvents(ctx, o) {
		if err != nil {
			return struct{}{}, err
		}
		if !w.print(newEventRecord(h.Name, r)) {
			break
		}
	}
	return struct{}{}, nil
}

// fail tells that a machine is not watched any more.
func (w *eventWatch) fail(h hosts.Host, bad *failure, among bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.out.failed(eventRecord{Host: h.Name, Error: problemOf(bad)}, among, failedRow(h, bad)); err != nil {
		w.err = err
	}
	if !among {
		h.Name = ""
	}
	w.app.complain(h.Name, bad)
}

// print prints one event and reports whether more are wanted.
func (w *eventWatch) print(e eventRecord) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	full := func() bool { return w.err != nil || w.cmd.Count > 0 && w.printed >= w.cmd.Count }
	if !full() {
		w.err = w.out.record(e, e.cells()...)
		w.printed++
	}
	if full() {
		w.enough()
		return false
	}
	return true
}
