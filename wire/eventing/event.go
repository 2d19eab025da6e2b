package eventing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// An Alert is one event: what a CIM_AlertIndication tells.
type Alert struct {
	MessageID  string   // "iAMT0005", "PLAT0004"
	Arguments  []string // MessageArguments
	Message    string   // text, mostly empty: see Text
	Owner      string   // OwningEntity; "Intel(r) AMT"
	Severity   Severity
	Type       uint16 // AlertType: 8 security, 5 device, 6 environment ...
	Filter     string // IndicationFilterName
	Identifier string // IndicationIdentifier
	Time       time.Time
	System     string // SystemName
}

// A Severity is a PerceivedSeverity. Source: CIM_AlertIndication.
type Severity uint16

// The severities.
const (
	Unknown     Severity = 0
	Other       Severity = 1
	Information Severity = 2
	Warning     Severity = 3
	Minor       Severity = 4
	Major       Severity = 5
	Critical    Severity = 6
	Fatal       Severity = 7
)

func (s Severity) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Other:
		return "other"
	case Information:
		return "information"
	case Warning:
		return "warning"
	case Minor:
		return "minor"
	case Major:
		return "major"
	case Critical:
		return "critical"
	case Fatal:
		return "fatal"
	}
	return fmt.Sprintf("unknown (%d)", uint16(s))
}

// Constants of all events of AMT, as recorded.
const (
	Owner        = "Intel(r) AMT"
	elementPath  = `Interop:CIM_ComputerSystem.CreationClassName="CIM_ComputerSystem",Name="Intel(r) AMT"`
	ArgumentPath = "Interop:CIM_ComputerSystem.CreationClassName=CIM_ComputerSystem,Name=Intel(r) AMT" // last of the arguments
)

// A Delivery is the message that carries an event.
type Delivery struct {
	MessageID  string // of the message
	Ack        bool   // is to be acknowledged
	Parameters []wsman.Element
	Alert      Alert
}

// deliverySpaces are the namespaces a to h of an event: clients look for the prefix g without reading XML. Source: spec
// lms.md section 6.
var deliverySpaces = []string{wsman.NSSoap, wsman.NSAddressing, wsman.NSWSMan, wsman.NSTrust, wsman.NSSecExt, wsman.NSCIMBinding, alertURI, wsman.NSCommon}

const alertURI = wsman.NSCIM + "CIM_AlertIndication"

// Append appends the envelope as AMT writes it.
func (d *Delivery) Append(out []byte) []byte {
	header := wsman.Group(wsman.NSSoap, "Header",
		wsman.El(wsman.NSAddressing, "To", wsman.Anonymous),
		wsman.Group(wsman.NSAddressing, "ReplyTo", wsman.El(wsman.NSAddressing, "Address", wsman.Anonymous)))
	if d.Ack {
		header.Children = append(header.Children, wsman.El(wsman.NSWSMan, "AckRequested", ""))
	}
	action := wsman.El(wsman.NSAddressing, "Action", ActionEvent)
	action.Attrs = []wsman.Attr{{Name: wsman.Name{Space: wsman.NSSoap, Local: "mustUnderstand"}, Value: "true"}}
	header.Children = append(header.Children, action,
		wsman.El(wsman.NSAddressing, "MessageID", d.MessageID),
		wsman.El(wsman.NSWSMan, "ResourceURI", alertURI))
	header.Children = append(header.Children, d.Parameters...)
	a := &d.Alert
	el := func(name, text string) wsman.Element { return wsman.El(alertURI, name, text) }
	body := wsman.Group(alertURI, "CIM_AlertIndication",
		el("AlertType", strconv.Itoa(int(a.Type))),
		el("AlertingElementFormat", "2"),
		el("AlertingManagedElement", elementPath),
		el("IndicationFilterName", a.Filter),
		el("IndicationIdentifier", a.Identifier),
		wsman.At(a.Time).Element(alertURI, "IndicationTime"),
		el("Message", a.Message))
	for _, arg := range a.Arguments {
		body.Children = append(body.Children, el("MessageArguments", arg))
	}
	body.Children = append(body.Children, el("MessageID", a.MessageID), el("OtherAlertingElementFormat", ""), el("OtherSeverity", ""),
		el("OwningEntity", a.Owner), el("PerceivedSeverity", strconv.Itoa(int(a.Severity))), el("ProbableCause", "0"), el("SystemName", a.System))
	root := wsman.Group(wsman.NSSoap, "Envelope", header, wsman.Group(wsman.NSSoap, "Body", body))
	out = append(out, wsman.Declaration...)
	return wsman.Append(out, &root, deliverySpaces...)
}

// known are the headers that are not reference parameters.
var known = []string{"To", "ReplyTo", "AckRequested", "Action", "MessageID", "ResourceURI", "From", "OperationTimeout"}

// ParseDelivery reads an event as a receiver does. Errors wrap [ErrFormat].
func ParseDelivery(doc []byte) (Delivery, error) {
	var d Delivery
	if len(doc) > MaxEvent {
		return d, fmt.Errorf("eventing: %w: %d octets, at most %d are read", ErrFormat, len(doc), MaxEvent)
	}
	root, err := wsman.Parse(doc)
	if err != nil {
		return d, fmt.Errorf("eventing: %w: %v", ErrFormat, err)
	}
	header, body := root.Child("Header"), root.Find("Body", "CIM_AlertIndication")
	if root.Local != "Envelope" || root.Space != wsman.NSSoap || header == nil || body == nil {
		return d, fmt.Errorf("eventing: %w: no indication in it", ErrFormat)
	}
	for i := range header.Children {
		switch e := &header.Children[i]; {
		case e.Local == "AckRequested":
			d.Ack = true
		case e.Local == "MessageID":
			d.MessageID = e.TrimText()
		case !slices.Contains(known, e.Local) && len(d.Parameters) < MaxParameters:
			d.Parameters = append(d.Parameters, *e)
		}
	}
	a := &d.Alert
	a.MessageID, a.Message, a.Owner = body.ChildText("MessageID"), body.ChildText("Message"), body.ChildText("OwningEntity")
	for e := range body.All("MessageArguments") {
		if len(a.Arguments) < MaxParameters {
			a.Arguments = append(a.Arguments, e.TrimText())
		}
	}
	a.Filter, a.Identifier, a.System = body.ChildText("IndicationFilterName"), body.ChildText("IndicationIdentifier"), body.ChildText("SystemName")
	a.Severity, a.Type = Severity(number16(body.ChildText("PerceivedSeverity"))), number16(body.ChildText("AlertType"))
	if e := body.Child("IndicationTime"); e != nil {
		if at, err := parseTime(e); err == nil {
			a.Time = at
		}
	}
	return d, nil
}

// parseTime reads the time, with fractions of a second as recorded.
func parseTime(e *wsman.Element) (time.Time, error) {
	text := e.TrimText()
	if inner := e.Child("Datetime"); inner != nil {
		text = inner.TrimText()
	}
	if at, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(text)); err == nil {
		return at.UTC(), nil
	}
	d, err := wsman.ParseDatetime(text)
	return d.Time, err
}

func number16(text string) uint16 {
	n, _ := strconv.ParseUint(text, 10, 16)
	return uint16(n)
}

// Ack returns the acknowledgement of a message. messageID is its own.
func Ack(relatesTo, messageID string) []byte {
	r := wsman.Response{Action: ActionAck, RelatesTo: relatesTo, MessageID: messageID}
	return r.Append(nil)
}

// IsAck reports whether the answer to an event acknowledges it: an Ack that relates to the message, or nothing at all,
// with which clients get by.
func IsAck(doc []byte, messageID string) bool {
	if len(strings.TrimSpace(string(doc))) == 0 {
		return true
	}
	r, err := wsman.ParseResponse(doc)
	return err == nil && r.Fault == nil && r.Action == ActionAck && r.RelatesTo == messageID
}
