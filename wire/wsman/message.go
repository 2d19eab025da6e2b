package wsman

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Request is one WS-Management message to a machine.
type Request struct {
	Action           string
	ResourceURI      string // "" for Identify
	Selectors        Selectors
	MessageID        string        // any text; the answer carries it as RelatesTo
	To               string        // "" is /wsman
	OperationTimeout time.Duration // 0 is 60 s; firmware has a floor of 30 s
	MaxEnvelopeSize  int           // octets of an answer that the sender takes; 0 leaves the header out
	Header           []Element     // further headers
	Body             *Element      // what stands in the Body; nil for none
}

// Append appends the XML document.
func (r *Request) Append(out []byte) []byte {
	out = append(out, Declaration...)
	if r.Action == "" { // Identify has no addressing headers
		root := Group(NSSoap, "Envelope", Element{Name: Name{NSSoap, "Header"}}, r.body())
		return Append(out, &root, NSSoap)
	}
	to := r.To
	if to == "" {
		to = "/wsman"
	}
	timeout := r.OperationTimeout
	if timeout <= 0 {
		timeout = time.Minute
	}
	header := Element{Name: Name{NSSoap, "Header"}, Children: make([]Element, 0, 10)}
	header.Children = append(header.Children,
		El(NSAddressing, "Action", r.Action),
		El(NSAddressing, "To", to),
		El(NSWSMan, "ResourceURI", r.ResourceURI),
		El(NSAddressing, "MessageID", r.MessageID),
		Group(NSAddressing, "ReplyTo", El(NSAddressing, "Address", Anonymous)),
		El(NSWSMan, "OperationTimeout", "PT"+strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64)+"S"))
	if r.MaxEnvelopeSize > 0 {
		header.Children = append(header.Children, El(NSWSMan, "MaxEnvelopeSize", strconv.Itoa(r.MaxEnvelopeSize)))
	}
	if len(r.Selectors) > 0 {
		header.Children = append(header.Children, r.Selectors.Element())
	}
	header.Children = append(header.Children, r.Header...)
	root := Group(NSSoap, "Envelope", header, r.body())
	return Append(out, &root, NSSoap, NSAddressing, NSWSMan)
}

func (r *Request) body() Element {
	body := Element{Name: Name{NSSoap, "Body"}}
	if r.Body != nil {
		body.Children = []Element{*r.Body}
	}
	return body
}

// ParseRequest reads a request as a device does. Text that is not XML gives an error that wraps [ErrXML]; XML that is
// no request gives a [*Fault], and what could be read of the request, for the answer's RelatesTo.
func ParseRequest(doc []byte) (*Request, error) {
	root, err := Parse(doc)
	if err != nil {
		return nil, err
	}
	header, body, err := envelope(&root)
	if err != nil {
		return nil, err
	}
	r := &Request{}
	if len(body.Children) > 0 {
		r.Body = &body.Children[0]
	}
	if header == nil {
		header = &Element{}
	}
	var fault error
	for i := range header.Children {
		switch e := &header.Children[i]; e.Local {
		case "Action":
			r.Action = e.TrimText()
		case "To":
			r.To = e.TrimText()
		case "ResourceURI":
			r.ResourceURI = e.TrimText()
		case "MessageID":
			r.MessageID = e.TrimText()
		case "SelectorSet":
			if r.Selectors, err = ParseSelectors(e); err != nil {
				fault = ErrInvalidSelectors.With(err.Error())
			}
		case "OperationTimeout":
			if d, err := ParseDatetime(e.TrimText()); err == nil && d.Interval > 0 {
				r.OperationTimeout = d.Interval
			}
		case "MaxEnvelopeSize":
			if n, err := strconv.Atoi(e.TrimText()); err == nil && n > 0 {
				r.MaxEnvelopeSize = n
			}
		case "ReplyTo", "Locale":
		default:
			r.Header = append(r.Header, *e)
		}
	}
	if r.Action == "" && (r.Body == nil || r.Body.Local != "Identify") {
		return r, ErrHeaderRequired.With("Action")
	}
	return r, fault
}

func envelope(root *Element) (header, body *Element, err error) {
	if root.Local != "Envelope" || root.Space != NSSoap {
		return nil, nil, &Fault{Code: "Sender", Reason: fmt.Sprintf("not a SOAP 1.2 envelope but <%s>", root.Local)}
	}
	if body = root.Child("Body"); body == nil {
		return nil, nil, &Fault{Code: "Sender", Reason: "envelope without a Body"}
	}
	return root.Child("Header"), body, nil
}

// A Response is a machine's answer.
type Response struct {
	Action      string // "" for Identify, whose header is empty
	MessageID   string
	RelatesTo   string // MessageID of the request
	ResourceURI string // faults have none
	Header      []Element
	Body        *Element
	Fault       *Fault // set instead of Body
}

// faultReversed is how many of faultSpaces a fault declares backwards: g f e d c b a h i. Source: recorded fault.
const faultReversed = 7

// responseSpaces are declared on every answer, in this order: a is SOAP, b addressing, c wsman, d trust, e secext, f
// cimbinding; class and operation namespaces follow from g on. Source: recorded answers, spec wsman.md section 5.
var (
	responseSpaces = []string{NSSoap, NSAddressing, NSWSMan, NSTrust, NSSecExt, NSCIMBinding}
	faultSpaces    = []string{NSSoap, NSAddressing, NSEnumeration, NSTransfer, NSWSMan, NSEventing, NSCIMBinding, NSTrust, NSSecExt}
)

// Append appends the XML document, laid out as AMT lays it out.
func (r *Response) Append(out []byte) []byte {
	out = append(out, Declaration...)
	header := Element{Name: Name{NSSoap, "Header"}}
	body := Element{Name: Name{NSSoap, "Body"}}
	if r.Action == "" && r.Fault == nil {
		if r.Body != nil {
			body.Children = []Element{*r.Body}
		}
		root := Group(NSSoap, "Envelope", header, body)
		return Append(out, &root, NSSoap)
	}
	action := El(NSAddressing, "Action", r.Action)
	action.Attrs = []Attr{{Name{NSSoap, "mustUnderstand"}, "true"}}
	if r.Fault != nil {
		action.Text = r.Fault.Action()
	}
	header.Children = append(header.Children,
		El(NSAddressing, "To", Anonymous),
		El(NSAddressing, "RelatesTo", r.RelatesTo),
		action,
		El(NSAddressing, "MessageID", r.MessageID))
	if r.ResourceURI != "" && r.Fault == nil {
		header.Children = append(header.Children, El(NSWSMan, "ResourceURI", r.ResourceURI))
	}
	header.Children = append(header.Children, r.Header...)
	spaces := append(make([]string, 0, 12), responseSpaces...)
	if r.Fault != nil {
		spaces = append(spaces[:0], faultSpaces...)
		body.Children = []Element{faultElement(r.Fault, spaces)}
	} else if r.Body != nil {
		body.Children = []Element{*r.Body}
		if r.Body.Space == NSEnumeration || r.Body.Space == NSTransfer {
			spaces = append(spaces, r.Body.Space)
		}
	}
	if r.Fault == nil && r.ResourceURI != "" && strings.HasPrefix(r.ResourceURI, "http") {
		if r.Body == nil || r.Body.Space == r.ResourceURI {
			spaces = append(spaces, r.ResourceURI)
		}
	}
	spaces = append(spaces, NSXSI)
	root := Group(NSSoap, "Envelope", header, body)
	if r.Fault != nil {
		return appendDocument(out, &root, faultReversed, spaces)
	}
	return Append(out, &root, spaces...)
}

// faultElement writes codes as QNames, with the prefixes that [Append] gives to spaces.
func faultElement(f *Fault, spaces []string) Element {
	qname := func(n Name) string {
		for i, space := range spaces {
			if space == n.Space {
				return prefixName(i) + ":" + n.Local
			}
		}
		return n.Local
	}
	code := Group(NSSoap, "Code", El(NSSoap, "Value", qname(Name{NSSoap, f.Code})))
	if f.Subcode.Local != "" {
		code.Children = append(code.Children, Group(NSSoap, "Subcode", El(NSSoap, "Value", qname(f.Subcode))))
	}
	text := El(NSSoap, "Text", f.Reason)
	text.Attrs = []Attr{{Name{nsXML, "lang"}, "en-US"}}
	return Group(NSSoap, "Fault", code, Group(NSSoap, "Reason", text), El(NSSoap, "Detail", f.Detail))
}

// ParseResponse reads an answer as a client does. A fault is returned in the Response, not as an error.
func ParseResponse(doc []byte) (*Response, error) {
	root, err := Parse(doc)
	if err != nil {
		return nil, err
	}
	header, body, err := envelope(&root)
	if err != nil {
		return nil, fmt.Errorf("wsman: %w: %v", ErrXML, err)
	}
	r := &Response{}
	if header != nil {
		for i := range header.Children {
			switch e := &header.Children[i]; e.Local {
			case "Action":
				r.Action = e.TrimText()
			case "MessageID":
				r.MessageID = e.TrimText()
			case "RelatesTo":
				r.RelatesTo = e.TrimText()
			case "ResourceURI":
				r.ResourceURI = e.TrimText()
			case "To":
			default:
				r.Header = append(r.Header, *e)
			}
		}
	}
	if len(body.Children) > 0 {
		if r.Body = &body.Children[0]; r.Body.Local == "Fault" && r.Body.Space == NSSoap {
			r.Fault, r.Body = parseFault(r.Body), nil
		}
	}
	return r, nil
}
