package wsman

import (
	"context"
	"errors"
	"fmt"
)

// A Handler carries requests out: the server side of WS-Management. An error that is or wraps a *[Fault] is answered as
// that, any other as [ErrInternal], without its text.
type Handler interface {
	ServeWSMan(ctx context.Context, req *Request) (*Response, error)
}

// Serve takes one request document, has it carried out, and returns the answer as AMT writes it, with the HTTP status
// for it: 200, or that of the fault. What the handler leaves empty is filled in: Action, RelatesTo, ResourceURI, and
// MessageID from nextID. It does not change what the handler returned.
func Serve(ctx context.Context, h Handler, doc []byte, nextID func() string) (httpStatus int, reply []byte) {
	resp := Response{}
	req, err := ParseRequest(doc)
	if errors.Is(err, ErrXML) {
		err = ErrSchemaValidation.With(err.Error())
	}
	if err == nil {
		var got *Response
		if got, err = h.ServeWSMan(ctx, req); err == nil {
			if got == nil {
				err = ErrInternal
			} else {
				resp = *got
			}
		}
	}
	if err != nil {
		resp = Response{}
		if !errors.As(err, &resp.Fault) {
			resp.Fault = ErrInternal
		}
	}
	if req != nil && (req.Action != "" || resp.Fault != nil) {
		fill(&resp.Action, req.Action+ResponseSuffix)
		fill(&resp.RelatesTo, req.MessageID)
		fill(&resp.ResourceURI, req.ResourceURI)
	}
	if resp.Action != "" || resp.Fault != nil {
		if resp.MessageID == "" {
			resp.MessageID = nextID()
		}
	}
	httpStatus = 200
	if resp.Fault != nil {
		httpStatus = resp.Fault.HTTPStatus()
	}
	return httpStatus, resp.Append(make([]byte, 0, 4096))
}

func fill(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// MessageID returns the text that AMT gives as MessageID to the answer of that number since its start.
func MessageID(counter uint64) string {
	return fmt.Sprintf("uuid:00000000-8086-8086-8086-%012X", counter&(1<<48-1))
}
