package class

import (
	"context"

	"github.com/outband/outband/wire/wsman"
)

// Next has a method carried out: see [Mux.Around].
type Next func(ctx context.Context) (output wsman.Element, err error)

// Around puts f around the handler of a method: f is called in its place and calls next, or refuses. It is for what
// concerns many methods, such as keeping a record of calls, and reports false if the method is not handled. Like
// [Handle], it is for the time when the Mux is built.
func (m *Mux[M]) Around(class, method string, f func(ctx context.Context, machine M, input *wsman.Element, next Next) (wsman.Element, error)) bool {
	key := muxKey{class, method}
	inner, ok := m.methods[key]
	if !ok {
		return false
	}
	m.methods[key] = func(ctx context.Context, machine M, sel wsman.Selectors, input *wsman.Element) (wsman.Element, error) {
		return f(ctx, machine, input, func(ctx context.Context) (wsman.Element, error) { return inner(ctx, machine, sel, input) })
	}
	return true
}
