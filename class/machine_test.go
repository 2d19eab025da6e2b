package class_test

import (
	"context"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/wire/wsman"
)

// machine is a store of instances and a Mux behind XML: every request and answer is written and parsed again.
type machine struct {
	instances []wsman.Element
	mux       class.Mux[*machine]
	last      *wsman.Request // as the machine parsed it
	answer    *wsman.Element // given instead of what the machine would answer
	count     uint64
}

func (m *machine) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	_, doc := wsman.Serve(ctx, m, req.Append(nil), func() string { m.count++; return wsman.MessageID(m.count) })
	resp, err := wsman.ParseResponse(doc)
	if err != nil {
		return nil, err
	}
	if resp.Fault != nil {
		return nil, resp.Fault
	}
	return resp, nil
}

func (m *machine) ServeWSMan(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	m.last = req
	if m.answer != nil {
		return &wsman.Response{Body: m.answer}, nil
	}
	switch req.Action {
	case wsman.ActionGet, wsman.ActionPut, wsman.ActionDelete:
		for i := range m.instances {
			if e := &m.instances[i]; e.Space == req.ResourceURI && matches(e, req.Selectors) {
				switch req.Action {
				case wsman.ActionPut:
					*e = *req.Body
				case wsman.ActionDelete:
					m.instances = append(m.instances[:i:i], m.instances[i+1:]...)
					return &wsman.Response{}, nil
				}
				return &wsman.Response{Body: e}, nil
			}
		}
		return nil, wsman.ErrInvalidSelectors
	case wsman.ActionCreate:
		m.instances = append(m.instances, *req.Body)
		ref := wsman.Ref(req.Body.Local, "InstanceID", req.Body.ChildText("InstanceID")).Element(wsman.NSTransfer, "ResourceCreated")
		return &wsman.Response{Body: &ref}, nil
	case wsman.ActionEnumerate:
		items := wsman.Group(wsman.NSWSMan, "Items", m.instances...)
		body := wsman.Group(wsman.NSEnumeration, "EnumerateResponse", items, wsman.El(wsman.NSWSMan, "EndOfSequence", ""))
		return &wsman.Response{Body: &body}, nil
	}
	name := wsman.ClassName(req.ResourceURI)
	out, found, err := m.mux.Invoke(ctx, m, name, req.Action[len(req.ResourceURI)+1:], req.Selectors, req.Body)
	if !found {
		return nil, wsman.ErrActionNotSupported.With(fmt.Sprint(req.Action))
	}
	return &wsman.Response{Body: &out}, err
}

func matches(e *wsman.Element, sel wsman.Selectors) bool {
	for _, s := range sel {
		child := e.Child(s.Name)
		if child == nil {
			return false
		}
		if s.EPR == nil {
			if child.Text != s.Value {
				return false
			}
		} else if ref, err := wsman.ParseEPR(child); err != nil || !ref.Same(*s.EPR) {
			return false
		}
	}
	return true
}
