package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// An Instance is an example of a class, as a desktop machine has it.
type Instance struct {
	Origin      Origin            `json:"origin"`
	Variant     bool              `json:"variant"`     // has the keys of an earlier one and shows other values
	UserCreated bool              `json:"userCreated"` // exists only after a console made it
	Values      map[string]Values `json:"values"`
}

// Origin says where an example comes from.
type Origin string

// Values of Origin.
const (
	Recorded Origin = "recorded" // by a real device
	Typical  Origin = "typical"  // constructed after the definitions: names and types are right, values are guesses
	Fixture  Origin = "fixture"  // from hand-made test data
)

// Fresh reports whether a freshly provisioned machine has the instance.
func (i *Instance) Fresh() bool { return i.Origin != Fixture && !i.Variant && !i.UserCreated }

// Values are the values of one property: one, or several if it is an array.
type Values []AnyValue

// AnyValue is one value: text, a reference or a datetime.
type AnyValue struct {
	Text     string
	Ref      *wsman.EPR
	Datetime *wsman.Datetime
}

// UnmarshalJSON reads one value or a list.
func (v *Values) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]AnyValue)(v))
	}
	*v = make(Values, 1)
	return json.Unmarshal(text, &(*v)[0])
}

// UnmarshalJSON reads "text", {"$ref":{"class":...,"selectors":{...}}}, {"$datetime":"..."} or {"$interval":"..."}.
func (v *AnyValue) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &v.Text)
	}
	var form struct {
		Ref *struct {
			Class     string              `json:"class"`
			Selectors map[string]AnyValue `json:"selectors"`
		} `json:"$ref"`
		Datetime string `json:"$datetime"`
		Interval string `json:"$interval"`
	}
	if err := json.Unmarshal(text, &form); err != nil {
		return err
	}
	switch {
	case form.Ref != nil:
		ref := wsman.Ref(form.Ref.Class)
		for name, value := range form.Ref.Selectors {
			ref.Selectors = append(ref.Selectors, wsman.Selector{Name: name, Value: value.Text, EPR: value.Ref})
		}
		slices.SortFunc(ref.Selectors, func(a, b wsman.Selector) int { return strings.Compare(a.Name, b.Name) })
		v.Ref = &ref
	case form.Datetime != "":
		t, err := time.Parse(time.RFC3339, form.Datetime)
		if err != nil {
			return fmt.Errorf("model: %w", err)
		}
		at := wsman.At(t)
		v.Datetime = &at
	case form.Interval != "":
		d, err := wsman.ParseDatetime(form.Interval)
		if err != nil {
			return err
		}
		v.Datetime = &d
	default:
		return fmt.Errorf("model: value %.60s is neither text nor $ref, $datetime, $interval", text)
	}
	return nil
}

// Element returns the instance as a device sends it, with the elements in the wire order of the class.
func (i *Instance) Element(c *Class) wsman.Element {
	space := c.URI()
	out := wsman.Element{Name: wsman.Name{Space: space, Local: c.Name}}
	for name, values := range i.Values {
		for _, v := range values {
			switch {
			case v.Ref != nil:
				out.Children = append(out.Children, v.Ref.Element(space, name))
			case v.Datetime != nil:
				out.Children = append(out.Children, v.Datetime.Element(space, name))
			default:
				out.Children = append(out.Children, wsman.El(space, name, v.Text))
			}
		}
	}
	c.Order(out.Children)
	return out
}

// Selectors returns the values of the class's keys.
func (i *Instance) Selectors(c *Class) wsman.Selectors {
	var out wsman.Selectors
	for _, key := range c.Keys {
		if v := i.Values[key]; len(v) > 0 {
			out = append(out, wsman.Selector{Name: key, Value: v[0].Text, EPR: v[0].Ref})
		}
	}
	return out
}

// Order sorts the elements of an instance of the class as devices send them. Where devices have an order of their own,
// elements that were never seen come last.
func (c *Class) Order(children []wsman.Element) {
	listed := c.WireOrder == OrderListed
	rank := func(name string) int {
		if at := slices.Index(c.WireProperties, name); listed && at >= 0 {
			return at
		}
		return len(c.WireProperties)
	}
	slices.SortStableFunc(children, func(a, b wsman.Element) int {
		if r := rank(a.Local) - rank(b.Local); r != 0 {
			return r
		}
		return strings.Compare(a.Local, b.Local)
	})
}
