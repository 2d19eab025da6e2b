package lab

import (
	"fmt"
	"strings"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/tlv"
)

// Plan returns in words how the last boot was to go: "source=HTTPS url=https://... lock-keyboard"; "" for an ordinary
// one.
func (r *Running) Plan() string {
	p := r.lastBoot().Plan
	var words []string
	if p.Source != firmware.BootDefault {
		words = append(words, "source="+p.Source.String())
	}
	if p.Medium != 0 {
		words = append(words, fmt.Sprintf("medium=%d", p.Medium))
	}
	if p.Option != 0 {
		words = append(words, fmt.Sprintf("option=%d", p.Option))
	}
	for _, param := range p.Params {
		switch {
		case p.PlatformErase || param.Vendor != tlv.Intel:
		case param.Type == tlv.NetworkPath:
			words = append(words, "url="+string(param.Value))
		case param.Type == tlv.HTTPUser:
			words = append(words, "user="+string(param.Value))
		case param.Type == tlv.HTTPPassword:
			words = append(words, fmt.Sprintf("password of %d", len(param.Value)))
		case param.Type == tlv.ServerName:
			words = append(words, "server="+string(param.Value))
		case param.Type == tlv.SyncRootCA:
			words = append(words, fmt.Sprintf("sync=%x", param.Value))
		}
	}
	for _, flag := range []struct {
		on   bool
		word string
	}{
		{p.Setup, "setup"}, {p.Pause, "pause"}, {p.SafeMode, "safe-mode"}, {p.SOL, "sol"}, {p.Reflash, "reflash"}, {p.BypassPassword, "bypass-password"},
		{p.ResetConfig, "reset-bios"}, {p.ProgressEvents, "progress"}, {p.Verbosity == 1, "quiet"}, {p.Verbosity == 2, "verbose"}, {p.Verbosity == 3, "blank"},
		{p.LockPower, "lock-power"}, {p.LockReset, "lock-reset"}, {p.LockSleep, "lock-sleep"}, {p.LockKeyboard, "lock-keyboard"},
		{p.SecureBoot, "secure-boot"}, {p.SecureErase, "secure-erase"}, {p.PlatformErase, "platform-erase"},
	} {
		if flag.on {
			words = append(words, flag.word)
		}
	}
	return strings.Join(words, " ")
}

// Erased returns in words what was taken away from the PC for good: "disk tpm nvm golden"; "" for nothing.
func (r *Running) Erased() string {
	if r.PC == nil {
		return ""
	}
	e := r.PC.Erased()
	var words []string
	for _, part := range []struct {
		gone bool
		word string
	}{{e.Disk, "disk"}, {e.TPM, "tpm"}, {e.NVM, "nvm"}, {e.Golden, "golden"}} {
		if part.gone {
			words = append(words, part.word)
		}
	}
	return strings.Join(words, " ")
}
