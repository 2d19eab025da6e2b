// Package pciproxy puts the PCI function of the management engine (package heci) into a QEMU process: the guest's own,
// unmodified driver finds it, and with it /dev/mei0. It is the remote end of QEMU's device x-pci-proxy-dev, of
// multi-process QEMU (5.2 and newer): each access to configuration space or to a BAR travels as a message over a unix
// socket.
//
//	i32 command, 4 bytes, u64 size of what follows; data; files as ancillary data of the header
//	 0 system memory    8 u64 guest addresses, 8 u64 sizes, 8 u64 offsets; a file each. Not answered
//	 1 reply            u64
//	 2 config write     u32 offset, u32 value, i32 size
//	 3 config read      the same; answered with the value
//	 4 BAR write        u64 guest address, u64 value, u32 size, u8 memory, 3 bytes
//	 5 BAR read         the same; answered with the value
//	 6 interrupt        two files: eventfd to raise INTx, eventfd that tells of its end. Not answered
//	 7 reset            empty; answered with 0
//
// Integers are those of the host: little-endian on all that have an engine. The processor that accesses waits for the
// answer. Sources: qemu docs/devel/multi-process.rst, include/hw/remote/mpqemu-link.h, hw/remote/proxy.c.
//
// QEMU lets KVM listen to the eventfds; without KVM nobody does. Then INTx is set over QEMU's test socket (-qtest, see
// docs/devel/testing/qtest.rst), which works beside any accelerator.
//
// The package does no DMA: the guest's memory is offered and not taken.
package pciproxy
