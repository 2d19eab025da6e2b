package class

import (
	"context"
	"strconv"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A Mux is the methods that one kind of machine M offers. It is built once with [Handle] and then only read, so that
// thousands of machines may share it. The zero Mux has no methods.
type Mux[M any] struct {
	methods map[muxKey]muxHandler[M]
}

type muxKey struct{ class, method string }

type muxHandler[M any] func(ctx context.Context, machine M, sel wsman.Selectors, input *wsman.Element) (wsman.Element, error)

// Handle registers what a machine does when the method is called. The handler gets typed inputs and gives typed
// outputs and the return value; an error means that the call ends in a fault instead. A later Handle for the same
// method replaces the earlier one.
func Handle[M, In, Out any](mux *Mux[M], m Method[In, Out],
	h func(ctx context.Context, machine M, sel wsman.Selectors, in In) (Out, status.Status, error)) {
	if mux.methods == nil {
		mux.methods = make(map[muxKey]muxHandler[M])
	}
	mux.methods[muxKey{m.Class, m.Name}] = func(ctx context.Context, machine M, sel wsman.Selectors, input *wsman.Element) (wsman.Element, error) {
		var in In
		if input != nil {
			if err := m.DecodeIn(&in, input); err != nil {
				return wsman.Element{}, wsman.ErrInvalidParameter.With(err.Error())
			}
		}
		out, code, err := h(ctx, machine, sel, in)
		if err != nil {
			return wsman.Element{}, err
		}
		b := NewBuilder(m.Class, 4)
		m.BuildOut(&out, b)
		b.text("ReturnValue", strconv.FormatUint(uint64(code), 10))
		return wsman.Group(b.space, m.Name+"_OUTPUT", b.elements...), nil
	}
}

// Has reports whether the method is handled.
func (m *Mux[M]) Has(class, method string) bool {
	_, ok := m.methods[muxKey{class, method}]
	return ok
}

// Invoke calls a method on a machine. input is the Method_INPUT element, or nil. The output element holds the output
// parameters in the order of the definition and ReturnValue last. found is false if the method is not handled. Inputs
// that cannot be read give the fault [wsman.ErrInvalidParameter]; other errors are the handler's.
func (m *Mux[M]) Invoke(ctx context.Context, machine M, class, method string, sel wsman.Selectors, input *wsman.Element) (output wsman.Element, found bool, err error) {
	h, ok := m.methods[muxKey{class, method}]
	if !ok {
		return wsman.Element{}, false, nil
	}
	output, err = h(ctx, machine, sel, input)
	return output, true, err
}
