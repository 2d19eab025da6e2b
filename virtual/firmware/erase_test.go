package firmware_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/tlv"
	"github.com/outband/outband/wire/wsman"
)

// eraseSettings asks for a platform erase.
func eraseSettings(set firmware.EraseSet) func(*amt.BootSettingData) {
	return func(d *amt.BootSettingData) {
		p := tlv.DWord(tlv.EraseMask, uint32(set))
		d.PlatformErase, d.UefiBootParametersArray, d.UefiBootNumberOfParams = new(true), p.Append(nil), new(uint32(1))
	}
}

// The BIOS erases what is asked for and tells so; the events say what was done.
func TestPlatformEraseTellsResult(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{})
		on := cim.BootServiceRequestStateChangeIn{RequestedState: new(cim.BootServiceRequestedState(32770))}
		if _, err := cim.BootServiceRequestStateChange.Invoke(t.Context(), w, on); err != nil {
			t.Fatal(err)
		}
		if err := w.put(t, eraseSettings(firmware.EraseSSD|firmware.EraseTPM)); err != nil {
			t.Fatal(err)
		}
		w.role(t, 1)
		w.request(t, cim.PowerStateOn)
		w.settle()
		if got, want := w.pc.Erased(), (pc.Erased{Disk: true, TPM: true}); got != want {
			t.Errorf("erased %+v, want %+v", got, want)
		}
		d, err := class.Get[amt.BootSettingData](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(d.BIOSLastStatus, []uint16{0, 0}) || class.Value(d.PlatformErase) || !class.Value(d.OptionsCleared) {
			t.Errorf("status %v, erase %v, cleared %v", d.BIOSLastStatus, class.Value(d.PlatformErase), class.Value(d.OptionsCleared))
		}
		var erase [][3]byte
		for _, r := range w.Events() {
			b := r.Append(nil)
			if b[13] == 0xaa && b[14] == 0x40 {
				erase = append(erase, [3]byte(b[14:17]))
			}
		}
		slices.Reverse(erase)
		want := [][3]byte{{0x40, 3, 0}, {0x40, 1, 2}, {0x40, 2, 2}, {0x40, 1, 3}, {0x40, 2, 3}}
		for i := range erase {
			if i == 0 {
				erase[i][2] = 0
			}
		}
		if !slices.Equal(erase, want) {
			t.Errorf("events %v, want %v", erase, want)
		}
	})
}

// Unconfiguring is the engine's part: the machine is not set up any more.
func TestPlatformEraseUnconfigures(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{Password: "x"})
		on := cim.BootServiceRequestStateChangeIn{RequestedState: new(cim.BootServiceRequestedState(32770))}
		if _, err := cim.BootServiceRequestStateChange.Invoke(t.Context(), w, on); err != nil {
			t.Fatal(err)
		}
		erase := func(set firmware.EraseSet) {
			t.Helper()
			if err := w.put(t, eraseSettings(set)); err != nil {
				t.Fatal(err)
			}
			w.role(t, 1)
			w.request(t, cim.PowerStateOn)
			w.settle()
		}
		erase(firmware.EraseSSD | firmware.EraseUnconfigure) // the drive wants a password: nothing is done
		if got := w.ControlMode(); got != firmware.ModeAdmin {
			t.Fatalf("after a failure: %v", got)
		}
		w.request(t, cim.PowerStateOffSoft)
		w.settle()
		erase(firmware.EraseUnconfigure)
		if got := w.ControlMode(); got != firmware.ModeNone {
			t.Errorf("afterwards: %v", got)
		}
	})
}

// What the BIOS cannot erase is refused when it is put.
func TestPlatformEraseRefused(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{})
		if err := w.put(t, eraseSettings(firmware.ErasePyrite)); !errors.Is(err, wsman.ErrInvalidRepresentation) {
			t.Errorf("got %v", err)
		}
		w.SetCapability("PlatformErase", "3")
		if err := w.put(t, eraseSettings(firmware.ErasePyrite)); err != nil {
			t.Errorf("once it can: %v", err)
		}
	})
}
