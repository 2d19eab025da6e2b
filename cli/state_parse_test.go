package cli

import (
	"bytes"
	"testing"
)

// TestStateIsWrittenAsItIsRead: what is read can be written, and is the same again.
func TestStateIsWrittenAsItIsRead(t *testing.T) {
	read := 0
	for _, seed := range []string{
		"version: 1\n", "version: 1\nnetwork: {hostname: desk-7, ddns: \"on\"}\n", `{"version": 1, "users": []}`,
		"version: 1\ntls: {enabled: true, trusted_names: [a]}\ntrusted_roots:\n  - certificate: |\n      x\n",
		"version: 1\ndefense: {filters: [{name: f, way: in, action: drop}], bindings: []}\nkvm: {vnc_port: true, password_from: env:X}\n",
		"version: 1\nalarms: [{name: a, start: 2040-05-01T04:30:00Z}]\n", "version: [", "nothing", "",
	} {
		s, err := parseState([]byte(seed))
		if err != nil {
			continue
		}
		read++
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
	}
	if read != 7 { // an empty file is a state of no version
		t.Errorf("%d states can be read", read)
	}
}
