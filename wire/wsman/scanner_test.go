package wsman

import (
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	x := func(text string, children ...Element) Element {
		return Element{Name: Name{"", "x"}, Text: text, Children: children}
	}
	for _, tt := range []struct {
		name, doc string
		want      Element
	}{
		{"empty", "<x/>", x("")},
		{"empty pair", "<x></x >", x("")},
		{"declaration, comment, instruction", "\ufeff<?xml version=\"1.0\"?>\n<!-- a - b --> <?y z?><x/>\n<!---->", x("")},
		{"entities", "<x>&lt;&gt;&amp;&quot;&apos;&#65;&#x20AC;&#X;</x>", Element{}},
		{"five entities and references", "<x>&lt;&gt;&amp;&quot;&apos;&#65;&#x20AC;&#x1F600;</x>", x("<>&\"'A€😀")},
		{"line ends", "<x>a\r\nb\rc&#13;</x>", x("a\nb\nc\r")},
		{"CDATA", "<x>a<![CDATA[<&amp;]]\r\n]]]]>b</x>", x("a<&amp;]]\n]]b")},
		{"comment within text", "<x>a<!-- no -->b<?no?>c</x>", x("abc")},
		{"white space alone is kept", "<x> \n</x>", x(" \n")},
		{"white space between children is not", "<x>\n <x/>\n <x> </x>\n</x>", x("", x(""), x(" "))},
		{"mixed content", "<x>a<x>b</x> c</x>", x("a c", x("b"))},
		{"attributes", `<x a="1" b='"&amp;' c = "'"/>`, Element{Name: Name{"", "x"}, Attrs: []Attr{{Name{"", "a"}, "1"}, {Name{"", "b"}, `"&`}, {Name{"", "c"}, "'"}}}},
		{"namespaces", `<p:x xmlns:p="urn:p" xmlns="urn:d" p:a="1" b="2"><y/><y xmlns=""/><p:y xmlns:p="urn:q"/><p:z/></p:x>`,
			Element{Name: Name{"urn:p", "x"}, Attrs: []Attr{{Name{"urn:p", "a"}, "1"}, {Name{"", "b"}, "2"}}, Children: []Element{
				{Name: Name{"urn:d", "y"}}, {Name: Name{"", "y"}}, {Name: Name{"urn:q", "y"}}, {Name: Name{"urn:p", "z"}}}}},
		{"declared after use", `<p:x p:a="" xmlns:p="urn:p"/>`, Element{Name: Name{"urn:p", "x"}, Attrs: []Attr{{Name{"urn:p", "a"}, ""}}}},
		{"undeclared prefix stands for itself", `<p:x/>`, Element{Name: Name{"p", "x"}}},
		{"xml prefix", `<x xml:lang="en"/>`, Element{Name: Name{"", "x"}, Attrs: []Attr{{Name{nsXML, "lang"}, "en"}}}},
		{"blank before the end of a tag", `<InstanceID >0</InstanceID >`, Element{Name: Name{"", "InstanceID"}, Text: "0"}},
		{"other letters", `<ü-1.ß>€</ü-1.ß>`, Element{Name: Name{"", "ü-1.ß"}, Text: "€"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.doc))
			if tt.want.Local == "" {
				if !errors.Is(err, ErrXML) {
					t.Fatalf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, doc := range map[string]string{
		"nothing":                   "",
		"white space":               " \n",
		"text":                      "x",
		"text before":               "x<x/>",
		"text behind":               "<x/>x",
		"reference behind":          "<x/>&#32;",
		"CDATA behind":              "<x/><![CDATA[ ]]>",
		"two roots":                 "<x/><x/>",
		"open":                      "<x>",
		"open tag":                  "<x a='1'",
		"open attribute":            "<x a='1",
		"open comment":              "<x><!-- ",
		"open CDATA":                "<x><![CDATA[ ]]",
		"open instruction":          "<x><?y",
		"crossed":                   "<x><y></x></y>",
		"other prefix at the end":   `<a:x xmlns:a="u" xmlns:b="u"></b:x>`,
		"end alone":                 "</x>",
		"document type":             "<!DOCTYPE x><x/>",
		"entity declaration":        `<!DOCTYPE x [<!ENTITY y "z">]><x>&y;</x>`,
		"document type inside":      "<x><!DOCTYPE y></x>",
		"unknown entity":            "<x>&nbsp;</x>",
		"bare ampersand":            "<x>a & b</x>",
		"reference to nothing":      "<x>&#;</x>",
		"reference to NUL":          "<x>&#0;</x>",
		"reference to a surrogate":  "<x>&#xD800;</x>",
		"reference beyond Unicode":  "<x>&#x110000;</x>",
		"control character":         "<x>\x01</x>",
		"control in an attribute":   "<x a='\x01'/>",
		"NUL in CDATA":              "<x><![CDATA[\x00]]></x>",
		"bad UTF-8":                 "<x>\xff</x>",
		"bad UTF-8 in a name":       "<x\xff/>",
		"U+FFFE":                    "<x>\ufffe</x>",
		"no quotes":                 "<x a=1/>",
		"no value":                  "<x a/>",
		"no blank between":          "<x a='1'b='2'/>",
		"less-than in an attribute": "<x a='<'/>",
		"name that starts badly":    "<1x/>",
		"name of two colons":        "<a:b:c/>",
		"colon first":               "<:x/>",
		"colon last":                "<x:/>",
		"no name":                   "< x/>",
		"end of CDATA":              "<x>]]></x>",
		"double hyphen":             "<x><!-- -- --></x>",
		"deep":                      strings.Repeat("<x>", MaxDepth+1) + strings.Repeat("</x>", MaxDepth+1),
		"many elements":             "<x>" + strings.Repeat("<y/>", MaxElements) + "</x>",
		"many attributes":           "<x" + strings.Repeat(" a=''", MaxAttrs+1) + "/>",
		"long":                      "<x>" + strings.Repeat(" ", MaxDocument) + "</x>",
	} {
		if got, err := Parse([]byte(doc)); !errors.Is(err, ErrXML) {
			t.Errorf("%s: got %.100v, %v", name, got, err)
		}
	}
}

// Documents that cost a careless parser the square of their length, or a stack frame per octet.
func TestParseIsLinear(t *testing.T) {
	half := MaxDocument / 2
	for name, doc := range map[string]string{
		"many pieces of text": "<x>" + strings.Repeat("a<!---->", half/8) + "</x>",
		"much outside":        strings.Repeat(" <!---->", half/8) + "<x/>",
		"many references":     "<x>" + strings.Repeat("&amp;", half/5) + "</x>",
		"many ampersands":     "<x>" + strings.Repeat("&", half) + "</x>",
		"many CDATA":          "<x>" + strings.Repeat("<![CDATA[]]>", half/12) + "</x>",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Parse([]byte(doc))
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 100*MaxDocument {
			t.Errorf("%s: %d octets of memory", name, took)
		}
	}
}

// oracle is Parse on top of encoding/xml.
func oracle(doc []byte) (Element, error) {
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(string(doc), "\ufeff")))
	var stack []Element
	var texts [][]string
	var root *Element
	for {
		token, err := d.Token()
		if err == io.EOF && root != nil {
			return *root, nil
		}
		if err != nil {
			return Element{}, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := Element{Name: Name(token.Name)}
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
					e.Attrs = append(e.Attrs, Attr{Name(a.Name), a.Value})
				}
			}
			if root != nil {
				return Element{}, errors.New("two roots")
			}
			stack, texts = append(stack, e), append(texts, nil)
		case xml.CharData:
			if len(stack) > 0 {
				texts[len(texts)-1] = append(texts[len(texts)-1], string(token))
			}
		case xml.EndElement:
			e := stack[len(stack)-1]
			if text := strings.Join(texts[len(texts)-1], ""); len(e.Children) == 0 || strings.Trim(text, " \t\r\n") != "" {
				e.Text = text
			}
			stack, texts = stack[:len(stack)-1], texts[:len(texts)-1]
			if len(stack) == 0 {
				root = &e
			} else {
				parent := &stack[len(stack)-1]
				parent.Children = append(parent.Children, e)
			}
		}
	}
}

// Why this package refuses what encoding/xml takes: limits, document types, text outside the root, and laxer names there.
var listedRefusals = []string{
	"document type", "outside the root", "deep", "attributes in", "elements", "octets is over", // ours
	"tag without a name", "bad end tag", "bad attribute", "bad name in", // a name such as ":x" or "a:"
	"forbids", "control character", // in comments, or after a byte order mark
	"ends before", "-- inside",
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"enumerate-chip.xml", "pull-chip.xml", "create.xml"} {
		f.Add(testdata(f, name))
	}
	for _, doc := range []string{
		`<a:x xmlns:a="u" a:b="c">&lt;<![CDATA[x]]>&#x20;</a:x>`, "<x>\r\n<!-- - --><y/>z</x>", "\ufeff<?xml version='1.0'?><x a='\t'/>",
		`<xmlns:x xmlns:xmlns="u"/>`, `<x xmlns:xml="u" xml:a=""/>`, "<x>]]></x>", "<x xmlns='a'><y xmlns=''/></x>",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := Parse(doc)
		want, wantErr := oracle(doc)
		switch {
		case err == nil && wantErr == nil:
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q: got %+v, want %+v", doc, got, want)
			}
		case err != nil && wantErr == nil:
			for _, reason := range listedRefusals {
				if strings.Contains(err.Error(), reason) {
					return
				}
			}
			t.Errorf("%q: refused with %v", doc, err)
		}
	})
}
