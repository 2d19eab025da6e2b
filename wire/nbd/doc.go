// Package nbd speaks the Network Block Device protocol: one program reads and writes, block by block, a disk that another
// one has. QEMU, qemu-nbd, nbdkit and the Linux kernel speak it. A virtual machine uses it to show its guest the drives of
// a console far away: what the guest reads, QEMU asks for here. Both ends live here: [Serve] has a disk, [Connect] uses
// one.
//
//	client                                  server
//	                                    <-  NBDMAGIC IHAVEOPT, handshake flags
//	client flags                        ->
//	option: go, name of an export       ->
//	                                    <-  reply: size and flags of the export
//	                                    <-  reply: block sizes
//	                                    <-  reply: acknowledged
//	request: read, cookie, place, length ->
//	                                    <-  reply: cookie, error number, data
//	request: disconnect                 ->
//
// Only the fixed newstyle negotiation and simple replies are spoken: no TLS, no structured replies, no extended headers; a
// peer that asks for those is told so, and goes on without. Integers are big-endian, offsets and lengths count bytes.
//
// Source: the protocol's document, github.com/NetworkBlockDevice/nbd doc/proto.md.
//
// The package opens no sockets and logs nothing. It gives no protection of its own: use a socket that nobody else reaches.
package nbd

import "errors"

// Limits of what a peer may ask for.
const (
	MaxOption = 8 << 10  // bytes of an option's data; the document asks for at least 4 KiB
	MaxName   = 4096     // bytes of the name of an export
	MaxData   = 32 << 20 // bytes of one read or write, as the document recommends; QEMU keeps to it
)

// Errors that others wrap.
var (
	ErrProtocol = errors.New("protocol error")
	ErrTooLong  = errors.New("too long") // beyond a named limit
	ErrRefused  = errors.New("refused by the server")
	ErrCut      = errors.New("connection cut off") // inside a message or the negotiation
)
