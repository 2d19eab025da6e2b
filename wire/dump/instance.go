package dump

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/outband/outband/wire/wsman"
)

// MarshalInstance returns the JSON form of one instance, without line breaks.
func MarshalInstance(e *wsman.Element) []byte {
	var b bytes.Buffer
	appendInstance(&b, e, 0)
	return b.Bytes()
}

// ParseInstance reads the JSON form of an instance of a class. Errors wrap [ErrFormat] or [ErrLimit].
func ParseInstance(class string, text []byte) (wsman.Element, error) {
	e, err := parseInstance(class, text, 0)
	if err != nil {
		return wsman.Element{}, fmt.Errorf("dump: %s: %w", class, err)
	}
	return e, nil
}

func appendInstance(b *bytes.Buffer, e *wsman.Element, depth int) {
	o := object{b: b}
	var done []string
	for i := range e.Children {
		name := e.Children[i].Local
		if slices.Contains(done, name) {
			continue
		}
		done = append(done, name)
		var values []*wsman.Element
		for v := range e.All(name) {
			values = append(values, v)
		}
		o.name(name)
		if len(values) == 1 {
			appendValue(b, e.Space, values[0], depth)
		} else {
			appendList(b, values, func(v *wsman.Element) { appendValue(b, e.Space, v, depth) })
		}
	}
	o.end()
}

// appendValue writes one value of a property of an instance in that namespace. A form is taken only if it reads back
// as the same.
func appendValue(b *bytes.Buffer, space string, v *wsman.Element, depth int) {
	if v.Space == space && len(v.Attrs) == 0 && len(v.Children) == 0 {
		appendText(b, v.Text)
		return
	}
	o := object{b: b}
	defer o.end()
	if ref, err := wsman.ParseEPR(v); err == nil && same(ref.Element(space, v.Local), *v) && plain(&ref) {
		o.name("$ref")
		appendRef(b, &ref)
		return
	}
	if t, err := wsman.DatetimeOf(v); err == nil && same(t.Element(space, v.Local), *v) {
		if t.IsInterval() {
			o.text("$interval", t.String())
		} else {
			o.text("$datetime", t.String())
		}
		return
	}
	if class, ok := embedded(v); ok && v.Space == space && depth < maxDepth {
		inner := wsman.Element{Name: wsman.Name{Space: class}, Children: v.Children}
		o.name("$instance")
		in := object{b: b}
		in.text("class", className(class))
		in.name("values")
		appendInstance(b, &inner, depth+1)
		in.end()
		return
	}
	o.text("$xml", string(wsman.Append(nil, v)))
}

// embedded returns the namespace that all children share, if they do and are no attributes' bearers.
func embedded(v *wsman.Element) (class string, ok bool) {
	if len(v.Attrs) > 0 || v.Text != "" || len(v.Children) == 0 {
		return "", false
	}
	class = v.Children[0].Space
	var done []string
	for i := range v.Children {
		c := &v.Children[i]
		again := slices.Contains(done, c.Local)
		if c.Space != class || again && v.Children[i-1].Local != c.Local {
			return "", false // grouping by name would change the order
		}
		done = append(done, c.Local)
	}
	return class, class != "" && wsman.ClassName(class) != ""
}

// plain reports whether a reference can be written as class, address and selectors without loss: no name comes twice.
func plain(ref *wsman.EPR) bool {
	for i := range ref.Selectors {
		s := &ref.Selectors[i]
		if ref.Selectors.Get(s.Name) != s || s.EPR != nil && !plain(s.EPR) {
			return false
		}
	}
	return true
}

func appendRef(b *bytes.Buffer, ref *wsman.EPR) {
	o := object{b: b}
	defer o.end()
	o.text("class", className(ref.ResourceURI))
	if ref.Address != "" && ref.Address != wsman.Anonymous {
		o.text("address", ref.Address)
	}
	if len(ref.Selectors) == 0 {
		return
	}
	o.name("selectors")
	s := object{b: b}
	for i := range ref.Selectors {
		sel := &ref.Selectors[i]
		if sel.EPR == nil {
			s.text(sel.Name, sel.Value)
			continue
		}
		s.name(sel.Name)
		inner := object{b: b}
		inner.name("$ref")
		appendRef(b, sel.EPR)
		inner.end()
	}
	s.end()
}

// same reports whether two elements would be written alike, prefixes apart.
func same(a, b wsman.Element) bool {
	if a.Name != b.Name || a.Text != b.Text || !slices.Equal(a.Attrs, b.Attrs) || len(a.Children) != len(b.Children) {
		return false
	}
	for i := range a.Children {
		if !same(a.Children[i], b.Children[i]) {
			return false
		}
	}
	return true
}

func parseInstance(class string, text json.RawMessage, depth int) (wsman.Element, error) {
	uri := wsman.ClassURI(class)
	e := wsman.Element{Name: wsman.Name{Space: uri, Local: wsman.ClassName(uri)}}
	err := members(text, MaxValues, func(name string, value json.RawMessage) error {
		if !goodName(name) {
			return fmt.Errorf("%w: %.60q is no property", ErrFormat, name)
		}
		list := []json.RawMessage{value}
		if value[0] == '[' {
			list = nil
			if err := json.Unmarshal(value, &list); err != nil {
				return fmt.Errorf("%w: %v", ErrFormat, err)
			}
			if len(list) > MaxValues {
				return fmt.Errorf("%w: %d values of %s", ErrLimit, len(list), name)
			}
		}
		for _, raw := range list {
			v, err := parseValue(uri, name, raw, depth)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			e.Children = append(e.Children, v)
		}
		return nil
	})
	return e, err
}

// goodName reports whether a text can be the local name of an element.
func goodName(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '.') {
			return false
		}
	}
	return name != ""
}

func parseValue(space, name string, text json.RawMessage, depth int) (wsman.Element, error) {
	bad := func(why string) (wsman.Element, error) {
		return wsman.Element{}, fmt.Errorf("%w: %s: %.60q", ErrFormat, why, text)
	}
	switch text[0] {
	case '"':
		var v string
		if err := json.Unmarshal(text, &v); err != nil {
			return bad("bad text")
		}
		return wsman.El(space, name, v), nil
	case 't', 'f', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9': // written by hand, without quotes
		return wsman.El(space, name, string(text)), nil
	case '{':
	default:
		return bad("neither text nor object")
	}
	var form struct {
		Ref      json.RawMessage `json:"$ref"`
		Datetime *string         `json:"$datetime"`
		Interval *string         `json:"$interval"`
		Instance *struct {
			Class  string          `json:"class"`
			Values json.RawMessage `json:"values"`
		} `json:"$instance"`
		XML *string `json:"$xml"`
	}
	if err := json.Unmarshal(text, &form); err != nil {
		return bad("bad value")
	}
	if depth >= maxDepth {
		return wsman.Element{}, fmt.Errorf("%w: values nested more than %d deep", ErrLimit, maxDepth)
	}
	switch {
	case form.Ref != nil:
		ref, err := parseRef(form.Ref, depth+1)
		if err != nil {
			return wsman.Element{}, err
		}
		return ref.Element(space, name), nil
	case form.Datetime != nil || form.Interval != nil:
		wrapped, interval := form.Datetime, form.Datetime == nil
		if interval {
			wrapped = form.Interval
		}
		t, err := wsman.ParseDatetime(*wrapped)
		if err != nil || t.IsInterval() != interval {
			return bad("not a date and time, or an interval")
		}
		return t.Element(space, name), nil
	case form.Instance != nil && form.Instance.Class != "" && form.Instance.Values != nil:
		inner, err := parseInstance(form.Instance.Class, form.Instance.Values, depth+1)
		if err != nil {
			return wsman.Element{}, err
		}
		return wsman.Group(space, name, inner.Children...), nil
	case form.XML != nil:
		e, err := wsman.Parse([]byte(*form.XML))
		if err != nil || e.Local != name {
			return bad("not XML of an element of that name")
		}
		return e, nil
	}
	return bad("an object without a member $ref, $datetime, $interval, $instance or $xml")
}

func parseRef(text json.RawMessage, depth int) (wsman.EPR, error) {
	var ref wsman.EPR
	if depth > maxDepth {
		return ref, fmt.Errorf("%w: references nested more than %d deep", ErrLimit, maxDepth)
	}
	err := members(text, 3, func(name string, value json.RawMessage) error {
		switch name {
		case "class":
			var class string
			if err := member(name, value, &class); err != nil {
				return err
			}
			ref.ResourceURI = wsman.ClassURI(class)
			return nil
		case "address":
			return member(name, value, &ref.Address)
		case "selectors":
			return members(value, wsman.MaxSelectors, func(name string, value json.RawMessage) error {
				sel := wsman.Selector{Name: name}
				if value[0] == '{' {
					var inner struct {
						Ref json.RawMessage `json:"$ref"`
					}
					if err := json.Unmarshal(value, &inner); err != nil || inner.Ref == nil {
						return fmt.Errorf("%w: selector %.60q", ErrFormat, name)
					}
					epr, err := parseRef(inner.Ref, depth+1)
					if err != nil {
						return err
					}
					sel.EPR = &epr
				} else if err := member(name, value, &sel.Value); err != nil {
					return err
				}
				ref.Selectors = append(ref.Selectors, sel)
				return nil
			})
		}
		return fmt.Errorf("%w: a reference has no %.60q", ErrFormat, name)
	})
	if err == nil && ref.ResourceURI == "" {
		return ref, fmt.Errorf("%w: a reference without a class", ErrFormat)
	}
	return ref, err
}
