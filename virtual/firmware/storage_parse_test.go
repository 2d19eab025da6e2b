package firmware

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Whatever is put, what is served is the octets behind the metadata, with header lines that are one line each.
func FuzzParseStored(f *testing.F) {
	f.Add([]byte("<metadata><headers><h>Content-Encoding: gzip</h><h>Content-Type: text/html</h></headers><link>A &amp; B</link></metadata>\x1f\x8b"), false)
	f.Add([]byte("<metadata></metadata>more"), true)
	f.Add([]byte("more"), true)
	f.Add([]byte("<metadata><headers><h>a: b&#13;&#10;c: d</h></headers></metadata>"), false)
	f.Fuzz(func(t *testing.T, body []byte, more bool) {
		file, ok := parseStored(body, more)
		if !ok {
			return
		}
		if !bytes.HasSuffix(body, file.Data) {
			t.Errorf("data %q of %q", file.Data, body)
		}
		file.Path = "A/B/c"
		for _, line := range file.reply().header {
			if strings.ContainsAny(line, "\r\n") {
				t.Errorf("header line %q", line)
			}
		}
		text, err := json.Marshal([]storedFile{file})
		if err != nil {
			t.Fatal(err)
		}
		if err := (&storage{}).load(text); err != nil && len(file.Data) <= maxStorage {
			t.Errorf("was put and cannot be loaded: %v", err)
		}
	})
}
