package smbios

// An Inventory is what a table says, as far as this package knows the structures.
type Inventory struct {
	BIOS       *BIOS          `json:"bios,omitempty"`
	System     *System        `json:"system,omitempty"`
	Boards     []Board        `json:"boards,omitempty"`
	Chassis    []Chassis      `json:"chassis,omitempty"`
	Processors []Processor    `json:"processors,omitempty"`
	Caches     []Cache        `json:"caches,omitempty"`
	Slots      []Slot         `json:"slots,omitempty"`
	Devices    []Device       `json:"devices,omitempty"`
	Arrays     []MemoryArray  `json:"memory_arrays,omitempty"`
	Memory     []MemoryDevice `json:"memory,omitempty"`
	Mapped     []MappedMemory `json:"memory_mapped,omitempty"`
	TPM        *TPM           `json:"tpm,omitempty"`
	Texts      []string       `json:"texts,omitempty"` // the maker's own
	AMT        *AMT           `json:"amt,omitempty"`
	VPro       *VPro          `json:"vpro,omitempty"`
}

// NewInventory reads the structures of a table. Those it does not know it passes over.
func NewInventory(e Entry, list []Structure) *Inventory {
	v := &Inventory{}
	for i := range list {
		v.add(e, &list[i])
	}
	return v
}

func (v *Inventory) add(e Entry, s *Structure) {
	switch s.Type {
	case 0:
		v.BIOS = new(parseBIOS(s))
	case 1:
		v.System = new(parseSystem(s, e))
	case 2:
		v.Boards = append(v.Boards, parseBoard(s))
	case 3:
		v.Chassis = append(v.Chassis, parseChassis(s))
	case 4:
		v.Processors = append(v.Processors, parseProcessor(s))
	case 7:
		v.Caches = append(v.Caches, parseCache(s))
	case 9:
		v.Slots = append(v.Slots, parseSlot(s))
	case 11:
		v.Texts = append(v.Texts, parseTexts(s)...)
	case 16:
		v.Arrays = append(v.Arrays, parseMemoryArray(s))
	case 17:
		v.Memory = append(v.Memory, parseMemoryDevice(s))
	case 19:
		v.Mapped = append(v.Mapped, parseMappedMemory(s))
	case 41:
		v.Devices = append(v.Devices, parseDevice(s))
	case 43:
		v.TPM = new(parseTPM(s))
	case 130:
		if a, ok := parseAMT(s); ok {
			v.AMT = &a
		}
	case 131:
		if p, ok := parseVPro(s); ok {
			v.VPro = &p
		}
	}
}
