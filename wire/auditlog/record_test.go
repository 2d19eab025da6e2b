package auditlog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/outband/outband/internal/wiretest"
)

// Recorded: device-management-toolkit/go-wsman-messages, AMT_AuditLog ReadRecords.
const recorded = "ABMAAAI/9M1uAgAQAAwAAAAoBZkADAAAACQFlA=="

func recordedOctets(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(recorded)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var records = []struct {
	name, wire      string
	initiator, text string
}{
	{"recorded", "00130000 02 3ff4cd6e 02 00 10 000c000000280599000c000000240594", "local", "firmware updated: old 12.0.40.1433, new 12.0.36.1428"},
	{"digest user, IPv4", "00120004 00 05 61646d696e 65984e5f 00 0b 3139322e3136382e312e32 00", "admin", "SOL session opened"},
	{"Kerberos user, IPv6", "00110003 01 00000455 18 010400000000000515000000010000000200000003000000 65984e5f 01 03 3a3a31 07 c1010300000000",
		"S-1-5-21-1-2-3-1109", "reset: command vendor's, device floppy, options redirection+secure boot, boot option mask 0, OEM parameter 0"},
	{"KVM port", "00120008 03 65984e5f 02 00 00", "KVM default port", "KVM session started"},
	{"unknown event", "00200001 02 65984e5f 02 00 02 0102", "local", "screen blanking: event 1: more 0102"},
	{"data that does not fit", "00130000 02 65984e5f 02 00 03 000c00", "local", "firmware updated: data 000c00"},
}

func TestRecords(t *testing.T) {
	for _, tt := range records {
		t.Run(tt.name, func(t *testing.T) {
			wire := wiretest.Hex(t, tt.wire)
			got, rest, err := Parse(append(bytes.Clone(wire), "next"...))
			if err != nil || string(rest) != "next" {
				t.Fatalf("%v, %q left", err, rest)
			}
			again, err := got.Append(nil)
			if err != nil || !bytes.Equal(again, wire) {
				t.Errorf("wrote %x, %v; read %x", again, err, wire)
			}
			if got.Initiator.String() != tt.initiator || got.Text() != tt.text {
				t.Errorf("%q %q, want %q %q", got.Initiator, got.Text(), tt.initiator, tt.text)
			}
			for i := range wire {
				if r, rest, err := Parse(wire[:i]); !errors.Is(err, ErrShort) || len(rest) != i || r.Data != nil || r.ID != 0 {
					t.Fatalf("cut at %d: %+v, %v", i, r, err)
				}
			}
		})
	}
	if !bytes.Equal(recordedOctets(t), wiretest.Hex(t, records[0].wire)) {
		t.Error("the first is not the recorded one")
	}
	r, _, err := Parse(recordedOctets(t))
	if want := time.Date(2004, 1, 2, 1, 46, 22, 0, time.UTC); err != nil || !r.When().Equal(want) || r.Location != NoLocation || r.ID != FirmwareUpdated {
		t.Errorf("%+v, %v, %v", r, r.When(), err)
	}
}

func TestRefusals(t *testing.T) {
	wire := wiretest.Hex(t, "00120004 04 05 61646d696e 65984e5f 00 00 00")
	if r, rest, err := Parse(wire); !errors.Is(err, ErrUnknown) || len(rest) != len(wire) || r.ID != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	long := strings.Repeat("x", 256)
	for _, r := range []Record{
		{Initiator: Initiator{User: long}}, {Initiator: Initiator{Type: Kerberos, SID: []byte(long)}}, {Address: long}, {Data: []byte(long)},
	} {
		if b, err := r.Append([]byte("b")); !errors.Is(err, ErrTooLong) || string(b) != "b" {
			t.Errorf("%x, %v", b, err)
		}
	}
	if _, err := (Record{Initiator: Initiator{Type: 4}}).Append(nil); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func TestLongestRecord(t *testing.T) {
	full := strings.Repeat("x", 255)
	b, err := Record{Initiator: Initiator{Type: Kerberos, SID: []byte(full)}, Address: full, Data: []byte(full)}.Append(nil)
	if err != nil || len(b) != MaxSize {
		t.Errorf("%d octets, %v; want %d", len(b), err, MaxSize)
	}
}

func TestSIDText(t *testing.T) {
	for wire, want := range map[string]string{
		"0101000000000005 12000000":        "S-1-5-18",
		"0100 ffffffffffff":                "S-1-281474976710655",
		"0102 000000000005 20000000":       "010200000000000520000000",
		"":                                 "",
		"01010000000000051200000020020000": "01010000000000051200000020020000",
	} {
		if got := SIDText(wiretest.Hex(t, wire)); got != want {
			t.Errorf("%s: %s, want %s", wire, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	short := rapid.StringN(0, 60, 255)
	octets := rapid.SliceOfN(rapid.Byte(), 0, 255)
	rapid.Check(t, func(t *rapid.T) {
		r := Record{ID: EventID(rapid.Uint32().Draw(t, "id")), Time: rapid.Uint32().Draw(t, "time"), Location: LocationType(rapid.Byte().Draw(t, "location")),
			Address: short.Draw(t, "address"), Data: octets.Draw(t, "data"), Initiator: Initiator{Type: InitiatorType(rapid.IntRange(0, 3).Draw(t, "initiator"))}}
		switch r.Initiator.Type {
		case Digest:
			r.Initiator.User = short.Draw(t, "user")
		case Kerberos:
			r.Initiator.UserInDomain, r.Initiator.SID = rapid.Uint32().Draw(t, "user"), octets.Draw(t, "SID")
		}
		b, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := Parse(b)
		if err != nil || len(rest) != 0 {
			t.Fatalf("%v, %d octets left", err, len(rest))
		}
		if got.ID != r.ID || got.Time != r.Time || got.Location != r.Location || got.Address != r.Address || !bytes.Equal(got.Data, r.Data) ||
			got.Initiator.Type != r.Initiator.Type || got.Initiator.User != r.Initiator.User || got.Initiator.UserInDomain != r.Initiator.UserInDomain ||
			!bytes.Equal(got.Initiator.SID, r.Initiator.SID) {
			t.Fatalf("got %+v, want %+v", got, r)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(recordedOctets(f))
	for _, tt := range records {
		f.Add(wiretest.Hex(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, rest, err := Parse(b)
		if err != nil {
			return
		}
		again, err := r.Append(nil)
		if err != nil || !bytes.Equal(append(again, rest...), b) {
			t.Errorf("%x: wrote %x, %v", b, again, err)
		}
		if strings.Contains(r.Text()+r.Initiator.String(), "%!") {
			t.Errorf("%x: %q", b, r.Text())
		}
	})
}

func BenchmarkParse(b *testing.B) {
	wire := recordedOctets(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Parse(wire); err != nil {
			b.Fatal(err)
		}
	}
}
