// Package heci is the PCI function behind which a PC finds its management engine (ME): the host embedded controller
// interface, a function of vendor 8086 at bus 0 device 22, as the driver mei_me knows it. On one side are registers, on
// the other a [mei.Link] with the ME:
//
//	driver  <- configuration space, BAR0, interrupt ->  [Function]  <- bus messages ->  mei.Engine
//
// In BAR0 there are two circular buffers of 128 slots of 32 bits, one per direction, each with a control and status
// register (CSR): read and write pointer as free-running 8-bit counters, ready, reset, interrupt enable and status. The
// host writes slots and rings the ME's bell (bit IG); the ME writes slots and raises the interrupt. The same interrupt
// tells that the ME has emptied the host's buffer, which the driver waits for before it writes again.
//
// Sources: torvalds/linux drivers/misc/mei/hw-me.c, hw-me-regs.h, pci-me.c; spec mei.md sections 11 and 12.
//
// The package knows no virtual machine: see package pciproxy for QEMU. It does no power gating and no D0i3 (HFS1 says so
// and the drivers leave it alone), no DMA and no MSI.
package heci
