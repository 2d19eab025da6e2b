package soap

import (
	"context"
	"errors"
	"net/http"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A Handler carries out one method of a machine of type M. A status other than Success is a refusal, with params nil
// mostly. An error that wraps [ErrMessage] says that the call makes no sense; a [*Fault] is sent as it is; any other
// becomes a fault that does not tell.
type Handler[M any] func(ctx context.Context, machine M, call *Call) (params []wsman.Element, code status.Status, err error)

type route struct {
	service Service
	method  string
}

// A Mux holds the methods of one kind of machine. It is filled once and then shared by all machines; the zero value is
// ready to be filled.
type Mux[M any] struct {
	methods map[route]Handler[M]
}

// Handle says who carries out a method.
func (m *Mux[M]) Handle(service Service, method string, h Handler[M]) {
	if m.methods == nil {
		m.methods = make(map[route]Handler[M])
	}
	m.methods[route{service, method}] = h
}

// Serves reports whether a path is that of a service with at least one method.
func (m *Mux[M]) Serves(path string) bool {
	service, ok := ServiceAt(path)
	if !ok {
		return false
	}
	for r := range m.methods {
		if r.service == service {
			return true
		}
	}
	return false
}

// Serve carries out the call in body and returns what to answer: 200 with a reply, 500 with a fault, or 404 with nothing
// for a path that is no service's. The answer's type is [ContentType].
func (m *Mux[M]) Serve(ctx context.Context, machine M, path string, body []byte) (httpStatus int, reply []byte) {
	if !m.Serves(path) {
		return http.StatusNotFound, nil
	}
	service, _ := ServiceAt(path)
	call, err := ParseCall(service, body)
	if err != nil {
		return fault(&Fault{Code: "Client", Text: err.Error()})
	}
	h := m.methods[route{service, call.Method}]
	if h == nil {
		return fault(&Fault{Code: "Client", Text: "method not implemented"})
	}
	params, code, err := h(ctx, machine, call)
	if err != nil {
		var f *Fault
		switch {
		case errors.As(err, &f):
			return fault(f)
		case errors.Is(err, ErrMessage):
			return fault(&Fault{Code: "Client", Text: err.Error()})
		}
		return fault(&Fault{Code: "Server", Text: "internal error"})
	}
	answer := Reply{Service: service, Method: call.Method, Status: code, Params: params}
	return http.StatusOK, answer.Append(nil)
}

func fault(f *Fault) (int, []byte) { return http.StatusInternalServerError, f.Append(nil) }
