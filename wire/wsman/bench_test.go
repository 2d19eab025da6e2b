package wsman

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/outband/outband/wire/digest"
)

// A Pull of some 3.4 KB, as long as the one that other libraries were measured with.
func benchDocument(b *testing.B) []byte {
	resp, err := ParseResponse(testdata(b, "pull-softwareidentity.xml"))
	if err != nil {
		b.Fatal(err)
	}
	items := resp.Body.Child("Items")
	items.Children = append(items.Children[:len(items.Children):len(items.Children)], items.Children[:2]...)
	doc := resp.Append(nil)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	return doc
}

func BenchmarkParse(b *testing.B) {
	doc := benchDocument(b)
	for b.Loop() {
		if _, err := ParseResponse(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	doc := string(benchDocument(b))
	for b.Loop() {
		s := NewScanner(doc)
		for kind := Kind(0); kind != EOF; {
			var err error
			if kind, err = s.Next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// What the scanner is measured against.
func BenchmarkParseEncodingXML(b *testing.B) {
	doc := benchDocument(b)
	for b.Loop() {
		if _, err := oracle(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseInto(b *testing.B) {
	doc := benchDocument(b)
	for b.Loop() {
		var out struct {
			Items []struct {
				InstanceID, VersionString string
				IsEntity                  bool
			} `xml:"Body>PullResponse>Items>CIM_SoftwareIdentity"`
		}
		if err := xml.Unmarshal(doc, &out); err != nil || len(out.Items) != 13 {
			b.Fatal(err, len(out.Items))
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	req := getRequest
	req.Selectors = Selectors{{Name: "Tag", Value: "CPU 0"}}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = req.Append(buf[:0])
	}
}

// benchMachine answers each Get at once with a ready answer of 3.4 KB; only the RelatesTo is put in.
func benchMachine(b *testing.B) *machine {
	ready := benchDocument(b)
	g := newGuard(digest.ServerOptions{})
	return &machine{answer: g.protect(func(w io.Writer, _ *http.Request, body []byte) bool {
		req, err := ParseRequest(body)
		if err != nil {
			return false
		}
		resp, err := ParseResponse(ready)
		if err != nil {
			return false
		}
		resp.RelatesTo = req.MessageID
		chunked(w, 200, resp.Append(nil))
		return true
	})}
}

func BenchmarkGet(b *testing.B) {
	for _, name := range []string{"pipe", "tcp"} {
		for _, workers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", name, workers), func(b *testing.B) {
				m := benchMachine(b)
				c := m.client(b, &Client{Password: testPassword, MaxConns: workers})
				if name == "tcp" {
					c.Dial = m.listen(b)
				}
				if _, err := Get(b.Context(), c, "CIM_Chip", nil); err != nil {
					b.Fatal(err)
				}
				b.SetParallelism(max(workers/2, 1))
				if workers == 1 {
					for b.Loop() {
						if _, err := Get(b.Context(), c, "CIM_Chip", nil); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := Get(b.Context(), c, "CIM_Chip", nil); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

// The client's own part: the connection answers from memory.
func BenchmarkGetClientOnly(b *testing.B) {
	answer := benchAnswer(b)
	c := &Client{Password: testPassword, Dial: answer.dial}
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Get(b.Context(), c, "CIM_Chip", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEnumerate100(b *testing.B) {
	m := &machine{answer: serve(&lister{items: 100, most: 32, optimize: "yes"})}
	c := m.client(b, &Client{})
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range Enumerate(context.Background(), c, "CIM_Sensor", nil, nil) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 100 {
			b.Fatal(n)
		}
	}
}
