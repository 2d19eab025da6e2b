package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCmd) Help() string {
	return example("outband completion bash > ~/.local/share/bash-completion/completions/outband",
		"outband completion zsh > ~/.zfunc/_outband",
		"outband completion fish > ~/.config/fish/completions/outband.fish")
}

// The scripts hand the words over to "outband __complete", which knows commands, flags and hosts.
var completionScripts = map[string]string{
	"bash": `# bash completion of outband
_outband() {
	local line
	COMPREPLY=()
	while IFS= read -r line; do
		[ -n "$line" ] && COMPREPLY+=("${line%%$'\t'*}")
	done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _outband outband
`,
	"zsh": `#compdef outband
_outband() {
	local -a found
	local line word text
	while IFS= read -r line; do
		[ -z "$line" ] && continue
		word="${line%%$'\t'*}"
		text="${line#*$'\t'}"
		found+=("${word//:/\\:}:$text")
	done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
	if (( ${#found} )); then _describe outband found; else _files; fi
}
if [ "$funcstack[1]" = "_outband" ]; then _outband "$@"; else compdef _outband outband; fi
`,
	"fish": `# fish completion of outband
function __outband_complete
	set -l words (commandline -opc)
	$words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c outband -f -a '(__outband_complete)'
`,
}

// A completionRecord is a script for programs.
type completionRecord struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

func (c *completionCmd) Run(a *app) error {
	if a.Output != "table" {
		return a.printer().record(completionRecord{c.Shell, completionScripts[c.Shell]})
	}
	_, err := fmt.Fprint(a.out, completionScripts[c.Shell])
	return err
}

// completeCmd prints what may stand at the end of a command line: one word per line, a tab, and what it means.
type completeCmd struct {
	Words []string `arg:"" optional:""`
}

func (c *completeCmd) Run(a *app) error {
	parser, err := newParser(a, &commands{})
	if err != nil {
		return err
	}
	for _, s := range complete(parser.Model.Node, c.Words, a.hostNames) {
		fmt.Fprintf(a.out, "%s\t%s\n", s.word, s.help)
	}
	return nil
}

type suggestion struct{ word, help string }

// complete follows the words through the commands and returns what fits the last one, which may be empty.
func complete(node *kong.Node, words []string, hostNames func() []suggestion) []suggestion {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	flags := slices.Clone(node.Flags)
	var pending *kong.Flag // waits for its value
	arguments := 0
	for _, word := range words[:len(words)-1] {
		switch {
		case pending != nil:
			pending = nil
		case strings.HasPrefix(word, "-"):
			if !strings.Contains(word, "=") {
				pending = valueFlag(flags, word)
			}
		default:
			if child := childNamed(node, word); child != nil {
				node, flags = child, append(flags, child.Flags...)
			} else {
				arguments++
			}
		}
	}
	var all []suggestion
	switch {
	case pending != nil:
		all = flagValues(pending)
	case node.Passthrough && strings.HasPrefix(last, "-"):
		for _, o := range wsmanOptions {
			if node.Name == "wsman" && o.scope != "wsmancli" {
				all = append(all, suggestion{"--" + o.long, o.help})
			}
		}
	case node.Passthrough && node.Name == "wsman":
		if arguments == 0 {
			for _, verb := range []string{"identify", "get", "put", "create", "delete", "enumerate", "pull", "release", "invoke", "test"} {
				all = append(all, suggestion{verb, ""})
			}
		} else {
			all = hostNames()
		}
	case strings.HasPrefix(last, "-"):
		for _, f := range flags {
			if !f.Hidden {
				all = append(all, suggestion{"--" + f.Name, f.Help})
			}
		}
	case len(node.Children) > 0:
		for _, child := range node.Children {
			if !child.Hidden {
				all = append(all, suggestion{child.Name, child.Help})
			}
		}
	default:
		all = argumentValues(node, arguments, hostNames)
	}
	return slices.DeleteFunc(all, func(s suggestion) bool { return !strings.HasPrefix(s.word, last) })
}

func childNamed(node *kong.Node, word string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == word {
			return child
		}
	}
	return nil
}

// valueFlag returns the flag if it takes a value from the next word.
func valueFlag(flags []*kong.Flag, word string) *kong.Flag {
	for _, f := range flags {
		if word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) {
			if f.IsBool() || f.IsCounter() {
				return nil
			}
			return f
		}
	}
	return nil
}

func flagValues(f *kong.Flag) (out []suggestion) {
	values := f.Tag.Enum
	if values == "" {
		values = map[string]string{"scheme": "http,https", "tls-min": "1.0,1.1,1.2"}[f.Name]
	}
	for _, v := range strings.Split(values, ",") {
		if v != "" {
			out = append(out, suggestion{v, ""})
		}
	}
	return out
}

// argumentValues suggests values of the argument at that position.
func argumentValues(node *kong.Node, position int, hostNames func() []suggestion) (out []suggestion) {
	if len(node.Positional) == 0 {
		return nil
	}
	arg := node.Positional[min(position, len(node.Positional)-1)]
	if position >= len(node.Positional) && !arg.IsSlice() {
		return nil
	}
	if arg.Name == "host" || arg.Name == "known" {
		return hostNames()
	}
	for _, v := range strings.Split(arg.Tag.Enum, ",") {
		if v != "" {
			out = append(out, suggestion{v, ""})
		}
	}
	return out
}

// hostNames are the names and tags of the database. A database that cannot be read has none.
func (a *app) hostNames() (out []suggestion) {
	db, err := a.database()
	if err != nil {
		return nil
	}
	tags := map[string]bool{}
	for _, h := range db.List() {
		out = append(out, suggestion{h.Name, h.Address})
		for _, tag := range h.Tags {
			if !tags[tag] {
				tags[tag] = true
				out = append(out, suggestion{"@" + tag, "tag"})
			}
		}
	}
	return out
}
