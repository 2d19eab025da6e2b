package eventlog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Recorded: device-management-toolkit/go-wsman-messages, AMT_MessageLog GetRecords.
var recorded = []struct {
	wire string
	want Record
	when time.Time
	text string
}{
	{"Y8iYZf8GbwVoEP8mYaoKAAAAAAAA",
		Record{Time: 0x6598c863, DeviceAddress: 255, Sensor: Authentication, EventType: SensorSpecific, Offset: 5, Source: ASF, Severity: Critical,
			Number: 255, Entity: Engine, Instance: 0x61, Data: [8]byte{0xAA, 10}},
		time.Date(2024, 1, 6, 3, 26, 27, 0, time.UTC), "authentication failed 10 times"},
	{"IgYBZf8PbwJoAf8iAEAHAAAAAAAA",
		Record{Time: 0x65010622, DeviceAddress: 255, Sensor: Firmware, EventType: SensorSpecific, Offset: 2, Source: ASF, Severity: Monitor,
			Number: 255, Entity: BIOS, Data: [8]byte{0x40, 7}},
		time.Date(2023, 9, 13, 0, 45, 22, 0, time.UTC), "firmware: configuring PCI"},
}

func decode64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecorded(t *testing.T) {
	for _, tt := range recorded {
		wire := decode64(t, tt.wire)
		got, err := Parse(wire)
		if got != tt.want || err != nil {
			t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
		}
		if again := got.Append(nil); !bytes.Equal(again, wire) {
			t.Errorf("wrote %x, read %x", again, wire)
		}
		if !got.When().Equal(tt.when) || got.Text() != tt.text || got.Empty() {
			t.Errorf("%v %q, want %v %q", got.When(), got.Text(), tt.when, tt.text)
		}
	}
	want := recorded[0].want
	want.Instance = 0
	if got := NewRecord(recorded[0].when, Authentication, 5, Critical, Engine, 0xAA, 10); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLength(t *testing.T) {
	for _, n := range []int{0, 1, 20, 22, 42} {
		if r, err := Parse(make([]byte, n)); !errors.Is(err, ErrLength) || r != (Record{}) {
			t.Errorf("%d octets: %+v, %v", n, r, err)
		}
	}
}

func TestEmpty(t *testing.T) {
	for _, fill := range []byte{0, 0xff} {
		r, err := Parse(bytes.Repeat([]byte{fill}, Size))
		if err != nil || !r.Empty() || r.Text() != "empty" || !r.When().IsZero() {
			t.Errorf("%x: %v, %t, %q, %v", fill, err, r.Empty(), r.Text(), r.When())
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), Size, Size).Draw(t, "record")
		r, err := Parse(b)
		if err != nil || !bytes.Equal(r.Append(nil), b) {
			t.Fatalf("%x: %+v, %v", b, r, err)
		}
		if r.Offset > 127 || r.Text() == "" || strings.ContainsAny(r.Text(), "\n\t") {
			t.Fatalf("%+v: %q", r, r.Text())
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, tt := range recorded {
		f.Add(decode64(f, tt.wire))
	}
	for _, tt := range texts {
		f.Add(Record{Time: 1, Sensor: tt.sensor, EventType: SensorSpecific, Offset: tt.offset, Data: pad(tt.data)}.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Append(nil), b) {
			t.Errorf("%x: wrote %x", b, r.Append(nil))
		}
		if text := r.Text(); text == "" || strings.Contains(text, "%!") {
			t.Errorf("%x: %q", b, text)
		}
		for _, name := range []fmt.Stringer{r.Severity, r.Sensor, r.Entity, r.Source, r.EventType} {
			if name.String() == "" {
				t.Errorf("%x: %T without a name", b, name)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	wire := decode64(b, recorded[0].wire)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(wire); err != nil {
			b.Fatal(err)
		}
	}
}
