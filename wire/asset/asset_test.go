package asset

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/outband/outband/internal/wiretest"
)

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readTable(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/table.bin") // see testdata/README.md
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Recorded TableData: device-management-toolkit/go-wsman-messages, pkg/wsman/amt/asset/decoder_test.go.
const (
	recorded130 = "CwAAABQAAAABAAAAAQEBAQGl7wLAPwEARQAABA=="
	recorded131 = "CgAAAEAAAAABAAAAPwAAAAAAAAAAAAAA+ACCUQAAAAAp4AAAAQAQAEwIGQAAAAAA/gD//wAAAAAAAAAA5gEAAHZQcm8AAAAA"
)

func TestTableData(t *testing.T) {
	wire := unbase64(t, recorded130)
	table, err := ParseTableData(wire)
	if err != nil || !bytes.Equal(table.Append(nil), wire) {
		t.Fatalf("%+v, %v", table, err)
	}
	amt, err := table.AMT()
	if err != nil || amt.String() != "supported, enabled, IDE-R, SOL, KVM" || !amt.Network || amt.Capabilities != [5]byte{0xa5, 0xef, 0x02, 0xc0, 0x3f} ||
		!bytes.Equal(amt.Table().Append(nil), wire) {
		t.Errorf("%+v, %v", amt, err)
	}
	if _, err := table.VPro(); !errors.Is(err, ErrShort) {
		t.Error(err)
	}

	wire = unbase64(t, recorded131)
	if table, err = ParseTableData(wire); err != nil || table.Version != 1 {
		t.Fatalf("%+v, %v", table, err)
	}
	vpro, err := table.VPro()
	if err != nil || vpro.EngineVersion.String() != "16.1.25.2124" || vpro.CPU.String() != "VMX on, SMX on, TXT, TXT on, VT-x, VT-x on" ||
		vpro.Chipset.String() != "00:1f.0 8086:5182" || vpro.LAN.String() != "none" || vpro.LAN.Address != 0xfe {
		t.Errorf("%+v, %v", vpro, err)
	}
	if mebx, ok := vpro.MEBx(); ok {
		t.Errorf("MEBx %v", mebx)
	}
	if !bytes.Equal(vpro.Table().Append(nil), wire) {
		t.Errorf("wrote %x, read %x", vpro.Table().Append(nil), wire)
	}

	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing", nil, ErrShort},
		{"half a header", wire[:11], ErrShort},
		{"cut", wire[:40], ErrMalformed},
		{"with more", append(bytes.Clone(wire), 0), ErrMalformed},
		{"too long", make([]byte, MaxTableData+1), ErrTooLong},
	} {
		if table, err := ParseTableData(tt.in); !errors.Is(err, tt.want) || table.Data != nil {
			t.Errorf("%s: %v, %v", tt.name, table, err)
		}
	}
}

// Structures as dmidecode printed them, each with two zeros behind.
var intel = []struct {
	name, wire          string
	engine, mebx        string
	chipset, lan, flags string
}{
	{"X220 Tablet, AMT 7", `83400D0014000000070000000000 3D00 F8004F1CFFFFFFFF09E0000001000700 40040D0000000000C800021500000000 00000000F60000007650726F00000000`,
		"7.1.13.1088", "7.0.0.61", "00:1f.0 8086:1c4f", "00:19.0 8086:1502", "TXT, VT-x"},
	{"a notebook with AMT 6", `8340120017000000000032D106000000 F800093B000000000120000001000600 1504010000000000C800FFFF000000FF 000000005E0000007650726F00000000`,
		"6.1.1.1045", "", "00:1f.0 8086:3b09", "none", "VMX on, SMX on, TXT, VT-x"},
	{"HYDROC-16, AMT 16", `83403E00310000000000000000000000 F8000C7A000000002120000001001000 7209200000000000FE00FFFF00000000 00000000220000007650726F00000000`,
		"16.1.32.2418", "", "00:1f.0 8086:7a0c", "none", "VMX on, VT-x, VT-x on"},
}

func TestVPro(t *testing.T) {
	for _, tt := range intel {
		t.Run(tt.name, func(t *testing.T) {
			wire := append(wiretest.Hex(t, tt.wire), 0, 0)
			s, rest, err := ParseStructure(wire)
			if err != nil || len(rest) != 0 || s.Type != TypeVPro {
				t.Fatalf("%+v, %v", s, err)
			}
			v, err := s.VPro()
			if err != nil || v.EngineVersion.String() != tt.engine || v.Chipset.String() != tt.chipset || v.LAN.String() != tt.lan || v.CPU.String() != tt.flags {
				t.Errorf("%+v, %v: %v, %v, %v, %v", v, err, v.EngineVersion, v.Chipset, v.LAN, v.CPU)
			}
			if mebx, ok := v.MEBx(); ok != (tt.mebx != "") || ok && mebx.String() != tt.mebx {
				t.Errorf("MEBx %v, %t; want %q", mebx, ok, tt.mebx)
			}
			if again, err := v.Structure(s.Handle).Append(nil); err != nil || !bytes.Equal(again, wire) {
				t.Errorf("wrote %x, %v; read %x", again, err, wire)
			}
		})
	}
	// Lenovo's own structure of this number, and others that are none.
	for _, s := range []Structure{{Type: TypeVPro, Data: make([]byte, 18), Strings: []string{"TVT-Enablement"}}, {Type: TypeVPro, Data: make([]byte, 60)}, {Type: TypeAMT, Data: make([]byte, 60)}} {
		if v, err := s.VPro(); err == nil || v.More != nil {
			t.Errorf("%+v: %+v", s, v)
		}
	}
}

func TestAMT(t *testing.T) {
	wire := wiretest.Hex(t, "82140C0024414D540101010101A5FF03000001000000")
	s, _, err := ParseStructure(wire)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.AMT()
	if err != nil || !a.KVM || a.Capabilities != [5]byte{0xa5, 0xff, 3} || len(a.More) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if again, err := a.Structure(s.Handle).Append(nil); err != nil || !bytes.Equal(again, wire) {
		t.Errorf("wrote %x, %v; read %x", again, err, wire)
	}
	// AMT 6 with KVM off.
	s, _, err = ParseStructure(wiretest.Hex(t, "8214110024414D540101010101A51F02000000000000"))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := s.AMT(); err != nil || a.String() != "supported, enabled, IDE-R, SOL" {
		t.Errorf("%v, %v", a, err)
	}
	if got := (AMT{Enabled: true}).String(); got != "not supported" {
		t.Error(got)
	}
	for _, tt := range []struct {
		s    Structure
		want error
	}{
		{Structure{Type: TypeVPro}, ErrOther},
		{Structure{Type: TypeAMT, Data: []byte("Dell")}, ErrOther},
		{Structure{Type: TypeAMT, Data: []byte("$AMT\x01\x01")}, ErrShort},
	} {
		if _, err := tt.s.AMT(); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v", tt.s, err)
		}
	}
}

func TestTable(t *testing.T) {
	wire := readTable(t)
	table, err := ParseTable(wire)
	if err != nil || len(table) != 11 {
		t.Fatalf("%d structures, %v", len(table), err)
	}
	if again, err := AppendTable(nil, table); err != nil || !bytes.Equal(again, wire) {
		t.Errorf("wrote %x, %v; read %x", again, err, wire)
	}
	if padded, err := ParseTable(append(bytes.Clone(wire), make([]byte, 100)...)); err != nil || len(padded) != 11 {
		t.Errorf("%d structures, %v", len(padded), err)
	}
	if got := table[7].Strings; len(got) != 2 || got[1] != "Intel_ASF_001" || table[7].Text(0) != "" || table[7].Text(3) != "" || table[7].Text(2) != got[1] {
		t.Errorf("%q", got)
	}

	many := bytes.Repeat([]byte{1, 4, 0, 0, 0, 0}, MaxStructures+1)
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"cut in a header", wire[:3], ErrShort},
		{"cut in the area", wire[:20], ErrShort},
		{"cut in a string", wire[:30], ErrShort},
		{"cut before the last zero", []byte{1, 4, 0, 0, 'a', 0}, ErrShort},
		{"one zero", []byte{1, 4, 0, 0, 0}, ErrShort},
		{"length below the header's", []byte{1, 3, 0, 0, 0, 0}, ErrMalformed},
		{"an empty string", []byte{1, 4, 0, 0, 0, 'a', 0, 0}, ErrMalformed},
		{"too many", many, ErrTooLong},
		{"too long", make([]byte, MaxTable+1), ErrTooLong},
	} {
		if table, err := ParseTable(tt.in); !errors.Is(err, tt.want) || table != nil {
			t.Errorf("%s: %v, %v", tt.name, table, err)
		}
	}
	for _, tt := range []struct {
		s    Structure
		want error
	}{
		{Structure{Data: make([]byte, 252)}, ErrTooLong},
		{Structure{Strings: make([]string, 256)}, ErrTooLong},
		{Structure{Strings: []string{"a", ""}}, ErrMalformed},
		{Structure{Strings: []string{"a\x00"}}, ErrMalformed},
	} {
		if b, err := AppendTable([]byte("b"), []Structure{tt.s}); !errors.Is(err, tt.want) || string(b) != "b" {
			t.Errorf("%+v: %q, %v", tt.s, b, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	text := rapid.StringMatching(`[ -~]{1,20}`)
	rapid.Check(t, func(t *rapid.T) {
		s := Structure{Type: rapid.Byte().Draw(t, "type"), Handle: rapid.Uint16().Draw(t, "handle"),
			Data: rapid.SliceOfN(rapid.Byte(), 0, 251).Draw(t, "data"), Strings: rapid.SliceOfN(text, 0, 9).Draw(t, "strings")}
		b, err := s.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := ParseStructure(append(bytes.Clone(b), "next"...))
		if err != nil || string(rest) != "next" {
			t.Fatalf("%v, %q left", err, rest)
		}
		if got.Type != s.Type || got.Handle != s.Handle || !bytes.Equal(got.Data, s.Data) || strings.Join(got.Strings, "\x00") != strings.Join(s.Strings, "\x00") {
			t.Fatalf("got %+v, want %+v", got, s)
		}
	})
}

func FuzzParseTable(f *testing.F) {
	f.Add(readTable(f))
	for _, tt := range intel {
		f.Add(append(wiretest.Hex(f, tt.wire), 0, 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := ParseTable(b)
		if err != nil {
			return
		}
		again, err := AppendTable(nil, table)
		if err != nil || !bytes.HasPrefix(b, again) {
			t.Errorf("%x: wrote %x, %v", b, again, err)
		}
		for _, s := range table {
			s.BIOS()
			s.System()
			s.Board()
			s.Chassis()
			s.Processor()
			s.Memory()
			s.AMT()
			if v, err := s.VPro(); err == nil {
				v.MEBx()
				if got := v.Structure(s.Handle); !bytes.Equal(got.Data, s.Data) {
					t.Errorf("wrote %x, read %x", got.Data, s.Data)
				}
			}
		}
	})
}

func FuzzParseTableData(f *testing.F) {
	f.Add(unbase64(f, recorded130))
	f.Add(unbase64(f, recorded131))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := ParseTableData(b)
		if err != nil {
			return
		}
		if !bytes.Equal(table.Append(nil), b) {
			t.Errorf("%x: wrote %x", b, table.Append(nil))
		}
		table.AMT()
		table.VPro()
	})
}
