package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/mei"
)

type localCmd struct {
	Info       localInfoCmd       `cmd:"" like:"AmtInfo;AmtInfoJson;AmtVersions;AmtUUID;AmtHashes" help:"Tell what the AMT of this PC is, and how far its setup has come."`
	Activate   localActivateCmd   `cmd:"" like:"AmtCCM;AmtConfig;System status" help:"Set the AMT of this PC up."`
	Upgrade    localUpgradeCmd    `cmd:"" like:"System status" help:"Take the AMT of this PC from client to admin control mode."`
	Configure  localConfigureCmd  `cmd:"" like:"AmtConfig" help:"Make the AMT of this PC what a profile says."`
	Tunnel     localTunnelCmd     `cmd:"" help:"Call for help: open a tunnel from the AMT of this PC to its gateway."`
	Deactivate localDeactivateCmd `cmd:"" like:"AmtDeactivate;AmtAcmDeactivate" help:"Take the AMT of this PC out of management."`
	Config     localConfigCmd     `cmd:"" help:"Have AMT look for a setup server that sets it up, or not."`
	SMBIOS     localSMBIOSCmd     `cmd:"" name:"smbios" like:"SMBios;RawSMBios" help:"Show what the BIOS says the PC consists of (SMBIOS), and whether it has AMT."`
}

// localName is how the PC is called that a command runs on.
const localName = "local"

// agent returns what does the work on this PC, and what ends it. Where LMS has the engine's port forwarding, it is gone
// through; a virtual machine has none on this PC.
func (b *Bus) agent(a *app) (*agent.Agent, func(), error) {
	bus, shut, err := b.open(a.ctx)
	if err != nil {
		return nil, nil, err
	}
	out := &agent.Agent{Bus: bus, OnStep: func(s agent.Step) { a.note("%s", s) }}
	if _, ok := bus.(*mei.Device); ok {
		out.Dial = func(ctx context.Context, port int) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		}
	}
	return out, shut, nil
}

// localFailure finds exit code and hint for an error of package agent.
func localFailure(err error) error {
	code, hint := 0, ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, agent.ErrWeak):
		code = exitUsage
	case errors.Is(err, agent.ErrCertificate):
		code, hint = exitUsage, certificateHint(err)
	case errors.Is(err, agent.ErrPassword), errors.Is(err, agent.ErrNoPassword):
		code, hint = exitAuth, "AMT_PASSWORD is the password that AMT has; AMT_NEW_PASSWORD the one that it is to get"
	case errors.Is(err, agent.ErrState), errors.Is(err, agent.ErrNotAllowed):
		code, hint = exitRefused, "outband local info shows the state"
	case errors.Is(err, agent.ErrOff), errors.Is(err, amthi.ErrDisabled):
		code, hint = exitRefused, "switch it on in the setup of the BIOS (MEBx)"
	case errors.Is(err, agent.ErrMaker):
		code = exitTrust
	case errors.Is(err, agent.ErrNotReached):
		code, hint = exitIndeterminate, "outband local info shows what has become of it"
	default:
		return noEngine(err)
	}
	return &failure{code, err, hint}
}

// certificateHint says what to do about a setup certificate that AMT would not take.
func certificateHint(err error) string {
	switch {
	case errors.Is(err, activation.ErrRoot):
		return "outband local info lists the hashes that AMT trusts; more are entered in the setup of the BIOS (MEBx)"
	case errors.Is(err, activation.ErrDomain):
		return "the name in the certificate must be in the DNS suffix of AMT: that of DHCP option 15, or what is entered in the setup of the BIOS (MEBx)"
	case errors.Is(err, activation.ErrUsage):
		return "such a certificate is bought, or made, for the setup of AMT: RSA of 2048 bits or more, and the usages serverAuth and 2.16.840.1.113741.1.2.3"
	}
	return ""
}

type localInfoCmd struct {
	Post string `placeholder:"URL" help:"Also send the record to a web server (https), as JSON."`
	All  bool   `help:"Also what else AMT tells its PC: names, addresses, what is switched on and open, resets, remote setup."`
	Bus
}

func (localInfoCmd) Help() string {
	return "Asks AMT over the management engine interface of this PC; no account is needed, but the right to open the device, which is root's. " +
		"--bus asks a virtual machine.\n\n" +
		example("sudo outband local info", "sudo outband local info --all", "outband local info --bus unix:/run/user/1000/me.sock", "sudo outband local info -o json",
			"sudo outband local info --post https://inventory.example/amt")
}

// A localInfo is what AMT tells programs on its PC.
type localInfo struct {
	Host     string            `json:"host"`
	OK       bool              `json:"ok"`
	Enabled  *bool             `json:"enabled,omitempty"`
	AMT      string            `json:"amt,omitempty"`
	Build    string            `json:"build,omitempty"`
	SKU      string            `json:"sku,omitempty"`
	BIOS     string            `json:"bios,omitempty"`
	UUID     string            `json:"uuid,omitempty"`
	Mode     string            `json:"control_mode,omitempty"`
	State    string            `json:"provisioning_state,omitempty"`
	TLSOnly  bool              `json:"tls_only,omitempty"` // local ports
	Suffix   string            `json:"dns_suffix,omitempty"`
	Wired    *localLAN         `json:"wired,omitempty"`
	Wireless *localLAN         `json:"wireless,omitempty"`
	Remote   *localRemote      `json:"remote_access,omitempty"`
	Versions map[string]string `json:"versions,omitempty"`
	Hashes   []localHash       `json:"certificate_hashes,omitempty"`
	Details  *localDetails     `json:"details,omitempty"` // with --all
	Error    *problem          `json:"error,omitempty"`
}

type localLAN struct {
	Enabled bool   `json:"enabled"`
	Link    string `json:"link"` // up, down
	Address string `json:"address,omitempty"`
	DHCP    bool   `json:"dhcp"`
	Mode    string `json:"dhcp_mode"`
	MAC     string `json:"mac"`
}

type localRemote struct {
	Network string `json:"network"`
	Status  string `json:"status"`
	Trigger string `json:"trigger,omitempty"`
	MPS     string `json:"mps,omitempty"`
}

type localHash struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Hash      string `json:"hash"`
	Active    bool   `json:"active"`
	Default   bool   `json:"default"`
}

func (c *localInfoCmd) Run(a *app) error {
	var to *reportTo
	if c.Post != "" {
		var err error
		if to, err = a.newReportTo(c.Post); err != nil {
			return err
		}
	}
	out := a.printer()
	fail := func(err error) error {
		f := judge(localFailure(err))
		if err := out.failed(localInfo{Host: localName, Error: problemOf(f)}, false, nil); err != nil {
			return err
		}
		return f
	}
	ag, shut, err := c.Bus.agent(a)
	if err != nil {
		return fail(err)
	}
	defer shut()
	info, err := ag.Info(a.ctx)
	if err != nil {
		return fail(err)
	}
	r := localInfoOf(&info)
	if c.All && !info.Off {
		details, err := ag.Details(a.ctx)
		if err != nil {
			return fail(err)
		}
		r.Details = localDetailsOf(&details)
	}
	lines := [][2]string{{"AMT", "switched off"}}
	if !info.Off {
		lines = [][2]string{
			{"AMT", r.AMT + " build " + r.Build}, {"SKU", r.SKU}, {"BIOS", r.BIOS}, {"UUID", r.UUID}, {"Control mode", r.Mode}, {"Provisioning", r.State},
			{"Local ports", map[bool]string{true: "TLS only"}[r.TLSOnly]}, {"DNS suffix", orNone(r.Suffix)},
			{"Wired", r.Wired.text()}, {"Wireless", r.Wireless.text()}, {"Remote access", r.Remote.text()},
		}
		if r.Details != nil {
			lines = append(lines, r.Details.lines()...)
		}
		for _, h := range r.Hashes {
			state := "inactive"
			if h.Active {
				state = "active"
			}
			lines = append(lines, [2]string{"Root", fmt.Sprintf("%s, %s, %s %s", h.Name, state, h.Algorithm, h.Hash)})
		}
	}
	if err := out.object(r, "", lines...); err != nil || to == nil {
		return err
	}
	return to.send(a.ctx, r)
}

func orNone(text string) string {
	if text == "" {
		return "none set"
	}
	return text
}

func localInfoOf(i *agent.Info) localInfo {
	r := localInfo{Host: localName, OK: true, Enabled: new(!i.Off), TLSOnly: i.TLSOnly}
	if i.Off {
		return r
	}
	r.AMT, r.Build, r.SKU, r.BIOS = i.Release(), i.Versions.Get(amthi.VersionBuild), i.Versions.Get(amthi.VersionSKU), i.BIOS
	r.UUID, r.Mode, r.State, r.Suffix = i.UUID.String(), i.Mode.String(), i.State.String(), i.Suffix
	r.Wired = lanOf(&i.Wired)
	if i.Wireless != nil {
		r.Wireless = lanOf(i.Wireless)
	}
	r.Remote = remoteOf(i.Remote)
	r.Versions = map[string]string{}
	for _, v := range i.Versions.Versions {
		r.Versions[v.Name] = v.Value
	}
	for _, h := range i.Hashes {
		r.Hashes = append(r.Hashes, localHash{h.Name, h.Algorithm.String(), hex.EncodeToString(h.Hash), h.Active, h.Default})
	}
	return r
}

func lanOf(l *amthi.LAN) *localLAN {
	out := &localLAN{Enabled: l.Enabled, Link: "down", DHCP: l.DHCP, Mode: l.Mode.String(), MAC: l.MAC.String()}
	if l.LinkUp {
		out.Link = "up"
	}
	if l.Address.IsValid() && l.Address != netip.IPv4Unspecified() {
		out.Address = l.Address.String()
	}
	return out
}

func (l *localLAN) text() string {
	if l == nil {
		return ""
	}
	text := "link " + l.Link
	if l.Address != "" {
		text += ", " + l.Address
	}
	if l.DHCP {
		text += ", DHCP " + l.Mode
	} else {
		text += ", static address"
	}
	return text + ", " + l.MAC
}

func (r *localRemote) text() string {
	text := r.Status + ", network: " + r.Network
	if r.MPS != "" {
		text += ", gateway " + r.MPS
	}
	return text
}
