package smbios

// A MemoryArray is structure 16: a group of sockets for memory.
type MemoryArray struct {
	Handle   uint16 `json:"handle"`
	Location string `json:"location,omitempty"`
	Use      string `json:"use,omitempty"`
	ECC      string `json:"error_correction,omitempty"`
	Max      uint64 `json:"max_bytes,omitempty"`
	Sockets  uint16 `json:"sockets,omitempty"`
}

func parseMemoryArray(s *Structure) MemoryArray {
	v := MemoryArray{Handle: s.Handle, Location: name(arrayPlaces, s.u8(4)), Use: name(arrayUses, s.u8(5)), ECC: name(arrayCorrections, s.u8(6)), Max: uint64(s.u32(7)) << 10, Sockets: s.u16(0xd)}
	if s.u32(7) == 0x80000000 {
		v.Max = s.u64(0xf)
	}
	return v
}

// A MemoryDevice is structure 17: a socket for memory, which may be empty.
type MemoryDevice struct {
	Array        uint16 `json:"array"`
	Locator      string `json:"locator,omitempty"`
	Bank         string `json:"bank,omitempty"`
	Bytes        uint64 `json:"bytes"`                  // 0: empty
	Unknown      bool   `json:"size_unknown,omitempty"` // there is one, of a size that is not known
	Type         string `json:"type,omitempty"`
	Form         string `json:"form,omitempty"`
	Width        uint16 `json:"data_width,omitempty"`  // bits
	Total        uint16 `json:"total_width,omitempty"` // bits, with those for error correction
	MTs          uint32 `json:"mts,omitempty"`         // mega transfers a second that it can do
	Configured   uint32 `json:"configured_mts,omitempty"`
	Rank         uint8  `json:"rank,omitempty"`
	Millivolts   uint16 `json:"millivolts,omitempty"` // as configured
	Manufacturer string `json:"manufacturer,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Asset        string `json:"asset,omitempty"`
	Part         string `json:"part,omitempty"`
}

func parseMemoryDevice(s *Structure) MemoryDevice {
	v := MemoryDevice{Array: s.u16(4), Total: known(s.u16(8)), Width: known(s.u16(0xa)), Form: name(memoryForms, s.u8(0xe)), Locator: s.text(0x10), Bank: s.text(0x11),
		Type: name(memoryTypes, s.u8(0x12)), MTs: s.speed(0x15, 0x54), Manufacturer: s.text(0x17), Serial: s.text(0x18), Asset: s.text(0x19), Part: s.text(0x1a),
		Rank: s.u8(0x1b) & 0xf, Configured: s.speed(0x20, 0x58), Millivolts: s.u16(0x26)}
	switch size := s.u16(0xc); {
	case size == 0xffff:
		v.Unknown = true
	case size == 0x7fff && s.has(0x1f):
		v.Bytes = uint64(s.u32(0x1c)&0x7fffffff) << 20
	case size&0x8000 != 0:
		v.Bytes = uint64(size&0x7fff) << 10
	default:
		v.Bytes = uint64(size) << 20
	}
	return v
}

// known is a number of which all ones mean that it is not known.
func known(n uint16) uint16 {
	if n == 0xffff {
		return 0
	}
	return n
}

// speed reads mega transfers a second, from the wider field if they do not fit. 0: not known.
func (s *Structure) speed(at, wide int) uint32 {
	if s.u16(at) == 0xffff {
		return s.u32(wide) & 0x7fffffff
	}
	return uint32(s.u16(at))
}

// A MappedMemory is structure 19: the addresses of an array.
type MappedMemory struct {
	Array uint16 `json:"array"`
	Start uint64 `json:"start"` // octet
	End   uint64 `json:"end"`   // octet, the last
}

func parseMappedMemory(s *Structure) MappedMemory {
	if s.u32(4) == 0xffffffff {
		return MappedMemory{s.u16(0xc), s.u64(0xf), s.u64(0x17)}
	}
	return MappedMemory{s.u16(0xc), uint64(s.u32(4)) << 10, uint64(s.u32(8))<<10 | 0x3ff}
}
