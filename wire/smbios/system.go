package smbios

import (
	"encoding/binary"
	"fmt"

	"github.com/outband/outband/wire/guid"
)

// BIOS is structure 0.
type BIOS struct {
	Vendor   string `json:"vendor,omitempty"`
	Version  string `json:"version,omitempty"`
	Date     string `json:"date,omitempty"` // as the BIOS writes it, mostly mm/dd/yyyy
	ROM      uint64 `json:"rom_bytes,omitempty"`
	Revision string `json:"revision,omitempty"`            // of the BIOS: major.minor
	EC       string `json:"embedded_controller,omitempty"` // revision of its firmware
	UEFI     bool   `json:"uefi,omitempty"`
}

func parseBIOS(s *Structure) BIOS {
	v := BIOS{Vendor: s.text(4), Version: s.text(5), Date: s.text(8)}
	v.ROM = (uint64(s.u8(9)) + 1) << 16
	if s.u8(9) == 0xff && s.has(0x19) {
		v.ROM = uint64(s.u16(0x18)&0x3fff) << 20
		if s.u16(0x18)>>14 == 1 {
			v.ROM <<= 10
		}
	}
	if s.has(0x15) && s.u16(0x14) != 0xffff {
		v.Revision = fmt.Sprintf("%d.%d", s.u8(0x14), s.u8(0x15))
	}
	if s.has(0x17) && s.u16(0x16) != 0xffff {
		v.EC = fmt.Sprintf("%d.%d", s.u8(0x16), s.u8(0x17))
	}
	v.UEFI = s.u8(0x13)&8 != 0
	return v
}

// System is structure 1.
type System struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	UUID         string `json:"uuid,omitempty"` // "": not set
	Wake         string `json:"wake,omitempty"` // what has switched it on
	SKU          string `json:"sku,omitempty"`
	Family       string `json:"family,omitempty"`
}

func parseSystem(s *Structure, e Entry) System {
	v := System{Manufacturer: s.text(4), Product: s.text(5), Version: s.text(6), Serial: s.text(7), SKU: s.text(0x19), Family: s.text(0x1a)}
	if s.has(8 + guid.Size - 1) {
		v.UUID = uuidText(s.Data[8:8+guid.Size], e)
	}
	if s.has(0x18) {
		v.Wake = name(wakeNames, s.u8(0x18))
	}
	return v
}

// uuidText writes a UUID. Its first three fields are little-endian since release 2.6 of the specification. All zeros or
// all ones is none.
func uuidText(b []byte, e Entry) string {
	zeros, ones := true, true
	for _, c := range b {
		zeros, ones = zeros && c == 0, ones && c == 0xff
	}
	if zeros || ones {
		return ""
	}
	g := guid.GUID(b)
	if !e.since(2, 6) {
		g = guid.FromRFC([guid.Size]byte(b))
	}
	return g.String()
}

// Board is structure 2.
type Board struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Asset        string `json:"asset,omitempty"`
	Location     string `json:"location,omitempty"`
}

func parseBoard(s *Structure) Board {
	return Board{s.text(4), s.text(5), s.text(6), s.text(7), s.text(8), s.text(0xa)}
}

// Chassis is structure 3.
type Chassis struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Type         string `json:"type,omitempty"`
	Lock         bool   `json:"lock,omitempty"` // there is one
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Asset        string `json:"asset,omitempty"`
	SKU          string `json:"sku,omitempty"`
}

func parseChassis(s *Structure) Chassis {
	v := Chassis{Manufacturer: s.text(4), Type: name(chassisNames, s.u8(5)&0x7f), Lock: s.u8(5)&0x80 != 0, Version: s.text(6), Serial: s.text(7), Asset: s.text(8)}
	if s.has(0x14) {
		v.SKU = s.text(0x15 + int(s.u8(0x13))*int(s.u8(0x14)))
	}
	return v
}

// A Slot is structure 9.
type Slot struct {
	Name    string `json:"name,omitempty"`
	Type    string `json:"type,omitempty"`
	Used    *bool  `json:"used,omitempty"`    // nil: not known
	Address string `json:"address,omitempty"` // on the PCI bus: 0000:00:1f.6; "": none
}

func parseSlot(s *Structure) Slot {
	v := Slot{Name: s.text(4), Type: name(slotNames, s.u8(5))}
	switch s.u8(7) {
	case 3: // available
		v.Used = new(false)
	case 4:
		v.Used = new(true)
	}
	if s.has(0x10) {
		v.Address = pciAddress(s.u16(0xd), s.u8(0xf), s.u8(0x10))
	}
	return v
}

// A Device is structure 41: one on the board.
type Device struct {
	Name     string `json:"name,omitempty"`
	Type     string `json:"type,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
	Instance uint8  `json:"instance,omitempty"`
	Address  string `json:"address,omitempty"`
}

func parseDevice(s *Structure) Device {
	return Device{Name: s.text(4), Type: name(deviceNames, s.u8(5)&0x7f), Disabled: s.u8(5)&0x80 == 0, Instance: s.u8(6), Address: pciAddress(s.u16(7), s.u8(9), s.u8(0xa))}
}

// pciAddress writes segment, bus, device and function; all ones is none.
func pciAddress(segment uint16, bus, devfn uint8) string {
	if segment == 0xffff && bus == 0xff && devfn == 0xff {
		return ""
	}
	return fmt.Sprintf("%04x:%02x:%02x.%d", segment, bus, devfn>>3, devfn&7)
}

// TPM is structure 43.
type TPM struct {
	Vendor      string `json:"vendor,omitempty"`
	Version     string `json:"version,omitempty"` // of the specification: "2.0"
	Firmware    string `json:"firmware,omitempty"`
	Description string `json:"description,omitempty"`
}

func parseTPM(s *Structure) TPM {
	v := TPM{Version: fmt.Sprintf("%d.%d", s.u8(8), s.u8(9)), Description: s.text(0x12)}
	if s.has(7) {
		for _, c := range s.Data[4:8] {
			if c != 0 {
				v.Vendor += printable(string(rune(c)))
			}
		}
	}
	switch s.u8(8) {
	case 1:
		v.Firmware = fmt.Sprintf("%d.%d", s.u8(0xc), s.u8(0xd))
	case 2:
		v.Firmware = fmt.Sprintf("%d.%d", s.u32(0xa)>>16, s.u32(0xa)&0xffff)
	}
	return v
}

// parseTexts are the strings of structure 11, which say what a maker likes.
func parseTexts(s *Structure) (out []string) {
	for i, text := range s.Strings {
		if i == int(s.u8(4)) {
			break
		}
		out = append(out, printable(text))
	}
	return out
}

// version4 reads a version of four numbers of 16 bits, in the order that is given.
func (s *Structure) version4(at ...int) string {
	text := ""
	for i, a := range at {
		if a+2 > len(s.Data) {
			return ""
		}
		if i > 0 {
			text += "."
		}
		text += fmt.Sprint(binary.LittleEndian.Uint16(s.Data[a:]))
	}
	return text
}
