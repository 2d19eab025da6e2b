package pet

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
)

func sample() eventlog.Trap {
	r := eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.Intrusion, 0, eventlog.Critical, eventlog.SystemBoard, 1, 2, 3)
	return eventlog.NewTrap(guid.FromSeed("a"), 7, r)
}

func TestRoundTrip(t *testing.T) {
	event := sample()
	want := New("public", netip.MustParseAddr("192.0.2.7"), 4_000_000_000, event)
	b, err := want.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	if e, err := got.Event(); err != nil || !reflect.DeepEqual(e, event) {
		t.Errorf("got %+v, %v; want %+v", e, err, event)
	}
	for n := range b {
		if _, err := Parse(b[:n]); !errors.Is(err, ErrFormat) {
			t.Errorf("cut after %d octets: got %v", n, err)
		}
	}
	if _, err := Parse(append(b, 0)); !errors.Is(err, ErrFormat) {
		t.Errorf("with an octet more: got %v", err)
	}
}

// Octets of RFC 1157's layout, put together by hand.
func TestByHand(t *testing.T) {
	const wire = "3030 020100 0406 7075626c6963 a423 0608 2b06010401827b01 4004 c0000207 020106 020103 4302 3039 3007 3005 0601 2b 0500"
	got, err := Parse(wiretest.Hex(t, wire))
	want := Trap{Community: "public", Enterprise: "1.3.6.1.4.1.379.1", Agent: netip.MustParseAddr("192.0.2.7"), Generic: 6, Specific: 3, Uptime: 12345,
		Variables: []Variable{{Name: "1.3", Type: 5, Value: []byte{}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	if again, err := got.Append(nil); err != nil || !bytes.Equal(again, wiretest.Hex(t, wire)) {
		t.Errorf("wrote %x, %v", again, err)
	}
	if _, err := got.Event(); !errors.Is(err, ErrNotPET) {
		t.Errorf("another enterprise's trap: got %v", err)
	}
}

func TestRefused(t *testing.T) {
	for name, wire := range map[string]string{
		"nothing":           "",
		"SNMPv2":            "3003 020101",
		"endless length":    "3080 0000",
		"length of 3":       "30830000 03 020100",
		"length of 4 GB":    "3084ffffffff",
		"another type":      "0403 020100",
		"a long tag":        "1f81 0100",
		"an empty number":   "3002 0200",
		"a negative length": "30ff",
	} {
		if _, err := Parse(wiretest.Hex(t, wire)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Parse(make([]byte, MaxDatagram+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too long: got %v", err)
	}
	for _, bad := range []Trap{{Enterprise: "1.3"}, {Enterprise: "", Agent: netip.IPv4Unspecified()}, {Enterprise: "3.1", Agent: netip.IPv4Unspecified()},
		{Enterprise: "1.x", Agent: netip.IPv4Unspecified()}, {Enterprise: "1.3", Agent: netip.IPv6Unspecified()}} {
		if _, err := bad.Append(nil); !errors.Is(err, ErrFormat) {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	b, err := New("public", netip.MustParseAddr("192.0.2.7"), 1, sample()).Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0x30, 0x80})
	f.Add(wiretest.Hex(f, "30300201000406 7075626c6963a42306082b06010401827b014004c00002070201060201034302303930073005 06012b0500"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(b)
		if err != nil {
			return
		}
		got.Event()
		wire, err := got.Append(nil)
		if err != nil {
			return // an object identifier of one arc, or none
		}
		if len(wire) > MaxDatagram {
			t.Fatalf("%d octets of %d", len(wire), len(b))
		}
		again, err := Parse(wire)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("read %+v; wrote and read %+v, %v", got, again, err)
		}
	})
}
