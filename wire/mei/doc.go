// Package mei speaks the Intel Management Engine Interface: how programs on a PC talk to services ("clients") inside
// the management engine (ME). A client is named by a GUID; a connection to it carries messages, not bytes: one Write is
// one message, boundaries are kept.
//
// [Bus] and [Conn] are what programs use. There are two kinds of bus:
//
//   - [Device], the Linux driver behind /dev/mei0;
//   - [Host], the driver's work done in user space, speaking the bus protocol (HBM) over a [Link] with an [Engine],
//     which is the ME's side: virtual machines have one.
//
// [Share] queues the requests of several programs for a client that takes one connection, [Retry] asks again where
// firmware is busy, and [ReadFacts] reads what the driver tells in sysfs.
//
// On a link travel bus messages: a 32-bit header (addresses, length, flags), an optional extended header, up to 508
// bytes of payload padded to 32-bit slots. Longer messages are cut into fragments. HBM is what is sent between address 0
// and address 0. Integers are little-endian; lengths count bytes.
//
// Sources: torvalds/linux drivers/misc/mei (hw.h, hbm.c, client.c, main.c), include/uapi/linux/mei.h,
// Documentation/driver-api/mei; 4.x drivers/misc/mei/amthif.c; spec mei.md.
//
// The package does no DMA rings and no GSC (graphics) extended operations: their messages are parsed, and refused by
// the engine. It knows nothing of what clients say to each other; see packages amthi, watchdog and apf.
package mei
