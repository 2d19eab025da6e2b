package setupbin

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMake(t *testing.T) {
	const digits = "0102030405060708090a0b0c0d0e0f1011121314"
	for _, tt := range []struct{ name, text, want string }{
		{"dhcp", "on", "02"},
		{"2/13", "off", "01"},
		{"dhcp", "hex:02", "02"},
		{"redirection", "none", "00"},
		{"redirection", "sol+password", "05"},
		{"service-type", "one-time", "04000000"},
		{"server-port", "9971", "f326"},
		{"server-port", "0x26f3", "f326"},
		{"support-channel", "65535", "ffff0000"},
		{"server-address", "192.168.1.2", "0201a8c0"},
		{"power-package", "46732273-DC23-2F43-A98A-13D37982D855", "7322734623dc432fa98a13d37982d855"},
		{"add-hash", "SHA1:" + digits + ":root", "01" + digits + "04" + hex.EncodeToString([]byte("root"))},
		{"add-hash", "sha1:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14", "01" + digits + "00"},
		{"add-hash", "sha1:" + digits + ":a:b", "01" + digits + "03613a62"},
		{"host-name", "desk-7", "6465736b2d37"},
		{"vlan", "hex:0700", "0700"},
		{"3/1", "hex:", ""},
	} {
		v, err := Make(tt.name, tt.text)
		if got := hex.EncodeToString(v.Value); got != tt.want || err != nil {
			t.Errorf("%s=%s: %s, %v; want %s", tt.name, tt.text, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "1", ErrUnknown},
		{"0/1", "hex:00", ErrUnknown},
		{"2/65536", "hex:00", ErrUnknown},
		{strings.Repeat("x", 1000), "1", ErrUnknown},
		{"dhcp", "yes", ErrValue},
		{"dhcp", "hex:03", ErrValue},
		{"dhcp", "hex:0", ErrValue},
		{"dhcp", "", ErrValue},
		{"redirection", "sol+none", ErrValue},
		{"redirection", "hex:08", ErrValue},
		{"server-port", "0", ErrValue},
		{"server-port", "65536", ErrValue},
		{"server-address", "::1", ErrValue},
		{"server-address", "192.168.1", ErrValue},
		{"power-package", "7322734623DC432FA98A13D37982D855", ErrValue},
		{"add-hash", "sha1:" + digits + "00", ErrValue},
		{"add-hash", "sha1:" + digits[2:], ErrValue},
		{"add-hash", "md5:" + digits, ErrValue},
		{"add-hash", "sha1:" + digits + ":" + strings.Repeat("n", 33), ErrValue},
		{"host-name", strings.Repeat("h", 64), ErrValue},
		{"host-name", "a\nb", ErrValue},
		{"vlan", "7", ErrValue},
		{"provisioning-mode", "1", ErrValue},
		{"3/1", "text", ErrValue},
		{"pid", "short", ErrValue},
	} {
		v, err := Make(tt.name, tt.text)
		if !errors.Is(err, tt.want) || v.Value != nil {
			t.Errorf("%s=%s: %x, %v; want %v", tt.name, tt.text, v.Value, err, tt.want)
		} else if len(err.Error()) > 160 {
			t.Errorf("%s: a long error: %v", tt.name, err)
		}
	}
}

// The table is in order, names are used once, and every word can be read back.
func TestDefinitions(t *testing.T) {
	all := Definitions()
	if len(all) != 6+34 {
		t.Errorf("%d definitions", len(all))
	}
	seen := map[string]bool{}
	for i, d := range all {
		if i > 0 && all[i-1].ID >= d.ID {
			t.Errorf("%s: out of order", d.Name)
		}
		if seen[d.Name] || d.Title == "" || d.Since == 0 || d.Max == 0 || d.Kind.String() == "unknown" {
			t.Errorf("%+v", d)
		}
		seen[d.Name] = true
		if got, ok := Lookup(d.ID); !ok || got.Name != d.Name {
			t.Errorf("%s: looked up %s, %t", d.Name, got.Name, ok)
		}
		if id, err := ParseID(d.Name); id != d.ID || err != nil {
			t.Errorf("%s: %v, %v", d.Name, id, err)
		}
		if id, err := ParseID(d.ID.String()); id != d.ID || err != nil {
			t.Errorf("%s: %v, %v", d.ID, id, err)
		}
		if d.Uncertain != (d.Kind == Raw) {
			t.Errorf("%s: %v, uncertain %t", d.Name, d.Kind, d.Uncertain)
		}
		for _, w := range d.Words {
			b, err := d.Parse(w.Text)
			if err != nil || value(b) != w.Value || d.Format(b) != w.Text {
				t.Errorf("%s=%s: %x, %v", d.Name, w.Text, b, err)
			}
		}
	}
	all[2].Words[0].Text = "changed"
	if d, _ := Lookup(all[2].ID); d.Words[0].Text == "changed" {
		t.Error("the table can be changed from outside")
	}
}

func TestValuesReadBack(t *testing.T) {
	all := Definitions()
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SampledFrom(all).Draw(t, "variable")
		b := rapid.SliceOfN(rapid.Byte(), d.Min, min(d.Max, d.Min+90)).Draw(t, "value")
		if d.Check(b) != nil {
			if _, err := d.Parse(d.Format(b)); !errors.Is(err, ErrValue) {
				t.Fatalf("%s: %x is not allowed, yet its text is: %v", d.Name, b, err)
			}
			return
		}
		if got, err := d.Parse(d.Format(b)); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%s: %q read as %x, %v; want %x", d.Name, d.Format(b), got, err, b)
		}
	})
}

func TestHash(t *testing.T) {
	for _, a := range []HashAlgorithm{SHA1, SHA256, SHA384} {
		want := CertHash{a, bytes.Repeat([]byte{7}, a.Size()), "a root"}
		b, err := want.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseHash(b)
		if err != nil || got.String() != want.String() {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
		for i := range b {
			if h, err := ParseHash(b[:i]); !errors.Is(err, ErrValue) {
				t.Errorf("%v cut at %d: %v, %v", a, i, h, err)
			}
		}
		if h, err := ParseHash(append(b, 0)); !errors.Is(err, ErrValue) {
			t.Errorf("%v with more: %v, %v", a, h, err)
		}
	}
	for _, h := range []CertHash{{}, {SHA1, make([]byte, 32), ""}, {4, nil, ""}, {SHA1, make([]byte, 20), strings.Repeat("n", 33)}} {
		if _, err := h.Append(nil); !errors.Is(err, ErrValue) {
			t.Errorf("%v: %v", h, err)
		}
	}
	if got := HashAlgorithm(9).String(); got != "unknown (9)" {
		t.Error(got)
	}
}

func TestCheckPassword(t *testing.T) {
	for password, why := range map[string]string{
		"P@ssw0rd":                      "",
		"HeyH0Password!":                "",
		"Aa1 Aa1 ":                      "",
		strings.Repeat("Aa1!", 8):       "",
		"P@ssw0r":                       "7 characters",
		strings.Repeat("Aa1!", 8) + "x": "33 characters",
		"PASSW0RD!":                     "lower-case",
		"passw0rd!":                     "upper-case",
		"Password!":                     "digit",
		"Passw0rd":                      "special",
		"Passw0rd_":                     "special",
		"P@ssw0rd:":                     "none of",
		"P@ssw0rd,":                     "none of",
		`P@ssw0rd"`:                     "none of",
		"P@ssw0rd\n":                    "ASCII",
		"P@sswörd1":                     "ASCII",
		DefaultPassword:                 "5 characters",
	} {
		err := CheckPassword(password)
		if why == "" {
			if err != nil {
				t.Errorf("%q: %v", password, err)
			}
			continue
		}
		if !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v, want %q", password, err, why)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	r := NewRecord(0, mustMake(t, "current-password=Secr3t!!", "new-password=Secr3t!?", "pid=SECRSECR", "pps=SECRSECRSECRSECRSECRSECRSECRSECR",
		"enrolment-passcode=Secr3t", "9/9=hex:"+hex.EncodeToString([]byte("Secr3t")), "kvm=on")...)
	f, err := New(V3, 0, r)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "variables", r.Variables, "one", r.Variables[0])
	asJSON, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	_, long := Make("new-password", strings.Repeat("Secr3t", 9))
	for _, text := range []string{fmt.Sprintf("%v %+v %s", f.Records, f.Records, r.Variables), fmt.Sprintf("%#v", r.Variables[0]), log.String(),
		string(asJSON), fmt.Sprint(f.Check()), long.Error()} {
		if strings.Contains(strings.ToLower(text), "secr") {
			t.Errorf("shows a secret: %s", text)
		}
	}
	if !strings.Contains(string(asJSON), `{"id":"2/25","name":"kvm","value":"on"}`) {
		t.Errorf("%s", asJSON)
	}
	if i := slices.IndexFunc(r.Variables, func(v Variable) bool { return v.ID == PID }); r.Variables[i].Text() != "SECRSECR" || r.Variables[i].String() != "pid=***" {
		t.Errorf("%s, %s", r.Variables[i].Text(), r.Variables[i])
	}
}
