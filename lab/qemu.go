package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/virtual/qemu"
)

// QEMU says which QEMU process is the PC of a machine. The zero value is a PC as QEMU makes one.
type QEMU struct {
	Args   string `json:"args"`   // of its command line, as in a shell: "-m 256 -cdrom boot.iso"
	Binary string `json:"binary"` // "": qemu-system-x86_64
	Accel  string `json:"accel"`  // "": tcg, unless Args choose
	ME     bool   `json:"me"`     // the guest finds the management engine as a PCI function; the machine is a q35 then
}

// machine makes the PC, which is off, and has QEMU look whether it can be started. inBand is nil, or what the guest's
// management engine is.
func (q *QEMU) machine(ctx context.Context, log *slog.Logger, inBand *inBand) (*qemu.Machine, error) {
	args, err := qemu.SplitArgs(q.Args)
	if err != nil {
		return nil, err
	}
	options := qemu.Options{Binary: q.Binary, Args: args, Accel: q.Accel, Log: log}
	if inBand != nil {
		if slices.ContainsFunc(args, func(a string) bool {
			return slices.Contains(choosesMachine, strings.TrimLeft(a, "-")) && a != strings.TrimLeft(a, "-")
		}) {
			return nil, fmt.Errorf("%w: the management engine in the guest is for a q35 machine, which it chooses itself: leave -machine out", qemu.ErrArgs)
		}
		options.Extras = append(options.Extras, inBand.extra(ctx))
	}
	m, err := qemu.New(options)
	if err != nil {
		return nil, err
	}
	if err := m.Check(ctx); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// lacking is what a BIOS in QEMU cannot do.
var lacking = []string{
	"AMTSecureBootControl", "BIOSReflash", "BIOSSecureBoot", "ConfigurationDataReset", "ForceDiagnosticBoot", "ForceHardDriveSafeModeBoot",
	"ForceUEFIHTTPSBoot", "ForceUEFIPBABoot", "ForceWinREBoot", "PlatformErase", "PowerButtonLock", "ResetButtonLock", "SecureErase", "SleepButtonLock",
	"UserPasswordBypass", "VerbosityQuiet", "VerbosityScreenBlank", "VerbosityVerbose",
}

// errDrawn is what a machine says that is to have what only the drawn PC can.
var errDrawn = errors.New("not with a QEMU process as the PC")

// prepareQEMU brings a machine whose PC is a process into the wanted state.
func (m *Machine) prepareQEMU(ctx context.Context, r *Running, power string) error {
	switch {
	case m.Power != "" && m.Power != "on" && m.Power != "off": // one that was saved asleep or hibernated is off: its process has gone
		return fmt.Errorf("power %q: %w", m.Power, errDrawn)
	case m.USB != "":
		return fmt.Errorf("a USB key for the setup of AMT: %w", errDrawn)
	case m.Hung || m.Standby || m.Deaf:
		return fmt.Errorf("an operating system that hangs, is deaf or has standby: %w", errDrawn)
	}
	if m.SetupRoots != "" {
		if err := trustRoots(r.Firmware, m.SetupRoots); err != nil {
			return err
		}
	}
	r.Firmware.DenyCapabilities(lacking...)
	for property, value := range m.BIOS {
		r.Firmware.SetCapability(property, value)
	}
	if m.Faults != nil || len(m.Refuse) > 0 {
		r.Firmware.SetFaults(m.faults())
	}
	r.QEMU.SetUUID(r.Firmware.Identity().UUID)
	if power == "on" {
		return r.QEMU.Press(ctx)
	}
	return nil
}

// platform returns the PC, whichever it is.
func (r *Running) platform() firmware.Platform {
	if r.QEMU != nil {
		return r.QEMU
	}
	return r.PC
}

// lastBoot returns what the PC remembers of its last boot.
func (r *Running) lastBoot() pc.Boot {
	if r.QEMU != nil {
		return pc.Boot(r.QEMU.LastBoot())
	}
	return r.PC.LastBoot()
}
