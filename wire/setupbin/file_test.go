package setupbin

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The files of others: what is in them, and the SHA-256 of their 1024 octets. acu.bin is Setup-default.bin of
// rgl/intel-amt-notes, which Intel's Configuration Utility 12.1 wrote; meshcommander.bin is its Setup.bin, changed with
// MeshCommander and accepted by a real machine; the others are output of amt/amt-setupbin.js of meshcentral 1.1.55.
var recorded = []struct {
	file, sum string // SHA-256
	version   Version
	flags     FileFlags
	record    RecordFlags
	modules   []uint16
	variables []string // as Make takes them
}{
	{"acu.bin", "366c6376a96c748b11980f7adc74d8cc6947e8d1cc35544245a4de4084965ac5", V4, Reusable, Valid | Scrambled, []uint16{1, 2}, []string{
		"current-password=admin", "new-password=HeyH0Password!", "power-package=46732273-dc23-2f43-a98a-13d37982d855", "dhcp=on",
		"fqdn=shared", "kvm=on", "user-consent=none", "remote-consent-policy=on", "manual-setup=manual"}},
	{"meshcommander.bin", "32be84ec1122f0a28cd419aa3943b22ff634b11c7b80b5eab48329381b6440fe", V4, Reusable, Valid | Scrambled, nil, []string{
		"current-password=admin", "new-password=HeyH0Password!", "manageability=amt", "power-package=46732273-dc23-2f43-a98a-13d37982d855",
		"redirection=sol+ider+password", "dhcp=on", "fqdn=shared", "kvm=on", "user-consent=none", "remote-consent-policy=on", "manual-setup=manual"}},
	{"mesh-acm.bin", "dce96b2cfc853ec91718e0ed0f4f89da2105eb5a193fe23fef0c132548b97551", V3, Reusable, Valid, []uint16{1, 2}, []string{
		"current-password=admin", "new-password=P@ssw0rd", "dns-suffix=rootcert.meshcentral.com",
		"add-hash=sha256:cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f:MeshCentral", "provisioning=stop"}},
	{"mesh-baremetal.bin", "d6d8c63c6f92cf02ef71aee1c22613355cc8390ae3ddcd70f26da3152d27bb58", V3, Reusable, Valid, []uint16{1, 2}, []string{
		"current-password=admin", "new-password=P@ssw0rd", "dns-suffix=amt.example.com", "server-name=amt.example.com",
		"add-hash=sha256:cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f:MeshCentral",
		"server-address=192.168.1.2", "server-port=9971", "provisioning=start"}},
	{"mesh-scrambled.bin", "d5f61dbcb5fa054dd07d97c1c717b25ccfb355d5a80f251b1aa9d009a8b41b14", V4, 0, Valid | Scrambled, []uint16{1, 2}, []string{
		"current-password=admin", "new-password=P@ssw0rd", "manageability=amt", "redirection=sol+ider+password", "host-name=desk-7", "dhcp=on",
		"user-consent=all", "support-channel=4711", "service-type=reactive+proactive"}},
}

// read makes one of these files from nothing. Its SHA-256 says that it is, octet for octet, the file that the others
// wrote.
func read(t testing.TB, name string) []byte {
	t.Helper()
	for _, r := range recorded {
		if r.file != name {
			continue
		}
		made, err := New(r.version, r.flags, NewRecord(r.record, mustMake(t, r.variables...)...))
		if err != nil {
			t.Fatal(err)
		}
		if r.modules == nil { // MeshCommander writes no list, and yet its length
			made.Modules = nil
		}
		b := appendFile(t, made)
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != r.sum {
			t.Fatalf("%s has SHA-256 %s, what was made has %x:\n%x", name, r.sum, sum, b)
		}
		return b
	}
	t.Fatalf("no recorded file %s", name)
	return nil
}

func parseFile(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func appendFile(t testing.TB, f *File) []byte {
	t.Helper()
	b, err := f.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustMake(t testing.TB, settings ...string) (variables []Variable) {
	t.Helper()
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		v, err := Make(name, value)
		if err != nil {
			t.Fatal(err)
		}
		variables = append(variables, v)
	}
	return variables
}

func TestRecordedFiles(t *testing.T) {
	for _, tt := range recorded {
		t.Run(tt.file, func(t *testing.T) {
			b := read(t, tt.file)
			f := parseFile(t, b)
			if f.Version() != tt.version || f.Flags != tt.flags || f.Count != 1 || len(f.Records) != 1 || !slices.Equal(f.Modules, tt.modules) {
				t.Errorf("header %+v", f.Header)
			}
			if again := appendFile(t, f); !bytes.Equal(again, b) {
				t.Errorf("wrote\n%x, read\n%x", again, b)
			}
			r := f.Records[0]
			var got []string
			for _, v := range r.Variables {
				got = append(got, v.Name()+"="+v.Text())
			}
			if r.Flags != tt.record || !slices.Equal(got, tt.variables) {
				t.Errorf("flags %d, variables\n%q, want\n%q", r.Flags, got, tt.variables)
			}

			for _, p := range f.Check() {
				if !p.Warning {
					t.Errorf("a working file is refused: %v", p)
				}
			}
		})
	}
}

// Whatever others leave in a file is written back.
func TestForeignFile(t *testing.T) {
	b := make([]byte, 3*512+5)
	for i := range b {
		b[i] = byte(i*7 + 1)
	}
	uuid, _ := typeOf(3)
	copy(b, uuid[:])
	binary.LittleEndian.PutUint16(b[16:], 0)
	binary.LittleEndian.PutUint32(b[28:], 2)
	binary.LittleEndian.PutUint16(b[36:], 0)
	copy(b[44:], "\x00\x00") // the list of modules ends
	// a valid record with an unknown module and odd padding
	copy(b[512:], "\x01\x00\x00\x00\x01\x00\x00\x00")
	copy(b[512+24:], "\x07\x00\x09\x00\x05\x00\xaa\xbbhelloXYZ\x00\x00left behind")
	// a consumed record full of rubbish
	copy(b[1024:], "\x01\x00\x00\x00\x00\x00\x00\x00")

	f := parseFile(t, b)
	if again := appendFile(t, f); !bytes.Equal(again, b) {
		t.Fatalf("wrote\n%x, read\n%x", again, b)
	}
	v := f.Records[0].Variables
	if len(v) != 1 || v[0].ID.String() != "7/9" || string(v[0].Value) != "hello" || v[0].Text() != "hex:68656c6c6f" || !v[0].Secret() {
		t.Errorf("%v", v)
	}
	if len(f.Records[1].Variables) != 0 || len(f.Rest) != 5 {
		t.Errorf("%d variables, %d octets left", len(f.Records[1].Variables), len(f.Rest))
	}
	if problems := fmt.Sprint(f.Check()); strings.Contains(problems, "hello") {
		t.Error(problems)
	}

	// What was behind the variables may not become one when they change.
	f.Records[0].Delete(v[0].ID)
	f = parseFile(t, appendFile(t, f))
	if len(f.Records[0].Variables) != 0 {
		t.Errorf("%v", f.Records[0].Variables)
	}
}

func TestParseRefusals(t *testing.T) {
	good := read(t, "mesh-acm.bin")
	change := func(at int, octets ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], octets)
		return b
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing", nil, ErrOther},
		{"another type", change(3, 0), ErrOther},
		{"half a header", good[:300], ErrShort},
		{"no record", good[:512], ErrShort},
		{"half a record", good[:1023], ErrShort},
		{"two records said, one there", change(28, 2), ErrShort},
		{"all records there can be", change(28, 255, 255, 255, 255), ErrShort},
		{"two chunks of header, and then no record", change(16, 2), ErrShort},
		{"three chunks of header", change(16, 3), ErrShort},
		{"too many chunks of header", change(16, 65), ErrTooLong},
		{"too many chunks of record", change(36, 255, 255), ErrTooLong},
		{"a value beyond its record", change(512+24+4, 255, 1), ErrMalformed},
		{"too long", make([]byte, MaxSize+1), ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if f, err := Parse(tt.in); !errors.Is(err, tt.want) || f != nil {
				t.Errorf("%v, %v; want %v", f, err, tt.want)
			}
		})
	}
	// A consumed record is not read.
	if _, err := Parse(change(512+4, 0)); err != nil {
		t.Error(err)
	}
}

func TestAppendRefusals(t *testing.T) {
	full := NewRecord(0, Variable{ID: DNSSuffix, Value: make([]byte, 488-8)})
	f, err := New(V3, 0, full)
	if err != nil {
		t.Fatal(err)
	}
	if b := appendFile(t, f); len(b) != 1024 {
		t.Errorf("%d octets", len(b))
	}
	f.Records[0].Variables[0].Value = make([]byte, 488-8+1)
	if b, err := f.Append([]byte("x")); !errors.Is(err, ErrTooLong) || string(b) != "x" {
		t.Errorf("%d octets, %v", len(b), err)
	}
	f.Records = nil
	f.Modules = make([]uint16, 237)
	if _, err := f.Append(nil); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	f.Modules, f.Chunks = nil, MaxChunks+1
	if _, err := f.Append(nil); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	for _, v := range []Version{0, 0x0101, 0x0202, 0x0301, 0x0500} {
		if _, err := New(v, 0); !errors.Is(err, ErrValue) {
			t.Errorf("version %v: %v", v, err)
		}
	}
}

func TestLongRecords(t *testing.T) {
	f, err := New(V3, 0, NewRecord(0, mustMake(t, "current-password=admin", "dns-suffix="+strings.Repeat("a", 255), "server-name="+strings.Repeat("b", 255))...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Append(nil); !errors.Is(err, ErrTooLong) {
		t.Fatal(err)
	}
	f.RecordChunks, f.Records[0].Chunks = 2, 2
	b := appendFile(t, f)
	if len(b) != 512+1024 {
		t.Errorf("%d octets", len(b))
	}
	again := parseFile(t, b)
	if got := again.Records[0].Variables; len(got) != 3 || got[2].Text() != strings.Repeat("b", 255) {
		t.Errorf("%v", got)
	}
}

func TestRecordChanges(t *testing.T) {
	const one, two = "add-hash=sha1:0102030405060708090a0b0c0d0e0f1011121314:one", "add-hash=sha1:0102030405060708090a0b0c0d0e0f1011121314:two"
	r := NewRecord(0, mustMake(t, "kvm=on", one, "current-password=admin", two)...)
	names := func() (s []string) {
		for _, v := range r.Variables {
			s = append(s, v.Name())
		}
		return s
	}
	if got := names(); !slices.Equal(got, []string{"current-password", "add-hash", "add-hash", "kvm"}) || !strings.HasSuffix(r.Variables[2].Text(), "two") {
		t.Errorf("%q", got)
	}
	r.Set(mustMake(t, "kvm=off")[0])
	r.Set(mustMake(t, two)[0])
	r.Set(mustMake(t, "dhcp=on")[0])
	if got := names(); !slices.Equal(got, []string{"current-password", "add-hash", "dhcp", "kvm"}) {
		t.Errorf("%q", got)
	}
	if v, ok := r.Get(KVM); !ok || !bytes.Equal(v, []byte{0}) {
		t.Errorf("%x, %t", v, ok)
	}
	if _, ok := r.Get(HostName); ok || r.Delete(HostName) != 0 || r.Delete(DHCP) != 1 || len(r.Variables) != 3 {
		t.Errorf("%q", names())
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range recorded {
		f.Add(read(f, tt.file))
	}
	f.Add([]byte("not one of ours"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			if file != nil {
				t.Errorf("%v, yet a file", err)
			}
			return
		}
		if again := appendFile(t, file); !bytes.Equal(again, b) {
			t.Fatalf("wrote\n%x, read\n%x", again, b)
		}
		file.Check()
		for _, r := range file.Records {
			for _, v := range r.Variables {
				d, _ := Lookup(v.ID)
				if d.Check(v.Value) != nil {
					continue
				}
				if value, err := d.Parse(v.Text()); err != nil || !bytes.Equal(value, v.Value) {
					t.Errorf("%v: %q read as %x, %v; want %x", v.ID, v.Text(), value, err, v.Value)
				}
			}
		}
		// A change and its reading: the order of what is there stays.
		file.Index()
		b, err = file.Append(nil)
		if err != nil {
			return // a list of modules longer than its header
		}
		if again := parseFile(t, b); len(again.Records) != len(file.Records) {
			t.Errorf("%d records of %d", len(again.Records), len(file.Records))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	file := read(b, "acu.bin")
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(file); err != nil {
			b.Fatal(err)
		}
	}
}

// A module is declared once, and not at all where the author has left the list empty.
func TestDeclare(t *testing.T) {
	for _, tt := range []struct {
		have, want []uint16
		length     uint16
	}{
		{[]uint16{1, 3}, []uint16{1, 2, 3}, 48},
		{[]uint16{2}, []uint16{2}, 46},
		{nil, nil, 46},
	} {
		f := &File{Header: Header{Modules: tt.have, Length: 46}}
		f.Declare(AMT)
		if !slices.Equal(f.Modules, tt.want) || f.Length != tt.length {
			t.Errorf("%v: got %v, length %d; want %v, %d", tt.have, f.Modules, f.Length, tt.want, tt.length)
		}
	}
}
