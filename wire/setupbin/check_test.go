package setupbin

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const passwords = "current-password=admin new-password=P@ssw0rd "

func TestCheck(t *testing.T) {
	const hash = "add-hash=sha256:cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f:root"
	for _, tt := range []struct {
		name     string
		version  Version
		settings string
		change   func(*File)
		want     []string // prefixes
	}{
		{"all well", V3, passwords + "kvm=on", nil, nil},
		{"hash after its switch", V3, passwords + "user-hashes=on " + hash, nil, nil},
		{"hash alone", V3, passwords + hash, nil, []string{"warning: record 1 add-hash: user-hashes=on should"}},
		{"no current password", V3, "new-password=P@ssw0rd", nil, []string{"record 1 current-password: must", "record 1 new-password: must follow"}},
		{"no new password", V3, "current-password=admin", nil, []string{"record 1 new-password: must be there"}},
		{"another current password", V3, "current-password=P@ssw0rd", nil, []string{"warning: record 1 current-password: is not the factory's"}},
		{"weak password", V3, "current-password=admin new-password=password1", nil, []string{"record 1 new-password: value not allowed: no upper-case letter"}},
		{"SHA-256 too early", V2, passwords + "user-hashes=on " + hash, nil, []string{"record 1 add-hash: sha256 needs version 3.0"}},
		{"variable too early", V21, passwords + "kvm=on", nil, []string{"warning: record 1 kvm: came with version 3.0"}},
		{"static address missing", V3, passwords + "dhcp=off", nil, []string{"record 1 dhcp: is off"}},
		{"static address there", V3, passwords + "dhcp=off static-ipv4=hex:00", nil, []string{"warning: record 1 static-ipv4: its encoding"}},
		{"unknown variable", V3, passwords + "2/99=hex:00", nil, []string{"warning: record 1 2/99: unknown"}},
		{"PSK", V1, passwords + "pid=ABCDEFGH pps=ABCDEFGHABCDEFGHABCDEFGHABCDEFGH", nil, nil},
		{"PSK for all", V2, passwords + "pid=ABCDEFGH", func(f *File) { f.Flags = Reusable }, []string{"warning: record 1 pid: each machine"}},
		{"reusable too early", V1, passwords, func(f *File) { f.Flags = Reusable }, []string{"warning: header: reusable"}},
		{"scrambled too early", V3, passwords, func(f *File) { f.Records[0].Flags |= Scrambled }, []string{"record 1: scrambled"}},
		{"manageability too late", V3, passwords + "kvm=on manageability=amt", func(f *File) { move(f, Manageability, 3) }, []string{"record 1 manageability: must come before"}},
		{"new password too late", V3, passwords + "manageability=amt", func(f *File) { move(f, NewPassword, 2) }, []string{"record 1 new-password: must follow"}},
		{"start too early", V3, passwords + "dns-suffix=a server-name=b server-address=1.2.3.4 provisioning=start", func(f *File) { move(f, Provisioning, 2) },
			[]string{"record 1 provisioning: must come after dns-suffix", "record 1 provisioning: must come after server-name", "record 1 provisioning: must come after server-address"}},
		{"twice", V3, passwords + "kvm=on kvm=off", nil, []string{"warning: record 1 kvm: set more than once"}},
		{"hash twice", V3, passwords + "user-hashes=on " + hash + " " + hash, nil, nil},
		{"hash too short", V3, passwords + "user-hashes=on", func(f *File) {
			f.Records[0].Add(Variable{ID: AddHash, Value: append([]byte{2}, make([]byte, 21)...)})
		}, []string{"record 1 add-hash: certificate hash: value not allowed: sha256 has 32 octets of hash and a name behind them, there are 21"}},
		{"hash with a long name", V3, passwords + "user-hashes=on", func(f *File) {
			f.Records[0].Add(Variable{ID: AddHash, Value: append(append([]byte{1}, make([]byte, 20)...), 40, 'a')})
		}, []string{"record 1 add-hash: certificate hash: value not allowed: a name of 40 octets, at most 32"}},
		{"hash of what", V3, passwords + "user-hashes=on", func(f *File) {
			f.Records[0].Add(Variable{ID: AddHash, Value: append([]byte{9}, make([]byte, 21)...)})
		}, []string{"record 1 add-hash: certificate hash: value not allowed: algorithm unknown (9)"}},
		{"bad value", V3, passwords + "kvm=on", func(f *File) { f.Records[0].Variables[2].Value = []byte{2} }, []string{"record 1 kvm: value not allowed"}},
		{"no room for the end", V3, passwords, func(f *File) {
			f.Records[0].Add(Variable{ID: DNSSuffix, Value: []byte(strings.Repeat("d", 250))})
			f.Records[0].Add(Variable{ID: ServerName, Value: []byte(strings.Repeat("d", 181))})
			f.Index()
		}, []string{"record 1: 484 octets of variables, at most 480"}},
		{"empty", V3, "", func(f *File) { f.Records = nil; f.Index() }, []string{"header: no record"}},
		{"counts", V3, passwords, func(f *File) { f.Count = 3 }, []string{"header: says 3 records"}},
		{"used up", V3, passwords, func(f *File) { f.Consumed = 1; f.Records[0].Flags = 0 }, []string{"header: all records have been consumed"}},
		{"more consumed than there", V3, passwords, func(f *File) { f.Consumed = 2 }, []string{"header: 2 records consumed of 1"}},
		{"not usable", V3, passwords, func(f *File) { f.Records[0].Flags = 0 }, []string{"warning: record 1: not usable"}},
		{"list of modules", V3, passwords + "kvm=on", func(f *File) { f.Modules = []uint16{1} }, []string{"warning: header: module 2"}},
		{"header fields", V3, passwords, func(f *File) {
			f.Chunks, f.RecordChunks, f.Number, f.Flags, f.Rest = 0, 0, 1, 4, []byte{1}
		}, []string{"warning: header: 0 chunks of", "warning: header: 0 chunks in", "warning: header: record number", "warning: header: 1 octets behind",
			"warning: header: unknown flags", "warning: record 1: says 1 chunks"}},
		{"record fields", V3, passwords, func(f *File) { r := &f.Records[0]; r.Number, r.Length, r.Flags = 7, 16, 5 },
			[]string{"warning: record 1: numbered 7", "warning: record 1: says a header of 16", "warning: record 1: unknown flags"}},
		{"type and version", V3, passwords, func(f *File) { f.Major = 4 }, []string{"header: the type is that of version 3"}},
		{"minor version", V3, passwords, func(f *File) { f.Minor = 1 }, []string{"warning: header: unknown version 3.1"}},
		{"no type", V3, passwords, func(f *File) { f.Type[0] = 0 }, []string{"header: the type"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := New(tt.version, 0, NewRecord(0, mustMake(t, strings.Fields(tt.settings)...)...))
			if err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(f)
			}
			var got []string
			for _, p := range f.Check() {
				got = append(got, p.String())
			}
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("got\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

// move puts a variable at another place.
func move(f *File, id ID, to int) {
	r := &f.Records[0]
	value, _ := r.Get(id)
	r.Delete(id)
	r.Variables = slices.Insert(r.Variables, to, Variable{ID: id, Value: value})
}

func TestConsume(t *testing.T) {
	record := func(host string) Record {
		return NewRecord(Scrambled, mustMake(t, append(strings.Fields(passwords), "host-name="+host)...)...)
	}
	f, err := New(V4, 0, record("a"), record("b"), record("c"))
	if err != nil {
		t.Fatal(err)
	}
	var applied []string
	apply := func(v Variable) error { applied = append(applied, v.Name()+"="+v.Text()); return nil }
	next := func(password string) (bool, error) {
		f = parseFile(t, appendFile(t, f)) // as the key goes from machine to machine
		return f.Consume(password, apply)
	}

	if changed, err := next("P@ssw0rd"); changed || !errors.Is(err, ErrPassword) || applied != nil {
		t.Fatalf("wrong password: %t, %v, %q", changed, err, applied)
	}
	no := errors.New("no")
	if changed, err := f.Consume("admin", func(v Variable) error { return no }); changed || !errors.Is(err, no) || !strings.Contains(err.Error(), "new-password") {
		t.Fatalf("%t, %v", changed, err)
	}
	f.Records[1].Flags &^= Valid // spoilt by somebody
	for _, host := range []string{"a", "c"} {
		applied = nil
		changed, err := next("admin")
		if want := []string{"new-password=P@ssw0rd", "host-name=" + host}; !changed || err != nil || !slices.Equal(applied, want) {
			t.Fatalf("%t, %v, %q; want %q", changed, err, applied, want)
		}
	}
	if changed, err := next("admin"); changed || !errors.Is(err, ErrNoRecord) {
		t.Errorf("%t, %v", changed, err)
	}
	if f.Consumed != 2 || len(f.Records[0].Variables) != 0 || strings.Contains(string(appendFile(t, f)), "admin") {
		t.Errorf("%+v", f)
	}

	// A reusable file stays as it is, however often it is used.
	f = parseFile(t, read(t, "acu.bin"))
	for range 3 {
		applied = nil
		if changed, err := next("admin"); changed || err != nil || len(applied) != 8 {
			t.Errorf("%t, %v, %q", changed, err, applied)
		}
	}
	if got := appendFile(t, f); string(got) != string(read(t, "acu.bin")) {
		t.Error("changed")
	}
}
