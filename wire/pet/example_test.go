package pet_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/pet"
)

// Somebody opens the case of a machine, and its firmware sends a datagram to UDP port 162 of a console.
func Example() {
	opened := eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.Intrusion, 0, eventlog.Critical, eventlog.SystemBoard, 1)
	trap := pet.New("public", netip.MustParseAddr("192.0.2.7"), 100, eventlog.NewTrap(guid.FromSeed("desk-7"), 1, opened))
	datagram, err := trap.Append(nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	got, err := pet.Parse(datagram)
	if err != nil {
		fmt.Println(err)
		return
	}
	what, err := got.Event()
	fmt.Println(got.Agent, what.GUID == guid.FromSeed("desk-7"), what.Event.Severity, what.Event.Text(), err)
	// Output:
	// 192.0.2.7 true critical case opened <nil>
}
