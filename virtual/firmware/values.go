package firmware

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/outband/outband/class/model"
	"github.com/outband/outband/wire/wsman"
)

// merge returns old changed as body asks, in wire order. What body leaves out stays; what is read-only stays whatever
// body says; null removes. With create, old is empty and keys count as well. Values are checked against the model and
// written as devices write them. The errors are faults.
//
// Source: spec wsman.md sections 7.2, 7.3 and 8; wsman-notes.md numbers 12 and 13.
func (ci *classInfo) merge(old, body *wsman.Element, create bool) (wsman.Element, error) {
	want := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: ci.Name}}
	if body == nil {
		return want, wsman.ErrInvalidRepresentation.With("empty body")
	}
	if body.Local != ci.Name || body.Space != ci.uri {
		return want, wsman.ErrSchemaValidation.With("the body is not of class " + ci.Name)
	}
	given := make(map[string][]wsman.Element, len(body.Children))
	for i := range body.Children {
		e := &body.Children[i]
		p := ci.properties[e.Local]
		if p == nil || e.Space != ci.uri && e.Space != "" {
			return want, wsman.ErrSchemaValidation.With("unknown element " + e.Local)
		}
		values, seen := given[e.Local]
		if seen && !p.Array {
			return want, wsman.ErrSchemaValidation.With(e.Local + " twice")
		}
		value, ok, err := canonical(ci.uri, p, e)
		if err != nil {
			return want, err
		}
		if ok && !(p.WriteOnly() && value.Text == "" && len(value.Children) == 0) {
			values = append(values, value)
		} else if !e.IsNil() {
			continue // an empty number or an empty password says nothing
		}
		given[e.Local] = values
	}
	if !create {
		for _, name := range ci.required {
			if body.Child(name) == nil {
				return want, wsman.ErrSchemaValidation.With("element " + name + " is missing")
			}
		}
	}
	changes := func(name string) bool {
		p := ci.properties[name]
		_, ok := given[name]
		return ok && (p.Access != "" || create) && (create || !ci.IsKey(name) || p.Type == model.Ref && p.Access == "rw")
	}
	for i := range old.Children {
		if !changes(old.Children[i].Local) {
			want.Children = append(want.Children, old.Children[i])
		}
	}
	for name, values := range given {
		if changes(name) {
			want.Children = append(want.Children, values...)
		}
	}
	ci.Order(want.Children)
	return want, nil
}

// hide takes the values of write-only properties out of an instance. An empty element stays where the class shows one.
// Values that are not there are taken from before.
func (ci *classInfo) hide(e *wsman.Element, before []wsman.Element) (hidden []wsman.Element) {
	kept := e.Children[:0:0]
	for i := range e.Children {
		child := e.Children[i]
		if p := ci.properties[child.Local]; p == nil || !p.WriteOnly() {
			kept = append(kept, child)
			continue
		}
		if child.Text != "" || len(child.Children) > 0 {
			hidden = append(hidden, child)
		}
		if firstNamed(kept, child.Local) == nil && ci.shows(child.Local) {
			kept = append(kept, wsman.El(child.Space, child.Local, ""))
		}
	}
	e.Children = kept
	for i := range before {
		if firstNamed(hidden, before[i].Local) == nil {
			hidden = append(hidden, before[i])
		}
	}
	return hidden
}

// shows reports whether devices send the property, if only as an empty element.
func (ci *classInfo) shows(name string) bool {
	for _, listed := range ci.WireProperties {
		if listed == name {
			return true
		}
	}
	return false
}

func firstNamed(list []wsman.Element, name string) *wsman.Element {
	for i := range list {
		if list[i].Local == name {
			return &list[i]
		}
	}
	return nil
}

// canonical checks a value against its property or parameter, and writes it as a device would. ok is false for null and
// for an empty number. The errors are faults: what cannot be of the type is against the schema, a number out of range
// is a bad value.
func canonical(space string, p *model.Property, e *wsman.Element) (out wsman.Element, ok bool, err error) {
	if e.IsNil() {
		return out, false, nil
	}
	bad := func(why string) (wsman.Element, bool, error) {
		return wsman.Element{}, false, wsman.ErrSchemaValidation.With(p.Name + ": " + why)
	}
	text := strings.TrimSpace(e.Text)
	switch p.Type {
	case model.Ref:
		ref, err := wsman.ParseEPR(e)
		if err != nil || ref.ResourceURI == "" {
			return bad("not a reference")
		}
		return ref.Element(space, p.Name), true, nil
	case model.Object:
		if len(e.Children) == 0 {
			return bad("not an instance")
		}
		return wsman.Group(space, p.Name, e.Children...), true, nil
	case model.Datetime:
		if text == "" && len(e.Children) == 0 {
			return out, false, nil
		}
		t, err := wsman.DatetimeOf(e)
		if err != nil {
			return bad("not a date and time")
		}
		return t.Element(space, p.Name), true, nil
	}
	if len(e.Children) > 0 {
		return bad("elements where a value should be")
	}
	if text == "" && (p.Type.Integer() || p.Type == model.Boolean || p.Type == model.Real32 || p.Type == model.Real64) {
		return out, false, nil
	}
	switch {
	case p.Type == model.Boolean:
		switch strings.ToLower(text) {
		case "true", "1":
			text = "true"
		case "false", "0":
			text = "false"
		default:
			return bad("not a boolean")
		}
	case p.Type.Integer():
		var syntax, inRange bool
		if text, syntax, inRange = integer(p.Type, text); !syntax {
			return bad("not a number")
		} else if !inRange {
			return out, false, wsman.ErrInvalidParameter.With(p.Name + ": out of range")
		}
	case p.Type == model.Real32 || p.Type == model.Real64:
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return bad("not a number")
		}
	case p.Type == model.Base64:
		// Strict since 7.0: the unused bits of the last character are zero. Source: spec wsman.md section 8.
		text = strings.Join(strings.Fields(text), "")
		octets, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return bad("not base64")
		}
		if p.MaxLen > 0 && len(octets) > p.MaxLen {
			return bad("too long")
		}
	default:
		text = e.Text // blanks count in a string
		if p.MaxLen > 0 && utf8.RuneCountInString(text) > p.MaxLen {
			return bad("too long")
		}
	}
	return wsman.El(space, p.Name, text), true, nil
}

// integer reads a number of that type and writes it without sign or zeros in front. true and false are taken for 1 and
// 0, as clients mistake some numbers for booleans.
func integer(t model.Type, text string) (out string, syntax, inRange bool) {
	bits, err := strconv.Atoi(strings.TrimLeft(string(t), "uisnt"))
	if err != nil {
		return "", false, false
	}
	switch strings.ToLower(text) {
	case "true":
		text = "1"
	case "false":
		text = "0"
	}
	text = strings.TrimPrefix(text, "+")
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", false, false
	}
	if strings.HasPrefix(string(t), "u") {
		n, err := strconv.ParseUint(text, 10, bits)
		return strconv.FormatUint(n, 10), true, err == nil
	}
	n, err := strconv.ParseInt(text, 10, bits)
	return strconv.FormatInt(n, 10), true, err == nil
}
