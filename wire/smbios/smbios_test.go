package smbios

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var write = flag.Bool("write", false, "write testdata/desk.bin")

// area is a formatted area of n octets with fields at offsets: uint8, uint16, uint32, uint64 or []byte.
func area(n int, fields map[int]any) []byte {
	b := make([]byte, n)
	for at, v := range fields {
		switch v := v.(type) {
		case int:
			b[at] = byte(v)
		case uint16:
			binary.LittleEndian.PutUint16(b[at:], v)
		case uint32:
			binary.LittleEndian.PutUint32(b[at:], v)
		case uint64:
			binary.LittleEndian.PutUint64(b[at:], v)
		case []byte:
			copy(b[at:], v)
		case string:
			copy(b[at:], v)
		}
	}
	return b
}

// desk is a desktop PC, made up. Offsets are those of DSP0134, written out here a second time on purpose.
var desk = []Structure{
	{0, 0, area(0x1a, map[int]any{4: 1, 5: 2, 6: uint16(0xf000), 8: 3, 9: 0xff, 0xa: uint64(8), 0x13: 8, 0x14: 2, 0x15: 17, 0x16: 0xff, 0x17: 0xff, 0x18: uint16(32)}),
		[]string{"Acme BIOS", "A17.2  ", "03/14/2022"}},
	{1, 1, area(0x1b, map[int]any{4: 1, 5: 2, 7: 3, 8: []byte{0x91, 0xa3, 0x5e, 0x63, 0x8a, 0xaf, 0x40, 0x87, 0x85, 0xd3, 0x11, 0x93, 0x8e, 0x15, 0x0d, 0x7d}, 0x18: 6, 0x19: 4, 0x1a: 5}),
		[]string{"Acme", "Desk 7", "SN-0001", "D7", "Desk"}},
	{2, 2, area(0x0f, map[int]any{4: 1, 5: 2, 6: 3, 7: 4, 9: 1, 0xb: uint16(3), 0xd: 10}), []string{"Acme", "Board Q", "2.0", "B-17"}},
	{3, 3, area(0x16, map[int]any{4: 1, 5: 0x83, 6: 2, 7: 3, 8: 4, 0x15: 5}), []string{"Acme", "1", "C-1", "asset 9", "SKU-C"}},
	{4, 4, area(0x30, map[int]any{4: 1, 5: 3, 6: 0xfe, 7: 2, 8: uint64(0xbfebfbff000906ea), 0x10: 3, 0x11: 0x8c, 0x12: uint16(100), 0x14: uint16(5000), 0x16: uint16(3200),
		0x18: 0x41, 0x20: 0, 0x23: 6, 0x24: 6, 0x25: 12, 0x28: uint16(0xc6), 0x2a: uint16(6), 0x2c: uint16(6), 0x2e: uint16(12)}),
		[]string{"U3E1", "Intel(R) Corporation", "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz"}},
	{4, 5, area(0x28, map[int]any{4: 1, 5: 3, 6: 2}), []string{"U3E2"}},
	{7, 6, area(0x1b, map[int]any{4: 1, 5: uint16(0x0182), 7: uint16(0x8000 | 192), 9: uint16(0x8000 | 192), 0x10: 6, 0x11: 5, 0x12: 8, 0x13: uint32(12288), 0x17: uint32(12288)}), []string{"L3 Cache"}},
	{9, 7, area(0x11, map[int]any{4: 1, 5: 0xb6, 6: 2, 7: 3, 0xd: uint16(0), 0xf: 0, 0x10: 0x08}), []string{"SLOT1"}},
	{9, 8, area(0x11, map[int]any{4: 1, 5: 23, 6: 2, 7: 4, 0xd: uint16(0), 0xf: 1, 0x10: 0x00}), []string{"M.2"}},
	{11, 9, area(5, map[int]any{4: 2}), []string{"first", "second"}},
	{16, 0x10, area(0x17, map[int]any{4: 3, 5: 3, 6: 3, 7: uint32(64 << 20), 0xb: uint16(0xfffe), 0xd: uint16(2)}), nil},
	{17, 0x11, area(0x5c, map[int]any{4: uint16(0x10), 6: uint16(0xfffe), 8: uint16(64), 0xa: uint16(64), 0xc: uint16(0x7fff), 0xe: 9, 0x10: 1, 0x11: 2, 0x12: 26, 0x15: uint16(2666),
		0x17: 3, 0x18: 4, 0x1a: 5, 0x1b: 2, 0x1c: uint32(32768), 0x20: uint16(2400), 0x26: uint16(1200)}),
		[]string{"DIMM 1", "BANK 0", "Samsung", "12345678", "M378A4G43MB1-CTD"}},
	{17, 0x12, area(0x5c, map[int]any{4: uint16(0x10), 6: uint16(0xfffe), 8: uint16(0xffff), 0xa: uint16(0xffff), 0xe: 9, 0x10: 1, 0x11: 2, 0x12: 2}), []string{"DIMM 2", "BANK 1"}},
	{17, 0x13, area(0x5c, map[int]any{4: uint16(0x10), 6: uint16(0xfffe), 8: uint16(72), 0xa: uint16(64), 0xc: uint16(16384), 0xe: 13, 0x10: 1, 0x12: 34, 0x15: uint16(0xffff), 0x54: uint32(70000)}),
		[]string{"DIMM 3"}},
	{19, 0x14, area(0x1f, map[int]any{4: uint32(0), 8: uint32(32<<20 - 1), 0xc: uint16(0x10), 0xe: 1}), nil},
	{41, 0x15, area(0xb, map[int]any{4: 1, 5: 0x85, 6: 1, 7: uint16(0), 9: 0, 0xa: 0xfe}), []string{"Onboard LAN"}},
	{43, 0x16, area(0x1f, map[int]any{4: "INTC", 8: 2, 9: 0, 0xa: uint32(402<<16 | 1), 0x12: 1}), []string{"INTEL"}},
	{130, 0x17, area(0x14, map[int]any{4: "$AMT", 8: 1, 9: 1, 10: 1, 11: 1, 18: 1}), nil},
	{131, 0x18, area(0x40, map[int]any{4: 0x3c, 8: uint16(12), 10: uint16(0), 12: uint16(0), 14: uint16(7),
		28: uint16(0), 30: uint16(12), 32: uint16(1579), 34: uint16(67), 56: "vPro"}), nil},
	{127, 0x19, area(4, nil), nil},
}

var deskEntry = Entry{Major: 3, Minor: 3, Revision: 0, Wide: true}

// want is what the structures of desk say.
var want = &Inventory{
	BIOS: &BIOS{Vendor: "Acme BIOS", Version: "A17.2", Date: "03/14/2022", ROM: 32 << 20, Revision: "2.17", UEFI: true},
	System: &System{Manufacturer: "Acme", Product: "Desk 7", Serial: "SN-0001", UUID: "635ea391-af8a-8740-85d3-11938e150d7d", Wake: "power switch", SKU: "D7",
		Family: "Desk"},
	Boards:  []Board{{Manufacturer: "Acme", Product: "Board Q", Version: "2.0", Serial: "B-17"}},
	Chassis: []Chassis{{Manufacturer: "Acme", Type: "desktop", Lock: true, Version: "1", Serial: "C-1", Asset: "asset 9", SKU: "SKU-C"}},
	Processors: []Processor{
		{Socket: "U3E1", Populated: true, Status: "enabled", Type: "central processor", Family: "Core i7", Manufacturer: "Intel(R) Corporation",
			Version: "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", ID: "bfebfbff000906ea", Volts: 1.2, ClockMHz: 100, MaxMHz: 5000, MHz: 3200, Cores: 6, Enabled: 6, Threads: 12},
		{Socket: "U3E2", Status: "unknown", Type: "central processor", Family: "unknown"},
	},
	Caches:  []Cache{{Name: "L3 Cache", Level: 3, Enabled: true, Mode: "write back", Bytes: 12 << 20, Max: 12 << 20, Type: "unified", Ways: "16-way", ECC: "multi-bit ECC"}},
	Slots:   []Slot{{Name: "SLOT1", Type: "PCI Express 3 x16", Used: new(false), Address: "0000:00:01.0"}, {Name: "M.2", Type: "M.2 Socket 3", Used: new(true), Address: "0000:01:00.0"}},
	Devices: []Device{{Name: "Onboard LAN", Type: "Ethernet", Instance: 1, Address: "0000:00:1f.6"}},
	Arrays:  []MemoryArray{{Handle: 0x10, Location: "system board", Use: "system memory", ECC: "none", Max: 64 << 30, Sockets: 2}},
	Memory: []MemoryDevice{
		{Array: 0x10, Locator: "DIMM 1", Bank: "BANK 0", Bytes: 32 << 30, Type: "DDR4", Form: "DIMM", Width: 64, Total: 64, MTs: 2666, Configured: 2400, Rank: 2, Millivolts: 1200,
			Manufacturer: "Samsung", Serial: "12345678", Part: "M378A4G43MB1-CTD"},
		{Array: 0x10, Locator: "DIMM 2", Bank: "BANK 1", Type: "unknown", Form: "DIMM"},
		{Array: 0x10, Locator: "DIMM 3", Bytes: 16 << 30, Type: "DDR5", Form: "SODIMM", Width: 64, Total: 72, MTs: 70000},
	},
	Mapped: []MappedMemory{{Array: 0x10, Start: 0, End: 32<<30 - 1}},
	TPM:    &TPM{Vendor: "INTC", Version: "2.0", Firmware: "402.1", Description: "INTEL"},
	Texts:  []string{"first", "second"},
	AMT:    &AMT{Supported: true, Enabled: true, IDER: true, SOL: true, KVM: true},
	VPro:   &VPro{TXT: new(true), VMX: new(true), MEBx: "12.0.0.7", ME: "12.0.67.1579"},
}

// TestDump: what is written is read again, and says what it should. dmidecode judges the file in conformance.
func TestDump(t *testing.T) {
	dump := AppendDump(nil, deskEntry, desk)
	const file = "testdata/desk.bin"
	if *write {
		if err := os.WriteFile(file, dump, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(kept, dump) {
		t.Errorf("%s: %v, or not what go test -write writes", file, err)
	}
	e, list, err := ParseDump(dump)
	if err != nil || e.Version() != "3.3.0" || len(list) != len(desk) {
		t.Fatalf("%+v, %d structures, %v", e, len(list), err)
	}
	for i := range list { // the header is written anew
		if again := list[i].Append(nil); !bytes.Equal(again, desk[i].Append(nil)) {
			t.Errorf("%d: wrote %x, read %x", i, again, desk[i].Append(nil))
		}
	}
	if diff := cmp.Diff(want, NewInventory(e, list)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestEntries: the three kinds of entry points.
func TestEntries(t *testing.T) {
	narrow := Entry{Major: 2, Minor: 8, Length: 700, Address: 0xe0000, Count: 20}
	wide := Entry{Major: 3, Minor: 2, Revision: 1, Wide: true, Length: 5000, Address: 1 << 40}
	for _, tt := range []struct {
		name string
		b    []byte
		want Entry
		err  error
	}{
		{"32 bits", narrow.Append(nil), narrow, nil},
		{"64 bits", wide.Append(nil), wide, nil},
		{"before SMBIOS", narrow.Append(nil)[16:], narrow, nil},
		{"cut", wide.Append(nil)[:23], Entry{}, ErrShort},
		{"cut in the second half", narrow.Append(nil)[:30], Entry{}, ErrShort},
		{"something else", []byte("_HI_"), Entry{}, ErrFormat},
		{"wrong sum", append([]byte("_SM3_\x00"), wide.Append(nil)[6:]...), Entry{}, ErrFormat},
	} {
		got, err := ParseEntry(tt.b)
		if err == nil && got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %+v, %v; want %+v, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

// TestDamaged: what was read before the damage is there.
func TestDamaged(t *testing.T) {
	whole := desk[0].Append(nil)
	for _, tt := range []struct {
		name  string
		after []byte
		err   error
	}{
		{"cut header", []byte{1, 4}, ErrShort},
		{"cut area", []byte{1, 27, 0, 0, 5}, ErrShort},
		{"cut strings", []byte{1, 4, 0, 0, 'a', 'b'}, ErrShort},
		{"a length that cannot be", []byte{1, 3, 0, 0, 0, 0}, ErrFormat},
		{"too many strings", append(append([]byte{1, 4, 0, 0}, bytes.Repeat([]byte("a\x00"), 300)...), 0), ErrFormat},
	} {
		list, err := Parse(append(bytes.Clone(whole), tt.after...))
		if len(list) != 1 || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d structures, %v; want 1, %v", tt.name, len(list), err, tt.err)
		}
	}
	if _, err := Parse(make([]byte, MaxTable+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
	if list, err := Parse(bytes.Repeat([]byte{126, 4, 0, 0, 0, 0}, maxStructures+1)); len(list) != maxStructures || !errors.Is(err, ErrFormat) {
		t.Errorf("too many: %d, %v", len(list), err)
	}
	if _, _, err := ParseDump(Entry{Major: 3, Wide: true, Address: 1 << 60}.Append(nil)); !errors.Is(err, ErrShort) {
		t.Errorf("a table far away: %v", err)
	}
}

// TestOlder: UUIDs were written otherwise before release 2.6; a shorter area has fewer fields; other makers use 130 too.
func TestOlder(t *testing.T) {
	system := Structure{Type: 1, Data: area(0x19, map[int]any{8: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}})}
	list := []Structure{system, {Type: 0, Data: area(0x12, map[int]any{9: 0xf})}, {Type: 17, Data: area(0x15, map[int]any{0xc: uint16(0x8000 | 512)})},
		{Type: 130, Data: area(20, map[int]any{4: "Dell"})}, {Type: 131, Data: area(8, nil)}}
	v := NewInventory(Entry{Major: 2, Minor: 4}, list)
	if v.System.UUID != "01020304-0506-0708-090a-0b0c0d0e0f10" || v.BIOS.ROM != 1<<20 || v.BIOS.Revision != "" || v.Memory[0].Bytes != 512<<10 || v.AMT != nil || v.VPro != nil {
		t.Errorf("%+v %+v %+v %v %v", v.System, v.BIOS, v.Memory, v.AMT, v.VPro)
	}
	if v := NewInventory(Entry{Major: 2, Minor: 6}, list); v.System.UUID != "04030201-0605-0807-090a-0b0c0d0e0f10" {
		t.Errorf("2.6: %s", v.System.UUID)
	}
	for _, filler := range []byte{0, 0xff} {
		s := Structure{Type: 1, Data: area(0x19, map[int]any{8: bytes.Repeat([]byte{filler}, 16)})}
		if v := NewInventory(deskEntry, []Structure{s}); v.System.UUID != "" {
			t.Errorf("all %x: %s", filler, v.System.UUID)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(AppendDump(nil, deskEntry, desk))
	f.Add(AppendDump(nil, Entry{Major: 2, Minor: 3}, desk[:6]))
	f.Add([]byte("_DMI_"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, list, err := ParseDump(b)
		NewInventory(e, list)
		if err != nil {
			return
		}
		var table []byte
		for _, s := range list {
			table = s.Append(table)
		}
		again, err := Parse(table)
		if err != nil || len(again) != len(list) {
			t.Fatalf("wrote %d structures, read %d: %v", len(list), len(again), err)
		}
		if diff := cmp.Diff(NewInventory(e, list), NewInventory(e, again)); diff != "" {
			t.Errorf("read again: %s", diff)
		}
	})
}
