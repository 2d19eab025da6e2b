package firmware

import (
	"context"
	"slices"

	"github.com/outband/outband/class/model"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// invoke calls a method. Source: spec wsman.md section 7.6, classes.md section 3.
func (m *Machine) invoke(ctx context.Context, ci *classInfo, method string, sel wsman.Selectors, body *wsman.Element) (*wsman.Element, error) {
	if len(sel) > 0 || len(m.views(ci)) > 1 {
		if _, err := m.find(ci, sel); err != nil {
			return nil, err
		}
	}
	input, err := ci.input(method, body)
	if err != nil {
		return nil, err
	}
	refused := m.refusal(ci, method)
	if refused == status.Success && m.hooks.OnInvoke != nil {
		refused = m.hooks.OnInvoke(ctx, ci.Name, method)
	}
	if refused != status.Success {
		return ci.output(method, refused), nil
	}
	methods := &m.table.methods
	for _, at := range ci.lines { // a method that a base class handles is handled for the classes below it
		if output, found, err := methods.Invoke(ctx, m, at.Name, method, sel, input); found {
			if err != nil {
				return nil, err
			}
			output.Space, output.Children = respace(output, ci.uri)
			return &output, nil
		}
	}
	return ci.output(method, status.InternalError), nil
}

// respace gives parameters the namespace of the class that was asked.
func respace(output wsman.Element, uri string) (string, []wsman.Element) {
	if output.Space == uri {
		return uri, output.Children
	}
	children := slices.Clone(output.Children)
	for i := range children {
		if children[i].Space == output.Space {
			children[i].Space = uri
		}
	}
	return uri, children
}

// output makes a Method_OUTPUT element that holds a return value only.
func (ci *classInfo) output(method string, code status.Status) *wsman.Element {
	e := wsman.Group(ci.uri, method+"_OUTPUT", wsman.El(ci.uri, "ReturnValue", itoa(code)))
	return &e
}

// input holds a Method_INPUT element against the definition of the method, and returns it with values as devices
// write them.
func (ci *classInfo) input(method string, body *wsman.Element) (*wsman.Element, error) {
	in := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: method + "_INPUT"}}
	params := ci.methods[method].In
	if body != nil {
		if body.Local != in.Local {
			return nil, wsman.ErrSchemaValidation.With("the body is not " + in.Local)
		}
		for i := range body.Children {
			e := &body.Children[i]
			at := slices.IndexFunc(params, func(p model.Property) bool { return p.Name == e.Local })
			if at < 0 {
				return nil, wsman.ErrSchemaValidation.With("unknown parameter " + e.Local)
			}
			if in.Child(e.Local) != nil && !params[at].Array {
				return nil, wsman.ErrSchemaValidation.With(e.Local + " twice")
			}
			value, ok, err := canonical(ci.uri, &params[at], e)
			if err != nil {
				return nil, err
			}
			if ok {
				in.Children = append(in.Children, value)
			}
		}
	}
	for i := range params {
		if params[i].Required && in.Child(params[i].Name) == nil {
			return nil, wsman.ErrInvalidParameter.With(params[i].Name + " is missing")
		}
	}
	return &in, nil
}
