package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type defenseStatsCmd struct {
	Many
	Reset bool `help:"Have the counts begin anew afterwards."`
}

func (defenseStatsCmd) Help() string {
	return "Of the policy that is active on each port. Only filters that count do count; the others tell whether they have matched.\n\n" +
		example("outband defense stats nuc1", "outband defense stats @lab --reset -o json")
}

// A countRecord is what one filter has seen.
type countRecord struct {
	Host    string     `json:"host"`
	OK      bool       `json:"ok"`
	Port    string     `json:"port,omitempty"`
	Policy  string     `json:"policy,omitempty"`
	Filter  string     `json:"filter,omitempty"`
	Handle  uint32     `json:"handle,omitempty"`
	Frames  *uint32    `json:"frames,omitempty"`
	Matched *bool      `json:"matched,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Reset   *time.Time `json:"reset,omitempty"`
	Error   *problem   `json:"error,omitempty"`
}

func (c *defenseStatsCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"PORT", 8}, column{"POLICY", 16}, column{"FILTER", 16}, column{"FRAMES", 10}, column{"MATCHED", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.DefenseCount, error) {
		return client.DefenseStatistics(ctx, c.Reset)
	}, func(h hosts.Host, counts []console.DefenseCount, bad *failure) error {
		if bad != nil {
			return out.failed(countRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, n := range counts {
			r := countRecord{Host: h.Name, OK: true, Port: n.Port, Policy: n.Policy, Filter: n.Filter, Handle: n.Handle, Frames: &n.Frames, Matched: &n.Matched}
			if !n.Since.IsZero() {
				r.Since = &n.Since
			}
			if !n.Reset.IsZero() {
				r.Reset = &n.Reset
			}
			matched := map[bool]string{true: "yes", false: "no"}[n.Matched]
			if err := out.record(r, plain(h.Name), plain(n.Port), plain(n.Policy), plain(n.Filter), plain(fmt.Sprint(n.Frames)), plain(matched)); err != nil {
				return err
			}
		}
		if len(counts) == 0 && out.form != "table" {
			return out.record(countRecord{Host: h.Name, OK: true})
		}
		if len(counts) == 0 {
			a.note("%s: no policy is active", h.Name)
		}
		return nil
	})
}

type defenseHeuristicsCmd struct {
	Many
	On        bool           `xor:"state" help:"Look for it."`
	Off       bool           `xor:"state" help:"Look no more."`
	Fast      *uint32        `placeholder:"N" help:"So many new connections in a short time are too many; 0: do not look at it."`
	FastClear *time.Duration `placeholder:"TIME" help:"The fast count begins anew after so long without any: 10ms to 1s."`
	Slow      *uint32        `placeholder:"N" help:"So many new connections in a longer time are too many; 0: do not look at it."`
	SlowClear *time.Duration `placeholder:"TIME" help:"The slow count begins anew after so long without any: 1s to 50s."`
	Block     string         `enum:"nothing,port,all," default:"" placeholder:"WHAT" help:"Then stop nothing, what goes to the port, or all that is sent. A policy can be bound for it, too."`
	Encounter *time.Duration `placeholder:"TIME" help:"Stop it for so long; 0: until --clear."`
	Clear     bool           `help:"Forget what was found."`
}

func (defenseHeuristicsCmd) Help() string {
	return "A machine that opens very many connections in a short time may have a worm. Without flags what is set is shown.\n\n" +
		example("outband defense heuristics nuc1", "outband defense heuristics nuc1 --on --fast 16 --fast-clear 100ms --block port --encounter 10m", "outband defense heuristics nuc1 --clear")
}

// A heuristicsRecord is what a machine looks for, and what it has found.
type heuristicsRecord struct {
	Host      string     `json:"host"`
	OK        bool       `json:"ok"`
	Available *bool      `json:"available,omitempty"` // the release has them
	Enabled   *bool      `json:"enabled,omitempty"`
	Fast      uint32     `json:"fast,omitempty"`
	FastClear float64    `json:"fast_clear_seconds,omitempty"`
	Slow      uint32     `json:"slow,omitempty"`
	SlowClear float64    `json:"slow_clear_seconds,omitempty"`
	Block     string     `json:"block,omitempty"` // nothing, port, all
	Encounter float64    `json:"encounter_seconds,omitempty"`
	Found     *time.Time `json:"found,omitempty"`
	Blocked   string     `json:"blocked,omitempty"`
	Error     *problem   `json:"error,omitempty"`
}

func newHeuristicsRecord(host string, h *console.DefenseHeuristics) heuristicsRecord {
	r := heuristicsRecord{Host: host, OK: true, Available: new(h != nil)}
	if h == nil {
		return r
	}
	r.Enabled, r.Fast, r.FastClear, r.Slow, r.SlowClear, r.Encounter = &h.Enabled, h.Fast, h.FastClear.Seconds(), h.Slow, h.SlowClear.Seconds(), h.Encounter.Seconds()
	r.Block, r.Blocked = "nothing", h.Blocked
	switch {
	case h.BlockAll:
		r.Block = "all"
	case h.BlockPort:
		r.Block = "port"
	}
	if h.Found {
		r.Found = &h.At
	}
	return r
}

// changes reports whether any flag asks for a change.
func (c *defenseHeuristicsCmd) changes() bool {
	return c.On || c.Off || c.Fast != nil || c.FastClear != nil || c.Slow != nil || c.SlowClear != nil || c.Block != "" || c.Encounter != nil || c.Clear
}

func (c *defenseHeuristicsCmd) change(h *console.DefenseHeuristics) {
	if c.On || c.Off {
		h.Enabled = c.On
	}
	if c.Fast != nil {
		h.Fast = *c.Fast
	}
	if c.FastClear != nil {
		h.FastClear = *c.FastClear
	}
	if c.Slow != nil {
		h.Slow = *c.Slow
	}
	if c.SlowClear != nil {
		h.SlowClear = *c.SlowClear
	}
	if h.Fast > 0 && h.FastClear == 0 {
		h.FastClear = 100 * time.Millisecond
	}
	if h.Slow > 0 && h.SlowClear == 0 {
		h.SlowClear = 10 * time.Second
	}
	if c.Block != "" {
		h.BlockAll, h.BlockPort = c.Block == "all", c.Block == "port"
	}
	if c.Encounter != nil {
		h.Encounter = *c.Encounter
	}
}

func (c *defenseHeuristicsCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (*console.DefenseHeuristics, error) {
		if c.changes() {
			h, err := client.SetDefenseHeuristics(ctx, c.change, c.Clear)
			return &h, err
		}
		d, err := client.Defense(ctx)
		return d.Heuristics, err
	}, func(h hosts.Host, now *console.DefenseHeuristics, bad *failure) error {
		if bad != nil {
			if out.form == "table" {
				return nil // told on stderr
			}
			return out.object(heuristicsRecord{Host: h.Name, Error: problemOf(bad)}, "")
		}
		r := newHeuristicsRecord(h.Name, now)
		title := ""
		if len(list) > 1 {
			title = h.Name
		}
		if now == nil {
			return out.object(r, title, [2]string{"heuristics", "none on this release (up to 11)"})
		}
		limit := func(n uint32, clear time.Duration) string {
			if n == 0 {
				return "not looked at"
			}
			return fmt.Sprintf("%d connections, until %v without any", n, clear)
		}
		found, lasts := "nothing", "until it is cleared"
		if now.Found {
			found = now.At.UTC().Format(time.RFC3339)
		}
		if now.Encounter > 0 {
			lasts = now.Encounter.String()
		}
		return out.object(r, title, [2]string{"heuristics", map[bool]string{true: "on", false: "off"}[now.Enabled]}, [2]string{"fast", limit(now.Fast, now.FastClear)},
			[2]string{"slow", limit(now.Slow, now.SlowClear)}, [2]string{"block", r.Block}, [2]string{"lasts", lasts}, [2]string{"found", found}, [2]string{"blocked", now.Blocked})
	})
}
