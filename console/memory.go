package console

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
)

// memoryModule reads one CIM_PhysicalMemory. Its Tag is "9876543210" in slot 0 and "9876543210 (#2)" in slot 2.
// Speeds are in MHz where IsSpeedInMhz says so; Speed, of before, was in nanoseconds and is 0 nowadays. Source: spec
// inventory-events-policies.md section 1.
func memoryModule(v *cim.PhysicalMemory) Memory {
	m := Memory{
		Bank:         text(v.BankLabel),
		Bytes:        class.Value(v.Capacity),
		Form:         memoryForm(class.Value(v.FormFactor)),
		Manufacturer: memoryMaker(text(v.Manufacturer)),
		Part:         text(v.PartNumber),
		Serial:       text(v.SerialNumber),
	}
	if _, after, ok := strings.Cut(text(v.Tag), "(#"); ok {
		m.Slot, _ = strconv.Atoi(strings.TrimSuffix(after, ")"))
	}
	if v.MemoryType != nil {
		m.Type = memoryType(*v.MemoryType)
	}
	if v.IsSpeedInMhz == nil || *v.IsSpeedInMhz {
		m.MHz, m.MaxMHz = class.Value(v.ConfiguredMemoryClockSpeed), class.Value(v.MaxMemorySpeed)
	}
	return m
}

// memoryType names a type of memory. Devices pass the SMBIOS number on, which the CIM table knows up to 30. Source:
// SMBIOS 3.7.0 7.18.2.
func memoryType(t cim.PhysicalMemoryMemoryType) string {
	switch t {
	case 34:
		return "DDR5"
	case 35:
		return "LPDDR5"
	}
	return t.String()
}

// memoryForm names a form factor. Devices pass the SMBIOS number on, not CIM's. Source: SMBIOS 3.7.0 7.18.1; recorded
// on a machine with SODIMMs, which is 13 there.
func memoryForm(f uint16) string {
	switch f {
	case 0, 2:
		return "" // not told
	case 3:
		return "SIMM"
	case 5:
		return "chip"
	case 9:
		return "DIMM"
	case 11:
		return "row of chips"
	case 12:
		return "RIMM"
	case 13:
		return "SODIMM"
	case 15:
		return "FB-DIMM"
	case 16:
		return "die"
	}
	return fmt.Sprintf("unknown (%d)", f)
}

// memoryMaker names the manufacturer of a module where the BIOS gives its number, four hex digits: the bank and the
// code in it, both with odd parity. Some give the two the other way round. Source: JEDEC JEP106.
func memoryMaker(name string) string {
	n, err := strconv.ParseUint(name, 16, 16)
	if err != nil || len(name) != 4 {
		return name
	}
	for _, id := range []uint64{n, n>>8 | n&0xff<<8} {
		switch id {
		case 0x80ad:
			return "SK hynix"
		case 0x80ce:
			return "Samsung"
		case 0x802c:
			return "Micron"
		case 0x0198:
			return "Kingston"
		case 0x859b:
			return "Crucial"
		case 0x029e:
			return "Corsair"
		case 0x02fe:
			return "Elpida"
		case 0x830b:
			return "Nanya"
		case 0x04cd:
			return "G.Skill"
		case 0x04cb:
			return "A-DATA"
		case 0x04ef:
			return "Team Group"
		case 0x0443:
			return "Ramaxel"
		case 0x014f:
			return "Transcend"
		case 0x017a:
			return "Apacer"
		}
	}
	return name
}
