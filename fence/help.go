package fence

import (
	"fmt"
	"strings"
)

// usageText is what -h prints.
func usageText(a *Agent, params []param) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n\t%s [options]\nOptions:\n", a.Name)
	for i := range params {
		p := &params[i]
		option := "   " + p.getopt()
		if len(option) < 33 {
			option += strings.Repeat(" ", 33-len(option))
		}
		for _, line := range wrap(option+" "+help(a, p), 85) {
			b.WriteString(line + "\n")
		}
	}
	fmt.Fprintf(&b, "Without options, parameters are read from standard input: name=value, one per line.\n"+
		"Example:\n\tAMT_PASSWORD=... %s -a desk-7.example -o status\n", a.Name)
	return b.String()
}

// help is the description of a parameter with what it may be.
func help(a *Agent, p *param) string {
	s := p.desc
	switch {
	case p.name == "action":
		s += ": " + strings.Join(a.actions(), ", ") + " (default " + p.def + ")"
	case p.kind == choice && p.def != "":
		s += " (" + strings.Join(p.choices, "|") + ") (default " + p.def + ")"
	case p.kind == choice:
		s += " (" + strings.Join(p.choices, "|") + ")"
	case p.def != "" && p.def != "0":
		s += " (default " + p.def + ")"
	}
	return s
}

// wrap breaks s at spaces; lines after the first are indented.
func wrap(s string, width int) []string {
	const indent = "                                        "
	var lines []string
	for len(s) > width {
		at := strings.LastIndex(s[:width+1], " ")
		if at <= len(indent) {
			break
		}
		lines = append(lines, strings.TrimRight(s[:at], " "))
		s = indent + strings.TrimLeft(s[at:], " ")
	}
	return append(lines, s)
}

// manpage is a page for man(7), section 8. (The library of fence-agents prints metadata here, for a
// style sheet that makes the page.)
func manpage(a *Agent, params []param) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 8 \"\" \"%s\" \"Fence agents\"\n", roff(strings.ToUpper(a.Name)), roff(strings.TrimSpace(a.Name+" "+a.Version)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(a.Name), roff(a.ShortDesc))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n[\\fIoption\\fR ...]\n", roff(a.Name))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n.PP\n", roff(a.LongDesc))
	b.WriteString("Without options the agent reads parameters from standard input, one\n.IR name = value\nper line, as the cluster sends them. " +
		"Lines that begin with # are comments, and of several lines with one name the last counts.\n" +
		"A hyphen in a name is as good as an underscore.\n")
	b.WriteString(".SH PARAMETERS\n")
	for i := range params {
		p := &params[i]
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.", roff(p.name), roff(strings.TrimSuffix(help(a, p), ".")))
		fmt.Fprintf(&b, " Option: \\fB%s\\fR.", roff(p.getopt()))
		if p.old != "" {
			fmt.Fprintf(&b, " Older spelling: %s.", roff(p.old))
		}
		if p.required {
			b.WriteString(" Required.")
		}
		b.WriteString("\n")
	}
	b.WriteString(".SH ACTIONS\n")
	for _, act := range a.actions() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(act), roff(actionHelp[act]))
	}
	b.WriteString(".SH EXIT STATUS\n.TP\n.B 0\nThe action was carried out, and verified where there is something to verify.\n" +
		".TP\n.B 1\nIt was not, or nobody can tell.\n.TP\n.B 2\nThe action status found the machine off.\n")
	b.WriteString(".SH ENVIRONMENT\n.TP\n.B AMT_PASSWORD\nThe password if no parameter gives one.\n" +
		".TP\n.B PCMK_service\nSet by Pacemaker. If it is pacemaker\\-fenced, disable_timeout is true unless given.\n")
	return b.String()
}

var actionHelp = map[string]string{
	"on":           "Power the machine on.",
	"off":          "Take the power away at once, and read the state back until it is off.",
	"reboot":       "Off, then on. Once the machine was seen off the action has succeeded, even if it does not come back.",
	"status":       "Print the power state. A machine that is asleep or hibernated counts as on.",
	"list":         "Print the machines behind the device.",
	"list-status":  "Print the machines behind the device with their power states.",
	"monitor":      "Check that the device can be reached and answers.",
	"metadata":     "Print this description in XML.",
	"manpage":      "Print this page.",
	"validate-all": "Check the parameters without using the network.",
	"diag":         "Send a non-maskable interrupt, so that the system writes a crash dump. It is not verified.",
}

// roff makes s safe as text of a man page.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
