package firmware

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// Limits of enumerations.
const (
	contextLife = 30 * time.Second // of an enumeration that nobody pulls from; unknown of real ones, "tens of seconds"
	pageSize    = 24 << 10         // octets of items in one answer, roughly
)

// Values of wsman:EnumerationMode.
const (
	modeObject       = ""
	modeEPR          = "EnumerateEPR"
	modeObjectAndEPR = "EnumerateObjectAndEPR"
)

// An enumeration is what is left to be pulled.
type enumeration struct {
	id      uint32
	user    string
	mode    string
	items   []*instance
	expires time.Time
}

// enumerations are those open on one machine: few, as firmware has little memory.
type enumerations struct {
	mu      sync.Mutex
	counter uint32
	open    []*enumeration // oldest first
}

// keep holds an enumeration until it is asked for again. A new one gets a number, which stays its number until its end.
// The oldest makes room.
func (s *enumerations) keep(e *enumeration, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.id == 0 {
		s.counter++
		e.id = s.counter
	}
	e.expires = time.Now().Add(contextLife)
	if len(s.open) >= most {
		s.open = s.open[1:]
	}
	s.open = append(s.open, e)
}

// clear forgets all.
func (s *enumerations) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = nil
}

// take removes an enumeration and returns it, or nil if there is none of that number for that user.
func (s *enumerations) take(id uint32, user string) *enumeration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var found *enumeration
	kept := s.open[:0]
	for _, e := range s.open {
		switch {
		case e.id == id && e.user == user && now.Before(e.expires):
			found = e
		case now.Before(e.expires):
			kept = append(kept, e)
		}
	}
	clear(s.open[len(kept):])
	if s.open = kept; len(kept) == 0 {
		s.open = nil
	}
	return found
}

// contextText writes a number as the enumeration context that AMT makes of it: 20 is
// 14000000-0000-0000-0000-000000000000. Source: spec wsman.md section 7.5.
func contextText(id uint32) string {
	return fmt.Sprintf("%02X%02X%02X%02X-0000-0000-0000-000000000000", byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
}

// parseContext reads what contextText wrote.
func parseContext(text string) (id uint32, ok bool) {
	group, rest, _ := strings.Cut(text, "-")
	if len(group) != 8 || rest != "0000-0000-0000-000000000000" {
		return 0, false
	}
	n, err := strconv.ParseUint(group, 16, 32)
	be := uint32(n)
	return be>>24 | be>>8&0xff00 | be<<8&0xff0000 | be<<24, err == nil
}

// enumerate begins an enumeration of the instances of some classes.
func (s *session) enumerate(classes []*classInfo, c *catalogue, req *wsman.Request) (*wsman.Element, error) {
	if req.Body == nil || req.Body.Local != "Enumerate" {
		return nil, wsman.ErrSchemaValidation.With("the body is not Enumerate")
	}
	var views []view
	for _, ci := range classes {
		if s.realms.Allows(ci.read) {
			views = append(views, s.m.views(ci)...)
		}
	}
	keep, err := s.filter(c, req)
	if err != nil {
		return nil, err
	}
	e := &enumeration{user: s.user}
	for _, v := range views {
		if keep(v.instance) {
			e.items = append(e.items, v.instance)
		}
	}
	if e.mode, err = enumerationMode(req.Body); err != nil {
		return nil, err
	}
	const ns = wsman.NSEnumeration
	answer := wsman.Group(ns, "EnumerateResponse")
	if req.Body.Child("OptimizeEnumeration") == nil || !s.m.profile.Optimize {
		s.m.enumerations.keep(e, s.m.profile.Contexts)
		answer.Children = append(answer.Children, wsman.El(ns, "EnumerationContext", contextText(e.id)))
		return &answer, nil
	}
	// DSP0226 8.2.3: the context stands first, empty when all items are there.
	items := e.page(maxElements(req.Body), req.MaxEnvelopeSize)
	context := wsman.El(ns, "EnumerationContext", "")
	end := []wsman.Element{wsman.El(wsman.NSWSMan, "EndOfSequence", "")}
	if len(e.items) > 0 {
		s.m.enumerations.keep(e, s.m.profile.Contexts)
		context.Text, end = contextText(e.id), nil
	}
	answer.Children = append(append(answer.Children, context, wsman.Group(wsman.NSWSMan, "Items", items...)), end...)
	return &answer, nil
}

// enumerationMode reads the wsman:EnumerationMode.
func enumerationMode(body *wsman.Element) (string, error) {
	switch mode := body.ChildText("EnumerationMode"); mode {
	case modeObject, modeEPR, modeObjectAndEPR:
		return mode, nil
	}
	return "", wsman.ErrUnsupportedFeature.With(faultDetail + "EnumerationMode")
}

// maxElements reads how many items are wanted at most. Without a word it is one. Source: WS-Enumeration 3.2.
func maxElements(body *wsman.Element) int {
	n, err := strconv.Atoi(body.ChildText("MaxElements"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// pull answers with the next items. The context stays the same from page to page, as in recorded exchanges of enumerate
// and pull; there are clients that send the first one all the time.
func (s *session) pull(req *wsman.Request) (*wsman.Element, error) {
	e, err := s.takeContext(req, "Pull")
	if err != nil {
		return nil, err
	}
	const ns = wsman.NSEnumeration
	answer := wsman.Group(ns, "PullResponse", wsman.Group(ns, "Items", e.page(maxElements(req.Body), req.MaxEnvelopeSize)...))
	if len(e.items) > 0 {
		s.m.enumerations.keep(e, s.m.profile.Contexts)
		// Where AMT puts the context was recorded behind the items only; DSP0226 has it in front. Clients take both.
		answer.Children = append(answer.Children, wsman.El(ns, "EnumerationContext", contextText(e.id)))
	} else {
		answer.Children = append(answer.Children, wsman.El(ns, "EndOfSequence", ""))
	}
	return &answer, nil
}

// release drops an enumeration.
func (s *session) release(req *wsman.Request) (*wsman.Element, error) {
	_, err := s.takeContext(req, "Release")
	return nil, err
}

func (s *session) takeContext(req *wsman.Request, operation string) (*enumeration, error) {
	if req.Body == nil || req.Body.Local != operation {
		return nil, wsman.ErrSchemaValidation.With("the body is not " + operation)
	}
	id, ok := parseContext(req.Body.ChildText("EnumerationContext"))
	if !ok {
		return nil, wsman.ErrInvalidEnumerationContext
	}
	e := s.m.enumerations.take(id, s.user)
	if e == nil {
		return nil, wsman.ErrInvalidEnumerationContext
	}
	return e, nil
}

// page takes up to most items off the front, as many as fit one answer, but at least one. envelope is the size of
// answer that the client takes, 0 if it did not say.
func (e *enumeration) page(most, envelope int) []wsman.Element {
	var out []wsman.Element
	room := pageSize
	if envelope > 0 {
		room = min(room, envelope/2)
	}
	for len(e.items) > 0 && len(out) < most {
		item := e.form(e.items[0])
		if room -= weight(&item); room < 0 && len(out) > 0 {
			break
		}
		out = append(out, item)
		e.items = e.items[1:]
	}
	return out
}

// form gives an item the form that the mode asks for.
func (e *enumeration) form(i *instance) wsman.Element {
	switch e.mode {
	case modeEPR:
		return i.epr().Element(wsman.NSAddressing, "EndpointReference")
	case modeObjectAndEPR:
		return wsman.Group(wsman.NSWSMan, "Item", i.element, i.epr().Element(wsman.NSAddressing, "EndpointReference"))
	}
	return i.element
}

// weight estimates the octets that an element takes as XML.
func weight(e *wsman.Element) int {
	n := 2*len(e.Local) + 9 + len(e.Text)
	for i := range e.Children {
		n += weight(&e.Children[i])
	}
	return n
}
