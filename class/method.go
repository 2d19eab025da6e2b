package class

import (
	"context"
	"fmt"
	"strconv"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A Method describes one method of a CIM class with its inputs and outputs. Generated code has one variable per
// method; consoles call [Method.Invoke], devices pass it to [Handle].
type Method[In, Out any] struct {
	Class string // CIM_PowerManagementService
	Name  string // RequestPowerStateChange

	// Returns gives the text of a return value, "" if it is not in the method's table. Nil if the values are PT_STATUS.
	Returns func(status.Status) string

	BuildIn   func(*In, *Builder)
	DecodeIn  func(*In, *wsman.Element) error
	BuildOut  func(*Out, *Builder)
	DecodeOut func(*Out, *wsman.Element) error
}

// None is the type of no parameters at all.
type None struct{}

// Build adds nothing.
func (*None) Build(*Builder) {}

// Decode accepts anything.
func (*None) Decode(*wsman.Element) error { return nil }

// Op returns "CIM_PowerManagementService.RequestPowerStateChange".
func (m Method[In, Out]) Op() string { return m.Class + "." + m.Name }

// Invoke calls the method on the instance that the selectors name; none are needed where there is one only. A return
// value other than 0 is a [*status.Error], given together with the outputs. Inputs are sent in the order of the
// definition; nil ones are left out.
func (m Method[In, Out]) Invoke(ctx context.Context, rt wsman.RoundTripper, in In, sel ...wsman.Selector) (Out, error) {
	var out Out
	b := NewBuilder(m.Class, 8)
	m.BuildIn(&in, b)
	e, err := wsman.Invoke(ctx, rt, b.space, m.Name, sel, b.elements...)
	if err != nil {
		return out, fmt.Errorf("%s: %w", m.Op(), err)
	}
	code, err := returnValue(e)
	if err != nil {
		return out, fmt.Errorf("%s: %w", m.Op(), err)
	}
	err = m.DecodeOut(&out, e)
	if code != status.Success {
		return out, m.Error(code) // a refusal says more than a parameter that cannot be read
	}
	return out, err
}

// Error returns the refusal with that code.
func (m Method[In, Out]) Error(code status.Status) *status.Error {
	err := &status.Error{Op: m.Op(), Code: code}
	if m.Returns != nil {
		err.Text = m.Returns(code)
	}
	return err
}

// returnValue reads ReturnValue. It is unsigned by definition; -1 was seen and is taken as its 32 bits.
func returnValue(output *wsman.Element) (status.Status, error) {
	e := output.Child("ReturnValue")
	if e == nil || e.TrimText() == "" {
		return 0, fmt.Errorf("%w: the answer has no ReturnValue", ErrValue)
	}
	n, err := strconv.ParseInt(e.TrimText(), 10, 64)
	if err != nil || n < -1<<31 || n >= 1<<32 {
		return 0, fmt.Errorf("%w: ReturnValue %.40q is not a number in range", ErrValue, e.TrimText())
	}
	return status.Status(uint32(n)), nil
}
