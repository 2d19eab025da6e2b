package tlv

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/outband/outband/internal/wiretest"
)

// Made by hand from the table of the specification; each is a whole array.
var arrays = []struct {
	name, wire string
	want       []Param
}{
	{"HTTPS boot", "8680 0100 09000000 68747470733a2f2f78  8680 1400 01000000 01  8680 1e00 02000000 0000",
		[]Param{Text(NetworkPath, "https://x"), Octet(SyncRootCA, 1), Word(RequestTimeout, 0)}},
	{"Windows recovery", "8680 0200 02000000 0403  8680 0300 02000000 0200", []Param{Text(FilePath, "\x04\x03"), Word(FilePathLength, 2)}},
	{"erase", "8680 0100 04000000 44000000  0b00 1400 00000000", []Param{DWord(EraseMask, 0x44), {Vendor: OEM, Type: 20}}},
	{"nothing", "", nil},
}

func equal(a, b []Param) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Vendor != b[i].Vendor || a[i].Type != b[i].Type || !bytes.Equal(a[i].Value, b[i].Value) {
			return false
		}
	}
	return true
}

func TestArrays(t *testing.T) {
	for _, tt := range arrays {
		t.Run(tt.name, func(t *testing.T) {
			wire := wiretest.Hex(t, tt.wire)
			got, err := Parse(wire)
			if err != nil || !equal(got, tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
			if again, err := Append(nil, tt.want...); err != nil || !bytes.Equal(again, wire) {
				t.Errorf("wrote %x, %v; want %x", again, err, wire)
			}
			if tt.name != "erase" && CheckBoot(got) != nil {
				t.Error(CheckBoot(got))
			}
			ends := map[int]bool{0: true} // where a shorter array would end
			for i, n := 0, 0; i < len(got); i++ {
				n += headerLen + len(got[i].Value)
				ends[n] = true
			}
			for i := range wire {
				if p, err := Parse(wire[:i]); (err == nil) != ends[i] || err != nil && (!errors.Is(err, ErrMalformed) || p != nil) {
					t.Errorf("cut at %d: %v, %v", i, p, err)
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	full := Text(NetworkPath, strings.Repeat("u", MaxSize-headerLen))
	b, err := Append(nil, full)
	if err != nil || len(b) != MaxSize {
		t.Errorf("%d octets, %v", len(b), err)
	}
	if p, err := Parse(b); err != nil || !equal(p, []Param{full}) {
		t.Error(err)
	}
	if p, err := Parse(append(b, 0)); !errors.Is(err, ErrTooLong) || p != nil {
		t.Errorf("%v, %v", p, err)
	}
	full.Value = append(full.Value, 0)
	if b, err := Append([]byte("b"), full); !errors.Is(err, ErrTooLong) || string(b) != "b" {
		t.Errorf("%d octets, %v", len(b), err)
	}
	many := make([]Param, MaxParams+1)
	if _, err := Append(nil, many...); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if _, err := Parse(make([]byte, headerLen*(MaxParams+1))); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if p, err := Parse(wiretest.Hex(t, "8680 0100 ffffffff 00")); !errors.Is(err, ErrMalformed) || p != nil {
		t.Errorf("%v, %v", p, err)
	}
}

func TestCheckBoot(t *testing.T) {
	long := func(kind uint16, n int) Param { return Text(kind, strings.Repeat("x", n)) }
	for _, tt := range []struct {
		p  Param
		ok bool
	}{
		{long(NetworkPath, 300), true}, {long(NetworkPath, 301), false}, {long(NetworkPath, 0), false}, {long(FilePath, 301), false},
		{long(ImageSHA256, 32), true}, {long(ImageSHA256, 31), false}, {long(ServerSHA384, 48), true}, {long(ServerSHA512, 48), false},
		{long(BootData, 50), true}, {long(BootData, 51), false}, {Octet(SyncRootCA, 1), true}, {Word(SyncRootCA, 1), false},
		{long(ServerName, 256), true}, {long(ServerName, 257), false}, {Word(NameMethod, 1), true}, {DWord(RequestTimeout, 1), false},
		{long(HTTPUser, 500), true}, {long(99, 999), true}, {Param{Vendor: OEM, Type: SyncRootCA}, true},
	} {
		if err := CheckBoot([]Param{tt.p}); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrValue) {
			t.Errorf("%v: %v", tt.p, err)
		}
	}
}

func TestParam(t *testing.T) {
	params := []Param{{Vendor: OEM, Type: RequestTimeout}, Word(RequestTimeout, 30), Text(HTTPPassword, "Secr3t"), DWord(EraseMask, 1<<31)}
	if p, ok := Find(params, RequestTimeout); !ok || len(p.Value) != 2 {
		t.Errorf("%v, %t", p, ok)
	} else if n, ok := p.Word(); !ok || n != 30 {
		t.Errorf("%d, %t", n, ok)
	} else if _, ok := p.DWord(); ok {
		t.Error("a word read as four octets")
	}
	if p, ok := Find(params, EraseMask); !ok {
		t.Error("not found")
	} else if n, ok := p.DWord(); !ok || n != 1<<31 {
		t.Errorf("%d, %t", n, ok)
	} else if _, ok := p.Word(); ok {
		t.Error("four octets read as a word")
	}
	if p, ok := Find(params, HTTPUser); ok {
		t.Error(p)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", params, params, params, params); strings.Contains(text, "Secr3t") || strings.Contains(text, "83") {
		t.Errorf("shows a secret: %s", text)
	}
}

func TestRoundTrip(t *testing.T) {
	param := rapid.Custom(func(t *rapid.T) Param {
		return Param{Vendor: rapid.Uint16().Draw(t, "vendor"), Type: rapid.Uint16().Draw(t, "type"), Value: rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "value")}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(param, 0, 20).Draw(t, "params")
		b, err := Append(nil, want...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(b); err != nil || !equal(got, want) {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, tt := range arrays {
		f.Add(wiretest.Hex(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		params, err := Parse(b)
		if err != nil {
			return
		}
		if again, err := Append(nil, params...); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x: wrote %x, %v", b, again, err)
		}
	})
}
