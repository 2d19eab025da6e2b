package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/status"
)

// A Machine says what one machine is to be. The zero value is of the newest generation, switched off, and behaves. It
// can be read from JSON, as the stories of package cli do.
type Machine struct {
	Name     string `json:"name"`    // what the caller calls it; "": nothing
	Profile  int    `json:"profile"` // generation: 8, 11, 12, 16, 19; 0: 19
	Version  string `json:"version"` // a release instead: "12.0.67.1579"
	Address  string `json:"address"` // "": a free one of 127.0.0.0/8
	Seed     string `json:"seed"`    // what the identity derives from; "": the address
	UUID     string `json:"uuid"`
	HostName string `json:"host_name"`
	Password string `json:"password"` // of admin; "": firmware.DefaultPassword
	Power    string `json:"power"`    // "on", "off", "asleep", "hibernated"; "": off
	TLS      bool   `json:"tls"`      // TLS switched on, on releases that also speak without

	Certificate *Certificate `json:"certificate"` // what TLS shows; nil: self-signed and good
	Unset       bool         `json:"unset"`       // AMT is there but not set up: nothing listens
	USB         string       `json:"usb"`         // file with the image of a USB key; the PC is booted with it once, and is on then
	Decline     bool         `json:"decline"`     // the person in front of the PC says no to what the BIOS asks
	ClientMode  bool         `json:"client_mode"` // client control mode: boot options need consent
	ME          string       `json:"me"`          // path of a unix socket with its management engine, for programs on the PC; "": none
	Wire        string       `json:"wire"`        // path of a unix socket with the cable of its wired port: frames as pcap, in and out; "": none
	SetupRoots  string       `json:"setup_roots"` // file with PEM certificates of authorities that may vouch for setup, beside the built-in ones

	QEMU *QEMU `json:"qemu"` // a QEMU process is its PC; nil: it is drawn

	NoAgent  bool   `json:"no_agent"` // no LMS in the operating system
	Deaf     bool   `json:"deaf"`     // the operating system ignores wishes
	Hung     bool   `json:"hung"`     // the operating system hangs
	Standby  bool   `json:"standby"`  // modern standby
	Boot     string `json:"boot"`     // what the operating system takes to start: "2s"; "": half a second
	SelfTest string `json:"selftest"` // what the BIOS takes before that: "1m"; "": 300 ms

	Monitors []string `json:"monitors"` // sizes, as "1920x1080"; none: one of 1024x768
	Programs bool     `json:"programs"` // its operating system shares its clipboard with consoles, and answers them by KVM's data channel
	Clock    string   `json:"clock"`    // what the clock of its desktop shows, for pictures that are to be alike; default is the time of day

	BIOS          map[string]string `json:"bios"`           // what AMT_BootCapabilities says otherwise than usual
	DrivePassword string            `json:"drive_password"` // that erasing the drive needs
	PSID          string            `json:"psid"`           // printed on the drive; "": it knows no Pyrite revert

	Wireless *firmware.Wireless `json:"wireless"` // Wi-Fi adapter and what is in the air; nil: none

	Refuse map[string]status.Status `json:"refuse"` // ReturnValue by method
	Faults *firmware.Faults         `json:"faults"`

	// Stray is something that is no AMT machine, on port 16992: "closes" hangs up at once, "talks" speaks another
	// protocol, "web" is another web server, "silent" never says a word.
	Stray string `json:"stray"`

	Repeat          bool            `json:"-"` // nonces derive from Seed, for recorded conversations
	KeepCertificate bool            `json:"-"` // make the certificate at once, so that it is part of the state
	State           json.RawMessage `json:"-"` // of an earlier machine, as [Running.State] gave it
	Dump            json.RawMessage `json:"-"` // of a real machine, as "outband dump" wrote it
}

// ParseMachine reads a Machine from JSON. Unknown fields are mistakes.
func ParseMachine(text []byte) (Machine, error) {
	var m Machine
	if err := strictJSON(text, &m); err != nil {
		return m, fmt.Errorf("lab: machine: %w", err)
	}
	return m, nil
}

// newest is the generation of the zero Machine.
const newest = 19

// config says what firmware to make. power is the state that the PC is to be in, if the machine's state knows.
func (m *Machine) config(address string, log *slog.Logger) (c firmware.Config, power string, err error) {
	c = firmware.Config{Generation: m.Profile, Version: m.Version, Seed: m.Seed, Repeat: m.Repeat, HostName: m.HostName, TLS: m.TLS, Client: m.ClientMode, Factory: m.Unset, Wireless: m.Wireless, Log: log}
	cert := m.Certificate
	switch {
	case m.State != nil:
		var saved machineState
		if err := strictJSON(m.State, &saved); err != nil {
			return c, "", fmt.Errorf("state: %w", err)
		}
		if saved.Certificate != "" {
			cert = &Certificate{PEM: saved.Certificate}
		}
		power = saved.Power
		c.State, err = firmware.ReadState(bytes.NewReader(saved.Firmware))
	case m.Dump != nil:
		c.State, err = firmware.ReadState(bytes.NewReader(m.Dump))
	}
	if err != nil {
		return c, "", err
	}
	if c.Generation == 0 && c.Version == "" && c.State == nil {
		c.Generation = newest
	}
	if c.Seed == "" && c.State == nil {
		c.Seed = address
	}
	if m.UUID != "" {
		if c.UUID, err = guid.Parse(m.UUID); err != nil {
			return c, "", err
		}
	}
	// Making a key takes longer than all the rest: it is left to the firmware, which does it when it is first needed,
	// unless somebody wants to know the certificate before.
	if cert == nil && (m.KeepCertificate || speaksTLS(&c)) {
		cert = &Certificate{}
	}
	c.Certificate, err = cert.make(address)
	return c, power, err
}

// speaksTLS reports whether a machine has TLS from the start.
func speaksTLS(c *firmware.Config) bool {
	release := c.Version
	if release == "" && c.Generation != 0 {
		release = strconv.Itoa(c.Generation)
	}
	if c.State != nil {
		release = cmp.Or(release, c.State.Version)
		if c.State.TLS {
			return true
		}
	}
	p, err := firmware.ProfileOf(release)
	return c.TLS || err == nil && !p.Plain
}

// pc says what PC to make; power is as in Machine.Power.
func (m *Machine) pc(power string) (pc.Options, error) {
	o := pc.Options{On: power == "on" || power == "asleep" || power == "hibernated", NoAgent: m.NoAgent, Deaf: m.Deaf, Standby: m.Standby, Decline: m.Decline, Programs: m.Programs, Clock: m.Clock}
	o.Password, o.PSID = m.DrivePassword, m.PSID
	for _, d := range []struct {
		name, value string
		to          *time.Duration
	}{{"boot", m.Boot, &o.OSStart}, {"selftest", m.SelfTest, &o.SelfTest}} {
		if d.value == "" {
			continue
		}
		v, err := time.ParseDuration(d.value)
		if err != nil {
			return o, fmt.Errorf("%s: %w", d.name, err)
		}
		*d.to = v
	}
	var err error
	o.Monitors, err = parseMonitors(m.Monitors)
	return o, err
}

// prepare brings a machine that is built, but not seen by anybody yet, into the wanted state.
func (m *Machine) prepare(ctx context.Context, r *Running, power string) error {
	switch power {
	case "", "on", "off":
	case "asleep":
		if err := fallAsleep(ctx, r.PC, firmware.S3, r.PC.Person().Sleep); err != nil {
			return err
		}
	case "hibernated":
		if err := fallAsleep(ctx, r.PC, firmware.S4, r.PC.Person().Hibernate); err != nil {
			return err
		}
	default:
		return fmt.Errorf("power %q is none of on, off, asleep, hibernated", power)
	}
	if m.SetupRoots != "" {
		if err := trustRoots(r.Firmware, m.SetupRoots); err != nil {
			return err
		}
	}
	if m.USB != "" {
		if err := bootWithKey(ctx, r.PC, m.USB); err != nil {
			return err
		}
	}
	for property, value := range m.BIOS {
		r.Firmware.SetCapability(property, value)
	}
	if m.Hung {
		r.PC.Person().Hang()
	}
	if m.Faults != nil || len(m.Refuse) > 0 {
		r.Firmware.SetFaults(m.faults())
	}
	return nil
}

// fallAsleep presses the key that does it, and waits until it is done.
func fallAsleep(ctx context.Context, p *pc.PC, want firmware.Sx, press func()) error {
	there := make(chan struct{}, 1)
	cancel := p.Watch(func(e firmware.Event) {
		if e.Power == want {
			select {
			case there <- struct{}{}:
			default:
			}
		}
	})
	defer cancel()
	press()
	select {
	case <-there:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// faults joins what is to go wrong.
func (m *Machine) faults() *firmware.Faults {
	f := firmware.Faults{}
	if m.Faults != nil {
		f = *m.Faults
	}
	if len(m.Refuse) > 0 {
		f.Refuse = m.Refuse
	}
	return &f
}
