package wsman

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestDatetime(t *testing.T) {
	moment := At(time.Date(2024, 1, 3, 0, 44, 35, 0, time.UTC))
	for _, tt := range []struct {
		text    string
		want    Datetime
		written string // "" if as read
	}{
		{"2024-01-03T00:44:35Z", moment, ""},
		{" 2024-01-03T01:44:35.000+01:00\n", moment, "2024-01-03T00:44:35Z"},
		{"2024-01-03T00:44:35", moment, "2024-01-03T00:44:35Z"},
		{"20240103004435.000000+000", moment, "2024-01-03T00:44:35Z"},
		{"20240103014435.000000+060", moment, "2024-01-03T00:44:35Z"},
		{"20240102234435.000000-060", moment, "2024-01-03T00:44:35Z"},
		{"2024-01-03", At(time.Date(2024, 1, 3, 0, 0, 0, 0, time.UTC)), "2024-01-03T00:00:00Z"},
		{"P1DT0H0M0S", Every(24 * time.Hour), ""},
		{"P0DT0H0M0S", Every(0), ""},
		{"PT0S", Every(0), "P0DT0H0M0S"},
		{"PT60.000S", Every(time.Minute), "P0DT0H1M0S"},
		{"PT0.5S", Every(time.Second / 2), "P0DT0H0M0.5S"},
		{"P1Y2M3DT4H5M6S", Every((365+60+3)*24*time.Hour + 4*time.Hour + 5*time.Minute + 6*time.Second), "P428DT4H5M6S"},
		{"-P1D", Every(-24 * time.Hour), "-P1DT0H0M0S"},
		{"00000001020304.500000:000", Every(26*time.Hour + 3*time.Minute + 4500*time.Millisecond), "P1DT2H3M4.5S"},
	} {
		got, err := ParseDatetime(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%q: got %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
		if tt.written == "" {
			tt.written = strings.TrimSpace(tt.text)
		}
		if got.String() != tt.written {
			t.Errorf("%q: written as %q, want %q", tt.text, got, tt.written)
		}
		for _, e := range []Element{got.Element("urn:x", "When"), El("urn:x", "When", tt.text)} {
			if again, err := DatetimeOf(&e); err != nil || again != got {
				t.Errorf("%+v: got %+v, %v", e, again, err)
			}
		}
		var again Datetime
		if text, err := got.MarshalText(); err != nil || again.UnmarshalText(text) != nil || again != got {
			t.Errorf("%q: text gives %+v", tt.text, again)
		}
	}
	if got := Every(math.MinInt64).String(); got != "-P106751DT23H47M16.854775808S" {
		t.Errorf("got %s", got)
	}
}

func TestBadDatetime(t *testing.T) {
	for _, text := range []string{
		"", "x", "P", "-P", "PT", "P1DT", "P1", "P1X", "P1S", "PT1D", "PTT1H", "P1DT1HT1M", "PT1H1H", "P.D", "P1..2D", "P-1D",
		"P99999999999D", "2024-13-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "20240103004435.000000 000", "2024010300443 .000000+000",
		"00000001240304.500000:000", "00000001020304.500000:001", "99999999020304.500000:000", "20240103004435.000000++10",
	} {
		if got, err := ParseDatetime(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
	if got, err := DatetimeOf(nil); err == nil {
		t.Errorf("got %v", got)
	}
	d := Every(time.Second)
	if err := d.UnmarshalText([]byte("x")); err == nil || d != Every(time.Second) {
		t.Errorf("got %v, %v", d, err)
	}
}

func FuzzDatetime(f *testing.F) {
	for _, text := range []string{"2024-01-03T00:44:35Z", "P1DT0H0M0S", "-PT1.5S", "20240103004435.000000+060", "00000001020304.500000:000", "12:00:00", "2024-01-03+01:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := ParseDatetime(text)
		if err != nil {
			return
		}
		again, err := ParseDatetime(first.String())
		if err != nil || again.IsInterval() != first.IsInterval() || !again.Time.Equal(first.Time.Truncate(time.Second)) || apart(again.Interval, first.Interval) {
			t.Errorf("%q: %v read as %v, %v", text, first, again, err)
		}
	})
}

// apart reports a difference beyond that of float64, which holds 15 digits.
func apart(a, b time.Duration) bool { return math.Abs(float64(a-b)) > math.Abs(float64(a))*1e-14+1 }
