package wsman

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestServe(t *testing.T) {
	get := getRequest
	body := Group(NSCIM+"CIM_Chip", "CIM_Chip", El(NSCIM+"CIM_Chip", "Tag", "CPU 0"))
	for _, tt := range []struct {
		name   string
		doc    []byte
		resp   *Response
		err    error
		status int
		fault  error
	}{
		{"answer", get.Append(nil), &Response{Body: &body}, nil, 200, nil},
		{"nothing to say", get.Append(nil), &Response{}, nil, 200, nil},
		{"own headers", get.Append(nil), &Response{Action: "x", RelatesTo: "y", MessageID: "z", ResourceURI: "u"}, nil, 200, nil},
		{"fault in the answer", get.Append(nil), &Response{Fault: ErrInternal}, nil, 500, ErrInternal},
		{"fault", get.Append(nil), nil, ErrInvalidSelectors, 400, ErrInvalidSelectors},
		{"wrapped fault", get.Append(nil), nil, fmt.Errorf("x: %w", ErrTimedOut), 500, ErrTimedOut},
		{"other error", get.Append(nil), nil, errors.New("secret reason"), 500, ErrInternal},
		{"no answer", get.Append(nil), nil, nil, 500, ErrInternal},
		{"no XML", []byte("x"), nil, nil, 400, ErrSchemaValidation},
		{"no request", []byte("<x/>"), nil, nil, 400, &Fault{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := handlerFunc(func(_ context.Context, req *Request) (*Response, error) { return tt.resp, tt.err })
			status, doc := Serve(t.Context(), h, tt.doc, func() string { return MessageID(0xabc) })
			resp, err := ParseResponse(doc)
			if err != nil {
				t.Fatal(err)
			}
			if status != tt.status || (resp.Fault == nil) != (tt.fault == nil) || tt.fault != nil && !errors.Is(resp.Fault, tt.fault) {
				t.Errorf("%d %s", status, doc)
			}
			if strings.Contains(string(doc), "secret") {
				t.Errorf("%s", doc)
			}
			want := Response{Action: ActionGet + ResponseSuffix, RelatesTo: "1", MessageID: "uuid:00000000-8086-8086-8086-000000000ABC", ResourceURI: NSCIM + "CIM_Chip"}
			switch {
			case tt.name == "own headers":
				want = *tt.resp
			case tt.fault != nil:
				want.Action, want.ResourceURI = resp.Fault.Action(), ""
				if !strings.Contains(string(tt.doc), "Envelope") {
					want.RelatesTo = ""
				}
			}
			if resp.Action != want.Action || resp.RelatesTo != want.RelatesTo || resp.MessageID != want.MessageID || resp.ResourceURI != want.ResourceURI {
				t.Errorf("got %+v, want %+v", resp, want)
			}
		})
	}
}

func TestServeDoesNotChangeTheAnswer(t *testing.T) {
	shared := &Response{}
	h := handlerFunc(func(context.Context, *Request) (*Response, error) { return shared, nil })
	Serve(t.Context(), h, getRequest.Append(nil), func() string { return "x" })
	if shared.Action != "" || shared.MessageID != "" {
		t.Errorf("%+v", shared)
	}
}

func TestServeIdentify(t *testing.T) {
	req := Request{Body: &Element{Name: Name{NSIdentity, "Identify"}}}
	h := handlerFunc(func(context.Context, *Request) (*Response, error) {
		return &Response{Body: &Element{Name: Name{NSIdentity, "IdentifyResponse"}}}, nil
	})
	status, doc := Serve(t.Context(), h, req.Append(nil), func() string { t.Error("asked for a MessageID"); return "" })
	want := Declaration + `<a:Envelope xmlns:a="` + NSSoap + `" xmlns:b="` + NSIdentity + `"><a:Header></a:Header><a:Body><b:IdentifyResponse></b:IdentifyResponse></a:Body></a:Envelope>`
	if status != 200 || string(doc) != want {
		t.Errorf("%d\ngot  %s\nwant %s", status, doc, want)
	}
}
