package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
)

// ActOptions says how to go about a power action. The zero value works.
type ActOptions struct {
	// Wait is how long the state may take; 0: one minute for forced actions, two or three for those that the
	// operating system carries out. Negative: return as soon as the firmware has accepted.
	Wait time.Duration

	// Patience is how long a machine that refuses because it is not ready is asked again: the BIOS takes some seconds
	// before the next change of power. 0: up to 15 s after a change by this Client, else not at all. Negative: never.
	// Only a plain refusal is followed by another request.
	Patience time.Duration

	// Force sends the request even if the machine does not offer it, or seems to be in the wanted state already.
	Force bool
}

// A Proof says by what a [PowerResult] is known.
type Proof string

// The proofs, strongest first.
const (
	ProofState      Proof = "state"       // the state was read again and is the wanted one
	ProofTransition Proof = "transition"  // the machine was seen off, then on again
	ProofBootReason Proof = "boot reason" // the firmware's record of why the host booted has changed
	ProofEventLog   Proof = "event log"   // the BIOS has logged a new start
	ProofAlready    Proof = "already"     // it was so before; nothing was sent
	ProofAccepted   Proof = "accepted"    // the firmware said yes, and nothing more can be known
)

// A PowerResult is what a power action led to.
type PowerResult struct {
	Verb   Verb
	Before PowerInfo
	After  PowerInfo // as read last; equal to Before if nothing was read since
	Sent   Power     // request that was sent; 0: none
	Proof  Proof
	Took   time.Duration
}

// proofWait is how long a restart that was accepted is watched for evidence before accepted has to do.
const proofWait = 20 * time.Second

// Act carries out a power action and returns when it is done, by the evidence of the machine. It looks first: a machine
// that is in the wanted state is left alone, and what it does not offer now is a [*NotOfferedError]. The request is sent
// once. Then the state is read until it is reached, or [ErrNotReached] after the time to wait. If the request was sent
// and not answered the state is still watched, as it may show the effect; if it does not, [ErrIndeterminate].
//
// On, off, sleep and hibernate are proved by the state. A restart leads back to where it came from, so it takes other
// evidence: an off state in between, a changed IPS_HostBootReason (8.0 and newer; a second restart of one kind in a row
// does not change it), or a new record of the BIOS in the event log. If there is none a forced restart ends with
// [ProofAccepted], which says no more than the word; a graceful one fails with [ErrNotReached], since an operating
// system may just ignore it. NMI leaves no trace and is always [ProofAccepted].
func (c *Client) Act(ctx context.Context, verb Verb, o *ActOptions) (PowerResult, error) {
	began := time.Now()
	res := PowerResult{Verb: verb}
	err := c.act(ctx, verb, o, &res)
	res.Took = time.Since(began)
	if err != nil {
		var offered *NotOfferedError
		if !errors.As(err, &offered) {
			err = fmt.Errorf("power %s: %w", verb, err)
		}
		return res, err
	}
	return res, nil
}

func (c *Client) act(ctx context.Context, verb Verb, o *ActOptions, res *PowerResult) error {
	if o == nil {
		o = &ActOptions{}
	}
	p, ok := verb.plan()
	if !ok {
		return fmt.Errorf("%w: unknown power action", ErrUsage)
	}
	wait := o.Wait
	if wait == 0 {
		wait = p.wait
	}
	var before traces
	err := together(
		func() (err error) { res.Before, err = c.Power(ctx); return err },
		func() error {
			if p.reboots {
				before = c.traces(ctx)
			}
			return nil
		})
	res.After = res.Before
	if err != nil {
		return err
	}
	if p.done != nil && p.done(res.Before.State) && !o.Force {
		if verb == On && res.Before.OSPowerSaving == osSaving {
			return c.leaveStandby(ctx, wait, res)
		}
		res.Proof = ProofAlready
		return nil
	}
	want, err := p.choose(verb, res.Before, o.Force)
	if err != nil {
		return err
	}
	res.Sent = want
	sendErr := c.sendPower(ctx, want, o.Patience)
	if sendErr != nil && (!errors.Is(sendErr, ErrIndeterminate) || wait < 0 || ctx.Err() != nil) {
		return sendErr
	}
	res.Proof = ProofAccepted
	if wait < 0 || p.done == nil && !p.reboots {
		return sendErr
	}
	watch, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if p.reboots {
		err = c.watchRestart(watch, p, before, sendErr == nil, wait, res)
	} else {
		var after PowerInfo
		if after, err = c.WaitPower(watch, 0, func(now PowerInfo) bool { return p.done(now.State) }); after.State != 0 {
			res.After = after
		}
		if err == nil {
			res.Proof = ProofState
		}
	}
	switch {
	case err == nil:
		return nil
	case sendErr != nil:
		return fmt.Errorf("%w; looked again for %v: %w", sendErr, wait, err)
	case errors.Is(err, ErrNotReached):
		return fmt.Errorf("accepted, but %w after %v", err, wait)
	}
	return err
}

// settle is how long after a change of power a machine may not be ready for the next one. Source: spec
// power-and-boot.md section 2.
const settle = 15 * time.Second

// sendPower asks for a power state, once unless the machine says that it is not ready yet.
func (c *Client) sendPower(ctx context.Context, want Power, patience time.Duration) error {
	c.mu.Lock()
	end := c.changed.Add(settle)
	c.mu.Unlock()
	if patience != 0 {
		end = time.Now().Add(patience)
	}
	for {
		err := c.SetPower(ctx, want)
		if err == nil {
			c.mu.Lock()
			c.changed = time.Now()
			c.mu.Unlock()
		}
		if !errors.Is(err, status.ErrNotReady) || !time.Now().Before(end) {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}

// leaveStandby wakes an operating system in modern standby, which reads as on.
func (c *Client) leaveStandby(ctx context.Context, wait time.Duration, res *PowerResult) error {
	if err := c.wake(ctx); err != nil {
		return err
	}
	res.Sent, res.Proof = PowerOn, ProofAccepted
	if wait < 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	after, err := c.WaitPower(ctx, 0, func(now PowerInfo) bool {
		saving, err := ask[ips.PowerManagementService](ctx, c)
		return err == nil && saving != nil && class.Value(saving.OSPowerSavingState) == osFullPower
	})
	if err != nil {
		return err
	}
	after.OSPowerSaving = osFullPower
	res.After, res.Proof = after, ProofState
	return nil
}

// watchRestart looks for evidence that the PC started anew.
func (c *Client) watchRestart(ctx context.Context, p plan, before traces, accepted bool, wait time.Duration, res *PowerResult) error {
	began := time.Now()
	sawOff := false
	after, err := c.WaitPower(ctx, 0, func(now PowerInfo) bool {
		if now.State != PowerOn {
			sawOff = sawOff || IsOff(now.State)
			return false
		}
		if sawOff {
			res.Proof = ProofTransition
			return true
		}
		if proof := before.changed(c.traces(ctx)); proof != "" {
			res.Proof = proof
			return true
		}
		return accepted && !p.graced && time.Since(began) >= min(proofWait, wait/2)
	})
	if after.State != 0 {
		res.After = after
	}
	if errors.Is(err, ErrNotReached) && after.State == PowerOn {
		err = fmt.Errorf("no sign of a restart: %w", ErrNotReached)
	}
	return err
}

// traces are what a restart leaves behind in the firmware.
type traces struct {
	reason *ips.HostBootReason // nil: not told
	record string              // newest BIOS progress record of the event log; "": none or not told
	logged bool                // the event log could be read
}

// changed returns what tells that there was a restart between t and now, "" if nothing does.
func (t traces) changed(now traces) Proof {
	if t.reason != nil && now.reason != nil {
		a, b := t.reason, now.reason
		if class.Value(a.Reason) != class.Value(b.Reason) || class.Value(a.ReasonDetails) != class.Value(b.ReasonDetails) ||
			class.Value(a.PreviousSxState) != class.Value(b.PreviousSxState) {
			return ProofBootReason
		}
	}
	if t.logged && now.logged && now.record != "" && now.record != t.record {
		return ProofEventLog
	}
	return ""
}

// traces reads them. What cannot be read is left out: this is evidence, not a condition.
func (c *Client) traces(ctx context.Context) traces {
	var t traces
	together(
		func() (err error) { t.reason, err = ask[ips.HostBootReason](ctx, c); return err },
		func() (err error) { t.record, t.logged, err = c.newestProgress(ctx); return err })
	return t
}

// progressWindow is how many of the newest records are searched for one of the BIOS.
const progressWindow = 16

// newestProgress returns the newest record of the BIOS, which it writes while it starts; "" if there is none.
func (c *Client) newestProgress(ctx context.Context) (record string, ok bool, err error) {
	records, err := c.newestEvents(ctx, progressWindow)
	if err != nil {
		return "", false, err
	}
	for _, r := range records {
		if r.Sensor == eventlog.Firmware {
			return string(r.Append(nil)), true, nil
		}
	}
	return "", true, nil
}
