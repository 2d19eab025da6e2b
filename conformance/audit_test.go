package conformance

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/auditlog"
)

// go-wsman-messages reads the whole audit log, page by page, and finds what our command has done; the machine's own
// record of it says the same.
func TestGoWSManReadsAudit(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			w := machine(t, lab.Machine{Profile: generation})
			env := []string{"AMT_PASSWORD=" + password, "AMT_NEW_PASSWORD=Secr3t!pass", "HOME=" + t.TempDir()}
			trust := []string{}
			if !w.Firmware.Profile().Plain {
				trust = []string{"--pin", w.fingerprint(t)}
			}
			ours := func(args ...string) {
				t.Helper()
				if r := run(t, env, "", outband(t), append(trust, args...)...); r.code != 0 {
					t.Fatalf("outband %q: %s%s", args, r.out, r.err)
				}
			}
			ours("user", "add", "ops", w.Address, "--realm", "remote-control")
			for range 6 {
				ours("user", "disable", "ops", w.Address)
				ours("user", "enable", "ops", w.Address)
			}
			ours("audit", "policy", w.Address, "--log", "event-manager", "--ignore", "network-time/time-set")

			m := gowsman(t, w)
			var texts []string
			for total := 1; len(texts) < total; {
				response, err := m.AMT.AuditLog.ReadRecords(len(texts) + 1)
				if err != nil {
					t.Fatal(err)
				}
				page := response.Body.ReadRecordsResponse
				if page.ReturnValue != 0 || page.RecordsReturned == 0 || page.RecordsReturned != len(page.EventRecords) {
					t.Fatalf("got %+v", page)
				}
				if decoded := response.Body.DecodedRecordsResponse; len(decoded) != page.RecordsReturned || decoded[0].Initiator != "admin" || decoded[0].MCLocationType != 0 {
					t.Errorf("the library decodes %+v", decoded)
				}
				for _, text := range page.EventRecords {
					octets, err := base64.StdEncoding.DecodeString(text)
					if err != nil {
						t.Fatal(err)
					}
					r, _, err := auditlog.Parse(octets)
					if err != nil {
						t.Fatal(err)
					}
					texts = append(texts, r.Text())
				}
				total = page.TotalRecordCount
			}
			var own []string
			for _, r := range w.Firmware.AuditLog() {
				own = append(own, r.Text())
			}
			if !slices.Equal(texts, own) {
				t.Errorf("the library reads\n%s\nthe machine has\n%s", strings.Join(texts, "\n"), strings.Join(own, "\n"))
			}
			if len(texts) != 14 || texts[0] != `user added: type 0, name "ops"` || texts[12] != `user switched: state on, type 0, name "ops"` || texts[13] != "audit policy changed" {
				t.Errorf("got %q", texts)
			}

			ours("audit", "clear", w.Address)
			state, err := m.AMT.AuditLog.Get()
			if err != nil || state.Body.GetResponse.CurrentNumberOfRecords != 1 || state.Body.GetResponse.PercentageFree != 99 {
				t.Errorf("after clearing: got %+v, %v", state.Body.GetResponse, err)
			}
			ours("audit", "disable", w.Address)
			state, err = m.AMT.AuditLog.Get()
			if err != nil || state.Body.GetResponse.AuditState&1 == 0 {
				t.Errorf("after disabling: got %+v, %v", state.Body.GetResponse, err)
			}
		})
	}
}

// openssl agrees that the machine has signed what we say that it signs.
func TestOpenSSLVerifiesAuditSignature(t *testing.T) {
	openssl := tool(t, "openssl", "openssl")
	dir := t.TempDir()
	key, cert := dir+"/key.pem", dir+"/cert.pem"
	if r := run(t, nil, "", openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "30", "-subj", "/CN=signer"); r.code != 0 {
		t.Fatal(r.err)
	}
	w := machine(t, lab.Machine{Profile: 12})
	env := []string{"AMT_PASSWORD=" + password, "AMT_NEW_PASSWORD=Secr3t!pass", "HOME=" + dir}
	for _, args := range [][]string{
		{"user", "add", "ops", w.Address, "--realm", "remote-control"},
		{"audit", "key", w.Address, "--signing-key", key, "--signing-cert", cert},
		{"audit", "export", w.Address, "-f", dir + "/log.json"},
		{"audit", "verify", dir + "/log.json", "--authority", cert},
	} {
		if r := run(t, env, "", outband(t), args...); r.code != 0 {
			t.Fatalf("outband %q: %s%s", args, r.out, r.err)
		}
	}
	signed, value := signedOctets(t, dir+"/log.json")
	public := dir + "/public.pem"
	if r := run(t, nil, "", openssl, "x509", "-in", cert, "-pubkey", "-noout", "-out", public); r.code != 0 {
		t.Fatal(r.err)
	}
	write(t, dir+"/octets", signed)
	write(t, dir+"/value", value)
	if r := run(t, nil, "", openssl, "dgst", "-sha256", "-verify", public, "-signature", dir+"/value", dir+"/octets"); r.code != 0 || !strings.Contains(r.out, "Verified OK") {
		t.Errorf("openssl: %s%s", r.out, r.err)
	}
	write(t, dir+"/octets", append(signed, 0))
	if r := run(t, nil, "", openssl, "dgst", "-sha256", "-verify", public, "-signature", dir+"/value", dir+"/octets"); r.code == 0 {
		t.Error("openssl takes a log that was changed")
	}
}
