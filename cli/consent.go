package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type consentCmd struct {
	Show   consentShowCmd   `cmd:"" help:"Tell what consent is needed for, and whether it was given."`
	Policy consentPolicyCmd `cmd:"" help:"Say what consent is needed for."`
	Start  consentStartCmd  `cmd:"" help:"Have the machine show a code on its screen."`
	Code   consentCodeCmd   `cmd:"" help:"Give the machine the code that was read out there."`
	Cancel consentCancelCmd `cmd:"" help:"End consent, or the request for it."`
}

// A consentRecord is the consent of one machine.
type consentRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	Policy  string   `json:"policy,omitempty"` // none, kvm, all
	Fixed   bool     `json:"fixed,omitempty"`  // client control mode
	State   string   `json:"state,omitempty"`
	Given   bool     `json:"given"`
	Display string   `json:"display_timeout,omitempty"`
	Code    string   `json:"code_timeout,omitempty"`
	Error   *problem `json:"error,omitempty"`
}

// consent does something to many machines whose outcome is their consent.
func (a *app) consent(m Many, do func(ctx context.Context, c *console.Client) (console.Consent, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"NEEDED FOR", 10}, column{"STATE", 12}, column{"TIMES", 0})
	return eachHost(a, list, m, do, func(h hosts.Host, s console.Consent, bad *failure) error {
		if bad != nil {
			return out.failed(consentRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := consentRecord{Host: h.Name, OK: true, Policy: s.Policy, Fixed: s.Fixed, State: s.State, Given: s.Given()}
		var times []string
		if s.Display > 0 {
			r.Display = s.Display.String()
			times = append(times, "code shown for "+r.Display)
		}
		if s.Code > 0 {
			r.Code = s.Code.String()
			times = append(times, "then valid for "+r.Code)
		}
		policy := s.Policy
		if s.Fixed {
			policy += " (fixed)"
		}
		return out.record(r, plain(h.Name), plain(policy), plain(s.State), plain(strings.Join(times, ", ")))
	})
}

type consentShowCmd struct{ Many }

func (consentShowCmd) Help() string { return example("outband consent show nuc1") }

func (c *consentShowCmd) Run(a *app) error {
	return a.consent(c.Many, func(ctx context.Context, client *console.Client) (console.Consent, error) { return client.Consent(ctx) })
}

type consentPolicyCmd struct {
	Policy string `arg:"" enum:"none,kvm,all" help:"none, kvm or all (boot options and IDE-R too)."`
	Many
	Display time.Duration `placeholder:"TIME" help:"How long the code is shown."`
	Code    time.Duration `placeholder:"TIME" help:"How long there is from the right code to the first session."`
}

func (consentPolicyCmd) Help() string {
	return "In client control mode consent is always needed for all.\n\n" + example("outband consent policy kvm nuc1", "outband consent policy all nuc1 --display 5m")
}

func (c *consentPolicyCmd) Run(a *app) error {
	return a.consent(c.Many, func(ctx context.Context, client *console.Client) (console.Consent, error) {
		return client.SetConsentPolicy(ctx, c.Policy, c.Display, c.Code)
	})
}

type consentStartCmd struct{ Many }

func (consentStartCmd) Help() string { return example("outband consent start nuc1") }

func (c *consentStartCmd) Run(a *app) error {
	return a.consent(c.Many, func(ctx context.Context, client *console.Client) (console.Consent, error) {
		return client.StartConsent(ctx)
	})
}

type consentCodeCmd struct {
	Host string `arg:"" help:"The machine: a name of the hosts database or an address."`
	Code string `arg:"" optional:"" help:"The six digits; asked for if not given."`
}

func (consentCodeCmd) Help() string {
	return example("outband consent code nuc1 123456", "outband consent code nuc1")
}

func (c *consentCodeCmd) Run(a *app) error {
	if c.Code == "" {
		code, err := a.askCode(c.Host)
		if err != nil {
			return err
		}
		c.Code = code
	}
	return a.consent(Many{Hosts: []string{c.Host}, Fanout: 1}, func(ctx context.Context, client *console.Client) (console.Consent, error) {
		return client.SendConsentCode(ctx, c.Code)
	})
}

type consentCancelCmd struct{ Many }

func (consentCancelCmd) Help() string { return example("outband consent cancel nuc1") }

func (c *consentCancelCmd) Run(a *app) error {
	return a.consent(c.Many, func(ctx context.Context, client *console.Client) (console.Consent, error) {
		return client.CancelConsent(ctx)
	})
}

// askCode asks for the code on a machine's screen.
func (a *app) askCode(host string) (string, error) {
	if !a.interactive() {
		return "", usage("outband consent start and outband consent code give it step by step", "%s wants the code that its screen shows, and nobody is here to be asked", host)
	}
	done := a.prompt("code on the screen of " + host + ":")
	defer done("")
	line, err := a.answer()
	if err != nil {
		return "", fmt.Errorf("read the code: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// agreed has do ask for consent and try again where the one machine of a command wants that: what boots, rather than opens
// a session.
func agreed[R any](a *app, machines int, do func(ctx context.Context, c *console.Client) (R, error)) func(ctx context.Context, c *console.Client) (R, error) {
	return func(ctx context.Context, c *console.Client) (R, error) {
		out, err := do(ctx, c)
		if machines != 1 || !a.interactive() || !errors.Is(err, console.ErrConsent) {
			return out, err
		}
		if err := a.obtainConsent(ctx, c); err != nil {
			return out, err
		}
		return do(ctx, c)
	}
}

// codeTries is how many codes are asked for: the machine takes no more wrong ones.
const codeTries = 3

// consentGone is the end of a session that broke and cannot be had again: consent has run out meanwhile, or was taken back.
// It is not asked for again, since whoever types may be typing at the machine.
func consentGone(host string) error {
	return &failure{exitRefused, fmt.Errorf("%s wants consent again", host), "the same command asks for the code"}
}

// withdraw takes the code off the machine's screen: nobody here will tell it any more.
func (a *app) withdraw(ctx context.Context, c *console.Client) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackTime)
	defer cancel()
	_, err := c.CancelConsent(ctx)
	return err
}

// obtainConsent asks the person in front of the machine, by way of the person here. It does nothing where none is needed.
func (a *app) obtainConsent(ctx context.Context, c *console.Client) error {
	now, err := c.Consent(ctx)
	if err != nil || now.Given() {
		return err
	}
	if !a.interactive() {
		_, err := a.askCode(c.Address())
		return err
	}
	ours := now.State == "not started"
	now, err = c.StartConsent(ctx)
	switch {
	case err != nil:
		return err
	case now.State == "requested":
		return &failure{exitRefused, fmt.Errorf("%s wants consent, and shows the code when the PC is on", c.Address()), "outband power on " + c.Address()}
	}
	for try := 1; ; try++ {
		code, err := a.askCode(c.Address())
		if err != nil && ours {
			err = errors.Join(err, a.withdraw(ctx, c))
		}
		if err != nil {
			return err
		}
		_, err = c.SendConsentCode(ctx, code)
		if err == nil || try == codeTries || !errors.Is(err, console.ErrConsentCode) && !errors.Is(err, console.ErrUsage) {
			return err
		}
		a.note("%v", err)
	}
}
