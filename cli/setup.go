package cli

import (
	"context"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type setupCmd struct {
	Show         setupShowCmd `cmd:"" help:"Tell how a machine was set up, by whom, and what keeps it from being unprovisioned."`
	MEBxPassword setupMEBxCmd `cmd:"" name:"mebx-password" help:"Give the BIOS extension (MEBx) another password."`
}

// A setupRecord is how one machine was set up. What it does not tell is absent.
type setupRecord struct {
	Host          string       `json:"host"`
	OK            bool         `json:"ok"`
	State         string       `json:"state,omitempty"`
	Mode          string       `json:"control_mode,omitempty"`
	Realm         string       `json:"digest_realm,omitempty"`
	DHCPSuffix    string       `json:"dhcp_dns_suffix,omitempty"`
	TrustedSuffix string       `json:"trusted_dns_suffix,omitempty"`
	Server        string       `json:"setup_server,omitempty"`
	ZeroTouch     *bool        `json:"zero_touch,omitempty"`
	Blocking      []string     `json:"blocking,omitempty"` // components that forbid to unprovision it
	Record        *setupOrigin `json:"record,omitempty"`
	Error         *problem     `json:"error,omitempty"`
}

type setupOrigin struct {
	Way         string    `json:"way"`
	Time        time.Time `json:"time,omitzero"` // by the machine's clock
	Certificate string    `json:"certificate,omitempty"`
	Server      string    `json:"server,omitempty"`
	Hash        string    `json:"hash,omitempty"`
	HashDefault *bool     `json:"hash_built_in,omitempty"`
}

type setupShowCmd struct{ Many }

func (setupShowCmd) Help() string {
	return "The record of setup is kept until the machine is unprovisioned; there is none if that was done in the setup of the BIOS.\n\n" +
		example("outband setup show nuc1", "outband setup show @lab -o json")
}

func (c *setupShowCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.SetupDetails, error) {
		return client.SetupDetails(ctx)
	}, func(h hosts.Host, d console.SetupDetails, bad *failure) error {
		if bad != nil {
			return out.failed(setupRecord{Host: h.Name, Error: problemOf(bad)}, false, nil)
		}
		r := setupRecord{Host: h.Name, OK: true, State: string(d.State), Mode: d.Mode, Realm: d.Realm, DHCPSuffix: d.DHCPSuffix, TrustedSuffix: d.TrustedSuffix,
			Server: d.Server, ZeroTouch: d.ZeroTouch, Blocking: d.Blocking}
		if o := d.Record; o != nil {
			r.Record = &setupOrigin{o.Way, o.Time, o.Certificate, o.Server, o.RootHash, o.HashDefault}
		}
		return out.object(r, "", r.lines()...)
	})
}

func (r *setupRecord) lines() [][2]string {
	lines := [][2]string{{"host", r.Host}, {"state", r.State}, {"control mode", r.Mode}, {"digest realm", r.Realm}, {"DNS suffix by DHCP", r.DHCPSuffix},
		{"DNS suffix by hand", r.TrustedSuffix}, {"setup server", r.Server}, {"zero touch", onOff(r.ZeroTouch)}, {"kept from unprovisioning by", join(", ", r.Blocking...)}}
	if o := r.Record; o != nil {
		when := ""
		if !o.Time.IsZero() {
			when = o.Time.Format(time.RFC3339)
		}
		hash := o.Hash
		if o.HashDefault != nil && hash != "" {
			hash += map[bool]string{true: " (built in)", false: " (added)"}[*o.HashDefault]
		}
		lines = append(lines, [2]string{"set up", join(", ", o.Way, when)}, [2]string{"certificate", o.Certificate}, [2]string{"server", o.Server}, [2]string{"hash", hash})
	}
	return lines
}

type setupMEBxCmd struct {
	Many
	MEBxPasswordFile string `name:"mebx-password-file" placeholder:"FILE" help:"First line of FILE is the new password; default is MEBX_NEW_PASSWORD, or to ask."`
	Yes              bool   `short:"y" help:"Do not ask before changing several machines."`
}

func (setupMEBxCmd) Help() string {
	return "The BIOS extension is where AMT is set up at the machine; its password is one of its own. Firmware takes another one from afar if a setting of the " +
		"extension lets it. Nothing tells afterwards what the password is: the firmware's word is all that is known.\n\n" +
		example("outband setup mebx-password nuc1", "outband setup mebx-password @lab --mebx-password-file pw --yes")
}

func (c *setupMEBxCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err == nil {
		err = a.sure(c.Yes, len(list), "change the password of the BIOS extension")
	}
	if err != nil {
		return err
	}
	password, err := a.secret(c.MEBxPasswordFile, "--mebx-password-file", "MEBX_NEW_PASSWORD", "New password of the BIOS extension")
	if err != nil {
		return err
	}
	if err := console.CheckPassword(password); err != nil {
		return err
	}
	type record struct {
		Host     string   `json:"host"`
		OK       bool     `json:"ok"`
		Accepted bool     `json:"accepted"`
		Error    *problem `json:"error,omitempty"`
	}
	out := a.printer(hostColumn(list), column{"MEBX PASSWORD", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (struct{}, error) {
		return struct{}{}, client.SetMEBxPassword(ctx, password)
	}, func(h hosts.Host, _ struct{}, bad *failure) error {
		if bad != nil {
			return out.failed(record{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.record(record{Host: h.Name, OK: true, Accepted: true}, plain(h.Name), plain("accepted"))
	})
}
