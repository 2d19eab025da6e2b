package cli_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/cli"
	"github.com/outband/outband/lab"
)

// Every command that docs/redirection.md shows works as it stands, on a virtual machine in the place of nuc1. Times and ports
// are our own, as we have not the whole day.
func TestRedirectionGuide(t *testing.T) {
	text, err := os.ReadFile("../docs/redirection.md")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Power: "on", Boot: "10ms"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := l.Machines[0]
	t.Chdir(t.TempDir())
	disc := make([]byte, 64*2048) // with a boot record and an empty directory
	for sector, head := range map[int]string{16: "\x01CD001\x01", 17: "\x00CD001\x01EL TORITO SPECIFICATION", 18: "\xffCD001\x01"} {
		copy(disc[sector*2048:], head)
	}
	if err := os.WriteFile("rescue.iso", disc, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json"), "AMT_PASSWORD": m.Password, "HOME": t.TempDir()}
	ours := strings.NewReplacer("nuc1.", "nuc1.", "nuc1", m.Address, "10m", "1s", "2m", "1s", ":5901", ":0", ":6080", ":0", ":2001", ":0")
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, "#")
			args := strings.Fields(ours.Replace(line))
			if len(args) == 0 {
				continue
			}
			ran++
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			var out, talk bytes.Buffer
			stdout, stderr := io.Writer(&out), io.Writer(&talk)
			want := 0
			if !slices.Contains(args, "--for") { // these run until they are told to end
				for name, word := range map[string]string{"kvm": "127.0.0.1:", "sol": "pc#", "amtterm": "pc#"} {
					if args[0] == name || args[1] == name {
						stdout = &until{w: &out, word: word, then: cancel}
						if args[0] == "outband" {
							want = 130
						}
					}
				}
				if slices.Contains(args, "--listen") && args[1] == "sol" {
					stderr = &until{w: &talk, word: "serial line on", then: cancel}
				}
				if args[0] == "amtider" {
					stderr = &until{w: &talk, word: "IDE redirection ok", then: cancel}
				}
			}
			keys, typing := io.Pipe() // nothing is typed
			code := cli.Run(ctx, args, func(name string) string { return env[name] }, keys, stdout, stderr)
			typing.Close()
			late := ctx.Err() == context.DeadlineExceeded
			cancel()
			if code != want || late || out.Len()+talk.Len() == 0 {
				t.Errorf("%s: exit %d, want %d\n%s%s", line, code, want, &out, &talk)
			}
		}
	}
	if ran < 12 {
		t.Errorf("only %d commands found in the guide", ran)
	}
	if pictures, _ := filepath.Glob("pictures/*.png"); len(pictures) == 0 {
		t.Error("no pictures were made")
	}
}
