package cli

import (
	"encoding/pem"
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

// TestApplyPolicyIsCut is the same for what consists of parts that name each other: filters, policies and what they are
// bound to; servers and when they are called; watchdogs and their actions.
func TestApplyPolicyIsCut(t *testing.T) {
	pair, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(pair))
	root := "    " + strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(block))), "\n", "\n      ")
	dir := t.TempDir()
	files := map[string]string{"password": "S3cret\n", "key": "000102030405060708090a0b0c0d0e0f\n"}
	for _, name := range []string{"first.yaml", "second.yaml"} {
		drop, user, heartbeat := "drop", "desk", "60"
		if name == "second.yaml" {
			drop, user, heartbeat = "pass", "other", "30"
		}
		files[name] = `
version: 1
features: {web: false}
kvm: {session_timeout_minutes: 20}
consent: {policy: kvm}
power_policy: {idle_timeout_minutes: 30}
kerberos: {enabled: true, realm: EXAMPLE.ORG, encryption: aes128, keep_tickets: true, key_from: key}
trusted_roots:
  - certificate: |
  ` + root + `
cira:
  servers: [{address: mps.example.org, port: 4433, user: ` + user + `, password_from: password}]
  policies: [{trigger: user, servers: [{address: mps.example.org, from: both}]}]
defense:
  filters: [{name: telnet, way: in, action: ` + drop + `, protocol: tcp, to_port: "23"}]
  policies: [{name: quarantine, precedence: 1, filters: [telnet], in: {drop: false}, out: {drop: false}, timeout_seconds: 60}]
  bindings: [{port: wired, owner: agents, policy: quarantine}]
presence:
  - id: 12345678-1234-1234-1234-123456789abc
    name: antivirus
    startup_seconds: 300
    heartbeat_seconds: ` + heartbeat + `
    actions: [{from: [any], to: [expired], event: true, policy: "on"}]
alerts: [{to: "http://192.0.2.1/events"}]
network: {ddns: "on"}
`
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second := filepath.Join(dir, "first.yaml"), filepath.Join(dir, "second.yaml")
	cutEvery(t, 23, []string{"outband", "state", "apply", first, "--yes"}, []string{"outband", "state", "apply", second, "--yes"},
		func(t *testing.T, l *link, m *lab.Running, env map[string]string) {
			code, stdout, stderr := invoke(t, env, "", "outband", "state", "diff", second, l.address)
			if code != 0 || !strings.Contains(stdout, "same") {
				t.Errorf("exit code %d: %s%s", code, stdout, stderr)
			}
			for class, want := range map[string]int{"AMT_SystemDefensePolicy": 1, "AMT_IPHeadersFilter": 1, "AMT_PublicKeyCertificate": 1} {
				if n := instances(t, m, class, ""); n != want {
					t.Errorf("%d of %s, want %d", n, class, want)
				}
			}
		})
}
