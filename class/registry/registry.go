// Package registry finds the Go type of a class by name. It is for programs that read whatever a machine has: dumps,
// browsers, enumerations of base classes. Who knows the class uses package class, which does not link all types in.
package registry

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// New returns an empty instance of the class of that name or resource URI, or nil if it has no Go type.
func New(nameOrURI string) class.Instance {
	name := wsman.ClassName(nameOrURI)
	if name != nameOrURI && wsman.ClassURI(name) != nameOrURI {
		return nil
	}
	switch {
	case strings.HasPrefix(name, "AMT_"):
		return amt.New(name)
	case strings.HasPrefix(name, "CIM_"):
		return cim.New(name)
	case strings.HasPrefix(name, "IPS_"):
		return ips.New(name)
	}
	return nil
}

// Any returns the typed value of an element. The namespace tells the class, since the enumeration of a base class gives
// elements of its subclasses. ok is false if the class has no Go type or a value in it does not fit.
func Any(e *wsman.Element) (v class.Instance, ok bool) {
	v = New(class.Of(e))
	if v == nil || v.Decode(e) != nil {
		return nil, false
	}
	return v, true
}

// Enumerate yields the instances of a class given by name or resource URI, each as the type of its own class, or as
// [*class.Generic]. It ends after the first error.
func Enumerate(ctx context.Context, rt wsman.RoundTripper, nameOrURI string) iter.Seq2[class.Instance, error] {
	return func(yield func(class.Instance, error) bool) {
		for e, err := range wsman.Enumerate(ctx, rt, wsman.ClassURI(nameOrURI), nil, nil) {
			if err != nil {
				yield(nil, fmt.Errorf("enumerate %s: %w", wsman.ClassName(nameOrURI), err))
				return
			}
			v, ok := Any(e)
			if !ok {
				v = &class.Generic{XML: *e}
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
