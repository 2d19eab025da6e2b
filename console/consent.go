package console

import (
	"context"
	"errors"
	"fmt"
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

// Consent reads policy and state. Machines before 7.0 know no consent: the error wraps [ErrUnsupported].
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
		s.Policy = fmt.Sprint(class.Value(v.OptInRequired))
	}
	return s
}

// SetConsentPolicy says what consent is needed for: "none", "kvm" or "all"; "" leaves it. Times of 0 are left as well.
func (c *Client) SetConsentPolicy(ctx context.Context, policy string, display, code time.Duration) (Consent, error) {
	now, err := c.setConsentPolicy(ctx, policy, display, code)
	if err != nil {
		return now, fmt.Errorf("set consent policy: %w", err)
	}
	return now, nil
}

func (c *Client) setConsentPolicy(ctx context.Context, policy string, display, code time.Duration) (Consent, error) {
	v, err := c.optIn(ctx)
	if err != nil {
		return Consent{}, err
	}
	if policy != "" {
		now, known := consentOf(v), false
		for n, word := range consentPolicies {
			if word == policy {
				v.OptInRequired, known = &n, true
			}
		}
		switch {
		case !known:
			return now, fmt.Errorf("%w: policy %q is none of none, kvm, all", ErrUsage, policy)
		case now.Fixed && now.Policy != policy:
			return now, fmt.Errorf("%w: in client control mode consent is always needed for all", ErrNotOffered)
		}
	}
	if display > 0 {
		v.OptInDisplayTimeout = new(uint16(display / time.Second))
	}
	if code > 0 {
		v.OptInCodeTimeout = new(uint32(code / time.Second))
	}
	if _, err := class.Put(ctx, c, v); err != nil {
		return Consent{}, err
	}
	now, err := c.Consent(ctx)
	switch {
	case err != nil:
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	case policy != "" && now.Policy != policy, display > 0 && now.Display != display.Truncate(time.Second), code > 0 && now.Code != code.Truncate(time.Second):
		return now, ErrDiffers
	}
	return now, nil
}

// StartConsent has the machine show a code of six digits on its screen, which the person in front of it reads out.
func (c *Client) StartConsent(ctx context.Context) (Consent, error) {
	if _, err := ips.OptInServiceStartOptIn.Invoke(ctx, c, ips.OptInServiceStartOptInIn{}); err != nil {
		return Consent{}, fmt.Errorf("ask for consent: %w", err)
	}
	return c.Consent(ctx)
}

// ErrConsentCode is a code that the machine does not take. After the third wrong one it must be asked for anew.
var ErrConsentCode = errors.New("wrong consent code")

// SendConsentCode gives the machine the code that was read out. A wrong one is an error that wraps [ErrConsentCode].
func (c *Client) SendConsentCode(ctx context.Context, code string) (Consent, error) {
	n, err := strconv.ParseUint(code, 10, 32)
	if err != nil || len(code) != 6 {
		return Consent{}, fmt.Errorf("%w: a consent code has six digits", ErrUsage)
	}
	_, err = ips.OptInServiceSendOptInCode.Invoke(ctx, c, ips.OptInServiceSendOptInCodeIn{OptInCode: new(uint32(n))})
	now, readErr := c.Consent(ctx)
	switch {
	case err != nil && readErr == nil:
		return now, fmt.Errorf("%w: %w", ErrConsentCode, err)
	case err != nil:
		return now, err
	case readErr == nil && !now.Given():
		return now, fmt.Errorf("accepted, but %w: consent is %s", ErrNotReached, now.State)
	}
	return now, readErr
}

// CancelConsent ends consent, or the request for it.
func (c *Client) CancelConsent(ctx context.Context) (Consent, error) {
	if _, err := ips.OptInServiceCancelOptIn.Invoke(ctx, c, ips.OptInServiceCancelOptInIn{}); err != nil {
		return Consent{}, fmt.Errorf("cancel consent: %w", err)
	}
	return c.Consent(ctx)
}
