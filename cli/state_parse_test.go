package cli

import (
	"bytes"
	"testing"
)

var stateSeeds = []string{
	"version: 1\n", "version: 1\nnetwork: {hostname: desk-7, ddns: \"on\"}\n", `{"version": 1, "users": []}`,
	"version: 1\ntls: {enabled: true, trusted_names: [a]}\ntrusted_roots:\n  - certificate: |\n      x\n",
	"version: 1\ndefense: {filters: [{name: f, way: in, action: drop}], bindings: []}\nkvm: {vnc_port: true, password_from: env:X}\n",
	"version: 1\nalarms: [{name: a, start: 2040-05-01T04:30:00Z}]\n", "version: [", "nothing", "",
}

// TestStateSeedsAreRead keeps the fuzz target from having nothing to write.
func TestStateSeedsAreRead(t *testing.T) {
	read := 0
	for _, seed := range stateSeeds {
		if _, err := parseState([]byte(seed)); err == nil {
			read++
		}
	}
	if read != 7 { // an empty file is a state of no version
		t.Errorf("%d states can be read", read)
	}
}

// FuzzParseState: what is read can be written, and is the same again.
func FuzzParseState(f *testing.F) {
	for _, seed := range stateSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseState(text)
		if err != nil {
			return
		}
		one, err := stateText(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseState(one)
		if err != nil {
			t.Fatalf("%v in\n%s", err, one)
		}
		two, err := stateText(again)
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%v\n%s\nis not\n%s", err, two, one)
		}
	})
}
