package cli

import (
	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type doctorCmd struct {
	Host string `arg:"" optional:"" name:"host" help:"Name or address; default AMT_HOST."`
}

func (doctorCmd) Help() string {
	return "Looks at the machine from the outside in, changes nothing, and says what to do about each finding. Exit code 1 if a check fails.\n\n" +
		example("outband doctor nuc1", "outband doctor 192.168.1.40 -o json")
}

// A checkRecord is one finding.
type checkRecord struct {
	Host   string         `json:"host"`
	OK     bool           `json:"ok"` // not a failure
	Check  string         `json:"check"`
	Health console.Health `json:"health"` // ok, warn, fail, skip
	Detail string         `json:"detail"`
	Next   string         `json:"next,omitempty"`
}

func (c *doctorCmd) Run(a *app) error {
	h, err := a.target(c.Host)
	if err != nil {
		return err
	}
	client, err := a.connect(h)
	if err != nil {
		return err
	}
	defer client.Close()
	out := a.printer(column{"CHECK", 12}, column{"", 4}, column{"FOUND", 0})
	failed := false
	for check := range client.Doctor(a.ctx) {
		failed = failed || check.Health == console.Failing
		if err := c.print(a, out, h, check); err != nil {
			return err
		}
	}
	if err := a.ctx.Err(); err != nil {
		return err
	}
	if failed {
		return errReported{exitFailed}
	}
	return nil
}

func (c *doctorCmd) print(a *app, out *printer, h hosts.Host, check console.Check) error {
	tones := map[console.Health]tone{console.Healthy: toneGood, console.Warning: toneWarn, console.Failing: toneBad, console.Skipped: toneFaint}
	detail := check.Detail
	if check.Next != "" {
		detail += "; " + check.Next
	}
	return out.record(checkRecord{h.Name, check.Health != console.Failing, check.Name, check.Health, check.Detail, check.Next},
		plain(check.Name), cell{string(check.Health), tones[check.Health]}, plain(detail))
}
