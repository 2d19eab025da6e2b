package class

import (
	"context"
	"fmt"
	"iter"

	"github.com/outband/outband/wire/wsman"
)

// An Instance is a CIM instance as a Go value. Pointers to generated structs implement it.
type Instance interface {
	// ClassName returns the class of the Go type: "CIM_Chip".
	ClassName() string

	// Selectors returns the key properties that are set.
	Selectors() wsman.Selectors

	// Element returns the XML form. Elements are in ASCII order of their names; absent properties are left out, and
	// Extra follows as it is.
	Element() wsman.Element

	// Decode replaces the value by what e holds. Names are matched without namespace, in any order. Elements that the
	// class does not have go to Extra; null values and empty numbers are absent. Errors name class and property.
	Decode(e *wsman.Element) error
}

// Pointer is a pointer to a generated struct T. It is always inferred.
type Pointer[T any] interface {
	*T
	Instance
}

// base is implemented by instances of classes that have subclasses.
type base interface{ IsBaseOf(class string) bool }

// secret is implemented by instances of classes with properties that are never given back.
type secret interface{ WriteOnly(property string) bool }

// name returns the class name of T.
func name[T any, P Pointer[T]]() string { return P(nil).ClassName() }

// Get reads the instance that the selectors name. None are needed where the class has one instance.
func Get[T any, P Pointer[T]](ctx context.Context, rt wsman.RoundTripper, sel ...wsman.Selector) (*T, error) {
	class := name[T, P]()
	e, err := wsman.Get(ctx, rt, wsman.ClassURI(class), sel)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", class, err)
	}
	return decode[T, P]("get", e)
}

func decode[T any, P Pointer[T]](op string, e *wsman.Element) (*T, error) {
	if e == nil {
		return nil, fmt.Errorf("%s %s: the answer is empty", op, name[T, P]())
	}
	v := new(T)
	if err := P(v).Decode(e); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return v, nil
}

// Enumerate yields the instances of T's class, those of its subclasses included: of these the properties that T has
// not are in Extra. Elements of classes that do not derive from T's are skipped. It ends after the first error.
func Enumerate[T any, P Pointer[T]](ctx context.Context, rt wsman.RoundTripper) iter.Seq2[*T, error] {
	class := name[T, P]()
	return func(yield func(*T, error) bool) {
		for e, err := range wsman.Enumerate(ctx, rt, wsman.ClassURI(class), nil, nil) {
			if err != nil {
				yield(nil, fmt.Errorf("enumerate %s: %w", class, err))
				return
			}
			if !accepts[T, P](Of(e)) {
				continue
			}
			v, err := decode[T, P]("enumerate", e)
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Of returns the class of an element: the end of its namespace, or its local name where it has none.
func Of(e *wsman.Element) string {
	if e.Space == "" {
		return e.Local
	}
	return wsman.ClassName(e.Space)
}

func accepts[T any, P Pointer[T]](class string) bool {
	if class == name[T, P]() {
		return true
	}
	b, ok := any(P(nil)).(base)
	return ok && b.IsBaseOf(class)
}

// All returns what [Enumerate] yields.
func All[T any, P Pointer[T]](ctx context.Context, rt wsman.RoundTripper) ([]*T, error) {
	var out []*T
	for v, err := range Enumerate[T, P](ctx, rt) {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Put writes an instance back and returns it as the device has it then. The selectors are its keys. Read it first:
// Put stands for the whole instance. Passwords that are empty, as they come back from Get, are left out.
func Put[T any, P Pointer[T]](ctx context.Context, rt wsman.RoundTripper, v *T) (*T, error) {
	p := P(v)
	in := p.Element()
	if s, ok := any(p).(secret); ok {
		kept := in.Children[:0]
		for _, c := range in.Children {
			if c.Text != "" || len(c.Children) > 0 || !s.WriteOnly(c.Local) {
				kept = append(kept, c)
			}
		}
		in.Children = kept
	}
	e, err := wsman.Put(ctx, rt, in.Space, p.Selectors(), &in)
	if err != nil {
		return nil, fmt.Errorf("put %s: %w", in.Local, err)
	}
	return decode[T, P]("put", e)
}

// Create makes a new instance and returns a reference to it.
func Create[T any, P Pointer[T]](ctx context.Context, rt wsman.RoundTripper, v *T) (wsman.EPR, error) {
	in := P(v).Element()
	ref, err := wsman.Create(ctx, rt, in.Space, &in)
	if err != nil {
		return wsman.EPR{}, fmt.Errorf("create %s: %w", in.Local, err)
	}
	return ref, nil
}

// Delete removes the instance of T's class that the selectors name.
func Delete[T any, P Pointer[T]](ctx context.Context, rt wsman.RoundTripper, sel ...wsman.Selector) error {
	class := name[T, P]()
	if err := wsman.Delete(ctx, rt, wsman.ClassURI(class), sel); err != nil {
		return fmt.Errorf("delete %s: %w", class, err)
	}
	return nil
}

// Value returns what p points to, or the zero value if p is nil.
func Value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
