package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type stateCmd struct {
	Save  stateSaveCmd  `cmd:"" like:"AmtSaveState" help:"Write the configuration of a machine to a file."`
	Diff  stateDiffCmd  `cmd:"" help:"Tell in what machines differ from a file."`
	Apply stateApplyCmd `cmd:"" help:"Make machines what a file says: show the plan, ask, change what differs."`
}

// maxState is the largest file of a state, in bytes.
const maxState = 1 << 20

type stateSaveCmd struct {
	Host string `arg:"" help:"The machine: a name of the hosts database or an address."`
	File string `arg:"" optional:"" help:"Where to write; default or - is stdout."`
}

func (stateSaveCmd) Help() string {
	return "The file is YAML that can be read and edited. It holds no secrets. What is taken out of it is left alone by apply, so a few " +
		"lines make a profile for many machines; lists (users, alarms, wifi profiles, filters ...) are whole. Not in it are what a machine has to itself: " +
		"private keys and their certificates, the administrator's password, files of the storage, logs.\n\n" +
		example("outband state save nuc1 nuc1.yaml", "outband state save nuc1 -o json")
}

// A stateRecord is a state, or that it was written to a file.
type stateRecord struct {
	Host  string         `json:"host"`
	OK    bool           `json:"ok"`
	File  string         `json:"file,omitempty"`
	State *console.State `json:"state,omitempty"`
}

func (c *stateSaveCmd) Run(a *app) error {
	h, client, err := a.reach(c.Host)
	if err != nil {
		return err
	}
	defer client.Close()
	state, err := client.SaveState(a.ctx)
	if err != nil {
		return err
	}
	r := stateRecord{Host: h.Name, OK: true, State: state}
	if c.File != "" && c.File != "-" {
		text, err := stateText(state)
		if err != nil {
			return err
		}
		if err := writeFile(c.File, text); err != nil {
			return err
		}
		r.File, r.State = c.File, nil
		return a.printer(hostColumn([]hosts.Host{h}), column{"FILE", 0}).record(r, plain(r.Host), plain(r.File))
	}
	if a.Output == "json" {
		return a.printer().record(r)
	}
	text, err := stateText(state)
	if err == nil {
		_, err = a.out.Write(text)
	}
	return err
}

// stateText is a state as YAML, in the order of its fields.
func stateText(s *console.State) ([]byte, error) {
	var out bytes.Buffer
	p := &printer{w: &out}
	err := p.yaml(s)
	return bytes.TrimPrefix(out.Bytes(), []byte("---\n")), err
}

// readState reads a state, in YAML or JSON. Fields that nobody knows are mistakes.
func (a *app) readState(file string) (*console.State, error) {
	var in io.Reader = a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usage("", "%w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := readLimited(in, maxState)
	if err != nil {
		return nil, err
	}
	s, err := parseState(text)
	if err != nil {
		return nil, usage("outband state save shows how such a file looks", "%s: %w", file, err)
	}
	return s, nil
}

func parseState(text []byte) (*console.State, error) {
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	var s console.State
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return &s, nil
}

// A changeRecord is one thing that differs, or that was changed.
type changeRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	Same    bool     `json:"same,omitempty"` // nothing differs
	Section string   `json:"section,omitempty"`
	Subject string   `json:"subject,omitempty"`
	From    string   `json:"from,omitempty"`
	To      string   `json:"to,omitempty"`
	Done    bool     `json:"done,omitempty"`
	Error   *problem `json:"error,omitempty"`
}

func changeOf(host string, c console.Change, done bool) changeRecord {
	return changeRecord{Host: host, OK: true, Section: c.Section, Subject: c.Subject, From: c.From, To: c.To, Done: done}
}

func (r changeRecord) cells() []cell {
	what := fmt.Sprintf("%s -> %s", r.From, r.To)
	switch {
	case r.Same:
		return []cell{plain(r.Host), {"same", toneGood}}
	case r.From == "":
		what = "add: " + r.To
	case r.To == "":
		what = "remove; it was: " + r.From
	}
	return []cell{plain(r.Host), plain(r.Section), plain(r.Subject), plain(what)}
}

func changeColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"SECTION", 12}, {"SUBJECT", 16}, {"CHANGE", 0}}
}

type stateDiffCmd struct {
	File string `arg:"" help:"State to compare with; - is stdin."`
	Many
}

func (stateDiffCmd) Help() string {
	return "Nothing is changed. The exit code is 1 if something differs.\n\n" + example("outband state diff office.yaml nuc1", "outband state diff office.yaml @lab -o json")
}

func (c *stateDiffCmd) Run(a *app) error {
	want, err := a.readState(c.File)
	if err != nil {
		return err
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(changeColumns(list)...)
	no := errors.New("diff changes nothing")
	help := &console.StateHelp{
		Secret: a.secrets(c.File),
		TLS:    func(context.Context, *console.Client, console.StateTLS) error { return no },
		Again:  func(context.Context, *console.Client) (*console.Client, error) { return nil, no },
	}
	differ := false
	err = eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.Change, error) {
		plan, err := client.PlanState(ctx, want, help)
		return plan, pkiHint(err)
	}, func(h hosts.Host, plan []console.Change, bad *failure) error {
		if bad != nil {
			return out.failed(changeRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		differ = differ || len(plan) > 0
		return showPlan(out, h, plan)
	})
	if err == nil && differ {
		return errReported{exitFailed}
	}
	return err
}

// showPlan shows what is to change, or that nothing is.
func showPlan(out *printer, h hosts.Host, plan []console.Change) error {
	if len(plan) == 0 {
		r := changeRecord{Host: h.Name, OK: true, Same: true}
		return out.record(r, r.cells()...)
	}
	for _, change := range plan {
		r := changeOf(h.Name, change, false)
		if err := out.record(r, r.cells()...); err != nil {
			return err
		}
	}
	return nil
}

type stateApplyCmd struct {
	File string `arg:"" help:"State to apply; - is stdin."`
	Many
	Yes    bool `short:"y" help:"Do not ask."`
	DryRun bool `help:"Show the plan and end."`
	Signer
	tlsChange
}

func (stateApplyCmd) Help() string {
	return "Shows first what would change, machine by machine, and asks. Only what differs is changed, and read again. It can be run again: what " +
		"was done is left out. Secrets of what is new (accounts, wireless profiles, presence servers ...) are where the file says: password_from and " +
		"key_from name a file beside it, env:NAME, or prompt:NAME to be asked. TLS comes last: it changes how the machine is reached, as outband " +
		"tls enable and outband tls mutual do.\n\n" + signerHelp +
		example("outband state apply office.yaml nuc1", "outband state apply office.yaml @lab --yes", "outband state apply office.yaml nuc1 --dry-run")
}

func (c *stateApplyCmd) Run(a *app) error {
	want, err := a.readState(c.File)
	if err != nil {
		return err
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	talk := &printer{w: a.err, form: "table", styled: a.styled(a.err), columns: changeColumns(list)}
	out := a.printer(changeColumns(list)...)
	help, err := c.help(a, list)
	if err != nil {
		return err
	}
	changes := 0
	plans := map[string][]console.Change{}
	err = eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.Change, error) {
		plan, err := client.PlanState(ctx, want, help)
		return plan, pkiHint(err)
	}, func(h hosts.Host, plan []console.Change, bad *failure) error {
		if bad != nil {
			return out.failed(changeRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		changes += len(plan)
		plans[h.Name] = plan
		if c.DryRun || len(plan) == 0 {
			return showPlan(out, h, plan)
		}
		return showPlan(talk, h, plan)
	})
	if err != nil || c.DryRun || changes == 0 {
		return err
	}
	if !c.Yes {
		yes, err := a.confirm(fmt.Sprintf("make these %d changes?", changes), false)
		if err != nil {
			return err
		}
		if !yes {
			return usage("--yes answers beforehand", "canceled; nothing was changed")
		}
	}
	return c.apply(a, list, want, help, plans, out)
}

// apply carries the plans out. They are made anew on the connection that carries them out.
func (c *stateApplyCmd) apply(a *app, list []hosts.Host, want *console.State, help *console.StateHelp, plans map[string][]console.Change, out *printer) error {
	var mu sync.Mutex
	var todo []hosts.Host
	names := map[string]string{}
	for _, h := range list {
		if len(plans[h.Name]) > 0 {
			todo = append(todo, h)
			names[h.Address] = h.Name
		}
	}
	return eachHost(a, todo, c.Many, func(ctx context.Context, client *console.Client) (struct{}, error) {
		plan, err := client.PlanState(ctx, want, help)
		if err != nil {
			return struct{}{}, pkiHint(err)
		}
		return struct{}{}, pkiHint(client.ApplyState(ctx, plan, func(change console.Change) {
			mu.Lock()
			defer mu.Unlock()
			r := changeOf(names[client.Address()], change, true)
			out.record(r, r.cells()...)
		}))
	}, func(h hosts.Host, _ struct{}, bad *failure) error {
		if bad == nil {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		return out.failed(changeRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
	})
}
