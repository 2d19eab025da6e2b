package conformance

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/environmentdetection"

	"github.com/outband/outband/lab"
)

// TestGoWsmanReadsState has our command apply a profile, and the library and the machine itself tell what came of it;
// then the library changes something, which our command finds and takes back.
func TestGoWsmanReadsState(t *testing.T) {
	dir := t.TempDir()
	openssl(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", filepath.Join(dir, "root.key"), "-out", filepath.Join(dir, "root.pem"), "-days", "30",
		"-subj", "/CN=Presence Root", "-addext", "basicConstraints=critical,CA:TRUE")
	root, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	check(t, err)
	if block, _ := pem.Decode(root); block == nil {
		t.Fatal("openssl made no certificate")
	}
	profile := filepath.Join(dir, "profile.yaml")
	for name, text := range map[string]string{"mps": "S3cret.mps\n", "realm": strings.Repeat("5a", 32) + "\n", "profile.yaml": `
version: 1
kvm: {session_timeout_minutes: 17, default_screen: 1}
consent: {policy: kvm, display_timeout_seconds: 240, code_timeout_seconds: 90}
power_policy: {idle_timeout_minutes: 75}
kerberos: {enabled: true, realm: EXAMPLE.ORG, key_version: 7, encryption: aes256, clock_tolerance_minutes: 10, key_from: realm}
trusted_roots:
  - certificate: |
      ` + strings.ReplaceAll(strings.TrimSpace(string(root)), "\n", "\n      ") + `
cira:
  servers: [{address: mps.example.org, port: 8443, user: desk, password_from: mps}]
  policies: [{trigger: periodic, daily: "02:30", lifetime_seconds: 600, servers: [{address: mps.example.org}]}]
  user_calls: os
  home: [lab.example]
presence:
  - {id: 00112233-4455-6677-8899-aabbccddeeff, name: antivirus, startup_seconds: 300, heartbeat_seconds: 60}
network: {ddns: "on", ddns_interval_minutes: 60, ddns_ttl_seconds: 600}
`} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, Power: "on"})
			m := gowsman(t, w)
			r := ourCommand(t, w, "state", "apply", profile, w.Address, "--yes", "-o", "json")
			if strings.Contains(r.out, "S3cret") || strings.Contains(r.out, "5a5a") {
				t.Errorf("a secret is told: %s", r.out)
			}
			if r = ourCommand(t, w, "state", "diff", profile, w.Address, "-o", "json"); !strings.Contains(r.out, `"same":true`) {
				t.Errorf("after it: %s", r.out)
			}

			kvm := kvmSettings(t, m)
			equal(t, "SessionTimeout", kvm.SessionTimeout, 17)
			equal(t, "DefaultScreen", kvm.DefaultScreen, 1)
			consent, err := m.IPS.OptInService.Get()
			check(t, err)
			equal(t, "OptInRequired", consent.Body.GetAndPutResponse.OptInRequired, 1)
			equal(t, "OptInDisplayTimeout", consent.Body.GetAndPutResponse.OptInDisplayTimeout, 240)
			equal(t, "OptInCodeTimeout", consent.Body.GetAndPutResponse.OptInCodeTimeout, 90)
			general, err := m.AMT.GeneralSettings.Get()
			check(t, err)
			equal(t, "IdleWakeTimeout", general.Body.GetResponse.IdleWakeTimeout, 75)
			equal(t, "DDNSUpdateEnabled", general.Body.GetResponse.DDNSUpdateEnabled, true)
			equal(t, "DDNSPeriodicUpdateInterval", general.Body.GetResponse.DDNSPeriodicUpdateInterval, 60)
			equal(t, "DDNSTTL", general.Body.GetResponse.DDNSTTL, 600)
			domain, err := m.AMT.KerberosSettingData.Get()
			check(t, err)
			if v := domain.Body.GetResponse; !v.KrbEnabled || v.RealmName != "EXAMPLE.ORG" || v.KeyVersion != 7 || v.MaximumClockTolerance != 10 || len(v.ServicePrincipalName) != 4 {
				t.Errorf("kerberos %+v", v)
			}
			roots, err := m.AMT.PublicKeyCertificate.Enumerate()
			check(t, err)
			certs, err := m.AMT.PublicKeyCertificate.Pull(roots.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			trusted := 0
			for _, cert := range certs.Body.PullResponse.PublicKeyCertificateItems {
				if cert.TrustedRootCertificate && cert.Subject == "CN=Presence Root" {
					trusted++
				}
			}
			equal(t, "roots", trusted, 1)
			begun, err := m.AMT.ManagementPresenceRemoteSAP.Enumerate()
			check(t, err)
			servers, err := m.AMT.ManagementPresenceRemoteSAP.Pull(begun.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			if list := servers.Body.PullResponse.ManagementRemoteItems; len(list) != 1 || list[0].AccessInfo != "mps.example.org" || list[0].Port != 8443 {
				t.Errorf("servers %+v", list)
			}
			rules, err := m.AMT.RemoteAccessPolicyRule.Enumerate()
			check(t, err)
			rule, err := m.AMT.RemoteAccessPolicyRule.Pull(rules.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			if list := rule.Body.PullResponse.RemotePolicyRuleItems; len(list) != 1 || list[0].TunnelLifeTime != 600 || list[0].ExtendedData != "AAAAAQAAAAIAAAAe" {
				t.Errorf("policies %+v", list)
			}
			home, err := m.AMT.EnvironmentDetectionSettingData.Get()
			check(t, err)
			if got := home.Body.GetAndPutResponse.DetectionStrings; len(got) != 1 || got[0] != "lab.example" {
				t.Errorf("home %q", got)
			}
			user, err := m.AMT.UserInitiatedConnectionService.Get()
			check(t, err)
			equal(t, "user calls", user.Body.GetResponse.EnabledState, 32770)
			if state := stateOf(t, w); !strings.Contains(state, "S3cret.mps") || !strings.Contains(state, "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=") {
				t.Error("the machine has not kept the secrets")
			}
			if got := agents(t, w); len(got) != 1 {
				t.Errorf("the machine has the watchdogs %+v", got)
			}

			// What the library changes is found, and taken back; the rest is left alone.
			_, err = m.AMT.EnvironmentDetectionSettingData.Put(environmentdetection.EnvironmentDetectionSettingDataRequest{
				ElementName: "Intel(r) AMT Environment Detection Settings", InstanceID: "Intel(r) AMT Environment Detection Settings",
				DetectionStrings: []string{"corp.example", "lab.example"}})
			check(t, err)
			r = ourCommand(t, w, "state", "apply", profile, w.Address, "--yes", "-o", "json")
			if want := fmt.Sprintf(`{"host":"%s","ok":true,"section":"cira","subject":"home","from":"corp.example lab.example","to":"lab.example","done":true}`+"\n", w.Address); r.out != want {
				t.Errorf("got  %swant %s", r.out, want)
			}
		})
	}
}

// TestAmttoolReadsState has our command apply a profile to a machine of generation 8, and Debian's amttool read by SOAP what
// it can of it; then amttool changes the network, which our command finds and takes back.
func TestAmttoolReadsState(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "profile.yaml")
	check(t, os.WriteFile(profile, []byte(`
version: 1
redirection: {ider: false}
network:
  hostname: desk-7
  domain: example.org
  wired: {link_policy: [s0-ac]}
`), 0o600))
	w := machine(t, lab.Machine{Profile: 8, Power: "on"})
	ourCommand(t, w, "state", "apply", profile, w.Address, "--yes")
	if got := amttool(t, w, "", "info"); got.code != 0 || !strings.Contains(got.out, "Hostname:     desk-7.example.org\n") {
		t.Errorf("amttool reads %s%s", got.out, got.err)
	}
	linkPolicy := func() string {
		t.Helper()
		for line := range strings.Lines(amttool(t, w, "", "netinfo").out) {
			if words := strings.Fields(line); len(words) == 2 && words[0] == "LinkPolicy" {
				return words[1]
			}
		}
		return ""
	}
	equal(t, "link policy", linkPolicy(), "1")
	// The first word after netconf is lost on amttool.
	if got := amttool(t, w, "y\n", "netconf", "", "0", "14"); got.code != 0 {
		t.Fatalf("netconf: %s%s", got.out, got.err)
	}
	equal(t, "link policy after netconf", linkPolicy(), "14")
	r := ourCommand(t, w, "state", "apply", profile, w.Address, "--yes")
	if !strings.Contains(r.out, "-> link_policy s0-ac") || strings.Contains(r.out, "hostname") {
		t.Errorf("after amttool: %s", r.out)
	}
	equal(t, "link policy taken back", linkPolicy(), "1")
}
