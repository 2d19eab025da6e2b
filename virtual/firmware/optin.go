package firmware

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Return values of the methods of IPS_OptInService. Which one a wrong code gives is unknown; clients take any but 0 as
// "wrong", and read OptInState.
const (
	optInDone         status.Status = 0
	optInWrong        status.Status = 1
	optInInvalidState status.Status = 2
	optInBlocked      status.Status = 3 // the third wrong code
)

// wrongCodes is how many wrong codes end a request for consent.
const wrongCodes = 3

// Timeouts of consent when nobody has set others.
const (
	codeTimeout    = 120 * time.Second // from the right code to the first session
	displayTimeout = 300 * time.Second // for the code on the screen
	lingerTimeout  = 120 * time.Second // after the last session: another one needs no new consent. Spec redirection.md section 7
)

// consent is whether the person in front of the PC agrees. The state is that of OptInState:
//
//	not started -StartOptIn-> requested -screen on-> displayed -SendOptInCode-> received -session opens-> in session
//
// Back to not started leads CancelOptIn, the third wrong code, the end of the display timeout, that of the code timeout
// before a session has opened, and the end of the last session. Consent is given while received or in session. When it
// ends, boot options that it had allowed are dropped.
type consent struct {
	mu     sync.Mutex // guards what follows
	state  ips.OptInServiceOptInState
	code   string
	wrong  int
	timer  *time.Timer
	turn   int // number of the timer that counts
	closed bool
	timers sync.WaitGroup
}

// dump writes nothing: consent does not outlive a restart.
func (c *consent) dump() (json.RawMessage, error) { return nil, nil }
func (c *consent) load(json.RawMessage) error     { return nil }

// optIn returns the stored IPS_OptInService.
func (m *Machine) optIn() (s ips.OptInService) {
	ci := m.catalogue.classes["IPS_OptInService"]
	if ci == nil { // before 7.0
		return s
	}
	if list := m.store.of(ci); len(list) > 0 && s.Decode(&list[0].element) == nil {
		return s
	}
	return ips.OptInService{}
}

// consentPolicy returns what consent is needed for. In client control mode that is all, whatever is set.
func (m *Machine) consentPolicy() ips.OptInServiceOptInRequired {
	if m.clientMode() {
		return ips.OptInServiceOptInRequiredAll
	}
	s := m.optIn()
	return class.Value(s.OptInRequired)
}

// given reports whether boot options may be set: no consent is needed for them, or it was given.
func (c *consent) given(m *Machine) bool {
	if m.consentPolicy() != ips.OptInServiceOptInRequiredAll {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == ips.OptInServiceOptInStateReceived || c.state == ips.OptInServiceOptInStateInSession
}

// enter changes the state, and has it fall back after d unless d is 0. mu is held.
func (c *consent) enter(m *Machine, state ips.OptInServiceOptInState, d time.Duration) {
	c.stop()
	was := c.state
	c.state = state
	if state == ips.OptInServiceOptInStateNotStarted || state == ips.OptInServiceOptInStateReceived {
		c.code, c.wrong = "", 0
	}
	if was == ips.OptInServiceOptInStateDisplayed && state != was {
		if s, ok := m.platform.(CodeScreen); ok {
			s.HideCode()
		}
	}
	if state == ips.OptInServiceOptInStateDisplayed && state != was {
		if s, ok := m.platform.(CodeScreen); ok {
			s.ShowCode(c.code)
		}
	}
	if state == ips.OptInServiceOptInStateNotStarted && was >= ips.OptInServiceOptInStateReceived {
		m.forgetBoot()
	}
	if d <= 0 || c.closed {
		return
	}
	turn := c.turn
	c.timers.Add(1)
	c.timer = time.AfterFunc(d, func() {
		defer c.timers.Done()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.turn == turn && !c.closed {
			c.timer = nil
			c.enter(m, ips.OptInServiceOptInStateNotStarted, 0)
		}
	})
}

// stop voids the timer. mu is held.
func (c *consent) stop() {
	c.turn++
	if c.timer != nil && c.timer.Stop() {
		c.timers.Done()
	}
	c.timer = nil
}

// close stops the timer for good and waits for it.
func (c *consent) close() {
	c.mu.Lock()
	c.closed = true
	c.stop()
	c.mu.Unlock()
	c.timers.Wait()
}

// power hears that the PC was switched on or off: a code can be shown only while it is on.
func (c *consent) power(m *Machine, s Sx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == S0 && c.state == ips.OptInServiceOptInStateRequested {
		c.enter(m, ips.OptInServiceOptInStateDisplayed, m.displayTimeout())
	}
}

// inSession hears that the first redirection session has opened, or the last has closed.
func (c *consent) inSession(m *Machine, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case open && (c.state == ips.OptInServiceOptInStateReceived || c.state == ips.OptInServiceOptInStateInSession):
		c.enter(m, ips.OptInServiceOptInStateInSession, 0)
	case !open && c.state == ips.OptInServiceOptInStateInSession:
		c.enter(m, ips.OptInServiceOptInStateInSession, lingerTimeout)
	}
}

func (m *Machine) displayTimeout() time.Duration {
	s := m.optIn()
	if s.OptInDisplayTimeout == nil || *s.OptInDisplayTimeout == 0 {
		return displayTimeout
	}
	return time.Duration(*s.OptInDisplayTimeout) * time.Second
}

func (m *Machine) codeTimeout() time.Duration {
	s := m.optIn()
	if s.OptInCodeTimeout == nil || *s.OptInCodeTimeout == 0 {
		return codeTimeout
	}
	return time.Duration(*s.OptInCodeTimeout) * time.Second
}

// ConsentCode returns the user consent code that stands on the PC's screen, "" for none. It is for whoever plays the
// person in front of the PC.
func (m *Machine) ConsentCode() string {
	m.consent.mu.Lock()
	defer m.consent.mu.Unlock()
	if m.consent.state != ips.OptInServiceOptInStateDisplayed {
		return ""
	}
	return m.consent.code
}

// registerOptIn gives IPS_OptInService its life.
func registerOptIn(t *table) {
	b := t.class("IPS_OptInService")
	b.patch = func(m *Machine, e *wsman.Element) {
		m.consent.mu.Lock()
		state := m.consent.state
		m.consent.mu.Unlock()
		set(e, "OptInState", itoa(state))
		if m.clientMode() {
			set(e, "CanModifyOptInPolicy", "0")
			set(e, "OptInRequired", itoa(ips.OptInServiceOptInRequiredAll))
		}
	}
	b.onPut = putOptIn
	class.Handle(&t.methods, ips.OptInServiceStartOptIn, startOptIn)
	class.Handle(&t.methods, ips.OptInServiceSendOptInCode, sendOptInCode)
	class.Handle(&t.methods, ips.OptInServiceCancelOptIn, cancelOptIn)
}

// putOptIn judges a change of the policy: in client control mode it is fixed.
func putOptIn(_ context.Context, m *Machine, old, want *wsman.Element) error {
	required := want.ChildText("OptInRequired")
	if required == old.ChildText("OptInRequired") {
		return nil
	}
	if old.ChildText("CanModifyOptInPolicy") == "0" {
		return &status.Error{Op: "IPS_OptInService.Put", Code: status.NotPermitted}
	}
	n, err := strconv.ParseUint(required, 10, 32)
	switch ips.OptInServiceOptInRequired(n) {
	case ips.OptInServiceOptInRequiredNone, ips.OptInServiceOptInRequiredKVM, ips.OptInServiceOptInRequiredAll:
		if err == nil {
			return nil
		}
	}
	return badValue()
}

// startOptIn makes up a code and shows it, now or when the PC is switched on.
func startOptIn(_ context.Context, m *Machine, _ wsman.Selectors, _ ips.OptInServiceStartOptInIn) (out ips.OptInServiceStartOptInOut, _ status.Status, _ error) {
	if m.consentPolicy() == ips.OptInServiceOptInRequiredNone {
		return out, optInInvalidState, nil
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return out, 0, err
	}
	c := &m.consent
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != ips.OptInServiceOptInStateNotStarted {
		return out, optInInvalidState, nil
	}
	c.code = fmt.Sprintf("%06d", n)
	if m.powerOf() == S0 {
		c.enter(m, ips.OptInServiceOptInStateDisplayed, m.displayTimeout())
	} else {
		c.enter(m, ips.OptInServiceOptInStateRequested, m.displayTimeout())
	}
	return out, optInDone, nil
}

// sendOptInCode takes the code that the person has read out.
func sendOptInCode(_ context.Context, m *Machine, _ wsman.Selectors, in ips.OptInServiceSendOptInCodeIn) (out ips.OptInServiceSendOptInCodeOut, _ status.Status, _ error) {
	c := &m.consent
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != ips.OptInServiceOptInStateDisplayed {
		return out, optInInvalidState, nil
	}
	if in.OptInCode != nil && fmt.Sprintf("%06d", *in.OptInCode) == c.code {
		if m.openSessions() {
			c.enter(m, ips.OptInServiceOptInStateInSession, 0)
		} else {
			c.enter(m, ips.OptInServiceOptInStateReceived, m.codeTimeout())
		}
		return out, optInDone, nil
	}
	if c.wrong++; c.wrong >= wrongCodes {
		c.enter(m, ips.OptInServiceOptInStateNotStarted, 0)
		return out, optInBlocked, nil
	}
	return out, optInWrong, nil
}

// openSessions reports whether a redirection session is open.
func (m *Machine) openSessions() bool {
	m.power.mu.Lock()
	defer m.power.mu.Unlock()
	return m.power.sessions > 0
}

// cancelOptIn ends consent, or the request for it. Sessions that needed it end.
func cancelOptIn(_ context.Context, m *Machine, _ wsman.Selectors, _ ips.OptInServiceCancelOptInIn) (out ips.OptInServiceCancelOptInOut, _ status.Status, _ error) {
	c := &m.consent
	c.mu.Lock()
	was := c.state
	if was != ips.OptInServiceOptInStateNotStarted {
		c.enter(m, ips.OptInServiceOptInStateNotStarted, 0)
	}
	c.mu.Unlock()
	switch was {
	case ips.OptInServiceOptInStateNotStarted:
		return out, optInInvalidState, nil
	case ips.OptInServiceOptInStateInSession:
		need := map[redir.Kind]bool{}
		for _, k := range []redir.Kind{redir.SOL, redir.IDER, redir.KVM} {
			need[k] = m.needsConsent(k)
		}
		m.endSessions(errConsentEnded, func(k redir.Kind) bool { return need[k] })
	}
	return out, optInDone, nil
}
