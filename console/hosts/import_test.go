package hosts

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

func TestImportAmtctrl(t *testing.T) {
	im, err := ImportAmtctrl(strings.NewReader(`# by hand
[DEFAULT]
scheme = https

[test]
host = 192.168.1.89
user = admin
passwd = HeyH0Password!
scheme = http
vncpasswd = 12345678

[Büro PC]
Host: [fe80::1%%eth0]:16993
passwd = 50%% off
ca = /etc/ssl/ca.pem
	; a comment
cert = c.pem
key = k.pem

[büro-pc]
host = b.lan
passwd =

[no host]
passwd = x
[reference]
host = %(other)s
[continued]
host = c.lan
passwd = two
  lines
[junk]
host = j.lan
what is this
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Host{
		{Name: "test", Address: "192.168.1.89", User: "admin", Scheme: "http"},
		{Name: "Büro-PC", Address: "fe80::1%eth0", Port: 16993, Scheme: "https", CAFile: "/etc/ssl/ca.pem", CertFile: "c.pem", KeyFile: "k.pem"},
		{Name: "büro-pc-2", Address: "b.lan", Scheme: "https"},
		{Name: "continued", Address: "c.lan", Scheme: "https"},
	}
	if diff := cmp.Diff(want, im.Hosts, plainHost); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantPasswords(t, im, "HeyH0Password!", "50% off", "", "two\nlines")
	wantNotes(t, im, "test: its VNC password", "Büro PC: is called Büro-PC", "büro-pc: is called büro-pc-2",
		"no host: skipped", "reference: skipped: host has a %", "junk: skipped: line 34")
}

func wantPasswords(t *testing.T, im Import, want ...string) {
	t.Helper()
	var got []string
	for _, h := range im.Hosts {
		p := ""
		if h.HasPassword() {
			p = h.password.plain
		}
		got = append(got, p)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("passwords: -want +got\n%s", diff)
	}
}

func wantNotes(t *testing.T, im Import, beginnings ...string) {
	t.Helper()
	for _, want := range beginnings {
		found := false
		for _, n := range im.Notes {
			found = found || strings.HasPrefix(n.String(), want)
		}
		if !found {
			t.Errorf("no note %q among %q", want, im.Notes)
		}
	}
	if len(im.Notes) != len(beginnings) {
		t.Errorf("%d notes, want %d: %q", len(im.Notes), len(beginnings), im.Notes)
	}
}

const meshPlain = `{"webappversion": "0.9.6", "computers": [
 {"name": "Front%20Desk", "host": "10.0.0.5", "tags": "Floor%202", "user": "admin", "pass": "P%40ss%25", "tls": 1,
  "tlscerthash": "abababababababababababababababababababababababababababababababab", "ver": "12.0.32", "checked": false},
 {"name": "", "host": "10.0.0.6:16993", "user": "ops", "pass": "100%", "tls": "1", "tags": ""},
 {"name": "krb", "host": "krb.lan", "user": "*", "pass": "HTTP/krb.lan", "tls": 0, "tlscerthash": "abababababababababababababababababababab"},
 {"name": "listed", "fqdn": "f.lan"},
 {"name": "no host"},
 {"name": "Front Desk", "host": "10.0.0.9"},
 {"host": 5}, null, "x"
]}`

func checkMesh(t *testing.T, im Import) {
	t.Helper()
	want := []Host{
		{Name: "Front-Desk", Address: "10.0.0.5", Scheme: "https", User: "admin", Tags: []string{"Floor-2"}, Pin: strings.Repeat("ab", 32)},
		{Name: "10.0.0.6", Address: "10.0.0.6", Port: 16993, Scheme: "https", User: "ops"},
		{Name: "krb", Address: "krb.lan", Scheme: "http"},
		{Name: "listed", Address: "f.lan", Scheme: "http"},
		{Name: "Front-Desk-2", Address: "10.0.0.9", Scheme: "http"},
	}
	if diff := cmp.Diff(want, im.Hosts, plainHost); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantPasswords(t, im, "P@ss%", "100%", "", "", "")
	wantNotes(t, im, "Front Desk: is called Front-Desk", "krb: uses Kerberos", "krb: its certificate pin", "no host: skipped",
		"Front Desk: is called Front-Desk-2", "computer 7: skipped", "computer 8: skipped", "computer 9: skipped")
}

func TestImportMeshCommander(t *testing.T) {
	array := meshPlain[strings.Index(meshPlain, "[") : len(meshPlain)-1]
	var wide bytes.Buffer
	wide.WriteString("\xff\xfe")
	for _, u := range utf16.Encode([]rune(meshPlain)) {
		wide.Write([]byte{byte(u), byte(u >> 8)})
	}
	for name, text := range map[string]string{
		"saved": meshPlain, "Windows lines and mark": "\ufeff" + strings.ReplaceAll(meshPlain, "\n", "\r\n"),
		"bare array": array, "UTF-16": wide.String(),
	} {
		t.Run(name, func(t *testing.T) {
			im, err := ImportMeshCommander(strings.NewReader(text), "")
			if err != nil {
				t.Fatal(err)
			}
			checkMesh(t, im)
		})
	}
}

// testdata/mesh-encrypted.json was written by Node's crypto module; see testdata/README.
func TestImportMeshCommanderEncrypted(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "mesh-encrypted.json"))
	if err != nil {
		t.Fatal(err)
	}
	im, err := ImportMeshCommander(bytes.NewReader(b), "F1le-Password")
	if err != nil {
		t.Fatal(err)
	}
	want := []Host{{Name: "sealed", Address: "10.0.0.8", Scheme: "https", User: "admin"}}
	if diff := cmp.Diff(want, im.Hosts, plainHost); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantPasswords(t, im, "Inner#1")
	for _, password := range []string{"", "wrong"} {
		if _, err := ImportMeshCommander(bytes.NewReader(b), password); !errors.Is(err, ErrFilePassword) {
			t.Errorf("%q: got %v, want ErrFilePassword", password, err)
		}
	}
	damaged := bytes.Replace(b, []byte(`"tag": "`), []byte(`"tag": "0`), 1)
	if _, err := ImportMeshCommander(bytes.NewReader(damaged), "F1le-Password"); !errors.Is(err, ErrImport) {
		t.Errorf("damaged: got %v, want ErrImport", err)
	}
}

func TestImportMeshCentral(t *testing.T) {
	im, err := ImportMeshCentral(strings.NewReader(`[
	 {"_id": "node//x", "name": "Desk 7", "host": "10.0.0.7", "groupname": "My Lab", "tags": ["a", "my-lab"], "intelamt": {"tls": 1, "user": "admin", "ver": "16.1", "state": 2}},
	 {"name": "agent.lan", "ip": "10.0.0.8", "intelamt": {"tls": 0}},
	 {"name": "no amt", "host": "x"}, {"name": "cira", "host": "", "intelamt": {}}, 7]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Host{
		{Name: "Desk-7", Address: "10.0.0.7", Scheme: "https", User: "admin", Tags: []string{"My-Lab", "a"}},
		{Name: "agent.lan", Address: "10.0.0.8", Scheme: "http"},
		{Name: "cira", Address: "cira", Scheme: "http"},
	}
	if diff := cmp.Diff(want, im.Hosts, plainHost); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantNotes(t, im, "Desk 7: is called", "no amt: skipped: has no Intel AMT", "device 5: skipped")
}

func TestImportRefuses(t *testing.T) {
	mesh := func(s string) error { _, err := ImportMeshCommander(strings.NewReader(s), ""); return err }
	central := func(s string) error { _, err := ImportMeshCentral(strings.NewReader(s)); return err }
	amtctrl := func(s string) error { _, err := ImportAmtctrl(strings.NewReader(s)); return err }
	big := strings.Repeat("# padding\n", maxImport/10+1)
	for name, err := range map[string]error{
		"mesh: nothing": mesh(""), "mesh: other JSON": mesh(`{"a": 1}`), "mesh: INI": mesh("[a]\nb=c"), "mesh: big": mesh(big),
		"central: object": central(`{"a": 1}`), "amtctrl: JSON": amtctrl(`{"a": 1}`), "amtctrl: big": amtctrl(big),
	} {
		if !errors.Is(err, ErrImport) {
			t.Errorf("%s: got %v, want ErrImport", name, err)
		}
	}
}

func TestImportIntoDB(t *testing.T) {
	im, err := ImportMeshCommander(strings.NewReader(meshPlain), "")
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{})
	put(t, db, im.Hosts...)
	if got := password(t, open(t, db.Path(), Options{}), "front-desk"); got != "P@ss%" {
		t.Errorf("got %q", got)
	}
}

func checkImport(t *testing.T, im Import, err error) {
	if err != nil && !errors.Is(err, ErrImport) {
		t.Fatalf("not ErrImport: %v", err)
	}
	taken := map[string]bool{}
	for _, h := range im.Hosts {
		if err := h.Validate(); err != nil {
			t.Fatal(err)
		}
		if taken[foldName(h.Name)] {
			t.Fatalf("two hosts called %q", h.Name)
		}
		taken[foldName(h.Name)] = true
	}
}

func FuzzImportAmtctrl(f *testing.F) {
	f.Add("[a]\nhost = b\npasswd = c%%\n")
	f.Add("[DEFAULT]\nhost: x\n[a]\nuser = y\n z\n[A]\n")
	f.Fuzz(func(t *testing.T, s string) {
		im, err := ImportAmtctrl(strings.NewReader(s))
		checkImport(t, im, err)
	})
}

func FuzzImportMesh(f *testing.F) {
	f.Add(meshPlain)
	f.Add(`[{"name": "a", "host": "b", "intelamt": {"tls": 1}, "tags": ["x"]}]`)
	f.Fuzz(func(t *testing.T, s string) {
		im, err := ImportMeshCommander(strings.NewReader(s), "")
		checkImport(t, im, err)
		im, err = ImportMeshCentral(strings.NewReader(s))
		checkImport(t, im, err)
	})
}
