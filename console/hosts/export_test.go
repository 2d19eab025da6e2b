package hosts

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExport: what is written is read again, encrypted and not. The form of encryption is judged in
// TestImportMeshCommanderEncrypted by a list that Node has written.
func TestExport(t *testing.T) {
	list := []Host{
		{Name: "Desk-7", Address: "10.0.0.7", Port: 16993, Scheme: "https", User: "o'ps & co", Tags: []string{"lab", "floor-2"}, Pin: strings.Repeat("ab", 32)},
		{Name: "small", Address: "fe80::1", Port: 700, Scheme: "http"},
	}
	want := []Host{
		{Name: "Desk-7", Address: "10.0.0.7", Port: 16993, Scheme: "https", User: "o'ps & co", Tags: []string{"lab"}},
		{Name: "small", Address: "fe80::1", Port: 700, Scheme: "http", User: "admin"},
	}
	password := func(h Host) (string, error) { return map[string]string{"Desk-7": "P@ss w0rd%"}[h.Name], nil }
	for _, tt := range []struct {
		name      string
		password  func(Host) (string, error)
		file      string
		passwords []string
	}{
		{"plain", nil, "", []string{"", ""}},
		{"encrypted", password, "F1le", []string{"P@ss w0rd%", ""}},
		{"encrypted, without passwords", nil, "F1le", []string{"", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := ExportMeshCommander(&out, list, tt.password, tt.file); err != nil {
				t.Fatal(err)
			}
			if tt.file != "" && (strings.Contains(out.String(), "Desk") || strings.Contains(out.String(), "10.0.0.7")) {
				t.Errorf("in clear text: %s", &out)
			}
			im, err := ImportMeshCommander(bytes.NewReader(out.Bytes()), tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, im.Hosts, plainHost); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			wantPasswords(t, im, tt.passwords...)
			if _, err := ImportMeshCommander(bytes.NewReader(out.Bytes()), "another"); tt.file != "" && !errors.Is(err, ErrFilePassword) {
				t.Errorf("another password: %v", err)
			}
		})
	}
	var out bytes.Buffer
	if err := ExportMeshCommander(&out, list, password, ""); err == nil || out.Len() > 0 {
		t.Errorf("passwords in a plain list: %v, %s", err, &out)
	}
}
