package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
)

// TestApplyStateIsCut: wherever the link breaks while a state is applied, the machine can be reached, and the same
// command again completes it.
func TestApplyStateIsCut(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "office.yaml")
	for name, text := range map[string]string{"password": "0ffice!Pw\n", "office.yaml": `
version: 1
redirection: {kvm: false, sol: true}
alarms:
  - {name: backup, start: 2040-05-01T04:30:00Z, every: 24h}
users:
  - {name: ops, access: remote, realms: [remote-control, info], password_from: password}
network: {hostname: desk-7, ping: false}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cutRun(t, nil, []string{"outband", "state", "apply", file, "--yes"}, func(t *testing.T, l *link, m *lab.Running, env map[string]string) {
		code, stdout, stderr := invoke(t, env, "", "outband", "state", "diff", file, l.address)
		if code != 0 || !strings.Contains(stdout, "same") {
			t.Errorf("exit code %d: %s%s", code, stdout, stderr)
		}
		if n := instances(t, m, "IPS_AlarmClockOccurrence", "backup"); n > 1 {
			t.Errorf("%d alarms", n)
		}
	})
}
