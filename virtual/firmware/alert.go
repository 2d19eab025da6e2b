package firmware

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Limits of subscriptions. Source: spec wsman.md section 11.
const (
	maxSubscriptions    = 9
	maxOldSubscriptions = 6 // before 6.0
)

// alerts is who is told of events, by WS-Eventing: the state of CIM_FilterCollectionSubscription. Receivers of SNMP traps
// are instances in the store.
type alerts struct {
	mu   sync.Mutex // guards what follows
	kept alertState

	sequence uint16    // of the last trap
	began    time.Time // of the first one

	senders
}

// alertState is what outlives a restart.
type alertState struct {
	Last          uint32         `json:",omitempty"` // number given last
	Subscriptions []subscription `json:",omitempty"`
}

// A subscription is one receiver of events.
type subscription struct {
	Number     uint32
	Filter     string    // InstanceID of the CIM_FilterCollection
	Address    string    // URL
	Ack        bool      `json:",omitempty"` // events are to be acknowledged
	Parameters string    `json:",omitempty"` // reference parameters, XML in an element that stands for nothing
	Username   string    `json:",omitempty"`
	Password   Secret    `json:",omitempty"`
	Expires    time.Time `json:",omitzero"` // by the machine's clock
}

func (a *alerts) dump() (json.RawMessage, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept.Last == 0 {
		return nil, nil
	}
	return json.Marshal(&a.kept)
}

func (a *alerts) load(text json.RawMessage) error {
	var kept alertState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	if len(kept.Subscriptions) > maxSubscriptions {
		return fmt.Errorf("%d subscriptions; there can be %d", len(kept.Subscriptions), maxSubscriptions)
	}
	for i := range kept.Subscriptions {
		s := &kept.Subscriptions[i]
		kept.Last = max(kept.Last, s.Number)
		if _, err := s.parameters(); err != nil {
			return fmt.Errorf("subscription %d: %w", s.Number, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = kept
	return nil
}

// parameters returns the reference parameters.
func (s *subscription) parameters() ([]wsman.Element, error) {
	if s.Parameters == "" {
		return nil, nil
	}
	e, err := wsman.Parse([]byte(s.Parameters))
	return e.Children, err
}

// handler is the key Name of the CIM_ListenerDestinationWSManagement.
func (s *subscription) handler() string {
	return listenerName + strconv.FormatUint(uint64(s.Number), 10)
}

const listenerName = "Intel(r) AMT:Listener "

// subscriptions returns those that have not expired, and forgets the others.
func (m *Machine) subscriptions() []subscription {
	now := m.now()
	m.alerts.mu.Lock()
	defer m.alerts.mu.Unlock()
	m.alerts.kept.Subscriptions = slices.DeleteFunc(m.alerts.kept.Subscriptions, func(s subscription) bool {
		return !s.Expires.IsZero() && !now.Before(s.Expires)
	})
	return slices.Clone(m.alerts.kept.Subscriptions)
}

// References to the two instances that show a subscription.
func (s *subscription) filterRef() wsman.EPR {
	return wsman.Ref("CIM_FilterCollection", "InstanceID", s.Filter)
}

func (s *subscription) handlerRef() wsman.EPR {
	return wsman.Ref("CIM_ListenerDestinationWSManagement", "CreationClassName", "CIM_ListenerDestinationWSMAN", "Name", s.handler(),
		"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT")
}

// manager is the reference to the subscription itself.
func (s *subscription) manager() wsman.EPR {
	filter, handler := s.filterRef(), s.handlerRef()
	return wsman.EPR{ResourceURI: wsman.ClassURI(subscriptionClass), Selectors: wsman.Selectors{{Name: "Filter", EPR: &filter}, {Name: "Handler", EPR: &handler}}}
}

const subscriptionClass = "CIM_FilterCollectionSubscription"

// registerAlerts gives event subscriptions their life. Source: spec wsman.md section 11.
func registerAlerts(t *table) {
	t.class("CIM_ListenerDestinationWSManagement").instances = func(m *Machine) []wsman.Element {
		var out []wsman.Element
		for _, s := range m.subscriptions() {
			uri := wsman.ClassURI("CIM_ListenerDestinationWSManagement")
			e := wsman.Element{Name: wsman.Name{Space: uri, Local: "CIM_ListenerDestinationWSManagement"}}
			mode := "2"
			if s.Ack {
				mode = "3"
			}
			for _, p := range [][2]string{{"CreationClassName", "CIM_ListenerDestinationWSMAN"}, {"DeliveryMode", mode}, {"Destination", s.Address},
				{"ElementName", "Intel(r) AMT:Listener"}, {"Name", s.handler()}, {"PersistenceType", "2"}, {"Protocol", "4"},
				{"SystemCreationClassName", "CIM_ComputerSystem"}, {"SystemName", "Intel(r) AMT"}} {
				e.Children = append(e.Children, wsman.El(uri, p[0], p[1]))
			}
			out = append(out, e)
		}
		return out
	}
	b := t.class(subscriptionClass)
	b.instances = func(m *Machine) []wsman.Element {
		var out []wsman.Element
		for _, s := range m.subscriptions() {
			uri := wsman.ClassURI(subscriptionClass)
			out = append(out, wsman.Group(uri, subscriptionClass, s.filterRef().Element(uri, "Filter"), s.handlerRef().Element(uri, "Handler")))
		}
		return out
	}
	b.onDelete = func(_ context.Context, m *Machine, old *wsman.Element) error { return m.unsubscribe(old) }
	inner := t.routes["/wsman"].serve
	t.route("/wsman", route{serve: func(ctx context.Context, m *Machine, r *request) reply { return serveEventing(ctx, m, r, inner) }})
	registerTraps(t)
}

// serveEventing answers the requests of WS-Eventing, and hands others on.
func serveEventing(ctx context.Context, m *Machine, r *request, next func(context.Context, *Machine, *request) reply) reply {
	if !strings.Contains(string(r.body), wsman.NSEventing) {
		return next(ctx, m, r)
	}
	s := &eventingSession{session{m: m, user: r.user, realms: r.realms}}
	code, body := wsman.Serve(ctx, s, r.body, m.messageID)
	return reply{status: code, contentType: "application/soap+xml; charset=UTF-8", body: body, chunked: true, close: code != 200}
}

// An eventingSession is a session that knows WS-Eventing.
type eventingSession struct{ session }

// ServeWSMan carries one request out.
func (s *eventingSession) ServeWSMan(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	ci := s.m.class(wsman.ClassName(req.ResourceURI))
	if !strings.HasPrefix(req.Action, wsman.NSEventing) || ci == nil || ci.uri != req.ResourceURI {
		return s.session.ServeWSMan(ctx, req)
	}
	if err := s.checkHeader(req); err != nil {
		return nil, err
	}
	ctx = withCaller(ctx, caller{user: s.user, realms: s.realms})
	if hook := s.m.hooks.OnRequest; hook != nil {
		if err := hook(ctx, s.user, req); err != nil {
			return nil, err
		}
	}
	operation := "Unsubscribe"
	if req.Action == wsman.ActionSubscribe {
		operation = "Subscribe"
	}
	switch {
	case !ci.Has(operation):
		return nil, wsman.ErrActionNotSupported
	case !s.realms.Allows(ci.write):
		return nil, wsman.ErrAccessDenied
	}
	at, err := s.m.find(ci, req.Selectors)
	if err != nil {
		return nil, err
	}
	var body *wsman.Element
	switch req.Action {
	case wsman.ActionSubscribe:
		body, err = s.m.subscribe(&at.element, req)
	case wsman.ActionUnsubscribe:
		err = s.m.unsubscribe(&at.element)
	case wsman.ActionRenew:
		body, err = s.m.renew(&at.element, req.Body)
	default:
		err = wsman.ErrActionNotSupported
	}
	if err != nil {
		return nil, asFault(err)
	}
	return &wsman.Response{Body: body}, nil
}

// subscribe adds a receiver of what a collection holds.
func (m *Machine) subscribe(filter *wsman.Element, req *wsman.Request) (*wsman.Element, error) {
	want, err := eventing.ParseSubscribe(req.Body, req.Header)
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(want.Address)
	if err != nil || at.Host == "" || at.User != nil || at.Scheme != "http" && (at.Scheme != "https" || m.profile.Before(11, 0)) {
		return nil, eventing.ErrInvalidMessage.With("NotifyTo")
	}
	s := subscription{Filter: filter.ChildText("InstanceID"), Address: want.Address, Ack: want.Mode == eventing.PushWithAck, Username: want.Username,
		Password: Secret(want.Password)}
	if len(want.Parameters) > 0 {
		e := wsman.Group("", "Parameters", want.Parameters...)
		s.Parameters = string(wsman.Append(nil, &e))
	}
	if want.Expires > 0 {
		s.Expires = m.now().Add(want.Expires)
	}
	most := maxSubscriptions
	if m.profile.Before(6, 0) {
		most = maxOldSubscriptions
	}
	live := m.subscriptions()
	m.alerts.mu.Lock()
	defer m.alerts.mu.Unlock()
	if len(live) >= most {
		return nil, &status.Error{Op: "CIM_FilterCollection.Subscribe", Code: status.MaxLimitReached}
	}
	m.alerts.kept.Last++
	s.Number = m.alerts.kept.Last
	m.alerts.kept.Subscriptions = append(m.alerts.kept.Subscriptions, s)
	return eventing.Answer(s.manager(), want.Expires), nil
}

// numberOf returns the number of the subscription that an instance shows.
func (m *Machine) numberOf(instance *wsman.Element) uint32 {
	handler, err := wsman.ParseEPR(instance.Child("Handler"))
	if err != nil {
		return 0
	}
	return number(strings.TrimPrefix(handler.Selectors.Value("Name"), listenerName))
}

// unsubscribe removes a receiver. What is on its way to it is not sent any more.
func (m *Machine) unsubscribe(instance *wsman.Element) error {
	n := m.numberOf(instance)
	m.alerts.mu.Lock()
	before := len(m.alerts.kept.Subscriptions)
	m.alerts.kept.Subscriptions = slices.DeleteFunc(m.alerts.kept.Subscriptions, func(s subscription) bool { return s.Number == n })
	gone := len(m.alerts.kept.Subscriptions) < before
	m.alerts.mu.Unlock()
	if !gone {
		return wsman.ErrInvalidSelectors.With(detailUnexpected)
	}
	m.alerts.senders.forget(subscriberKey(n))
	return nil
}

// renew changes when a subscription ends. Without Expires it never does.
func (m *Machine) renew(instance, body *wsman.Element) (*wsman.Element, error) {
	var expires time.Time
	out := wsman.Group(wsman.NSEventing, "RenewResponse")
	if body == nil || body.Local != "Renew" {
		return nil, eventing.ErrInvalidMessage
	}
	if e := body.Child("Expires"); e != nil {
		d, err := wsman.ParseDatetime(e.TrimText())
		if err != nil || !d.IsInterval() || d.Interval <= 0 {
			return nil, eventing.ErrInvalidExpiration
		}
		expires = m.now().Add(d.Interval)
		out.Children = append(out.Children, wsman.El(wsman.NSEventing, "Expires", d.String()))
	}
	n := m.numberOf(instance)
	m.alerts.mu.Lock()
	defer m.alerts.mu.Unlock()
	for i := range m.alerts.kept.Subscriptions {
		if s := &m.alerts.kept.Subscriptions[i]; s.Number == n {
			s.Expires = expires
			return &out, nil
		}
	}
	return nil, wsman.ErrInvalidSelectors.With(detailUnexpected)
}

const severityWarning = eventing.Warning

// alert tells subscribers of something that is no event of the log.
func (m *Machine) alert(id string, severity eventing.Severity, arguments ...string) {
	m.tell(eventing.Alert{MessageID: id, Arguments: append(arguments, eventing.ArgumentPath), Owner: eventing.Owner, System: eventing.Owner, Severity: severity,
		Time: m.now().UTC(), Type: 8})
}

// raise tells everybody who wants to know of an event of the log: subscribers of WS-Eventing and receivers of traps. It
// does not wait until they have been told.
func (m *Machine) raise(r eventlog.Record) {
	if a, ok := eventing.FromRecord(r); ok {
		m.tell(a)
	}
	m.trap(r)
}

// tell sends an alert to all subscribers whose collection it is in.
func (m *Machine) tell(a eventing.Alert) {
	if slices.Contains(eventing.Groups(a.MessageID), "User") || strings.HasPrefix(a.MessageID, "iAMT000") { // agent presence
		m.tellHost(a)
	}
	for _, s := range m.subscriptions() {
		if group := strings.TrimPrefix(s.Filter, "Intel(r) AMT:"); !slices.Contains(eventing.Groups(a.MessageID), group) {
			continue
		}
		parameters, err := s.parameters()
		if err != nil {
			continue
		}
		a.Filter = s.Filter
		if s.Filter == "Intel(r) AMT:All" {
			a.Filter = "Intel(r) AMT:AllEvents" // as recorded
		}
		d := eventing.Delivery{MessageID: m.messageID(), Ack: s.Ack, Parameters: parameters, Alert: a}
		d.Alert.Identifier = "Intel(r):" + strconv.FormatUint(m.messages.Load(), 10)
		m.alerts.queue(m, subscriberKey(s.Number), func(ctx context.Context) error { return m.post(ctx, &s, &d) })
	}
}

func subscriberKey(number uint32) string {
	return "subscriber " + strconv.FormatUint(uint64(number), 10)
}
