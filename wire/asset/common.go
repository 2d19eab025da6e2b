package asset

import (
	"fmt"

	"github.com/outband/outband/wire/guid"
)

// BIOS is the structure of type 0. DSP0134 7.1.
type BIOS struct {
	Vendor, Version, Date string // the date as MM/DD/YYYY
	ROM                   uint64 // octets
	Characteristics       uint64 // bits
	Release               string // "1.29", "" if not told
	Controller            string // release of the embedded controller's firmware, "" if not told
}

// BIOS reads a structure of type 0. The error wraps [ErrOther].
func (s Structure) BIOS() (BIOS, error) {
	if err := s.want(TypeBIOS); err != nil {
		return BIOS{}, err
	}
	b := BIOS{Vendor: s.string(4), Version: s.string(5), Date: s.string(8), Characteristics: s.qword(10)}
	if s.has(9, 1) {
		b.ROM = (uint64(s.octet(9)) + 1) * 64 << 10
	}
	if size := uint64(s.word(24)); s.octet(9) == 0xff && size != 0 { // extended: unit in bits 14 and 15
		b.ROM = size & 0x3fff << 20
		if size>>14 == 1 {
			b.ROM <<= 10
		}
	}
	release := func(offset int) string {
		if !s.has(offset, 2) || s.octet(offset) == 0xff {
			return ""
		}
		return fmt.Sprintf("%d.%d", s.octet(offset), s.octet(offset+1))
	}
	b.Release, b.Controller = release(20), release(22)
	return b, nil
}

// System is the structure of type 1. DSP0134 7.2.
type System struct {
	Manufacturer, Product, Version, Serial string
	UUID                                   guid.GUID // zeros or ones if not set
	WakeUp                                 uint8     // 5 LAN remote, 6 power switch
	SKU, Family                            string
}

// System reads a structure of type 1. The error wraps [ErrOther].
func (s Structure) System() (System, error) {
	if err := s.want(TypeSystem); err != nil {
		return System{}, err
	}
	return System{
		Manufacturer: s.string(4), Product: s.string(5), Version: s.string(6), Serial: s.string(7),
		UUID: guid.GUID(s.field(8, 16)), WakeUp: s.octet(24), SKU: s.string(25), Family: s.string(26),
	}, nil
}

// Board is the structure of type 2. DSP0134 7.3.
type Board struct{ Manufacturer, Product, Version, Serial, AssetTag string }

// Board reads a structure of type 2. The error wraps [ErrOther].
func (s Structure) Board() (Board, error) {
	if err := s.want(TypeBoard); err != nil {
		return Board{}, err
	}
	return Board{s.string(4), s.string(5), s.string(6), s.string(7), s.string(8)}, nil
}

// Chassis is the structure of type 3. DSP0134 7.4.
type Chassis struct {
	Manufacturer, Version, Serial, AssetTag string
	Form                                    uint8 // 3 desktop, 9 laptop, 10 notebook ...; see ChassisForm
	Lock                                    bool
}

// Chassis reads a structure of type 3. The error wraps [ErrOther].
func (s Structure) Chassis() (Chassis, error) {
	if err := s.want(TypeChassis); err != nil {
		return Chassis{}, err
	}
	form := s.octet(5)
	return Chassis{Manufacturer: s.string(4), Form: form & 0x7f, Lock: form&0x80 != 0, Version: s.string(6), Serial: s.string(7), AssetTag: s.string(8)}, nil
}

// ChassisForm returns the name of a form. DSP0134 table 17.
func ChassisForm(form uint8) string {
	if int(form) < len(chassisForms) && chassisForms[form] != "" {
		return chassisForms[form]
	}
	return fmt.Sprintf("unknown (%d)", form)
}

var chassisForms = [...]string{1: "other", 2: "unknown", 3: "desktop", 4: "low profile desktop", 5: "pizza box", 6: "mini tower", 7: "tower",
	8: "portable", 9: "laptop", 10: "notebook", 11: "hand held", 12: "docking station", 13: "all in one", 14: "sub notebook", 15: "space-saving",
	16: "lunch box", 17: "main server chassis", 18: "expansion chassis", 19: "sub chassis", 20: "bus expansion chassis", 21: "peripheral chassis",
	22: "RAID chassis", 23: "rack mount chassis", 24: "sealed-case PC", 25: "multi-system chassis", 26: "compact PCI", 27: "advanced TCA", 28: "blade",
	29: "blade enclosure", 30: "tablet", 31: "convertible", 32: "detachable", 33: "IoT gateway", 34: "embedded PC", 35: "mini PC", 36: "stick PC"}

// Processor is the structure of type 4. DSP0134 7.5.
type Processor struct {
	Socket, Manufacturer, Version, Serial, AssetTag, Part string
	Family                                                uint16
	ID                                                    uint64 // CPUID signature and features
	ExternalClock, MaxSpeed, Speed                        uint16 // MHz; 0 is not known
	Populated                                             bool
	Cores, CoresOn, Threads                               uint16 // 0 is not told
}

// Processor reads a structure of type 4. The error wraps [ErrOther].
func (s Structure) Processor() (Processor, error) {
	if err := s.want(TypeProcessor); err != nil {
		return Processor{}, err
	}
	// Counts of more than 254 are in a word of their own.
	count := func(short, long int) uint16 {
		if n := s.octet(short); n != 0xff || !s.has(long, 2) {
			return uint16(n)
		}
		return s.word(long)
	}
	p := Processor{
		Socket: s.string(4), Manufacturer: s.string(7), Version: s.string(16), Serial: s.string(32), AssetTag: s.string(33), Part: s.string(34),
		Family: uint16(s.octet(6)), ID: s.qword(8), ExternalClock: s.word(18), MaxSpeed: s.word(20), Speed: s.word(22),
		Populated: s.octet(24)&0x40 != 0, Cores: count(35, 42), CoresOn: count(36, 44), Threads: count(37, 46),
	}
	if p.Family == 0xfe {
		p.Family = s.word(40)
	}
	return p, nil
}

// Memory is the structure of type 17, one memory slot. DSP0134 7.18.
type Memory struct {
	Locator, Bank, Manufacturer, Serial, AssetTag, Part string
	Size                                                uint64 // octets; 0 is an empty slot, or not known
	Kind                                                uint8  // 24 DDR3, 26 DDR4, 34 DDR5 ...; see MemoryKind
	Form                                                uint8  // 9 DIMM, 13 SODIMM ...
	Speed, Configured                                   uint32 // mega-transfers per second; 0 is not known
}

// Memory reads a structure of type 17. The error wraps [ErrOther].
func (s Structure) Memory() (Memory, error) {
	if err := s.want(TypeMemory); err != nil {
		return Memory{}, err
	}
	m := Memory{
		Locator: s.string(16), Bank: s.string(17), Manufacturer: s.string(23), Serial: s.string(24), AssetTag: s.string(25), Part: s.string(26),
		Kind: s.octet(18), Form: s.octet(14), Speed: uint32(s.word(21)), Configured: uint32(s.word(32)),
	}
	switch size := s.word(12); {
	case size == 0xffff: // not known
	case size == 0x7fff && s.has(28, 4):
		m.Size = uint64(s.dword(28)&0x7fffffff) << 20
	case size&0x8000 != 0:
		m.Size = uint64(size&0x7fff) << 10
	default:
		m.Size = uint64(size) << 20
	}
	if m.Speed == 0xffff {
		m.Speed = s.dword(84)
	}
	if m.Configured == 0xffff {
		m.Configured = s.dword(88)
	}
	return m, nil
}

// MemoryKind returns the name of a kind of memory, of those in machines with AMT. DSP0134 table 78.
func MemoryKind(kind uint8) string {
	switch kind {
	case 1:
		return "other"
	case 2:
		return "unknown"
	case 15:
		return "SDRAM"
	case 18:
		return "DDR"
	case 19:
		return "DDR2"
	case 24:
		return "DDR3"
	case 26:
		return "DDR4"
	case 27:
		return "LPDDR"
	case 28:
		return "LPDDR2"
	case 29:
		return "LPDDR3"
	case 30:
		return "LPDDR4"
	case 34:
		return "DDR5"
	case 35:
		return "LPDDR5"
	}
	return fmt.Sprintf("unknown (%d)", kind)
}
