package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type wired8021xCmd struct {
	Show    wired8021xShowCmd    `cmd:"" help:"Show how AMT signs in to a wired network with 802.1X."`
	Set     wired8021xSetCmd     `cmd:"" help:"Switch 802.1X on, with the settings that are given."`
	Disable wired8021xDisableCmd `cmd:"" help:"Switch 802.1X off and keep its settings."`
}

// A wired8021xRecord is the 802.1X of one machine.
type wired8021xRecord struct {
	Host string `json:"host"`
	OK   bool   `json:"ok"`
	*console.Wired8021x
	Error *problem `json:"error,omitempty"`
}

// do does something that ends with the settings, and shows them.
func (m Many) wired8021x(a *app, do func(context.Context, *console.Client) (console.Wired8021x, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, m, do, func(h hosts.Host, w console.Wired8021x, bad *failure) error {
		if bad != nil {
			return out.failedObject(wired8021xRecord{Host: h.Name, Error: problemOf(bad)}, h.Name, bad, len(list) > 1)
		}
		title := ""
		if len(list) > 1 {
			title = h.Name
		}
		lines := append([][2]string{{"Wired 802.1X", onOff(&w.Enabled)}}, eapLines(w.EAP)...)
		lines = append(lines, [2]string{"While the OS runs", onOff(w.ActiveInS0)})
		if w.PXETimeout != nil {
			lines = append(lines, [2]string{"For PXE boots", (time.Duration(*w.PXETimeout) * time.Second).String()})
		}
		return out.object(wired8021xRecord{Host: h.Name, OK: true, Wired8021x: &w}, title, lines...)
	})
}

type wired8021xShowCmd struct{ Many }

func (wired8021xShowCmd) Help() string { return example("outband wired8021x show nuc1") }

func (c *wired8021xShowCmd) Run(a *app) error {
	return c.wired8021x(a, func(ctx context.Context, client *console.Client) (console.Wired8021x, error) {
		return client.Wired8021x(ctx)
	})
}

type wired8021xSetCmd struct {
	Many
	EAPFlags
	ActiveInS0 string `name:"active-in-s0" enum:",on,off" default:"" placeholder:"on|off" help:"Sign in also while the operating system runs."`
	PXETimeout string `name:"pxe-timeout" placeholder:"TIME" help:"How long to stay signed in for a boot over the network, up to 24h; 0 for not at all."`
}

func (wired8021xSetCmd) Help() string {
	return eapHelp + example("outband wired8021x set nuc1 --eap peap-mschapv2 --eap-user nuc1 --eap-domain EXAMPLE --eap-ca 1",
		"outband wired8021x set nuc1 --eap tls --eap-client-cert 2 --eap-ca 1 --eap-server .example.org --pxe-timeout 2m")
}

func (c *wired8021xSetCmd) Run(a *app) error {
	if c.EAP == "" {
		return usage("such as --eap peap-mschapv2", "--eap is missing")
	}
	want := console.Wired8021x{ActiveInS0: toggle(c.ActiveInS0)}
	if c.PXETimeout != "" {
		seconds, err := parseSeconds(c.PXETimeout)
		if err != nil {
			return usage("such as 2m", "--pxe-timeout: %w", err)
		}
		want.PXETimeout = &seconds
	}
	var err error
	if want.EAP, err = c.settings(a); err != nil {
		return err
	}
	return c.wired8021x(a, func(ctx context.Context, client *console.Client) (console.Wired8021x, error) {
		return client.SetWired8021x(ctx, want)
	})
}

// parseSeconds reads a time of whole seconds; a bare number is seconds.
func parseSeconds(word string) (uint32, error) {
	if n, err := strconv.ParseUint(word, 10, 32); err == nil {
		return uint32(n), nil
	}
	d, err := time.ParseDuration(word)
	if err == nil && (d < 0 || d%time.Second != 0 || d/time.Second > 1<<31-1) {
		err = strconv.ErrRange
	}
	return uint32(d / time.Second), err
}

type wired8021xDisableCmd struct{ Many }

func (wired8021xDisableCmd) Help() string { return example("outband wired8021x disable nuc1") }

func (c *wired8021xDisableCmd) Run(a *app) error {
	return c.wired8021x(a, func(ctx context.Context, client *console.Client) (console.Wired8021x, error) {
		return client.DisableWired8021x(ctx)
	})
}
