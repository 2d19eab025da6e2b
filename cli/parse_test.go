package cli

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/wire/wsman"
)

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestIndentXML(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nested, with text and without", `<?xml version="1.0"?><a xmlns="u"><b>t</b><c></c><d/><e><f x="1>2">y</f></e></a>`,
			"<a xmlns=\"u\">\n  <b>t</b>\n  <c/>\n  <d/>\n  <e>\n    <f x=\"1>2\">y</f>\n  </e>\n</a>\n"},
		{"blanks between children go", "<a>\n <b> t </b>\n</a>", "<a>\n  <b> t </b>\n</a>\n"},
		{"a comment", "<a><!-- <b> --><c/></a>", "<a>\n  <!-- <b> -->\n  <c/>\n</a>\n"},
		{"CDATA is text", "<a><b><![CDATA[<x>]]></b></a>", "<a>\n  <b><![CDATA[<x>]]></b>\n</a>\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := string(indentXML([]byte(tt.in))), wsman.Declaration+"\n"+tt.want; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	if got := string(indentXML([]byte("no <xml"))); got != "no <xml" {
		t.Errorf("what is not XML became %q", got)
	}
}

// tokens are what encoding/xml makes of a document, without white space around texts.
func tokens(doc []byte) (out []string, ok bool) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	text := ""
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return out, true
		}
		if err != nil {
			return nil, false
		}
		switch token := token.(type) {
		case xml.CharData:
			text += string(token)
			continue
		case xml.StartElement:
			text = flush(&out, text)
			out = append(out, "<"+token.Name.Space+":"+token.Name.Local)
			for _, a := range token.Attr {
				out = append(out, a.Name.Space+":"+a.Name.Local+"="+a.Value)
			}
		case xml.EndElement:
			text = flush(&out, text)
			out = append(out, ">")
		}
	}
}

func flush(out *[]string, text string) string {
	if text = strings.TrimSpace(text); text != "" {
		*out = append(*out, text)
	}
	return ""
}

// Indenting changes nothing but white space between elements; encoding/xml is the judge.
func FuzzIndentXML(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0" encoding="UTF-8"?><a:b xmlns:a="u"><a:c d='>'>x</a:c><e/></a:b>`))
	f.Add([]byte(`<a><b><![CDATA[<x>]]></b><!-- c --></a>`))
	f.Add([]byte("<a>\n<b/>text</a>"))
	f.Add([]byte("<a>0<A/>1<b>2<c/></b></a>"))
	f.Add([]byte(`<?A"?><a:b></a:b>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		got := indentXML(doc)
		before, ok := tokens(doc)
		if !ok {
			return
		}
		after, ok := tokens(got)
		if !ok {
			t.Fatalf("%q became %q, which is no XML", doc, got)
		}
		if _, err := wsman.Parse(doc); err == nil && !slices.Equal(before, after) {
			t.Errorf("%q became %q\n%s", doc, got, cmp.Diff(before, after))
		}
	})
}

func TestParseQuery(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  wsman.Selectors
	}{
		{"", nil},
		{`InstanceID="Intel(r) AMT: Boot Configuration 0"`, wsman.Selectors{{Name: "InstanceID", Value: "Intel(r) AMT: Boot Configuration 0"}}},
		{`A="x&y"&B=z`, wsman.Selectors{{Name: "A", Value: "x&y"}, {Name: "B", Value: "z"}}},
		{`A=&B=1%20%41%`, wsman.Selectors{{Name: "A"}, {Name: "B", Value: "1 A%"}}},
	} {
		got, err := parseQuery(tt.query)
		if err != nil || cmp.Diff(got, tt.want) != "" {
			t.Errorf("%s: %v\n%s", tt.query, err, cmp.Diff(got, tt.want))
		}
	}
	for _, bad := range []string{"A", "=x", `A="x`, `A="x"y`, strings.Repeat("A=1&", 100)} {
		if got, err := parseQuery(bad); err == nil {
			t.Errorf("%s: got %v", bad, got)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add(`A="x&y"&B=z%20`)
	f.Fuzz(func(t *testing.T, query string) {
		if got, err := parseQuery(query); err == nil && len(got) > wsman.MaxSelectors {
			t.Errorf("%d selectors", len(got))
		}
	})
}

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		args   string
		values map[string][]string
		words  []string
	}{
		{"get URI -h host -P 16992 -kA=1 --prop B=2 --prop=C=3", map[string][]string{
			"hostname": {"host"}, "port": {"16992"}, "prop": {"A=1", "B=2", "C=3"}}, []string{"get", "URI"}},
		{"-oVv enumerate X", map[string][]string{"optimize": {"true"}, "noverifypeer": {"true"}, "noverifyhost": {"true"}}, []string{"enumerate", "X"}},
		{"-Vhhost -- -get", map[string][]string{"noverifypeer": {"true"}, "hostname": {"host"}}, []string{"-get"}},
		{"-J -", map[string][]string{"input": {"-"}}, nil},
	} {
		got, err := parseOptions(wsmanOptions, "wsmancli", strings.Fields(tt.args))
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		if diff := cmp.Diff(got.values, tt.values) + cmp.Diff(got.words, tt.words); diff != "" {
			t.Errorf("%s:\n%s", tt.args, diff)
		}
	}
	for _, bad := range []string{"--nope", "-W", "-h", "--https=1", "--pin x"} {
		if _, err := parseOptions(wsmanOptions, "wsmancli", strings.Fields(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func FuzzParseOptions(f *testing.F) {
	f.Add("get URI -h host -kA=1 --prop=B=2 -oVJ -")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Fields(line)
		got, err := parseOptions(wsmanOptions, "wsmancli", args)
		if err != nil {
			return
		}
		n := len(got.words)
		for _, v := range got.values {
			n += len(v)
		}
		if n > 2*len(line) {
			t.Errorf("%d values of %q", n, line)
		}
	})
}

func TestParseEndpoint(t *testing.T) {
	for _, tt := range []struct {
		text string
		want endpoint
	}{
		{"http://admin:P@ss/w:0rd@10.0.0.7:16992", endpoint{scheme: "http", user: "admin", password: "P@ss/w:0rd", host: "10.0.0.7", port: 16992}},
		{"https://[fe80::1]:16993/wsman", endpoint{scheme: "https", host: "fe80::1", port: 16993, path: "wsman"}},
		{"https://host", endpoint{scheme: "https", host: "host"}},
		{"http://a:b%40c@host", endpoint{scheme: "http", user: "a", password: "b@c", host: "host"}},
	} {
		got, err := parseEndpoint(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v", tt.text, got, err)
		}
	}
	for _, bad := range []string{"host", "ftp://host", "http://", "http://host:port", "http://u:p@"} {
		if got, err := parseEndpoint(bad); err == nil {
			t.Errorf("%s: got %+v", bad, got)
		}
	}
}

func TestConfigPort(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, text string
		want       int
		ok         bool
	}{
		{"port", "[server]\nport = 1\n[client]\n# port = 2\nport = 16992\nagent = x\n", 16992, true},
		{"no port", "[client]\nagent = x\n", 0, true},
		{"no section", "[server]\nport = 1\n", 0, false},
		{"no number", "[client]\nport = x\n", 0, false},
	} {
		file := filepath.Join(dir, tt.name)
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := configPort(file); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s: got %d, %v", tt.name, got, err)
		}
	}
	if got, err := configPort(filepath.Join(dir, "none")); got != 0 || err != nil {
		t.Errorf("no file: got %d, %v", got, err)
	}
}

// A property that was not there goes where AMT would have it.
func TestSetProperty(t *testing.T) {
	const ns = "u"
	e := wsman.Group(ns, "X", wsman.El(ns, "A", "1"), wsman.El(ns, "C", "3"))
	setProperty(&e, "B", "2")
	setProperty(&e, "A", "one")
	setProperty(&e, "D", "4")
	want := wsman.Group(ns, "X", wsman.El(ns, "A", "one"), wsman.El(ns, "B", "2"), wsman.El(ns, "C", "3"), wsman.El(ns, "D", "4"))
	if diff := cmp.Diff(e, want); diff != "" {
		t.Error(diff)
	}
}
