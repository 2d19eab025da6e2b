package eventlog

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/guid"
)

// Made by hand from the tables of the PET format: an agent expired, as Intel's guide describes the trap.
const agentTrap = "13aee355d2bfbb6117a088aedd7037ea 0007 30e0b800 003c 58 58 01 ff ff 26 00 aa706cd43b859808 ff 00000157 0000 c1"

func TestTrap(t *testing.T) {
	const specific = 0x12<<16 | 0x0a<<8
	wire := wiretest.Hex(t, agentTrap)
	got, err := ParseTrap(specific, wire)
	if err != nil {
		t.Fatal(err)
	}
	e := got.Event
	if len(wire) != TrapSize || got.GUID.String() != "55e3ae13-bfd2-61bb-17a0-88aedd7037ea" || got.Sequence != 7 || got.Manufacturer != 343 || got.OEM != nil ||
		got.TrapSource != ManagementCard || e.Source != ManagementCard || e.Severity != Monitor || e.Entity != Engine || e.Sensor != SystemEvent || e.EventType != Discrete {
		t.Errorf("%+v", got)
	}
	if e.Text() != "agent 3bd46c70-9885-... expired" {
		t.Error(e.Text())
	}
	// 30e0b800h seconds after 1998 on a clock one hour ahead of UTC.
	if want := time.Date(1998, 1, 1, 0, 0, 0, 0, time.UTC).Add(0x30e0b800*time.Second - time.Hour); !e.When().Equal(want) {
		t.Errorf("%v, want %v", e.When(), want)
	}
	if got.Specific() != specific || !bytes.Equal(got.Append(nil), wire) {
		t.Errorf("%x: wrote %x", got.Specific(), got.Append(nil))
	}
	for _, n := range []int{0, trapFixed - 1, MaxTrap + 1} {
		if trap, err := ParseTrap(specific, make([]byte, n)); !errors.Is(err, ErrLength) || trap.OEM != nil {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

func TestNewTrap(t *testing.T) {
	event := recorded[0].want
	trap := NewTrap(guid.FromSeed("x"), 3, event)
	if b := trap.Append(nil); len(b) != TrapSize {
		t.Errorf("%d octets", len(b))
	}
	got, err := ParseTrap(trap.Specific(), trap.Append(nil))
	if err != nil || got.Event != event {
		t.Errorf("%+v, %v; want %+v", got.Event, err, event)
	}
	trap = NewTrap(guid.GUID{}, 0, Record{Sensor: Fan})
	if got, err := ParseTrap(trap.Specific(), trap.Append(nil)); err != nil || !got.Event.Empty() || got.UTCOffset != -1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTrapRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		specific := uint32(rapid.IntRange(0, 0xffffff).Draw(t, "specific"))
		b := rapid.SliceOfN(rapid.Byte(), trapFixed, MaxTrap).Draw(t, "trap")
		trap, err := ParseTrap(specific, b)
		if err != nil || trap.Specific() != specific || !bytes.Equal(trap.Append(nil), b) {
			t.Fatalf("%x %x: %+v, %v", specific, b, trap, err)
		}
	})
}

func FuzzParseTrap(f *testing.F) {
	f.Add(uint32(0x120a00), wiretest.Hex(f, agentTrap))
	f.Fuzz(func(t *testing.T, specific uint32, b []byte) {
		trap, err := ParseTrap(specific, b)
		if err != nil {
			return
		}
		if trap.Specific() != specific&0xffffff || !bytes.Equal(trap.Append(nil), b) {
			t.Errorf("%x %x: %+v", specific, b, trap)
		}
		trap.Event.Text()
	})
}
