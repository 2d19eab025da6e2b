package wsman

import (
	"errors"
	"fmt"
	"strings"
)

// A Fault is a SOAP fault: the peer could not or would not carry the request out. It is an error, and matches the
// Err... values of this package by its subcode:
//
//	if errors.Is(err, wsman.ErrInvalidSelectors) { ... }
type Fault struct {
	Code    string // "Sender", "Receiver" or "MustUnderstand"
	Subcode Name   // such as wsman.xsd InvalidSelectors
	Reason  string // text for people
	Detail  string // text of the Detail element: a FaultDetail URI, or AMT-STATUS and a number
}

func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString("the machine answers with fault ")
	if f.Subcode.Local != "" {
		b.WriteString(printable(f.Subcode.Local))
	} else {
		b.WriteString(printable(f.Code))
	}
	if f.Reason != "" {
		fmt.Fprintf(&b, ": %s", strings.TrimRight(printable(f.Reason), ". "))
	}
	if f.Detail != "" {
		fmt.Fprintf(&b, " (%s)", printable(f.Detail[strings.LastIndexByte(f.Detail, '/')+1:]))
	}
	return b.String()
}

// Is matches faults with the same subcode.
func (f *Fault) Is(target error) bool {
	var other *Fault
	return errors.As(target, &other) && other.Subcode == f.Subcode
}

// Faults that AMT sends; compare with errors.Is. Source: spec wsman.md section 10.
var (
	ErrDestinationUnreachable    = sender(NSAddressing, "DestinationUnreachable", "No route can be determined to reach the destination role defined by the WS-Addressing To.")
	ErrActionNotSupported        = sender(NSAddressing, "ActionNotSupported", "The action is not supported by the service.")
	ErrInvalidHeader             = sender(NSAddressing, "InvalidMessageInformationHeader", "A message information header is not valid and the message cannot be processed.")
	ErrHeaderRequired            = sender(NSAddressing, "MessageInformationHeaderRequired", "A required message information header is missing.")
	ErrEndpointUnavailable       = receiver(NSAddressing, "EndpointUnavailable", "The endpoint is unable to process the message at this time.")
	ErrAccessDenied              = sender(NSWSMan, "AccessDenied", "The sender was not authorized to access the resource.")
	ErrAlreadyExists             = sender(NSWSMan, "AlreadyExists", "The sender attempted to create a resource which already exists.")
	ErrInvalidSelectors          = sender(NSWSMan, "InvalidSelectors", "The Selectors for the resource are not valid.")
	ErrInvalidParameter          = sender(NSWSMan, "InvalidParameter", "An operation parameter is not valid.")
	ErrSchemaValidation          = sender(NSWSMan, "SchemaValidationError", "The supplied SOAP violates the corresponding XML schema definition.")
	ErrEncodingLimit             = sender(NSWSMan, "EncodingLimit", "An internal encoding limit was exceeded in a request or would be violated if the message were processed.")
	ErrUnsupportedFeature        = sender(NSWSMan, "UnsupportedFeature", "The specified feature is not supported.")
	ErrCannotProcessFilter       = sender(NSWSMan, "CannotProcessFilter", "The requested filter could not be processed.")
	ErrInternal                  = receiver(NSWSMan, "InternalError", "The service cannot comply with the request due to internal processing errors.")
	ErrTimedOut                  = receiver(NSWSMan, "TimedOut", "The operation has timed out.")
	ErrQuotaLimit                = sender(NSWSMan, "QuotaLimit", "The service is busy servicing other requests.")
	ErrInvalidRepresentation     = sender(NSTransfer, "InvalidRepresentation", "The XML content was invalid.")
	ErrInvalidEnumerationContext = receiver(NSEnumeration, "InvalidEnumerationContext", "The supplied enumeration context is invalid.")
	ErrFilteringNotSupported     = sender(NSEnumeration, "FilteringNotSupported", "Filtered enumeration is not supported.")
	ErrFilterDialect             = sender(NSEnumeration, "FilterDialectRequestedUnavailable", "The requested filtering dialect is not supported.")
)

func sender(space, local, reason string) *Fault {
	return &Fault{Code: "Sender", Subcode: Name{space, local}, Reason: reason}
}

func receiver(space, local, reason string) *Fault {
	return &Fault{Code: "Receiver", Subcode: Name{space, local}, Reason: reason}
}

// With returns a copy of the fault with that detail.
func (f *Fault) With(detail string) *Fault {
	out := *f
	out.Detail = detail
	return &out
}

// HTTPStatus returns the status that AMT sends the fault with: 400 when the sender is to blame, else 500.
func (f *Fault) HTTPStatus() int {
	if f.Code == "Receiver" {
		return 500
	}
	return 400
}

// Action returns the action URI of the fault message.
func (f *Fault) Action() string {
	if f.Subcode.Space == NSWSMan || f.Subcode.Space == "" {
		return "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
	}
	return f.Subcode.Space + "/fault"
}

func parseFault(e *Element) *Fault {
	f := &Fault{Reason: e.Find("Reason", "Text").TrimText()}
	code := e.Find("Code", "Value").TrimText()
	f.Code = code[strings.LastIndexByte(code, ':')+1:]
	// A value is a QName, but the bindings are gone by now: what the names mean is known by the local name alone.
	sub := e.Find("Code", "Subcode", "Value").TrimText()
	local := sub[strings.LastIndexByte(sub, ':')+1:]
	f.Subcode = Name{Local: local}
	for _, known := range knownFaults {
		if known.Subcode.Local == local {
			f.Subcode = known.Subcode
			break
		}
	}
	if detail := e.Child("Detail"); detail != nil {
		f.Detail = deepText(detail)
	}
	return f
}

var knownFaults = []*Fault{
	ErrDestinationUnreachable, ErrActionNotSupported, ErrInvalidHeader, ErrHeaderRequired, ErrEndpointUnavailable,
	ErrAccessDenied, ErrAlreadyExists, ErrInvalidSelectors, ErrInvalidParameter, ErrSchemaValidation, ErrEncodingLimit,
	ErrUnsupportedFeature, ErrCannotProcessFilter, ErrInternal, ErrTimedOut, ErrQuotaLimit, ErrInvalidRepresentation,
	ErrInvalidEnumerationContext, ErrFilteringNotSupported, ErrFilterDialect,
}

func deepText(e *Element) string {
	text := e.TrimText()
	for i := range e.Children {
		if t := deepText(&e.Children[i]); t != "" {
			text = strings.TrimSpace(text + " " + t)
		}
	}
	return text
}
