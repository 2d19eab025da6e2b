package cli_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/cli"
	"github.com/outband/outband/lab"
)

// TestReadme runs every command of the README, in its order, on a virtual machine that stands for 192.168.1.40. What
// make does is run by CI.
func TestReadme(t *testing.T) {
	text, makefile := guideText(t, "../README.md"), guideText(t, "../Makefile")
	g := newGuide(t)
	ran := 0
	for _, args := range commandsOf(text) {
		ran++
		if args[0] == "make" {
			if !strings.Contains(makefile, "\n"+args[1]+":") {
				t.Errorf("make %s: no such target", args[1])
			}
			continue
		}
		g.run(t, args)
	}
	if ran < 15 {
		t.Errorf("only %d commands found in the README", ran)
	}
}

// TestRecipes runs the recipes of the guide, each on a machine of its own.
func TestRecipes(t *testing.T) {
	_, text, _ := strings.Cut(guideText(t, "../docs/recipes.md"), "\n## ")
	recipes := strings.Split(text, "\n## ")
	if len(recipes) < 5 {
		t.Fatalf("only %d recipes found", len(recipes))
	}
	for _, recipe := range recipes {
		name, _, _ := strings.Cut(recipe, "\n")
		t.Run(name, func(t *testing.T) {
			g := newGuide(t)
			g.run(t, strings.Fields("outband host add nuc1 192.168.1.40"))
			for _, args := range commandsOf(recipe) {
				g.run(t, args)
			}
		})
	}
}

func guideText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// commandsOf returns the commands of a text, and what they must end with if that is not 0.
func commandsOf(text string) (commands [][]string) {
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			command, note, _ := strings.Cut(line, "#")
			if args := strings.Fields(command); len(args) > 0 {
				if strings.Contains(note, "exit code 1") {
					args = append([]string{"!"}, args...)
				}
				commands = append(commands, args)
			}
		}
	}
	return commands
}

// A guide is a virtual machine that stands for 192.168.1.40, and somebody who does what a guide says.
type guide struct {
	machine string // its address
	env     map[string]string
}

func newGuide(t *testing.T) *guide {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Password: "Qwer123$", Boot: "10ms"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Chdir(t.TempDir())
	return &guide{l.Machines[0].Address, map[string]string{
		"OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json"), "AMT_PASSWORD": "Qwer123$", "AMT_NEW_PASSWORD": "Qwer456$", "HOME": t.TempDir(),
	}}
}

// run does one command. Those that run until they are told to end are told so when they have begun.
func (g *guide) run(t *testing.T, args []string) {
	t.Helper()
	want := 0
	if args[0] == "!" {
		want, args = 1, args[1:]
	}
	line := strings.Join(args, " ")
	for i, arg := range args {
		arg = strings.ReplaceAll(arg, "192.168.1.0/24", "192.168.1.40") // our network is larger, and others' tests are in it
		args[i] = strings.ReplaceAll(arg, "192.168.1.40", g.machine)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, talk bytes.Buffer
	stdout := io.Writer(&out)
	end := map[string]string{"virtual": `"tls_fingerprint"`, "kvm": "127.0.0.1:", "sol": "pc#"}[args[1]]
	if end != "" {
		stdout = &until{w: &out, word: end, then: cancel}
	}
	code := cli.Run(ctx, args, func(name string) string { return g.env[name] }, strings.NewReader(""), stdout, &talk)
	if args[1] == "kvm" || args[1] == "sol" {
		want = 130 // interrupted
	}
	if code != want || out.Len() == 0 {
		t.Errorf("%s: exit %d, want %d\n%s%s", line, code, want, &out, &talk)
	}
}

// until calls then once the word was written.
type until struct {
	w    io.Writer
	word string
	then func()
}

func (u *until) Write(b []byte) (int, error) {
	if strings.Contains(string(b), u.word) {
		defer u.then()
	}
	return u.w.Write(b)
}
