package cli

import (
	"testing"
	"time"
)

func TestParseMoment(t *testing.T) {
	zone := time.FixedZone("test", 3600)
	now := time.Date(2026, 11, 21, 6, 30, 30, 0, zone)
	for text, want := range map[string]string{
		"2026-11-22 06:30":       "2026-11-22T05:30:00Z",
		"2026-11-22T06:30":       "2026-11-22T05:30:00Z",
		"2026-11-22T06:30Z":      "2026-11-22T06:30:00Z",
		"2026-11-22T06:30+02:00": "2026-11-22T04:30:00Z",
		"2026-11-22T06:30:00Z":   "2026-11-22T06:30:00Z",
		"06:31":                  "2026-11-21T05:31:00Z",
		"06:30":                  "2026-11-22T05:30:00Z", // today it has passed
		"tomorrow":               "", "25:00": "", "": "",
	} {
		got, err := parseMoment(text, now, zone)
		if want == "" {
			if err == nil {
				t.Errorf("%q: got %v", text, got)
			}
		} else if err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: got %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestParseDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"30m": 30 * time.Minute, "1d": 24 * time.Hour, "1d12h": 36 * time.Hour, "7d": 7 * 24 * time.Hour} {
		got, err := parseDays(text)
		if err != nil || got != want || daysText(got) != text {
			t.Errorf("%q: got %v (%s), %v", text, got, daysText(got), err)
		}
	}
	for _, text := range []string{"", "d", "-1h", "1x", "99999999d", "1d-1h"} {
		if got, err := parseDays(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
