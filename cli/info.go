package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type infoCmd struct{ Many }

func (infoCmd) Help() string { return example("outband info nuc1", "outband info @lab -o json") }

// An infoRecord is what one machine is. What it does not tell is absent.
type infoRecord struct {
	Host         string   `json:"host"`
	OK           bool     `json:"ok"`
	Address      string   `json:"address,omitempty"`
	Version      string   `json:"version,omitempty"` // of AMT
	Build        string   `json:"build,omitempty"`
	SKU          string   `json:"sku,omitempty"`
	Manufacturer string   `json:"manufacturer,omitempty"`
	Model        string   `json:"model,omitempty"`
	Serial       string   `json:"serial,omitempty"`
	BIOS         string   `json:"bios,omitempty"`
	UUID         string   `json:"uuid,omitempty"`
	HostName     string   `json:"host_name,omitempty"`
	Domain       string   `json:"domain,omitempty"`
	Mode         string   `json:"control_mode,omitempty"` // admin, client
	Provisioning string   `json:"provisioning,omitempty"`
	State        string   `json:"state,omitempty"`
	Offers       []string `json:"offers,omitempty"`

	Features *featureRecord `json:"features,omitempty"`
	TLS      *tlsRecord     `json:"tls,omitempty"`

	Clock       *time.Time `json:"clock,omitempty"`
	SkewSeconds *float64   `json:"skew_seconds,omitempty"` // how far its clock is ahead of ours
	Error       *problem   `json:"error,omitempty"`
}

type featureRecord struct {
	SOL      *bool  `json:"sol,omitempty"`
	IDER     *bool  `json:"ider,omitempty"`
	KVM      *bool  `json:"kvm,omitempty"`
	Listener *bool  `json:"redirection_listener,omitempty"`
	WebUI    *bool  `json:"web_ui,omitempty"`
	VNCPort  *bool  `json:"vnc_port,omitempty"`
	Consent  string `json:"consent,omitempty"` // who at the machine must agree: none, kvm, all
}

type tlsRecord struct {
	Used        bool   `json:"used"` // by this connection
	Version     string `json:"version,omitempty"`
	Suite       string `json:"suite,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Enabled     *bool  `json:"enabled,omitempty"`
	Mutual      *bool  `json:"mutual,omitempty"`
	Plaintext   *bool  `json:"plaintext,omitempty"` // connections without TLS are taken too
}

func newInfoRecord(name string, i console.Info) *infoRecord {
	r := &infoRecord{
		Host: name, OK: true, Address: i.Address, Version: i.Version, Build: i.Build, SKU: i.SKU, Manufacturer: i.Manufacturer,
		Model: i.Model, Serial: i.Serial, BIOS: i.BIOS, UUID: i.UUID, HostName: i.HostName, Domain: i.Domain, Mode: i.ControlMode,
		Provisioning: i.Provisioning, State: powerWord(i.Power.State), Offers: offerWords(i.Power.Available),
		Features: &featureRecord{i.Features.SOL, i.Features.IDER, i.Features.KVM, i.Features.Listener, i.Features.WebUI, i.Features.VNCPort, i.Features.Consent},
		TLS:      &tlsRecord{i.TLS.Used, i.TLS.Version, i.TLS.Suite, i.TLS.Fingerprint, i.TLS.Enabled, i.TLS.Mutual, i.TLS.Plaintext},
		Clock:    i.Time,
	}
	if i.Time != nil {
		r.SkewSeconds = new(i.Skew.Seconds())
	}
	return r
}

// summary is the half of it that says which machine it is.
func (r *infoRecord) summary() [][2]string {
	version := r.Version
	if version != "" && r.Build != "" {
		version += " (build " + r.Build + ")"
	}
	mode := ""
	if r.Mode != "" {
		mode = r.Mode + " control mode"
	}
	return [][2]string{
		{"model", strings.TrimSpace(r.Manufacturer + " " + r.Model)}, {"serial number", r.Serial}, {"AMT version", version},
		{"mode", mode}, {"power", r.State}, {"possible now", strings.Join(r.Offers, " ")},
	}
}

func (r *infoRecord) lines() [][2]string {
	lines := append([][2]string{{"host", r.Host}, {"address", r.Address}}, r.summary()...)
	name := r.HostName
	if name != "" && r.Domain != "" {
		name += "." + r.Domain
	}
	connection := "plain HTTP"
	if r.TLS.Used {
		connection = r.TLS.Version + ", " + r.TLS.Suite
	}
	clock := ""
	if r.Clock != nil {
		clock = r.Clock.Format(time.RFC3339)
		if *r.SkewSeconds != 0 {
			clock += fmt.Sprintf(" (%+.0f s against here)", *r.SkewSeconds)
		}
	}
	return append(lines, [2]string{"SKU", r.SKU}, [2]string{"BIOS", r.BIOS}, [2]string{"UUID", r.UUID}, [2]string{"name in AMT", name},
		[2]string{"SOL", onOff(r.Features.SOL)}, [2]string{"IDE-R", onOff(r.Features.IDER)}, [2]string{"KVM", onOff(r.Features.KVM)},
		[2]string{"redirection port", onOff(r.Features.Listener)}, [2]string{"VNC port 5900", onOff(r.Features.VNCPort)},
		[2]string{"web pages", onOff(r.Features.WebUI)}, [2]string{"consent needed", consentWords(r.Features.Consent)},
		[2]string{"connection", connection}, [2]string{"certificate", r.TLS.Fingerprint}, [2]string{"takes plain HTTP", yesNo(r.TLS.Plaintext)},
		[2]string{"clock", clock})
}

func onOff(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "on"
	}
	return "off"
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

func consentWords(who string) string {
	switch who {
	case "none":
		return "never"
	case "kvm":
		return "for KVM"
	case "all":
		return "for redirection and boot options"
	}
	return who
}

func (c *infoCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Info, error) {
		return client.Info(ctx)
	}, func(h hosts.Host, info console.Info, bad *failure) error {
		if bad != nil {
			if a.Output == "table" {
				return nil
			}
			return out.record(infoRecord{Host: h.Name, Error: problemOf(bad)})
		}
		r := newInfoRecord(h.Name, info)
		return out.object(r, "", r.lines()...)
	})
}
