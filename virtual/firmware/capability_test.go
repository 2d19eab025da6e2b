package firmware_test

import (
	"errors"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/wsman"
)

// What the PC's BIOS cannot do is refused when it is put, and what a release does not know stays away.
func TestDenyCapabilities(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{})
		w.SetCapability("PlatformErase", "3")
		w.DenyCapabilities("PlatformErase", "NoSuchThing")
		if err := w.put(t, eraseSettings(firmware.ErasePyrite)); !errors.Is(err, wsman.ErrInvalidRepresentation) {
			t.Errorf("got %v", err)
		}
		c, err := class.Get[amt.BootCapabilities](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if c.PlatformErase == nil || *c.PlatformErase != 0 || len(c.Extra) != 0 {
			t.Errorf("PlatformErase is %v; unknown properties %v", c.PlatformErase, c.Extra)
		}
	})
}
