package cli

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// TestEnableTLSGoesBack: a firewall lets nothing through to the TLS port. The machine ends as it was, and says why.
func TestEnableTLSGoesBack(t *testing.T) {
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	m := w.Machines[0]
	env := map[string]string{"OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json"), "AMT_PASSWORD": m.Password}
	l := newLink(t, m)
	l.mu.Lock()
	l.blocked = firmware.PortHTTPS
	l.mu.Unlock()
	if code, _, stderr := invoke(t, env, "", "outband", "host", "add", "nuc1", l.address); code != 0 {
		t.Fatal(stderr)
	}
	code, _, stderr := invoke(t, env, "", "outband", "tls", "enable", "--wait", "300ms", "nuc1")
	if code != exitUnreachable || !strings.Contains(stderr, "the machine cannot be reached over TLS") || !strings.Contains(stderr, "the machine is as it was before") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if ports := m.Ports(); !slices.Contains(ports, firmware.PortHTTP) || slices.Contains(ports, firmware.PortHTTPS) {
		t.Errorf("ports %v", ports)
	}
	if code, _, stderr := invoke(t, env, "", "outband", "power", "status", "nuc1"); code != 0 {
		t.Errorf("afterwards: exit code %d: %s", code, stderr)
	}
}

// TestMutualTLSGoesBack: the machine has a revocation list that names this console's certificate. It ends as it was.
func TestMutualTLSGoesBack(t *testing.T) {
	for _, profile := range []int{12, 16} {
		t.Run(fmt.Sprint(profile), func(t *testing.T) {
			w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: profile}}})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			m := w.Machines[0]
			dir := t.TempDir()
			env := map[string]string{"OUTBAND_HOSTS": filepath.Join(dir, "hosts.json"), "AMT_PASSWORD": m.Password}
			do := func(args ...string) {
				t.Helper()
				if code, _, stderr := invoke(t, env, "", append([]string{"outband"}, args...)...); code != 0 {
					t.Fatalf("%q: exit code %d: %s", args, code, stderr)
				}
			}
			do("host", "add", "--trust", "nuc1", m.Address)
			do("tls", "enable", "nuc1")
			do("tls", "mutual", "nuc1")
			do("tls", "mutual", "nuc1", "--off")
			text, err := os.ReadFile(filepath.Join(dir, "console.pem"))
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(text)
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			do("pki", "add", "nuc1", "--crl", "http://ca.example/", "--serial", fmt.Sprintf("%x", cert.SerialNumber))
			code, _, stderr := invoke(t, env, "", "outband", "tls", "mutual", "--wait", "500ms", "nuc1")
			if code == 0 || !strings.Contains(stderr, "the machine is as it was before") {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			code, stdout, stderr := invoke(t, env, "", "outband", "tls", "status", "-o", "json", "nuc1")
			if code != 0 || !strings.Contains(stdout, `"network":{"enabled":true,"mutual":false,"plain":false`) {
				t.Errorf("afterwards: exit code %d: %s%s", code, stdout, stderr)
			}
			if slices.Contains(m.Ports(), firmware.PortHTTP) {
				t.Errorf("ports %v: the plain one stays open", m.Ports())
			}
		})
	}
}
