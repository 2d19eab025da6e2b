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
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Password: "Qwer123$", Boot: "10ms"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Chdir(t.TempDir())
	env := map[string]string{"OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json"), "AMT_PASSWORD": "Qwer123$", "HOME": t.TempDir()}

	ran := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, "#")
			line = strings.ReplaceAll(line, "192.168.1.0/24", "192.168.1.40") // our network is larger, and others' tests are in it
			args := strings.Fields(strings.ReplaceAll(line, "192.168.1.40", l.Machines[0].Address))
			if len(args) == 0 {
				continue
			}
			ran++
			if args[0] == "make" {
				if !bytes.Contains(makefile, []byte("\n"+args[1]+":")) {
					t.Errorf("%s: no such target", line)
				}
				continue
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			var out, talk bytes.Buffer
			stdout := io.Writer(&out)
			end := map[string]string{"virtual": `"tls_fingerprint"`, "kvm": "127.0.0.1:", "sol": "pc#"}[args[1]]
			if end != "" { // runs until it is told to end
				stdout = &until{w: &out, word: end, then: cancel}
			}
			code := cli.Run(ctx, args, func(name string) string { return env[name] }, strings.NewReader(""), stdout, &talk)
			cancel()
			want := 0
			if args[1] == "kvm" || args[1] == "sol" {
				want = 130 // interrupted
			}
			if code != want || out.Len() == 0 {
				t.Errorf("%s: exit %d, want %d\n%s%s", line, code, want, &out, &talk)
			}
		}
	}
	if ran < 15 {
		t.Errorf("only %d commands found in the README", ran)
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
