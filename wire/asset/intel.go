package asset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// AMT is the structure of type 130: what of AMT is switched on. As an SMBIOS structure it begins with "$AMT".
//
//	0  1  supported                    4  1  network on, it seems
//	1  1  enabled                      5  5  capabilities of the BIOS, meaning of bits not known
//	2  1  IDE redirection on          10  1  KVM on
//	3  1  SOL on                      11     more
type AMT struct {
	Supported, Enabled, IDER, SOL, Network bool
	Capabilities                           [5]byte
	KVM                                    bool
	More                                   []byte
}

const (
	amtMark = "$AMT"
	amtLen  = 11
)

// AMT reads a structure of type 130. Errors wrap [ErrOther] if it is another's, or [ErrShort].
func (s Structure) AMT() (AMT, error) {
	if err := s.want(TypeAMT); err != nil {
		return AMT{}, err
	}
	data, ok := bytes.CutPrefix(s.Data, []byte(amtMark))
	if !ok {
		return AMT{}, fmt.Errorf("asset: %w: of type %d without %s", ErrOther, s.Type, amtMark)
	}
	return parseAMT(data)
}

func parseAMT(b []byte) (AMT, error) {
	if len(b) < amtLen {
		return AMT{}, fmt.Errorf("asset: AMT: %w (%d of %d octets)", ErrShort, len(b), amtLen)
	}
	return AMT{
		Supported:    b[0] != 0,
		Enabled:      b[1] != 0,
		IDER:         b[2] != 0,
		SOL:          b[3] != 0,
		Network:      b[4] != 0,
		Capabilities: [5]byte(b[5:]),
		KVM:          b[10] != 0,
		More:         bytes.Clone(b[amtLen:]),
	}, nil
}

// append appends the structure's octets, without the mark.
func (a AMT) append(b []byte) []byte {
	for _, flag := range [...]bool{a.Supported, a.Enabled, a.IDER, a.SOL, a.Network} {
		b = append(b, octet(flag))
	}
	b = append(b, a.Capabilities[:]...)
	b = append(b, octet(a.KVM))
	return append(b, a.More...)
}

func octet(flag bool) byte {
	if flag {
		return 1
	}
	return 0
}

// Structure returns the SMBIOS structure.
func (a AMT) Structure(handle uint16) Structure {
	return Structure{Type: TypeAMT, Handle: handle, Data: a.append([]byte(amtMark))}
}

// Table returns AMT_AssetTable's form.
func (a AMT) Table() Table { return Table{Number: 11, Version: 1, Data: a.append(nil)} }

// String returns what is on: "supported, enabled, SOL, KVM".
func (a AMT) String() string {
	if !a.Supported {
		return "not supported"
	}
	words := []string{"supported"}
	for _, w := range [...]struct {
		on   bool
		text string
	}{{a.Enabled, "enabled"}, {a.IDER, "IDE-R"}, {a.SOL, "SOL"}, {a.KVM, "KVM"}} {
		if w.on {
			words = append(words, w.text)
		}
	}
	return strings.Join(words, ", ")
}

// A CPU is a set of the processor's capabilities, bits of VPro.CPU.
type CPU uint32

// The bits.
const (
	VMXOn      CPU = 0x01
	SMXOn      CPU = 0x02
	TXTCapable CPU = 0x04
	TXTOn      CPU = 0x08
	VTCapable  CPU = 0x10
	VTOn       CPU = 0x20
)

func (c CPU) String() string {
	var words []string
	for _, w := range [...]struct {
		bit  CPU
		text string
	}{{VMXOn, "VMX on"}, {SMXOn, "SMX on"}, {TXTCapable, "TXT"}, {TXTOn, "TXT on"}, {VTCapable, "VT-x"}, {VTOn, "VT-x on"}} {
		if c&w.bit != 0 {
			words = append(words, w.text)
		}
	}
	return strings.Join(words, ", ")
}

// A Version is four numbers: major, minor, hotfix, build.
type Version [4]uint16

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d.%d", v[0], v[1], v[2], v[3]) }

// VPro is the structure of type 131: the parts of a vPro machine.
//
//	 0  4  processor                       32  4  TPM
//	 4  8  MEBx version, or the memory     36 12  network devices, the wired one first:
//	       controller, see MEBx                   PCI address and device, 2 octets each
//	12  8  chip set: PCI address and       48  4  BIOS
//	       device, 2 octets each; 4 more   52  4  "vPro"
//	20 12  engine: flags 4, minor, major,  56     more
//	       build, hotfix 2 each
type VPro struct {
	CPU           CPU
	MCH           [8]byte
	Chipset       PCI
	ChipsetMore   [4]byte
	EngineFlags   uint32 // meaning of bits not known
	EngineVersion Version
	TPM           uint32
	LAN           PCI
	NetworkMore   [8]byte
	BIOS          uint32
	More          []byte
}

// A PCI is a device of the vendor 8086h: its place (bus, device, function) and number; FFFFh is none.
type PCI struct{ Address, Device uint16 }

func (p PCI) String() string {
	if p.Device == 0xffff {
		return "none"
	}
	return fmt.Sprintf("%02x:%02x.%d 8086:%04x", p.Address>>8, p.Address>>3&0x1f, p.Address&7, p.Device)
}

const (
	vproMark = "vPro"
	vproLen  = 56
)

// VPro reads a structure of type 131. Errors wrap [ErrOther] if it is another's, or [ErrShort].
func (s Structure) VPro() (VPro, error) {
	if err := s.want(TypeVPro); err != nil {
		return VPro{}, err
	}
	return parseVPro(s.Data)
}

func parseVPro(b []byte) (VPro, error) {
	if len(b) < vproLen {
		return VPro{}, fmt.Errorf("asset: vPro: %w (%d of %d octets)", ErrShort, len(b), vproLen)
	}
	if string(b[52:vproLen]) != vproMark {
		return VPro{}, fmt.Errorf("asset: vPro: %w: without %s", ErrOther, vproMark)
	}
	u16 := func(at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	return VPro{
		CPU:           CPU(u32(0)),
		MCH:           [8]byte(b[4:]),
		Chipset:       PCI{u16(12), u16(14)},
		ChipsetMore:   [4]byte(b[16:]),
		EngineFlags:   u32(20),
		EngineVersion: Version{u16(26), u16(24), u16(30), u16(28)},
		TPM:           u32(32),
		LAN:           PCI{u16(36), u16(38)},
		NetworkMore:   [8]byte(b[40:]),
		BIOS:          u32(48),
		More:          bytes.Clone(b[vproLen:]),
	}, nil
}

// MEBx returns the version of the MEBx. ok is false on machines that do not tell it: those before release 7, which have
// the memory controller there, and those with zeros.
func (v VPro) MEBx() (mebx Version, ok bool) {
	for i := range mebx {
		mebx[i] = binary.LittleEndian.Uint16(v.MCH[2*i:])
	}
	if v.EngineVersion[0] < 7 || mebx == (Version{}) {
		return Version{}, false
	}
	return mebx, true
}

func (v VPro) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(v.CPU))
	b = append(b, v.MCH[:]...)
	b = le.AppendUint16(b, v.Chipset.Address)
	b = le.AppendUint16(b, v.Chipset.Device)
	b = append(b, v.ChipsetMore[:]...)
	b = le.AppendUint32(b, v.EngineFlags)
	for _, i := range [...]int{1, 0, 3, 2} {
		b = le.AppendUint16(b, v.EngineVersion[i])
	}
	b = le.AppendUint32(b, v.TPM)
	b = le.AppendUint16(b, v.LAN.Address)
	b = le.AppendUint16(b, v.LAN.Device)
	b = append(b, v.NetworkMore[:]...)
	b = le.AppendUint32(b, v.BIOS)
	return append(append(b, vproMark...), v.More...)
}

// Structure returns the SMBIOS structure.
func (v VPro) Structure(handle uint16) Structure {
	return Structure{Type: TypeVPro, Handle: handle, Data: v.append(nil)}
}

// Table returns AMT_AssetTable's form.
func (v VPro) Table() Table { return Table{Number: 10, Version: 1, Data: v.append(nil)} }
