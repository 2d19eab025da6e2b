package cli

import (
	"bytes"
	"fmt"
	"sort"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type dumpCmd struct {
	Host   string   `arg:"" optional:"" name:"host" help:"Name or address; default AMT_HOST."`
	File   string   `short:"f" required:"" placeholder:"FILE" help:"Where to write; - is stdout."`
	Redact bool     `help:"Replace serial numbers, names, addresses, UUIDs and certificates by others of the same form."`
	Class  []string `placeholder:"CLASS" help:"Only these classes; may be repeated."`
}

func (dumpCmd) Help() string {
	return "Reads all instances of all classes that the machine has; secrets are not among them. outband virtual --from FILE is that machine.\n\n" +
		example("outband dump nuc1 -f nuc1.dump", "outband dump nuc1 -f report.dump --redact")
}

// A dumpRecord is what came of a dump.
type dumpRecord struct {
	Host      string            `json:"host"`
	OK        bool              `json:"ok"`
	File      string            `json:"file"`
	Classes   int               `json:"classes"`
	Instances int               `json:"instances"`
	Absent    []string          `json:"absent,omitempty"`  // classes that the firmware does not have
	Refused   map[string]string `json:"refused,omitempty"` // classes that it did not give
}

func (c *dumpCmd) Run(a *app) error {
	h, err := a.target(c.Host)
	if err != nil {
		return err
	}
	client, err := a.connect(h)
	if err != nil {
		return err
	}
	defer client.Close()
	opts := &console.DumpOptions{Redact: c.Redact, Classes: c.Class}
	if a.styled(a.err) {
		opts.Progress = func(s console.DumpStep) { fmt.Fprintf(a.err, "\r%3d of %d %-60.60s", s.At, s.Of, s.Class) }
	}
	var out bytes.Buffer
	report, err := client.Dump(a.ctx, &out, opts)
	if opts.Progress != nil {
		fmt.Fprint(a.err, "\r\033[K")
	}
	if err != nil {
		return err
	}
	if c.File == "-" {
		_, err := out.WriteTo(a.out)
		return err
	}
	if err := writeFile(c.File, out.Bytes()); err != nil {
		return err
	}
	r := dumpRecord{Host: h.Name, OK: true, File: c.File, Classes: report.Classes, Instances: report.Instances, Absent: report.Absent, Refused: map[string]string{}}
	for name, err := range report.Refused {
		r.Refused[name] = oneLine(err.Error())
	}
	var refused []string
	for name := range r.Refused {
		refused = append(refused, name)
	}
	sort.Strings(refused)
	for _, name := range refused {
		a.detail("%s: %s", name, r.Refused[name])
	}
	return a.printer(hostColumn([]hosts.Host{h}), column{"CLASSES", 7}, column{"INSTANCES", 9}, column{"ABSENT", 6}, column{"REFUSED", 7}, column{"FILE", 0}).
		record(r, plain(h.Name), plain(fmt.Sprint(r.Classes)), plain(fmt.Sprint(r.Instances)), plain(fmt.Sprint(len(r.Absent))),
			plain(fmt.Sprint(len(refused))), plain(c.File))
}
