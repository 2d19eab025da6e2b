package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
)

// A Consent is who must agree before the machine is seen or driven from afar, and how far a request for that is. Source:
// IPS_OptInService; spec redirection.md section 8.
type Consent struct {
	Policy  string        // what it is needed for: "none", "kvm", "all"
	Fixed   bool          // the policy cannot be changed: client control mode
	State   string        // "not started", "requested", "displayed", "received", "in session"
	Display time.Duration // how long the code is shown
	Code    time.Duration // how long there is from the right code to the first session
}

// Given tells that sessions may be opened now.
func (c Consent) Given() bool {
	return c.Policy == "none" || c.State == "received" || c.State == "in session"
}

var consentPolicies = map[ips.OptInServiceOptInRequired]string{
	ips.OptInServiceOptInRequiredNone: "none", ips.OptInServiceOptInRequiredKVM: "kvm", ips.OptInServiceOptInRequiredAll: "all",
}

var consentStates = map[ips.OptInServiceOptInState]string{
	ips.OptInServiceOptInStateNotStarted: "not started", ips.OptInServiceOptInStateRequested: "requested",
	ips.OptInServiceOptInStateDisplayed: "displayed", ips.OptInServiceOptInStateReceived: "received", ips.OptInServiceOptInStateInSession: "in session",
}

// Consent reads policy and state, in one request. Machines before 7.0 know no consent: the error wraps [ErrUnsupported].
func (c *Client) Consent(ctx context.Context) (Consent, error) {
	v, err := c.optIn(ctx)
	if err != nil {
		return Consent{}, fmt.Errorf("consent: %w", err)
	}
	return consentOf(v), nil
}

func (c *Client) optIn(ctx context.Context) (*ips.OptInService, error) {
	v, err := ask[ips.OptInService](ctx, c)
	if err == nil && v == nil {
		err = fmt.Errorf("%w: its firmware knows no consent", ErrUnsupported)
	}
	return v, err
}

func consentOf(v *ips.OptInService) Consent {
	s := Consent{
		Policy: consentPolicies[class.Value(v.OptInRequired)], State: consentStates[class.Value(v.OptInState)],
		Fixed:   v.CanModifyOptInPolicy != nil && *v.CanModifyOptInPolicy == 0,
		Display: time.Duration(class.Value(v.OptInDisplayTimeout)) * time.Second, Code: time.Duration(class.Value(v.OptInCodeTimeout)) * time.Second,
	}
	if s.Policy == "" {
		s.Policy = fmt.Sprintf("unknown (%d)", class.Value(v.OptInRequired))
	}
	if s.State == "" {
		s.State = fmt.Sprintf("unknown (%d)", class.Value(v.OptInState))
	}
	return s
}

// SetConsentPolicy says what consent is needed for: "none", "kvm" or "all"; "" leaves it. Times of 0 are left as well,
// others are whole seconds: up to 65535 for the display, up to 4294967295 for the code. In client control mode another
// policy is an error that wraps [ErrNotOffered], and nothing is sent.
func (c *Client) SetConsentPolicy(ctx context.Context, policy string, display, code time.Duration) (Consent, error) {
	now, err := c.setConsentPolicy(ctx, policy, display, code)
	if err != nil {
		return now, fmt.Errorf("set consent policy: %w", err)
	}
	return now, nil
}

func (c *Client) setConsentPolicy(ctx context.Context, policy string, display, code time.Duration) (Consent, error) {
	if err := cmp.Or(checkSeconds("the display", display, math.MaxUint16), checkSeconds("the code", code, math.MaxUint32)); err != nil {
		return Consent{}, err
	}
	v, err := c.optIn(ctx)
	if err != nil {
		return Consent{}, err
	}
	before := consentOf(v)
	if policy != "" {
		known := false
		for n, word := range consentPolicies {
			if word == policy {
				v.OptInRequired, known = &n, true
			}
		}
		switch {
		case !known:
			return before, fmt.Errorf("%w: policy %q is none of none, kvm, all", ErrUsage, policy)
		case before.Fixed && before.Policy != policy:
			return before, fmt.Errorf("%w: in client control mode consent is always needed for all; admin control mode has the choice", ErrNotOffered)
		}
	}
	if display > 0 {
		v.OptInDisplayTimeout = new(uint16(display / time.Second))
	}
	if code > 0 {
		v.OptInCodeTimeout = new(uint32(code / time.Second))
	}
	if want := consentOf(v); want == before {
		return before, nil
	}
	if _, err := class.Put(ctx, c, v); err != nil {
		return before, err
	}
	now, err := c.Consent(ctx)
	switch {
	case err != nil:
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	case policy != "" && now.Policy != policy, display > 0 && now.Display != display, code > 0 && now.Code != code:
		return now, ErrDiffers
	}
	return now, nil
}

// checkSeconds holds a time against what its property takes.
func checkSeconds(what string, d time.Duration, most int64) error {
	if d < 0 || d%time.Second != 0 || int64(d/time.Second) > most {
		return fmt.Errorf("%w: %v for %s is not a number of whole seconds up to %d", ErrUsage, d, what, most)
	}
	return nil
}

// StartConsent has the machine show a code of six digits on its screen, which the person in front of it reads out. While
// the PC is off it is "requested", and shown when the PC is on. Where a policy of "none" needs no consent, and where one is
// under way, nothing is sent: the former is an error that wraps [ErrNotOffered].
func (c *Client) StartConsent(ctx context.Context) (Consent, error) {
	now, err := c.startConsent(ctx)
	if err != nil {
		return now, fmt.Errorf("ask for consent: %w", err)
	}
	return now, nil
}

func (c *Client) startConsent(ctx context.Context) (Consent, error) {
	now, err := c.Consent(ctx)
	switch {
	case err != nil:
		return now, err
	case now.Policy == "none":
		return now, fmt.Errorf("%w: the policy needs consent for nothing", ErrNotOffered)
	case now.State != consentStates[ips.OptInServiceOptInStateNotStarted]:
		return now, nil
	}
	if _, err := ips.OptInServiceStartOptIn.Invoke(ctx, c, ips.OptInServiceStartOptInIn{}); err != nil {
		return now, err
	}
	if now, err = c.Consent(ctx); err != nil {
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if now.State == consentStates[ips.OptInServiceOptInStateNotStarted] {
		return now, fmt.Errorf("accepted, but %w: consent is %s", ErrNotReached, now.State)
	}
	return now, nil
}

// ErrConsentCode is a code that the machine does not take. After the third wrong one it must be asked for anew.
var ErrConsentCode = errors.New("wrong consent code")

// SendConsentCode gives the machine the code that was read out. A wrong one is an error that wraps [ErrConsentCode]; if no
// code is on the screen the error wraps [ErrNotOffered], and nothing is sent.
func (c *Client) SendConsentCode(ctx context.Context, code string) (Consent, error) {
	now, err := c.sendConsentCode(ctx, code)
	if err != nil {
		return now, fmt.Errorf("send consent code: %w", err)
	}
	return now, nil
}

func (c *Client) sendConsentCode(ctx context.Context, code string) (Consent, error) {
	n, err := strconv.ParseUint(code, 10, 32)
	if err != nil || len(code) != 6 {
		return Consent{}, fmt.Errorf("%w: a consent code has six digits", ErrUsage)
	}
	now, err := c.Consent(ctx)
	switch {
	case err != nil:
		return now, err
	case now.State == consentStates[ips.OptInServiceOptInStateRequested]:
		return now, fmt.Errorf("%w: the code is shown when the PC is on", ErrNotOffered)
	case now.State != consentStates[ips.OptInServiceOptInStateDisplayed]:
		return now, fmt.Errorf("%w: no code is on the screen, consent is %s", ErrNotOffered, now.State)
	}
	_, err = ips.OptInServiceSendOptInCode.Invoke(ctx, c, ips.OptInServiceSendOptInCodeIn{OptInCode: new(uint32(n))})
	refusal := err
	if err != nil && !refused(err) {
		return now, err
	}
	if now, err = c.Consent(ctx); err != nil {
		return now, errors.Join(refusal, fmt.Errorf("reading consent again failed: %w", err))
	}
	switch {
	case refusal != nil && now.State == consentStates[ips.OptInServiceOptInStateNotStarted]:
		return now, fmt.Errorf("%w: %w; it must be asked for anew", ErrConsentCode, refusal)
	case refusal != nil:
		return now, fmt.Errorf("%w: %w", ErrConsentCode, refusal)
	case !now.Given():
		return now, fmt.Errorf("accepted, but %w: consent is %s", ErrNotReached, now.State)
	}
	return now, nil
}

// CancelConsent ends consent, or the request for it. Where there is neither nothing is sent.
func (c *Client) CancelConsent(ctx context.Context) (Consent, error) {
	now, err := c.cancelConsent(ctx)
	if err != nil {
		return now, fmt.Errorf("cancel consent: %w", err)
	}
	return now, nil
}

func (c *Client) cancelConsent(ctx context.Context) (Consent, error) {
	none := consentStates[ips.OptInServiceOptInStateNotStarted]
	now, err := c.Consent(ctx)
	if err != nil || now.State == none {
		return now, err
	}
	if _, err := ips.OptInServiceCancelOptIn.Invoke(ctx, c, ips.OptInServiceCancelOptInIn{}); err != nil {
		return now, err
	}
	if now, err = c.Consent(ctx); err != nil {
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if now.State != none {
		return now, fmt.Errorf("accepted, but %w: consent is %s", ErrNotReached, now.State)
	}
	return now, nil
}
