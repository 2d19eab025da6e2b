package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

//go:generate sh -c "go run ../cmd/outband __manual > ../docs/commands.md"

// manualCmd prints docs/commands.md: all commands, and which of them does what the pages of MeshCommander and the verbs
// of meshcmd do. A command says so itself, in its tag "like": names of pages and verbs, separated by ";".
type manualCmd struct{}

func (manualCmd) Run(a *app) error {
	parser, err := newParser(a, &commands{})
	if err != nil {
		return err
	}
	writeManual(a.out, parser.Model.Node)
	return nil
}

// What users of two older programs know by name. Source: MeshCommander 0.9.6, meshcmd of MeshCentral 1.1.55.
var (
	meshCommanderPages = []string{"Computer list", "System status", "Power dialog", "Remote desktop", "Serial-over-LAN", "IDE-R dialog",
		"Hardware information", "Event log", "Audit log", "Storage", "Network settings", "Internet settings", "Security settings",
		"Agent presence", "System defense", "User accounts", "Subscriptions", "Wake alarms", "WSMAN browser", "Setup.bin manager",
		"Certificate manager", "Session player", "Switches"}
	meshCmdVerbs = []string{"Route", "AmtConfig", "AmtStartConfig", "AmtStopConfig", "SMBios", "RawSMBios", "MicroLMS", "AmtInfo",
		"AmtInfoJson", "AmtVersions", "AmtUUID", "AmtHashes", "AmtCCM", "AmtDeactivate", "AmtAcmDeactivate", "MeshCommander",
		"AmtEventLog", "AmtAuditLog", "AmtSaveState", "AmtPresence", "AmtPower", "AmtIDER", "AmtFeatures", "AmtNetwork", "AmtDDNS",
		"AmtScan", "AmtWifi", "AmtWake", "AmtRPE", "AmtTerm"}
)

// otherwise says of those pages and verbs that no command stands for what there is instead.
var otherwise = map[string]string{
	"MeshCommander": "no web page is served: the commands of the table above do the work of its pages. `outband lms` brings AMT's own pages to a browser on the PC",
}

func writeManual(w io.Writer, root *kong.Node) {
	fmt.Fprint(w, "# Commands\n\n`outband COMMAND --help` has flags and an example of each. Written by `make generate`.\n\n| command | what it does |\n|---|---|\n")
	likes := map[string][]string{}
	walkCommands(root, "outband", func(path string, n *kong.Node) {
		if n.Leaf() {
			fmt.Fprintf(w, "| `%s` | %s |\n", path, escapeCell(n.Help))
		}
		for _, name := range likeness(n) {
			likes[name] = append(likes[name], "`"+path+"`")
		}
	})
	for _, table := range []struct {
		title, head string
		rows        []string
	}{
		{"Coming from MeshCommander", "page", meshCommanderPages},
		{"Coming from meshcmd", "verb", meshCmdVerbs},
	} {
		fmt.Fprintf(w, "\n## %s\n\n| %s | here |\n|---|---|\n", table.title, table.head)
		for _, row := range table.rows {
			fmt.Fprintf(w, "| %s | %s |\n", row, first(strings.Join(likes[row], ", "), otherwise[row]))
		}
	}
}

// walkCommands calls f with each command that is not hidden, groups included, in the order of the help.
func walkCommands(n *kong.Node, path string, f func(path string, n *kong.Node)) {
	for _, child := range n.Children {
		if child.Type != kong.CommandNode || child.Hidden {
			continue
		}
		p := path + " " + child.Name
		f(p, child)
		walkCommands(child, p, f)
	}
}

// likeness returns the pages and verbs that a command stands for.
func likeness(n *kong.Node) []string {
	if n.Tag == nil {
		return nil
	}
	names := strings.Split(n.Tag.Get("like"), ";")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

func escapeCell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
