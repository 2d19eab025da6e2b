package wsman

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// A local is a RoundTripper without HTTP: it writes the request, has it served and reads the answer.
type local struct {
	Handler
	requests []string // "Get CIM_Chip", as they came
}

func (l *local) RoundTrip(ctx context.Context, req *Request) (*Response, error) {
	l.requests = append(l.requests, strings.TrimSpace(ClassName(req.Action)+" "+ClassName(req.ResourceURI)))
	_, doc := Serve(ctx, l.Handler, req.Append(nil), func() string { return MessageID(1) })
	resp, err := ParseResponse(doc)
	if err != nil {
		return nil, err
	}
	if resp.Fault != nil {
		return nil, resp.Fault
	}
	return resp, nil
}

const nasty = "A&B<c>\"'\r\n\tü€😀 ]]> "

func TestOperations(t *testing.T) {
	ref := Ref("CIM_FilterCollection", "InstanceID", nasty)
	sel := Selectors{{Name: "Name", Value: nasty}, {Name: "Filter", EPR: &ref}}
	var last *Request
	answer := Element{}
	rt := &local{Handler: handlerFunc(func(_ context.Context, req *Request) (*Response, error) {
		last = req
		body := answer
		if body.Local == "" {
			return &Response{}, nil
		}
		return &Response{Body: &body}, nil
	})}
	uri := NSAMT + "AMT_AgentPresenceService"
	instance := Group(uri, "AMT_AgentPresenceService", El(uri, "Name", nasty))

	answer = instance
	got, err := Get(t.Context(), rt, "AMT_AgentPresenceService", sel)
	if err != nil || !reflect.DeepEqual(*got, instance) {
		t.Errorf("get: %+v, %v", got, err)
	}
	if last.Action != ActionGet || last.ResourceURI != uri || !last.Selectors.Equal(sel) || last.Body != nil {
		t.Errorf("get: %+v", last)
	}

	got, err = Put(t.Context(), rt, uri, sel, &instance)
	if err != nil || !reflect.DeepEqual(*got, instance) {
		t.Errorf("put: %+v, %v", got, err)
	}
	if last.Action != ActionPut || !last.Selectors.Equal(sel) || !reflect.DeepEqual(*last.Body, instance) {
		t.Errorf("put: %+v", last)
	}

	answer = ref.Element(NSTransfer, "ResourceCreated")
	epr, err := Create(t.Context(), rt, uri, &instance)
	if err != nil || !epr.Same(ref) {
		t.Errorf("create: %v, %v", epr, err)
	}

	answer = Element{}
	if err := Delete(t.Context(), rt, uri, sel); err != nil || last.Action != ActionDelete {
		t.Errorf("delete: %v, %+v", err, last)
	}
	if _, err := Get(t.Context(), rt, uri, nil); err == nil || errors.Is(err, ErrIndeterminate) {
		t.Errorf("get of nothing: %v", err)
	}
	if _, err := Invoke(t.Context(), rt, uri, "Reset", nil); !errors.Is(err, ErrIndeterminate) {
		t.Errorf("invoke of nothing: %v", err)
	}

	answer = Group(uri, "Register_OUTPUT", El(uri, "ReturnValue", "1"))
	got, err = Invoke(t.Context(), rt, uri, "Register", sel, El(uri, "Secret", nasty), El(uri, "Other", ""))
	if err != nil || got.ChildText("ReturnValue") != "1" {
		t.Errorf("invoke: %+v, %v", got, err)
	}
	want := Group(uri, "Register_INPUT", El(uri, "Secret", nasty), El(uri, "Other", ""))
	if last.Action != uri+"/Register" || !reflect.DeepEqual(*last.Body, want) {
		t.Errorf("invoke: %+v", last)
	}
	if _, err = Invoke(t.Context(), rt, uri, "Reset", nil); !errors.Is(err, ErrIndeterminate) {
		t.Errorf("output of another method: %v", err)
	}
}

func TestIdentify(t *testing.T) {
	const profile = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/http/digest"
	var last *Request
	rt := &local{Handler: handlerFunc(func(_ context.Context, req *Request) (*Response, error) {
		last = req
		body := Group(NSIdentity, "IdentifyResponse",
			El(NSIdentity, "ProtocolVersion", NSWSMan),
			El(NSIdentity, "ProductVendor", "Intel(r)"),
			El(NSIdentity, "ProductVersion", "AMT 8.1"),
			El(NSDASH, "DASHVersion", "1.0.0"),
			Group(NSIdentity, "SecurityProfiles", El(NSIdentity, "SecurityProfileName", profile)))
		return &Response{Body: &body}, nil
	})}
	got, err := Identify(t.Context(), rt)
	want := Identity{NSWSMan, "Intel(r)", "AMT 8.1", "1.0.0", []string{profile}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if last.Action != "" || last.MessageID != "" || last.Body.Local != "Identify" {
		t.Errorf("asked %+v", last)
	}
	rt.Handler = handlerFunc(func(context.Context, *Request) (*Response, error) {
		return &Response{Body: &Element{Name: Name{"", "html"}}}, nil
	})
	if _, err := Identify(t.Context(), rt); !errors.Is(err, ErrNotAMT) {
		t.Errorf("got %v", err)
	}
}
