package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type defenseCmd struct {
	Show       defenseShowCmd       `cmd:"" help:"Show which policies filter a machine's network, and what there is room for."`
	Filter     defenseFilterCmd     `cmd:"" help:"List, add and remove filters: each is for some frames, and says what is done with them."`
	Policy     defensePolicyCmd     `cmd:"" help:"List, add and remove policies: each is a set of filters, and says what is done with all else."`
	Bind       defenseBindCmd       `cmd:"" help:"Put a policy in force on a network port."`
	Unbind     defenseUnbindCmd     `cmd:"" help:"Take a policy off a network port."`
	Stats      defenseStatsCmd      `cmd:"" help:"Show how many frames the filters in force have seen."`
	Isolate    defenseIsolateCmd    `cmd:"" help:"Cut a machine off the network, but for AMT and what is to be kept."`
	Release    defenseReleaseCmd    `cmd:"" help:"End an isolation."`
	Heuristics defenseHeuristicsCmd `cmd:"" help:"Show and change how AMT looks for a machine that behaves like a worm (releases up to 11)."`
}

// A defenseRecord is System Defense of one machine.
type defenseRecord struct {
	Host        string          `json:"host"`
	OK          bool            `json:"ok"`
	Isolated    *bool           `json:"isolated,omitempty"`
	Bindings    []bindingRecord `json:"bindings,omitempty"`
	Filters     *int            `json:"filters,omitempty"`
	Policies    *int            `json:"policies,omitempty"`
	MaxFilters  int             `json:"max_filters,omitempty"`
	MaxPolicies int             `json:"max_policies,omitempty"`
	PerPolicy   int             `json:"max_filters_of_policy,omitempty"` // in each direction; a filter for IPv6 takes the room of several
	AntiSpoof   *bool           `json:"anti_spoofing,omitempty"`         // the port can do it
	Heuristics  string          `json:"heuristics,omitempty"`            // on, off, found, none
	Locked      string          `json:"locked,omitempty"`                // why nothing can be changed
	Error       *problem        `json:"error,omitempty"`
}

// A bindingRecord is a policy on a port.
type bindingRecord struct {
	Host    string   `json:"host,omitempty"`
	OK      *bool    `json:"ok,omitempty"`
	Port    string   `json:"port,omitempty"`
	For     string   `json:"for,omitempty"`
	Policy  string   `json:"policy,omitempty"`
	Enabled *bool    `json:"enabled,omitempty"`
	Active  *bool    `json:"active,omitempty"`
	Unbound bool     `json:"unbound,omitempty"`
	Error   *problem `json:"error,omitempty"`
}

func newBindingRecord(b console.DefenseBinding) bindingRecord {
	return bindingRecord{Port: b.Port, For: string(b.Owner), Policy: b.Name, Enabled: &b.Enabled, Active: &b.Active}
}

// state tells a binding in one word.
func (r *bindingRecord) state() cell {
	switch {
	case r.Unbound:
		return cell{"unbound", toneWarn}
	case *r.Active:
		return cell{"active", toneGood}
	case *r.Enabled:
		return plain("enabled")
	}
	return cell{"waiting", toneFaint}
}

func newDefenseRecord(host string, d *console.Defense) defenseRecord {
	r := defenseRecord{Host: host, OK: true, Isolated: new(d.Isolation().Isolated), Filters: new(len(d.Filters)), Policies: new(len(d.Policies)), MaxFilters: d.Limits.Filters,
		MaxPolicies: d.Limits.Policies, PerPolicy: d.Limits.In, AntiSpoof: &d.Limits.AntiSpoofing, Heuristics: "none", Locked: d.Locked}
	for _, b := range d.Bindings {
		r.Bindings = append(r.Bindings, newBindingRecord(b))
	}
	if h := d.Heuristics; h != nil {
		r.Heuristics = map[bool]string{true: "on", false: "off"}[h.Enabled]
		if h.Found {
			r.Heuristics = "found"
		}
	}
	return r
}

type defenseShowCmd struct{ Many }

func (defenseShowCmd) Help() string {
	return "AMT filters what the operating system sends and receives (System Defense); its own connections pass. A policy is bound to a network port " +
		"for an owner: console (in force as it is bound), agents (when agent presence asks for it), outside (when the machine is not in its home network), " +
		"heuristics (when it behaves like a worm), default (when no other is). Of those that are enabled the one with the highest precedence is active.\n\n" +
		example("outband defense show nuc1", "outband defense show @lab -o json")
}

func (c *defenseShowCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Defense, error) {
		return client.Defense(ctx)
	}, func(h hosts.Host, d console.Defense, bad *failure) error {
		if bad != nil {
			if out.form == "table" {
				return nil // told on stderr
			}
			return out.object(defenseRecord{Host: h.Name, Error: problemOf(bad)}, "")
		}
		title := ""
		if len(list) > 1 {
			title = h.Name
		}
		r := newDefenseRecord(h.Name, &d)
		isolated := "no"
		if s := d.Isolation(); s.Isolated {
			isolated = "on the " + strings.Join(s.Ports, " and the ") + " port"
		}
		lines := [][2]string{{"isolated", isolated}}
		for _, b := range r.Bindings {
			lines = append(lines, [2]string{b.Port + " port", fmt.Sprintf("%s for %s: %s", b.Policy, b.For, b.state().text)})
		}
		if r.Bindings == nil {
			lines = append(lines, [2]string{"ports", "no policy is bound"})
		}
		lines = append(lines, [2]string{"policies", ofMany(*r.Policies, r.MaxPolicies)}, [2]string{"filters", ofMany(*r.Filters, r.MaxFilters)})
		if h := d.Heuristics; h != nil {
			text := r.Heuristics
			if h.Found {
				text = "a worm was found at " + h.At.UTC().Format(time.RFC3339)
				if h.Blocked != "" {
					text += ", blocked: " + h.Blocked
				}
			}
			lines = append(lines, [2]string{"heuristics", text})
		}
		return out.object(r, title, append(lines, [2]string{"locked", d.Locked})...)
	})
}

// ofMany is "3 of 80", or "3" if nobody knows of how many.
func ofMany(n, most int) string {
	if most == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, most)
}
