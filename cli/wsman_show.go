package cli

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/outband/outband/wire/wsman"
)

// wsmanShow prints answers in the form that the user wants, and remembers what failed.
type wsmanShow struct {
	printer *printer
	form    string
	file    string // --out-file
	failed  error
}

func (s *wsmanShow) answer(doc []byte, index int) error {
	resp, err := wsman.ParseResponse(doc)
	if err != nil {
		return err
	}
	if resp.Fault != nil {
		s.failed = resp.Fault
	}
	if s.form == "xml" || s.file != "" {
		if err := writeAnswer(s.printer.w, s.file, indentXML(doc), index); err != nil {
			return err
		}
	}
	if resp.Fault != nil || resp.Body == nil {
		return nil
	}
	if s.form == "xml" || s.file != "" {
		return nil
	}
	instances := []*wsman.Element{resp.Body}
	if items := resp.Body.Child("Items"); items != nil || resp.Body.Space == wsman.NSEnumeration {
		instances = nil
		for i := 0; items != nil && i < len(items.Children); i++ {
			instances = append(instances, &items.Children[i])
		}
	}
	for _, e := range instances {
		if err := s.printer.object(instanceRecord{e}, e.Local, propertyLines("", e)...); err != nil {
			return err
		}
	}
	return nil
}

// propertyLines are the properties of an instance, a line each; nested ones with the path to them.
func propertyLines(path string, e *wsman.Element) (lines [][2]string) {
	for i := range e.Children {
		child := &e.Children[i]
		name := path + child.Local
		if len(child.Children) > 0 {
			lines = append(lines, propertyLines(name+".", child)...)
			continue
		}
		text := child.Text
		if selector, ok := child.Attr("Name"); ok {
			name += "[" + selector + "]"
		}
		if text == "" {
			text = `""`
		}
		if n := len(lines); n > 0 && lines[n-1][0] == name { // an array
			lines[n-1][1] += ", " + text
			continue
		}
		lines = append(lines, [2]string{name, text})
	}
	return lines
}

// writeAnswer writes to a file, or to w if there is none.
func writeAnswer(w interface{ Write([]byte) (int, error) }, file string, doc []byte, index int) error {
	if file == "" {
		_, err := w.Write(doc)
		return err
	}
	if index > 0 {
		file = fmt.Sprintf("%s-%d.xml", file, index)
	}
	if err := os.WriteFile(file, doc, 0o666); err != nil {
		return usage("", "--out-file: %w", err)
	}
	return nil
}

// instanceRecord is an element for programs: {"class": ..., "properties": {...}}. Values are texts, as WS-Management has
// them; a property that is repeated is an array; one that holds others is an object.
type instanceRecord struct{ e *wsman.Element }

func (r instanceRecord) MarshalJSON() ([]byte, error) {
	class, err := json.Marshal(r.e.Local)
	if err != nil {
		return nil, err
	}
	out := append([]byte(`{"class":`), class...)
	out = append(out, `,"properties":`...)
	if out, err = appendProperties(out, r.e); err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}

func appendProperties(out []byte, e *wsman.Element) ([]byte, error) {
	out = append(out, '{')
	seen := map[string]bool{}
	for i := range e.Children {
		name := propertyName(&e.Children[i])
		if seen[name] {
			continue
		}
		if len(seen) > 0 {
			out = append(out, ',')
		}
		seen[name] = true
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(out, key...), ':')
		var same []*wsman.Element
		for j := i; j < len(e.Children); j++ {
			if propertyName(&e.Children[j]) == name {
				same = append(same, &e.Children[j])
			}
		}
		if len(same) > 1 {
			out = append(out, '[')
		}
		for j, v := range same {
			if j > 0 {
				out = append(out, ',')
			}
			if out, err = appendValue(out, v); err != nil {
				return nil, err
			}
		}
		if len(same) > 1 {
			out = append(out, ']')
		}
	}
	return append(out, '}'), nil
}

// propertyName is the element's name; a selector goes by its own.
func propertyName(e *wsman.Element) string {
	if name, ok := e.Attr("Name"); ok && e.Local == "Selector" {
		return name
	}
	return e.Local
}

func appendValue(out []byte, e *wsman.Element) ([]byte, error) {
	switch {
	case len(e.Children) > 0:
		return appendProperties(out, e)
	case e.IsNil():
		return append(out, "null"...), nil
	}
	text, err := json.Marshal(e.Text)
	return append(out, text...), err
}
