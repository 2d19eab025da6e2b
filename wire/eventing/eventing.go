// Package eventing is WS-Eventing as AMT speaks it (since 3.2): a client subscribes to a CIM_FilterCollection, and the
// machine posts each event, a CIM_AlertIndication, to the client's address over HTTP.
//
//	subscribe    to the machine: Subscribe with delivery mode, NotifyTo (address and reference parameters) and, for a
//	             receiver that asks for a password, Auth; the password is in a header of its own (WS-Trust IssuedTokens)
//	event        to the client: POST of an envelope with action Event; header AckRequested in mode PushWithAck; the
//	             reference parameters come back as headers; the body is the indication
//	acknowledge  HTTP 200, with an envelope of action Ack that relates to the event, or empty
//	unsubscribe  to the machine: Unsubscribe to the CIM_FilterCollectionSubscription
//
// Sources: spec wsman.md section 11 and inventory-events-policies.md section 4.2; DSP0226 10; WS-Eventing of 2004-08;
// Intel AMT Implementation and Reference Guide, "Identifying Received Events".
package eventing

import (
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// Actions of events.
const (
	ActionEvent = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Event"
	ActionAck   = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Ack"
)

// A Mode is a delivery mode.
type Mode string

// The modes that AMT has.
const (
	Push        Mode = wsman.NSEventing + "/DeliveryModes/Push"
	PushWithAck Mode = "http://schemas.dmtf.org/wbem/wsman/1/wsman/PushWithAck"
)

// authDigest is the Auth profile of receivers that ask for a password.
const authDigest = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/http/digest"

// Limits.
const (
	MaxAddress    = 253      // characters of a receiver's address
	MaxEvent      = 64 << 10 // octets of an event
	MaxParameters = 16       // reference parameters
)

// ErrFormat is an error of messages that are not what they should be.
var ErrFormat = errors.New("not a message of WS-Eventing")

// Faults. Source: WS-Eventing section 6; spec wsman.md section 10.
var (
	ErrModeUnavailable   = fault("DeliveryModeRequestedUnavailable", "The requested delivery mode is not supported.")
	ErrInvalidExpiration = fault("InvalidExpirationTime", "The expiration time requested is invalid.")
	ErrFiltering         = fault("FilteringNotSupported", "Filtering is not supported.")
	ErrInvalidMessage    = fault("InvalidMessage", "The message is not valid and cannot be processed.")
	ErrUnableToProcess   = &wsman.Fault{Code: "Receiver", Subcode: wsman.Name{Space: wsman.NSEventing, Local: "EventSourceUnableToProcess"},
		Reason: "The event source cannot process the subscription."}
)

func fault(local, reason string) *wsman.Fault {
	return &wsman.Fault{Code: "Sender", Subcode: wsman.Name{Space: wsman.NSEventing, Local: local}, Reason: reason}
}

// A Subscription is what a client asks for.
type Subscription struct {
	Mode       Mode
	Address    string          // URL to which events go
	Parameters []wsman.Element // come back with every event
	Username   string          // for a receiver that asks for them; "": it does not
	Password   string
	Expires    time.Duration // 0: never
}

// Body returns the Subscribe element.
func (s *Subscription) Body() *wsman.Element {
	to := wsman.Group(wsman.NSEventing, "NotifyTo", wsman.El(wsman.NSAddressing, "Address", s.Address))
	if len(s.Parameters) > 0 {
		to.Children = append(to.Children, wsman.Group(wsman.NSAddressing, "ReferenceParameters", s.Parameters...))
	}
	delivery := wsman.Group(wsman.NSEventing, "Delivery", to)
	delivery.Attrs = []wsman.Attr{{Name: wsman.Name{Local: "Mode"}, Value: string(s.Mode)}}
	if s.Username != "" {
		auth := wsman.Element{Name: wsman.Name{Space: wsman.NSWSMan, Local: "Auth"}, Attrs: []wsman.Attr{{Name: wsman.Name{Local: "Profile"}, Value: authDigest}}}
		delivery.Children = append(delivery.Children, auth)
	}
	body := wsman.Group(wsman.NSEventing, "Subscribe", delivery)
	if s.Expires > 0 {
		body.Children = append(body.Children, wsman.El(wsman.NSEventing, "Expires", wsman.Every(s.Expires).String()))
	}
	return &body
}

// tokens of the header that carries name and password.
const (
	tokenProfile = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#"
	tokenType    = tokenProfile + "UsernameToken"
	passwordText = tokenProfile + "PasswordText"
)

// Header returns the headers that go with the Subscribe: name and password, if there are any.
func (s *Subscription) Header() []wsman.Element {
	if s.Username == "" {
		return nil
	}
	password := wsman.El(wsman.NSSecExt, "Password", s.Password)
	password.Attrs = []wsman.Attr{{Name: wsman.Name{Local: "Type"}, Value: passwordText}}
	token := wsman.Group(wsman.NSSecExt, "UsernameToken", wsman.El(wsman.NSSecExt, "Username", s.Username), password)
	return []wsman.Element{wsman.Group(wsman.NSTrust, "IssuedTokens", wsman.Group(wsman.NSTrust, "RequestSecurityTokenResponse",
		wsman.El(wsman.NSTrust, "TokenType", tokenType), wsman.Group(wsman.NSTrust, "RequestedSecurityToken", token)))}
}

// ParseSubscribe reads a Subscribe request as a machine does. The errors are faults.
func ParseSubscribe(body *wsman.Element, header []wsman.Element) (Subscription, error) {
	var s Subscription
	if body == nil || body.Local != "Subscribe" || body.Space != wsman.NSEventing {
		return s, ErrInvalidMessage
	}
	delivery := body.Child("Delivery")
	to := body.Find("Delivery", "NotifyTo")
	if delivery == nil || to == nil {
		return s, ErrInvalidMessage
	}
	if body.Child("Filter") != nil {
		return s, ErrFiltering
	}
	if delivery.Child("Heartbeats") != nil {
		return s, wsman.ErrUnsupportedFeature.With("http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/Heartbeats")
	}
	mode, _ := delivery.Attr("Mode")
	if s.Mode = Mode(mode); mode == "" {
		s.Mode = Push
	}
	if s.Mode != Push && s.Mode != PushWithAck {
		return s, ErrModeUnavailable
	}
	s.Address = to.ChildText("Address")
	if p := to.Child("ReferenceParameters"); p != nil {
		s.Parameters = p.Children
	}
	if s.Address == "" || len(s.Address) > MaxAddress || len(s.Parameters) > MaxParameters {
		return s, ErrInvalidMessage
	}
	if e := body.Child("Expires"); e != nil {
		d, err := wsman.ParseDatetime(e.TrimText())
		if err != nil || !d.IsInterval() || d.Interval <= 0 {
			return s, ErrInvalidExpiration
		}
		s.Expires = d.Interval
	}
	for i := range header {
		if token := header[i].Find("RequestSecurityTokenResponse", "RequestedSecurityToken", "UsernameToken"); header[i].Local == "IssuedTokens" && token != nil {
			s.Username, s.Password = token.ChildText("Username"), token.ChildText("Password")
		}
	}
	if delivery.Child("Auth") != nil && s.Username == "" {
		return s, ErrInvalidMessage.With("Auth without a user name")
	}
	return s, nil
}

// Answer returns the SubscribeResponse: manager is the reference to the subscription. expires is 0 for never.
func Answer(manager wsman.EPR, expires time.Duration) *wsman.Element {
	out := wsman.Group(wsman.NSEventing, "SubscribeResponse", manager.Element(wsman.NSEventing, "SubscriptionManager"))
	if expires > 0 {
		out.Children = append(out.Children, wsman.El(wsman.NSEventing, "Expires", wsman.Every(expires).String()))
	}
	return &out
}

// ParseAnswer reads a SubscribeResponse as a client does.
func ParseAnswer(body *wsman.Element) (manager wsman.EPR, expires time.Duration, err error) {
	if body == nil || body.Local != "SubscribeResponse" || body.Child("SubscriptionManager") == nil {
		return manager, 0, fmt.Errorf("eventing: %w: no subscription in the answer", ErrFormat)
	}
	if manager, err = wsman.ParseEPR(body.Child("SubscriptionManager")); err != nil {
		return manager, 0, fmt.Errorf("eventing: %w: %v", ErrFormat, err)
	}
	if e := body.Child("Expires"); e != nil {
		if d, err := wsman.ParseDatetime(e.TrimText()); err == nil && d.IsInterval() {
			expires = d.Interval
		}
	}
	return manager, expires, nil
}
