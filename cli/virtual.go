package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/qemu"
)

type virtualCmd struct {
	Profile  int      `placeholder:"N" help:"Generation of the firmware: 8, 11, 12, 16 or 19; default 19, or what --from or --state say."`
	Release  string   `placeholder:"VERSION" help:"A release instead, such as 12.0.67."`
	Listen   string   `placeholder:"ADDRESS" help:"Address of the first machine; further ones have the next. Default is a free loopback address."`
	Count    int      `default:"1" placeholder:"N" help:"Machines to run."`
	State    string   `placeholder:"FILE" help:"Load the machines' state from FILE if it is there, passwords included, and save it on exit."`
	From     string   `placeholder:"DUMP" help:"Be the machine that outband dump has written to DUMP."`
	Power    string   `enum:"on,off," default:"" placeholder:"on|off" help:"Power state at the start; default is off, or what --state says."`
	TLS      bool     `name:"tls" help:"Switch TLS on, on releases that also speak without."`
	Unset    bool     `help:"AMT is not set up: nothing listens until a USB key with a Setup.bin, or outband local activate, has done it."`
	ME       string   `name:"me" placeholder:"PATH" help:"Offer the management engine to programs on the PC, on a unix socket there: outband local --bus unix:PATH."`
	Wire     string   `name:"wire" placeholder:"PATH" help:"Offer the cable of the PC's network port, on a unix socket there: outband replay sends frames through it."`
	Roots    string   `name:"setup-roots" placeholder:"FILE" help:"Authorities (PEM) whose certificates may set AMT up, beside those that are built in."`
	Monitor  []string `placeholder:"WxH" help:"Size of a monitor, such as 1920x1080; may be given up to four times. Default is one of 1024x768."`
	Programs bool     `help:"The operating system shares its clipboard with consoles of KVM, and answers messages of the data channel."`
	QEMU     qemuArgs `name:"qemu" placeholder:"ARGS" help:"A QEMU process is the machine's PC. ARGS are of its command line, as in a shell: memory, disks, network."`
	Binary   string   `name:"qemu-binary" placeholder:"PATH" help:"QEMU's program; default qemu-system-x86_64."`
	InBand   bool     `help:"With --qemu: the guest has the management engine as a PCI device, for its own driver (mei_me). The machine is a q35 then; see docs/mei.md."`
	Accel    string   `placeholder:"tcg|kvm" help:"How QEMU runs the guest's processors; default tcg, which works everywhere."`
	USB      string   `name:"usb" placeholder:"IMAGE" help:"Boot once with the USB key whose image that is; see outband setupbin stick. A record that was used is marked in the image."`
}

func (virtualCmd) Help() string {
	return "Runs in the foreground until it is told to end by SIGINT (Ctrl-C) or SIGTERM. The machines use the ports of AMT, so that any " +
		"AMT software finds them. The user is admin; the password is AMT_PASSWORD, or made up and shown. When a machine is ready one line " +
		"of JSON is printed: address, ports, user, uuid, profile, tls_fingerprint. The certificate is new at each start unless --state keeps it. " +
		"What it runs on needs no management engine; outband virtual exec runs programs on the PC of such a machine.\n\n" +
		example("outband virtual", "outband virtual serve --count 3", "AMT_PASSWORD=Qwer123$ outband virtual --profile 11 --listen 127.8.0.1 --power on",
			"outband virtual --count 100 --listen 127.9.0.1 --state farm.json", "outband virtual --unset --usb stick.img --profile 12 --listen 127.8.0.1",
			"outband virtual --unset --me /run/user/1000/me.sock", "outband virtual --qemu '-m 512 -cdrom boot.iso' --listen 127.8.0.1")
}

// A virtualRecord is the line that a machine is announced by. Other programs' scripts rely on it.
type virtualRecord struct {
	Address     string `json:"address"`
	Ports       []int  `json:"ports"`
	User        string `json:"user"`
	UUID        string `json:"uuid"`
	Profile     int    `json:"profile"`
	Fingerprint string `json:"tls_fingerprint"` // SHA-256 of the certificate; "" if TLS is off
}

// maxVirtual is the most machines of one process.
const maxVirtual = 10_000

func (c *virtualCmd) Run(a *app) error {
	if c.Count < 1 || c.Count > maxVirtual {
		return usage("", "--count: %d is not in 1..%d", c.Count, maxVirtual)
	}
	if c.ME != "" && c.Count > 1 {
		return usage("", "--me: one machine at a time")
	}
	if c.Wire != "" && c.Count > 1 {
		return usage("", "--wire: one machine at a time")
	}
	if err := c.checkQEMU(); err != nil {
		return err
	}
	machines, err := c.machines(a)
	if err != nil {
		return err
	}
	w, err := lab.Start(a.ctx, lab.World{Machines: machines, Log: c.log(a)})
	if err != nil {
		if a.ctx.Err() != nil {
			return nil
		}
		return &failure{exitFailed, err, startHint(err)}
	}
	defer w.Close()
	enc := json.NewEncoder(a.out)
	for _, m := range w.Machines {
		if c.USB != "" {
			a.keyOutcome(m)
		}
		if err := enc.Encode(virtualRecord{m.Address, m.Ports(), m.User, m.UUID(), m.Generation(), m.Fingerprint()}); err != nil {
			return err
		}
	}
	<-a.ctx.Done()
	if c.State == "" {
		return nil
	}
	state, err := w.State()
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return writeFile(c.State, state)
}

func startHint(err error) string {
	switch {
	case errors.Is(err, qemu.ErrBinary):
		return "install QEMU (on Debian: apt install qemu-system-x86), or say with --qemu-binary where it is"
	case errors.Is(err, qemu.ErrStart), errors.Is(err, qemu.ErrArgs):
		return "the words of --qemu go to QEMU as they are; try them with " + qemu.DefaultBinary
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program, or another virtual machine, has the address; --listen takes another one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this computer does not have the address; on Linux all of 127.0.0.0/8 is there"
	}
	return ""
}

// machines says what to run.
func (c *virtualCmd) machines(a *app) ([]lab.Machine, error) {
	if release := first(c.Release, strconv.Itoa(c.Profile)); release != "0" {
		if _, err := firmware.ProfileOf(release); err != nil {
			return nil, usage("generations are 8, 11, 12, 16 and 19", "%w", err)
		}
	}
	var address netip.Addr
	if c.Listen != "" {
		var err error
		if address, err = netip.ParseAddr(c.Listen); err != nil {
			return nil, usage("such as 127.8.0.1", "--listen: %q is not an IP address", c.Listen)
		}
	}
	var dump []byte
	if c.From != "" {
		var err error
		if dump, err = a.readAll(c.From); err != nil {
			return nil, usage("", "--from: %w", err)
		}
		if _, err := firmware.ReadState(bytes.NewReader(dump)); err != nil {
			return nil, usage("outband dump HOST writes one", "--from: %s: %w", c.From, err)
		}
	}
	states, err := loadStates(c.State)
	if err != nil {
		return nil, err
	}
	if err := canWrite(c.State); err != nil {
		return nil, usage("", "--state: %w", err)
	}
	password := a.env("AMT_PASSWORD")
	switch {
	case len(states) >= c.Count:
		a.detail("user admin, password as it was when %s was saved", c.State)
	case c.Unset: // nobody can log in, and a key brings its own
	case password == "":
		password = madeUpPassword()
		a.note("user admin, password %s", password)
	}
	list := make([]lab.Machine, c.Count)
	for i := range list {
		m := lab.Machine{Profile: c.Profile, Version: c.Release, Password: password, Power: c.Power, TLS: c.TLS, Dump: dump, Unset: c.Unset, USB: c.USB, ME: c.ME, Wire: c.Wire, SetupRoots: c.Roots,
			Monitors: c.Monitor, Programs: c.Programs, KeepCertificate: c.State != ""}
		if c.QEMU.given {
			m.QEMU = &lab.QEMU{Args: c.QEMU.line, Binary: c.Binary, Accel: c.Accel, ME: c.InBand}
		}
		if i < len(states) {
			m.State = states[i]
		}
		if address.IsValid() {
			m.Address = address.String()
			address = address.Next()
		}
		if m.State == nil && dump == nil {
			m.Seed = fmt.Sprintf("outband virtual %s %d", first(c.Listen, "any"), i)
		}
		list[i] = m
	}
	return list, nil
}

// loadStates reads what was saved, if something was.
func loadStates(file string) ([]json.RawMessage, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usage("", "--state: %w", err)
	}
	states, err := lab.ParseState(text)
	if err != nil {
		return nil, usage("move the file away to start anew", "--state: %s: %w", file, err)
	}
	return states, nil
}
