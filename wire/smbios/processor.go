package smbios

import "fmt"

// A Processor is structure 4: a socket, which may be empty.
type Processor struct {
	Socket       string  `json:"socket,omitempty"`
	Populated    bool    `json:"populated"`
	Status       string  `json:"status,omitempty"`
	Type         string  `json:"type,omitempty"`
	Family       string  `json:"family,omitempty"`
	Manufacturer string  `json:"manufacturer,omitempty"`
	Version      string  `json:"version,omitempty"` // its name
	ID           string  `json:"id,omitempty"`      // what CPUID 1 answers, EAX and EDX: 16 hex digits
	Volts        float64 `json:"volts,omitempty"`
	ClockMHz     uint16  `json:"clock_mhz,omitempty"` // outside
	MaxMHz       uint16  `json:"max_mhz,omitempty"`   // that the socket can do
	MHz          uint16  `json:"mhz,omitempty"`       // at start
	Cores        int     `json:"cores,omitempty"`
	Enabled      int     `json:"enabled_cores,omitempty"`
	Threads      int     `json:"threads,omitempty"`
	Serial       string  `json:"serial,omitempty"`
	Asset        string  `json:"asset,omitempty"`
	Part         string  `json:"part,omitempty"`
}

func parseProcessor(s *Structure) Processor {
	v := Processor{Socket: s.text(4), Type: name(processorTypes, s.u8(5)), Manufacturer: s.text(7), Version: s.text(0x10), Populated: s.u8(0x18)&0x40 != 0,
		Status: name(processorStates, s.u8(0x18)&7), ClockMHz: s.u16(0x12), MaxMHz: s.u16(0x14), MHz: s.u16(0x16), Serial: s.text(0x20), Asset: s.text(0x21), Part: s.text(0x22)}
	family := uint16(s.u8(6))
	if family == 0xfe && s.has(0x29) {
		family = s.u16(0x28)
	}
	v.Family = name(families, family)
	if s.has(15) && s.u64(8) != 0 {
		v.ID = fmt.Sprintf("%016x", s.u64(8))
	}
	switch volts := s.u8(0x11); {
	case volts&0x80 != 0:
		v.Volts = float64(volts&0x7f) / 10
	case volts&1 != 0:
		v.Volts = 5
	case volts&2 != 0:
		v.Volts = 3.3
	case volts&4 != 0:
		v.Volts = 2.9
	}
	v.Cores, v.Enabled, v.Threads = s.count(0x23, 0x2a), s.count(0x24, 0x2c), s.count(0x25, 0x2e)
	return v
}

// count reads a number that has a wider field for 255 and more. 0: not told.
func (s *Structure) count(at, wide int) int {
	if n := s.u8(at); n != 0xff || !s.has(wide+1) {
		return int(n)
	}
	if n := s.u16(wide); n != 0xffff {
		return int(n)
	}
	return 0
}

// A Cache is structure 7.
type Cache struct {
	Name    string `json:"name,omitempty"`
	Level   int    `json:"level"`
	Enabled bool   `json:"enabled"`
	Mode    string `json:"mode,omitempty"`
	Bytes   uint64 `json:"bytes"` // installed
	Max     uint64 `json:"max_bytes"`
	Type    string `json:"type,omitempty"` // instruction, data, unified
	Ways    string `json:"associativity,omitempty"`
	ECC     string `json:"error_correction,omitempty"`
	SpeedNS uint8  `json:"speed_ns,omitempty"`
}

func parseCache(s *Structure) Cache {
	c := s.u16(5)
	return Cache{Name: s.text(4), Level: int(c&7) + 1, Enabled: c&0x80 != 0, Mode: name(cacheModes, c>>8&3), Bytes: s.cacheSize(9, 0x17), Max: s.cacheSize(7, 0x13),
		SpeedNS: s.u8(0xf), ECC: name(cacheCorrections, s.u8(0x10)), Type: name(cacheTypes, s.u8(0x11)), Ways: name(cacheWays, s.u8(0x12))}
}

// cacheSize reads a size in KiB or, with the highest bit, 64 KiB; a wider field has it if it does not fit.
func (s *Structure) cacheSize(at, wide int) uint64 {
	n, unit := uint64(s.u16(at)&0x7fff), uint64(1<<10)
	if s.u16(at)&0x8000 != 0 {
		unit = 64 << 10
	}
	if s.u16(at) == 0xffff && s.has(wide+3) {
		n, unit = uint64(s.u32(wide)&0x7fffffff), 1<<10
		if s.u32(wide)&0x80000000 != 0 {
			unit = 64 << 10
		}
	}
	return n * unit
}
