package dump

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// members calls f with each member of a JSON object, in order. A name that comes twice is refused.
func members(text []byte, most int, f func(name string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("%w: an object should be here: %.40q", ErrFormat, text)
	}
	seen := make(map[string]bool)
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return fmt.Errorf("%w: %v", ErrFormat, err)
		}
		if seen[name] {
			return fmt.Errorf("%w: %.60q twice", ErrFormat, name)
		}
		if seen[name] = true; len(seen) > most {
			return fmt.Errorf("%w: more than %d members", ErrLimit, most)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("%w: %.60q: %v", ErrFormat, name, err)
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if d.More() {
		return fmt.Errorf("%w: more than one object", ErrFormat)
	}
	return nil
}

// An object writes a JSON object member by member.
type object struct {
	b     *bytes.Buffer
	begun bool
}

func (o *object) name(name string) {
	if o.begun {
		o.b.WriteByte(',')
	} else {
		o.b.WriteByte('{')
		o.begun = true
	}
	appendText(o.b, name)
	o.b.WriteByte(':')
}

func (o *object) text(name, value string) {
	o.name(name)
	appendText(o.b, value)
}

func (o *object) end() {
	if !o.begun {
		o.b.WriteByte('{')
	}
	o.b.WriteByte('}')
}

// appendText writes a JSON string without the escapes that only web pages need.
func appendText(b *bytes.Buffer, text string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.Encode(text) // a string always can
	b.Truncate(b.Len() - 1)
}

func appendList[T any](b *bytes.Buffer, list []T, one func(T)) {
	b.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		one(v)
	}
	b.WriteByte(']')
}
