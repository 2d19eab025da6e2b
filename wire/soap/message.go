package soap

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// ErrMessage is wrapped by every error about a document that is no call, or no answer, of this interface. Errors about
// text that is not XML wrap [wsman.ErrXML] as well.
var ErrMessage = errors.New("malformed SOAP message")

// A Call is one request.
type Call struct {
	Service Service
	Method  string
	Params  []wsman.Element
}

// Param returns a parameter of that name, in any namespace, or nil.
func (c *Call) Param(name string) *wsman.Element {
	for i := range c.Params {
		if c.Params[i].Local == name {
			return &c.Params[i]
		}
	}
	return nil
}

// Append appends the document.
func (c *Call) Append(out []byte) []byte {
	return appendBody(out, wsman.Group(c.Service.Space(), c.Method, c.Params...))
}

func appendBody(out []byte, body wsman.Element) []byte {
	out = append(out, wsman.Declaration...)
	root := wsman.Group(NSEnvelope, "Envelope", wsman.Group(NSEnvelope, "Body", body))
	return wsman.Append(out, &root, NSEnvelope)
}

// ParseCall reads a call that came in at a service's path. xsi:nil on the method, which SOAP::Lite puts there when it has
// no parameters, means nothing; on a parameter it means that there is none. Errors wrap [ErrMessage].
func ParseCall(service Service, doc []byte) (*Call, error) {
	e, err := parseBody(doc)
	if err != nil {
		return nil, err
	}
	if e.Space != service.Space() && e.Space != "" {
		return nil, fmt.Errorf("soap: %w: method %.60q is not of service %s", ErrMessage, e.Local, service)
	}
	call := &Call{Service: service, Method: e.Local}
	for i := range e.Children {
		if !e.Children[i].IsNil() {
			call.Params = append(call.Params, e.Children[i])
		}
	}
	return call, nil
}

// parseBody returns the one element inside the Body.
func parseBody(doc []byte) (*wsman.Element, error) {
	if len(doc) > MaxMessage {
		return nil, fmt.Errorf("soap: %w: %d octets are over the limit of %d", ErrMessage, len(doc), MaxMessage)
	}
	root, err := wsman.Parse(doc)
	if err != nil {
		return nil, fmt.Errorf("soap: %w: %w", ErrMessage, err)
	}
	if root.Space != NSEnvelope || root.Local != "Envelope" {
		return nil, fmt.Errorf("soap: %w: not a SOAP 1.1 envelope but <%.60s>", ErrMessage, root.Local)
	}
	body := root.Child("Body")
	if body == nil || len(body.Children) != 1 {
		return nil, fmt.Errorf("soap: %w: the Body does not hold one element", ErrMessage)
	}
	if n := len(body.Children[0].Children); n > MaxParams {
		return nil, fmt.Errorf("soap: %w: %d parameters are over the limit of %d", ErrMessage, n, MaxParams)
	}
	return &body.Children[0], nil
}

// A Reply is the answer to a call.
type Reply struct {
	Service Service
	Method  string
	Status  status.Status
	Params  []wsman.Element // what the method gives back, in order; none, mostly, when Status is not Success
}

// Append appends the document.
func (r *Reply) Append(out []byte) []byte {
	space := r.Service.Space()
	e := wsman.Group(space, r.Method+"Response", wsman.El(space, "Status", strconv.FormatUint(uint64(r.Status), 10)))
	e.Children = append(e.Children, r.Params...)
	return appendBody(out, e)
}

// ParseReply reads the answer to a call of that method. The first child is the status, whatever its name. A fault is
// returned as a [*Fault]; other errors wrap [ErrMessage].
func ParseReply(service Service, method string, doc []byte) (*Reply, error) {
	e, err := parseBody(doc)
	if err != nil {
		return nil, err
	}
	if e.Space == NSEnvelope && e.Local == "Fault" {
		return nil, parseFault(e)
	}
	if e.Local != method+"Response" {
		return nil, fmt.Errorf("soap: %w: the answer to %s is <%.60s>", ErrMessage, method, e.Local)
	}
	if len(e.Children) == 0 {
		return nil, fmt.Errorf("soap: %w: %s without a status", ErrMessage, e.Local)
	}
	code, err := strconv.ParseUint(e.Children[0].TrimText(), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("soap: %w: status of %s is %.20q", ErrMessage, e.Local, e.Children[0].TrimText())
	}
	return &Reply{Service: service, Method: method, Status: status.Status(code), Params: e.Children[1:]}, nil
}

// A Fault says that a call made no sense to the peer. It travels with HTTP 500.
type Fault struct {
	Code string // "Client" or "Server"
	Text string // for people
}

func (f *Fault) Error() string {
	return "soap: the machine answers with fault " + f.Code + ": " + f.Text
}

// Append appends the document.
func (f *Fault) Append(out []byte) []byte {
	return appendBody(out, wsman.Group(NSEnvelope, "Fault",
		wsman.El("", "faultcode", "a:"+f.Code), // a is the prefix of the first namespace that Append declares
		wsman.El("", "faultstring", f.Text)))
}

func parseFault(e *wsman.Element) *Fault {
	code := e.ChildText("faultcode")
	for i := len(code) - 1; i >= 0; i-- {
		if code[i] == ':' {
			code = code[i+1:]
			break
		}
	}
	return &Fault{Code: code, Text: e.ChildText("faultstring")}
}

// number reads a decimal parameter. An absent one is def.
func number(e *wsman.Element, bits int, def uint64) (uint64, error) {
	if e == nil {
		return def, nil
	}
	n, err := strconv.ParseUint(e.TrimText(), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("soap: %w: %s is %.20q, not a number of %d bits", ErrMessage, e.Local, e.TrimText(), bits)
	}
	return n, nil
}

func numberElement(space, local string, n uint64) wsman.Element {
	return wsman.El(space, local, strconv.FormatUint(n, 10))
}
