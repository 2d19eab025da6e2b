package asset

import (
	"errors"
	"testing"
)

// dmidecode prints the same of this table.
func TestCommon(t *testing.T) {
	table, err := ParseTable(readTable(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := table[0].BIOS(); err != nil || got != (BIOS{Vendor: "LENOVO", Version: "8DET59WW (1.29 )", Date: "04/02/2012", ROM: 8 << 20, Characteristics: 0x80, Release: "1.29", Controller: "1.20"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := table[1].System(); err != nil || got.UUID.String() != "55e3ae13-bfd2-61bb-17a0-88aedd7037ea" || got.Product != "42982YG" || got.Serial != "R900001" ||
		got.WakeUp != 6 || got.SKU != "" || got.Family != "ThinkPad X220 Tablet" || got.Version != got.Family || got.Manufacturer != "LENOVO" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := table[2].Board(); err != nil || got != (Board{"LENOVO", "42982YG", "Not Available", "1Z0000000001", "Not Available"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := table[3].Chassis(); err != nil || got != (Chassis{Manufacturer: "LENOVO", Version: "Not Available", Serial: "R900001", AssetTag: "No Asset Information", Form: 10}) || ChassisForm(got.Form) != "notebook" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := table[4].Processor(); err != nil || got != (Processor{Socket: "CPU", Manufacturer: "Intel(R) Corporation", Version: "Intel(R) Core(TM) i7-2620M CPU @ 2.70GHz",
		Serial: "Not Supported by CPU", AssetTag: "None", Part: "None", Family: 0xc6, ID: 0xbfebfbff000206a7, ExternalClock: 100, MaxSpeed: 2700, Speed: 2700,
		Populated: true, Cores: 2, CoresOn: 2, Threads: 4}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := table[5].Memory(); err != nil || got != (Memory{Locator: "ChannelA-DIMM0", Bank: "BANK 0", Manufacturer: "Samsung", Serial: "11223344", AssetTag: "9876543210",
		Part: "M471B5773DH0-CH9  ", Size: 2 << 30, Kind: 24, Form: 13, Speed: 1333}) || MemoryKind(got.Kind) != "DDR3" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := table[6].Memory(); err != nil || got != (Memory{Locator: "DIMM 1", Bank: "BANK 1", Size: 64 << 30, Kind: 34, Form: 13, Speed: 70000, Configured: 5600}) || MemoryKind(got.Kind) != "DDR5" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCommonEdges(t *testing.T) {
	set := func(kind uint8, n int, values map[int]byte) Structure {
		s := Structure{Type: kind, Data: make([]byte, n-headerLen)}
		for offset, v := range values {
			s.Data[offset-headerLen] = v
		}
		return s
	}
	for _, tt := range []struct {
		name string
		s    Structure
		want uint64
	}{
		{"empty slot", set(TypeMemory, 28, nil), 0},
		{"not known", set(TypeMemory, 28, map[int]byte{12: 0xff, 13: 0xff}), 0},
		{"kilobytes", set(TypeMemory, 28, map[int]byte{12: 0x00, 13: 0x82}), 512 << 10},
		{"extended, top bit ignored", set(TypeMemory, 34, map[int]byte{12: 0xff, 13: 0x7f, 29: 0x80, 31: 0x80}), 32768 << 20},
		{"old structure", set(TypeMemory, 14, map[int]byte{12: 1}), 1 << 20},
	} {
		if m, err := tt.s.Memory(); err != nil || m.Size != tt.want {
			t.Errorf("%s: %d, %v; want %d", tt.name, m.Size, err, tt.want)
		}
	}
	if b, err := set(TypeBIOS, 26, map[int]byte{9: 0xff, 24: 32, 20: 0xff, 22: 0xff}).BIOS(); err != nil || b.ROM != 32<<20 || b.Release != "" || b.Controller != "" {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := set(TypeBIOS, 26, map[int]byte{9: 0xff, 24: 1, 25: 0x40}).BIOS(); err != nil || b.ROM != 1<<30 {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := (Structure{Type: TypeBIOS}).BIOS(); err != nil || b != (BIOS{}) {
		t.Errorf("%+v, %v", b, err)
	}
	if p, err := set(TypeProcessor, 48, map[int]byte{6: 0xfe, 41: 1, 35: 0xff, 43: 1, 36: 16, 37: 0xff, 46: 0xff}).Processor(); err != nil || p.Family != 256 || p.Cores != 256 || p.CoresOn != 16 || p.Threads != 255 {
		t.Errorf("%+v, %v", p, err)
	}
	if c, err := set(TypeChassis, 9, map[int]byte{5: 0x83}).Chassis(); err != nil || !c.Lock || ChassisForm(c.Form) != "desktop" {
		t.Errorf("%+v, %v", c, err)
	}
	for got, want := range map[string]string{ChassisForm(0): "unknown (0)", ChassisForm(37): "unknown (37)", ChassisForm(36): "stick PC", MemoryKind(99): "unknown (99)"} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}

	// Every reader refuses another type.
	other := Structure{Type: 42}
	for name, read := range map[string]func() error{
		"BIOS": func() error { _, err := other.BIOS(); return err }, "System": func() error { _, err := other.System(); return err },
		"Board": func() error { _, err := other.Board(); return err }, "Chassis": func() error { _, err := other.Chassis(); return err },
		"Processor": func() error { _, err := other.Processor(); return err }, "Memory": func() error { _, err := other.Memory(); return err },
		"AMT": func() error { _, err := other.AMT(); return err }, "VPro": func() error { _, err := other.VPro(); return err },
	} {
		if err := read(); !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
