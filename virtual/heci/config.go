package heci

import "encoding/binary"

// Offsets in configuration space. Source: PCI Local Bus Specification 3.0 section 6.1; hw-me-regs.h for the HFS.
const (
	cfgVendor    = 0x00
	cfgDevice    = 0x02
	cfgCommand   = 0x04
	cfgStatus    = 0x06
	cfgClass     = 0x08 // revision, then three bytes of class
	cfgBAR0      = 0x10
	cfgSubVendor = 0x2C
	cfgSubDevice = 0x2E
	cfgLine      = 0x3C // of the interrupt; the BIOS's notes
	cfgPin       = 0x3D
	configSize   = 256
)

// hfs are the offsets of the firmware status registers HFS1 to HFS6.
var hfs = [6]int{0x40, 0x48, 0x60, 0x64, 0x68, 0x6C}

// Values and bits in configuration space.
const (
	vendorIntel = 0x8086
	classOther  = 0x078000 // simple communication controller, other

	commandMemory  = 1 << 1  // answers in BAR0
	commandMaster  = 1 << 2  // may do DMA; it does not
	commandNoINTx  = 1 << 10 // the interrupt line is off
	commandKeeps   = commandMemory | commandMaster | commandNoINTx
	statusPending  = 1 << 3 // an interrupt is wanted, whether the line is off or not
	pinA           = 1
	barSize        = BARSize
	barKeeps       = ^uint32(barSize - 1) // memory of 32 bits, not prefetchable: low bits 0
	revision       = 0x20
	subsystemOwner = vendorIntel
	subsystem      = 0x7270
)

// BARSize is the bytes of BAR0.
const BARSize = 0x1000

// A Model is a generation of the function.
type Model struct {
	Device uint16    // PCI device ID
	Status [6]uint32 // firmware status registers HFS1 to HFS6
	Trace  uint32    // trace status register; 0 before PCH15
}

// normal is what a ME in normal operation shows. Source: recorded; spec mei.md section 11.1. HFS1: working state 5,
// initialised, mode 0, no error, no D0i3.
var normal = [6]uint32{0x14000245, 0x09F10506, 0x00000020, 0x00004000, 0x00041F03, 0}

// ModelOf returns the model of the chip set that came with a release of AMT. Source: spec mei.md section 15.
func ModelOf(major int) Model {
	m := Model{Status: normal}
	switch {
	case major < 6:
		m.Device = 0x2E04 // Eaglelake: Q45
	case major < 7:
		m.Device = 0x3B64 // Ibex Peak
	case major < 8:
		m.Device = 0x1C3A // Cougar Point
	case major < 9:
		m.Device = 0x1E3A // Panther Point
	case major < 10:
		m.Device = 0x8C3A // Lynx Point
	case major < 11:
		m.Device = 0x9CBA // Wildcat Point LP
	case major < 12:
		m.Device = 0xA13A // Sunrise Point H
	case major < 14:
		m.Device = 0xA360 // Cannon Point H
	case major < 15:
		m.Device = 0x06E0 // Comet Lake H
	case major < 16:
		m.Device = 0xA0E0 // Tiger Lake LP
	case major < 18:
		m.Device = 0x7AE8 // Alder Lake S
	default:
		m.Device = 0x7E70 // Meteor Lake
	}
	return m
}

// config makes the configuration space as it is after power-up.
func (m Model) config() (c [configSize]byte) {
	le := binary.LittleEndian
	le.PutUint16(c[cfgVendor:], vendorIntel)
	le.PutUint16(c[cfgDevice:], m.Device)
	le.PutUint32(c[cfgClass:], classOther<<8|revision)
	le.PutUint16(c[cfgSubVendor:], subsystemOwner)
	le.PutUint16(c[cfgSubDevice:], subsystem)
	c[cfgPin] = pinA
	for i, at := range hfs {
		le.PutUint32(c[at:], m.Status[i])
	}
	return c
}

// ReadConfig reads 1, 2 or 4 bytes of configuration space. What is not there reads as ones, as on a bus without device.
func (f *Function) ReadConfig(offset uint32, size int) uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !within(offset, size) {
		return ^uint32(0)
	}
	var b [4]byte
	for i := range size {
		b[i] = f.config[int(offset)+i]
		if int(offset)+i == cfgStatus && f.pending() {
			b[i] |= statusPending
		}
	}
	return binary.LittleEndian.Uint32(b[:])
}

// WriteConfig writes 1, 2 or 4 bytes of configuration space. What is read only stays.
func (f *Function) WriteConfig(offset uint32, size int, value uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !within(offset, size) {
		return
	}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], value)
	for i := range size {
		at := int(offset) + i
		f.config[at] = f.config[at]&^writable(at) | b[i]&writable(at)
	}
	f.signal()
}

// within reports whether an access is inside of configuration space.
func within(offset uint32, size int) bool {
	return (size == 1 || size == 2 || size == 4) && offset <= uint32(configSize-size)
}

// writable returns the bits of a byte of configuration space that can be written.
func writable(at int) byte {
	switch {
	case at >= cfgCommand && at < cfgCommand+2:
		return byte(uint16(commandKeeps) >> (8 * (at - cfgCommand)))
	case at >= cfgBAR0 && at < cfgBAR0+4:
		return byte(barKeeps >> (8 * (at - cfgBAR0)))
	case at == cfgLine:
		return 0xFF
	}
	return 0
}

// BAR0 returns the address that the function answers at, and whether it does.
func (f *Function) BAR0() (base uint32, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return binary.LittleEndian.Uint32(f.config[cfgBAR0:]) & barKeeps, f.command()&commandMemory != 0
}

func (f *Function) command() uint16 { return binary.LittleEndian.Uint16(f.config[cfgCommand:]) }
