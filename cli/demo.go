package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/outband/outband/lab"
)

type demoCmd struct {
	Once bool `help:"End after the tour instead of leaving the machines running."`
}

func (demoCmd) Help() string {
	return "Starts three virtual machines of different generations on loopback addresses, adds them to a list of hosts of its own, shows what " +
		"a few commands do, and leaves the machines running until Ctrl-C.\n\n" + example("outband demo", "outband demo --once")
}

// A demoRecord is one step of the tour for programs.
type demoRecord struct {
	Command string `json:"command"`
	Output  string `json:"output"`
	Exit    int    `json:"exit"`
}

// demoGenerations are the machines of the tour: one that still answers SOAP, one with and one without plain HTTP.
var demoGenerations = []int{8, 12, 19}

func (c *demoCmd) Run(a *app) error {
	dir, err := os.MkdirTemp("", "outband-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	password := madeUpPassword()
	world := lab.World{}
	for i, generation := range demoGenerations {
		m := lab.Machine{Name: fmt.Sprintf("demo%d", generation), Profile: generation, Password: password}
		if i == 1 {
			m.Power = "on"
		}
		world.Machines = append(world.Machines, m)
	}
	w, err := lab.Start(a.ctx, world)
	if err != nil {
		return &failure{exitFailed, err, startHint(err)}
	}
	defer w.Close()
	t := &tour{app: a, printer: a.printer(), env: map[string]string{
		"OUTBAND_HOSTS": filepath.Join(dir, "hosts.json"), "AMT_PASSWORD": password, "AMT_HOST": "", "AMT_USER": "", "NO_COLOR": a.env("NO_COLOR"),
	}}
	t.say("Three virtual machines are up: AMT %d, %d and %d, on the ports that real ones have. Here is what one can do with them.", 8, 12, 19)
	if err := t.walk(w); err != nil {
		return err
	}
	if c.Once || a.ctx.Err() != nil {
		return nil
	}
	t.say("The machines stay until Ctrl-C. In another terminal:\n\n  export OUTBAND_HOSTS=%s\n  outband power status @demo\n  outband info demo12\n  outband power cycle demo12\n"+
		"  outband doctor demo19\n  outband wsman get CIM_ComputerSystemPackage demo19\n\nAny other AMT software finds them too:\n\n  %s\n  user admin, password %s",
		t.env["OUTBAND_HOSTS"], addresses(w), password)
	<-a.ctx.Done()
	return nil
}

func addresses(w *lab.Lab) string {
	var out []string
	for _, m := range w.Machines {
		out = append(out, fmt.Sprintf("%s %s ports %s", m.Name, m.Address, strings.Trim(fmt.Sprint(m.Ports()), "[]")))
	}
	return strings.Join(out, "\n  ")
}

// A tour types commands and shows what comes back.
type tour struct {
	app     *app
	printer *printer
	env     map[string]string
}

// walk is the tour.
func (t *tour) walk(w *lab.Lab) error {
	var steps [][]string
	for _, m := range w.Machines {
		steps = append(steps, []string{"", "outband", "host", "add", m.Name, m.Address, "--trust", "--tag", "demo"})
	}
	old := w.Machines[0].Address
	steps = append(steps,
		[]string{"Names, addresses, ranges and tags say which machines are meant; many are asked at once.", "outband", "power", "status", "@demo"},
		[]string{"A change is success when the machine, asked again, is what it should be.", "outband", "power", "on", "demo8"},
		[]string{"The next boot comes from the network, once; the machine is started for it.", "outband", "boot", "pxe", "demo19", "--now"},
		[]string{"The firmware says what is possible now. What is not is refused with the reason, and exit code 6.", "outband", "power", "off", "demo12"},
		[]string{"", "outband", "power", "reset", "demo12"},
		[]string{"The same program is a fence agent; its exit code 2 says that the machine is off.", "outband", "fence", "-o", "status", "-a", w.Machines[1].Address},
		[]string{"And it is amttool, when called so, for old machines and new ones.", "amttool", old, "info"},
	)
	for _, s := range steps {
		if s[0] != "" {
			t.say("%s", s[0])
		}
		if err := t.step(s[1:]); err != nil {
			return err
		}
		if err := t.app.ctx.Err(); err != nil {
			return nil
		}
	}
	return nil
}

// say explains, to people only.
func (t *tour) say(format string, args ...any) {
	if t.printer.form == "table" {
		fmt.Fprintf(t.app.out, "\n"+format+"\n\n", args...)
	}
}

// step runs one command and shows it as in a terminal.
func (t *tour) step(args []string) error {
	var out bytes.Buffer
	w := io.Writer(&out)
	table := t.printer.form == "table"
	line := "$ " + strings.Join(args, " ")
	if table {
		fmt.Fprintln(t.app.out, t.printer.paint(cell{line, toneHead}))
		w = t.app.out
	}
	env := func(name string) string {
		if value, ok := t.env[name]; ok {
			return value
		}
		return t.app.env(name)
	}
	code := Run(context.WithoutCancel(t.app.ctx), args, env, strings.NewReader(""), w, w)
	if !table {
		return t.printer.record(demoRecord{strings.Join(args, " "), out.String(), code})
	}
	if code != 0 {
		fmt.Fprintln(t.app.out, t.printer.paint(cell{fmt.Sprintf("(exit code %d)", code), toneFaint}))
	}
	return nil
}
