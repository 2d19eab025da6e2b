package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/wire/fat"
	"github.com/outband/outband/wire/setupbin"
)

// foreignSetup makes a file such as no command of ours makes: odd header fields, an empty list of modules, unknown
// variables, padding that is not zeros, a consumed record with garbage, octets behind the end.
func foreignSetup(t *testing.T, name string) []byte {
	t.Helper()
	var variables []setupbin.Variable
	for _, s := range []string{"current-password=admin", "new-password=P@ssw0rd", "kvm=on", "2/99=hex:010203"} {
		key, value, _ := strings.Cut(s, "=")
		v, err := setupbin.Make(key, value)
		if err != nil {
			t.Fatal(err)
		}
		variables = append(variables, v)
	}
	r := setupbin.NewRecord(setupbin.Scrambled, variables...)
	f, err := setupbin.New(setupbin.V4, 0, r, r)
	if err != nil {
		t.Fatal(err)
	}
	f.Modules, f.Length, f.Chunks, f.Consumed = nil, 17, 0, 1
	f.Records[0].Flags &^= setupbin.Valid
	f.Rest = []byte("behind")
	b, err := f.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[512+24:], bytes.Repeat([]byte{0x5a}, 488)) // the consumed record
	b[300], b[1535] = 7, 0x99                         // header and record have something where zeros are usual
	if err := writeFile(name, b); err != nil {
		t.Fatal(err)
	}
	return b
}

// One variable changes, and of a foreign file nothing else does.
func TestSetupbinSetLeavesTheRest(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "foreign.bin")
	want := foreignSetup(t, name)
	for _, args := range [][]string{{}, {"kvm=on"}, {"--record", "2", "kvm=on"}} {
		out := filepath.Join(dir, "out.bin")
		code, _, stderr := invoke(t, nil, "", append([]string{"outband", "setupbin", "set", name, "--out", out}, args...)...)
		if got := readText(t, out); code != 0 || got != string(want) {
			t.Errorf("set %q: exit code %d, file changed: %v; %s", args, code, got != string(want), stderr)
		}
	}
	out := filepath.Join(dir, "out.bin")
	if code, _, stderr := invoke(t, nil, "", "outband", "setupbin", "set", name, "--out", out, "kvm=off"); code != 0 {
		t.Fatal(stderr)
	}
	got := []byte(readText(t, out))
	var changed []int
	for i := range want {
		if i < len(got) && got[i] != want[i] {
			changed = append(changed, i)
		}
	}
	if len(got) != len(want) || len(changed) != 1 {
		t.Errorf("%d octets, want %d; octets %v changed, want one", len(got), len(want), changed)
	}
	if code, _, stderr := invoke(t, nil, "", "outband", "setupbin", "set", name, "--record", "1", "kvm=off"); code != exitUsage || !strings.Contains(stderr, "record 1 is consumed") {
		t.Errorf("consumed record: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := invoke(t, nil, "", "outband", "setupbin", "add-record", name, "--copy", "2"); code != exitUsage || !strings.Contains(stderr, "6 octets behind its last record") {
		t.Errorf("octets behind: exit code %d, %s", code, stderr)
	}
	if again := readText(t, name); again != string(want) {
		t.Error("the file itself has changed")
	}
}

// show -o json says all that is in a file, and no secret unless asked.
func TestSetupbinShow(t *testing.T) {
	name := filepath.Join(t.TempDir(), "foreign.bin")
	foreignSetup(t, name)
	for _, secrets := range []bool{false, true} {
		args := []string{"outband", "setupbin", "show", name, "-o", "json"}
		if secrets {
			args = append(args, "--secrets")
		}
		code, stdout, stderr := invoke(t, nil, "", args...)
		var r setupbinRecord
		if err := json.Unmarshal([]byte(stdout), &r); code != 0 || err != nil {
			t.Fatalf("exit code %d, %v: %s", code, err, stderr)
		}
		if len(r.Records) != 2 || r.Records[0].Usable || !r.Records[1].Usable || !r.Records[1].Scrambled || r.Consumed != 1 || *r.Reusable {
			t.Errorf("got %+v", r)
		}
		var got []string
		for _, v := range r.Records[1].Variables {
			got = append(got, v.Name+"="+v.Value+"/"+v.Hex)
		}
		want := "current-password=***/ new-password=***/ kvm=on/01 2/99=***/"
		if secrets {
			want = "current-password=admin/61646d696e new-password=P@ssw0rd/5040737377307264 kvm=on/01 2/99=hex:010203/010203"
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("secrets %v: got %s, want %s", secrets, text, want)
		}
		if strings.Contains(stdout+stderr, "P@ssw0rd") != secrets {
			t.Errorf("secrets %v, and the password is shown: %v", secrets, !secrets)
		}
	}
}

// Where a file stands on a key matters to simple BIOSes.
func TestSetupbinCheckKey(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "setup.bin")
	env := map[string]string{"AMT_NEW_PASSWORD": "P@ssw0rd"}
	if code, _, stderr := invoke(t, env, "", "outband", "setupbin", "create", file); code != 0 {
		t.Fatal(stderr)
	}
	image := filepath.Join(dir, "key.img")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 8 << 20
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := fat.Write(f, fat.Options{Size: size}, fat.File{Name: "OTHER.TXT", Content: []byte("x")}, fat.File{Name: "SETUP.BIN", Content: []byte(readText(t, file))}); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ := invoke(t, nil, "", "outband", "setupbin", "check", image, "-o", "json")
	if want := `"warnings":["key: the file is not the first one in the root directory; some BIOSes want it to be"]`; code != 0 || !strings.Contains(stdout, want) {
		t.Errorf("exit code %d, %s", code, stdout)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"64M": 64 << 20, "64MiB": 64 << 20, "1g": 1 << 30, "32G": 32 << 30, "1048576": 1 << 20, "512K": 512 << 10,
		"": 0, "M": 0, "-1M": 0, "33G": 0, "1T": 0, "99999999999999999999": 0, "1.5G": 0} {
		if got, err := parseSize(text); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
}
