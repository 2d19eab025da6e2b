package amt

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"testing"
	"time"
)

func TestPeriod(t *testing.T) {
	recorded, err := base64.StdEncoding.DecodeString("AAAAAAAAABk=")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, wire string
		want       Period
		text       string
		err        error
	}{
		{"recorded: every 25 s", hex.EncodeToString(recorded), Period{Every: 25 * time.Second}, "every 25s", nil},
		{"the longest interval", "00000000ffffffff", Period{Every: (1<<32 - 1) * time.Second}, "every 1193046h28m15s", nil},
		{"daily", "00000001000000020000001e", Period{Hour: 2, Minute: 30}, "daily at 02:30", nil},
		{"daily, cut", "0000000100000002", Period{}, "", ErrPeriod},
		{"every 0 s", "0000000000000000", Period{}, "", ErrPeriod},
		{"of an unknown type", "000000020000000200000002", Period{}, "", ErrPeriod},
		{"empty", "", Period{}, "", ErrPeriod},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.wire)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParsePeriod(b)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("got %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
			if err == nil && (!bytes.Equal(got.Append(nil), b) || got.String() != tt.text || !got.Valid()) {
				t.Errorf("wrote %x, %q, valid %v; read %x", got.Append(nil), got, got.Valid(), b)
			}
		})
	}
	if (Period{Hour: 24}).Valid() || (Period{Minute: 60}).Valid() {
		t.Error("24:00 and 00:60 are times of day")
	}
}

func FuzzParsePeriod(f *testing.F) {
	for _, seed := range []string{"0000000000000019", "00000001000000020000001e", "0000000100000002", ""} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePeriod(b)
		if err != nil {
			return
		}
		again := p.Append(nil)
		if !bytes.HasPrefix(b, again) {
			t.Errorf("read %x as %v, wrote %x", b, p, again)
		}
	})
}
