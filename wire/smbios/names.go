package smbios

import "fmt"

// Names of values, as DSP0134 has them. What is not here is printed with its number.

func name[T uint8 | uint16](names map[T]string, v T) string {
	if text, ok := names[v]; ok {
		return text
	}
	return fmt.Sprintf("unknown (%d)", v)
}

// TypeName is what a kind of structure is about.
func TypeName(t uint8) string {
	switch {
	case t == 130:
		return "AMT"
	case t == 131:
		return "vPro"
	case t > 127:
		return "OEM-specific"
	}
	return name(typeNames, t)
}

var typeNames = map[uint8]string{0: "BIOS", 1: "system", 2: "baseboard", 3: "chassis", 4: "processor", 5: "memory controller", 6: "memory module", 7: "cache",
	8: "port connector", 9: "slot", 10: "on-board devices", 11: "OEM strings", 12: "configuration options", 13: "BIOS language", 14: "group", 15: "event log",
	16: "memory array", 17: "memory device", 18: "memory error", 19: "mapped memory array", 20: "mapped memory device", 21: "pointing device", 22: "battery",
	23: "system reset", 24: "hardware security", 25: "power controls", 26: "voltage probe", 27: "fan", 28: "temperature probe", 29: "current probe",
	30: "out-of-band remote access", 31: "boot integrity services", 32: "boot", 33: "memory error", 34: "management device", 35: "management device component",
	36: "management device thresholds", 37: "memory channel", 38: "IPMI", 39: "power supply", 40: "additional information", 41: "on-board device",
	42: "management controller host interface", 43: "TPM", 44: "processor, more", 45: "firmware", 46: "string property", 126: "inactive", 127: "end of table"}

var wakeNames = map[uint8]string{0: "reserved", 1: "other", 2: "unknown", 3: "APM timer", 4: "modem ring", 5: "LAN", 6: "power switch", 7: "PCI PME#", 8: "AC power restored"}

var chassisNames = map[uint8]string{1: "other", 2: "unknown", 3: "desktop", 4: "low profile desktop", 5: "pizza box", 6: "mini tower", 7: "tower", 8: "portable",
	9: "laptop", 10: "notebook", 11: "hand held", 12: "docking station", 13: "all in one", 14: "sub notebook", 15: "space-saving", 16: "lunch box",
	17: "main server chassis", 18: "expansion chassis", 19: "sub chassis", 20: "bus expansion chassis", 21: "peripheral chassis", 22: "RAID chassis",
	23: "rack mount chassis", 24: "sealed-case PC", 25: "multi-system", 26: "CompactPCI", 27: "AdvancedTCA", 28: "blade", 29: "blade enclosing", 30: "tablet",
	31: "convertible", 32: "detachable", 33: "IoT gateway", 34: "embedded PC", 35: "mini PC", 36: "stick PC"}

var processorTypes = map[uint8]string{1: "other", 2: "unknown", 3: "central processor", 4: "math processor", 5: "DSP processor", 6: "video processor"}

var processorStates = map[uint8]string{0: "unknown", 1: "enabled", 2: "disabled by user", 3: "disabled by BIOS", 4: "idle", 7: "other"}

// families are those of processors that AMT is found with, and their neighbours.
var families = map[uint16]string{1: "other", 2: "unknown", 0x0b: "Pentium", 0x0f: "Celeron", 0x28: "Core Duo", 0x29: "Core Duo mobile", 0x2a: "Core Solo mobile",
	0x2b: "Atom", 0x2c: "Core M", 0x2d: "Core m3", 0x2e: "Core m5", 0x2f: "Core m7", 0x66: "Athlon 64", 0x6b: "Zen", 0xb2: "Pentium 4", 0xb3: "Xeon",
	0xb9: "Pentium M", 0xba: "Celeron D", 0xbb: "Pentium D", 0xbf: "Core 2 Duo", 0xc0: "Core 2 Solo", 0xc1: "Core 2 Extreme", 0xc2: "Core 2 Quad",
	0xc6: "Core i7", 0xcd: "Core i5", 0xce: "Core i3", 0xcf: "Core i9", 0xd6: "Multi-Core Xeon"}

var cacheModes = map[uint16]string{0: "write through", 1: "write back", 2: "varies with memory address", 3: "unknown"}

var cacheTypes = map[uint8]string{0: "", 1: "other", 2: "unknown", 3: "instruction", 4: "data", 5: "unified"}

var cacheCorrections = map[uint8]string{0: "", 1: "other", 2: "unknown", 3: "none", 4: "parity", 5: "single-bit ECC", 6: "multi-bit ECC"}

var cacheWays = map[uint8]string{0: "", 1: "other", 2: "unknown", 3: "direct mapped", 4: "2-way", 5: "4-way", 6: "fully", 7: "8-way", 8: "16-way", 9: "12-way",
	10: "24-way", 11: "32-way", 12: "48-way", 13: "64-way", 14: "20-way"}

var slotNames = map[uint8]string{1: "other", 2: "unknown", 3: "ISA", 6: "PCI", 15: "AGP", 18: "PCI-X", 20: "M.2 Socket 1-DP", 21: "M.2 Socket 1-SD", 22: "M.2 Socket 2",
	23: "M.2 Socket 3", 24: "MXM Type I", 31: "PCI Express 2 SFF-8639 (U.2)", 32: "PCI Express 3 SFF-8639 (U.2)", 0xa5: "PCI Express", 0xa6: "PCI Express x1",
	0xa7: "PCI Express x2", 0xa8: "PCI Express x4", 0xa9: "PCI Express x8", 0xaa: "PCI Express x16", 0xab: "PCI Express 2", 0xac: "PCI Express 2 x1",
	0xad: "PCI Express 2 x2", 0xae: "PCI Express 2 x4", 0xaf: "PCI Express 2 x8", 0xb0: "PCI Express 2 x16", 0xb1: "PCI Express 3", 0xb2: "PCI Express 3 x1",
	0xb3: "PCI Express 3 x2", 0xb4: "PCI Express 3 x4", 0xb5: "PCI Express 3 x8", 0xb6: "PCI Express 3 x16", 0xb8: "PCI Express 4", 0xb9: "PCI Express 4 x1",
	0xba: "PCI Express 4 x2", 0xbb: "PCI Express 4 x4", 0xbc: "PCI Express 4 x8", 0xbd: "PCI Express 4 x16", 0xbe: "PCI Express 5", 0xbf: "PCI Express 5 x1",
	0xc0: "PCI Express 5 x2", 0xc1: "PCI Express 5 x4", 0xc2: "PCI Express 5 x8", 0xc3: "PCI Express 5 x16"}

var deviceNames = map[uint8]string{1: "other", 2: "unknown", 3: "video", 4: "SCSI controller", 5: "Ethernet", 6: "token ring", 7: "sound", 8: "PATA controller",
	9: "SATA controller", 10: "SAS controller", 11: "wireless LAN", 12: "Bluetooth", 13: "WWAN", 14: "eMMC", 15: "NVMe controller", 16: "UFS controller"}

var arrayPlaces = map[uint8]string{1: "other", 2: "unknown", 3: "system board", 4: "ISA card", 5: "EISA card", 6: "PCI card", 7: "MCA card", 8: "PCMCIA card",
	9: "proprietary card", 10: "NuBus", 0xa0: "PC-98/C20 card", 0xa4: "CXL card"}

var arrayUses = map[uint8]string{1: "other", 2: "unknown", 3: "system memory", 4: "video memory", 5: "flash memory", 6: "non-volatile RAM", 7: "cache"}

var arrayCorrections = map[uint8]string{1: "other", 2: "unknown", 3: "none", 4: "parity", 5: "single-bit ECC", 6: "multi-bit ECC", 7: "CRC"}

var memoryForms = map[uint8]string{1: "other", 2: "unknown", 3: "SIMM", 4: "SIP", 5: "chip", 6: "DIP", 7: "ZIP", 8: "proprietary card", 9: "DIMM", 10: "TSOP",
	11: "row of chips", 12: "RIMM", 13: "SODIMM", 14: "SRIMM", 15: "FB-DIMM", 16: "die", 17: "CAMM"}

var memoryTypes = map[uint8]string{1: "other", 2: "unknown", 3: "DRAM", 4: "EDRAM", 5: "VRAM", 6: "SRAM", 7: "RAM", 8: "ROM", 9: "flash", 10: "EEPROM", 11: "FEPROM",
	12: "EPROM", 13: "CDRAM", 14: "3DRAM", 15: "SDRAM", 16: "SGRAM", 17: "RDRAM", 18: "DDR", 19: "DDR2", 20: "DDR2 FB-DIMM", 24: "DDR3", 25: "FBD2", 26: "DDR4",
	27: "LPDDR", 28: "LPDDR2", 29: "LPDDR3", 30: "LPDDR4", 31: "logical non-volatile device", 32: "HBM", 33: "HBM2", 34: "DDR5", 35: "LPDDR5", 36: "HBM3"}
