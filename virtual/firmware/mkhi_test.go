package firmware_test

import (
	"testing"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/mkhi"
)

// The engine tells its release, with and without a connection.
func TestMKHI(t *testing.T) {
	h := newHost(t, firmware.Config{Version: "12.0.67.1579"})
	for _, client := range []guid.GUID{mei.MKHI, mei.MKHIFixed} {
		c, err := h.bus.Connect(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		got, err := mkhi.Versions(t.Context(), c)
		want := mei.FirmwareVersion{Major: 12, Hotfix: 67, Build: 1579}
		if err != nil || len(got) != 3 || got[0] != want || got[1] != want || got[2] != want {
			t.Errorf("%v: got %v, %v; want %v three times", client, got, err, want)
		}
		c.Close()
	}
}
