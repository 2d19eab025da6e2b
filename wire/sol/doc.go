// Package sol speaks Serial-over-LAN, one of the redirection protocols of Intel AMT: the bytes of a serial port that the
// machine shows to its host (a PCI 16550, 115200 8N1), over TCP, to a console far away. Package redir starts the session
// and logs in; both ends of what follows live here. [Open] gives the console's, [Accept] the machine's; each is an
// io.ReadWriteCloser of the bytes on the line.
//
//	console                              machine
//	20 StartSOL, settings           ->
//	                                 <-  21 reply
//	                                 <-  29 lines of the host: RTS, DTR, break; power, overflow
//	28 data to host                 ->
//	                                 <-  2A data from host
//	2B heartbeat                    ->
//	                                 <-  2B heartbeat
//	24 ping                         ->
//	                                 <-  25 pong
//	22 EndSOL                       ->
//	                                 <-  23 reply
//
// A message is an opcode, three zero bytes, a sequence number and what the opcode says. Integers are little-endian,
// times are milliseconds, lengths count bytes. Sequence numbers are written, never checked: known consoles send zeros.
// Data is not acknowledged; what slows a sender down is TCP, and what the host sends while that is full is dropped after
// a time that the console sets.
//
// What the host writes while no session is open is lost. The BIOS shows its screens on this port only if the boot was
// asked to (AMT_BootSettingData.UseSOL). There is no known message for a break from console to host.
//
// Sources: spec sol.md; kraxel/amtterm redir.c; Ylianst/MeshCommander amt-redir-ws-0.1.0.js; Intel AMT redirection
// library documentation (the meaning of the times).
//
// The package opens no sockets, logs nothing and knows nothing of terminals.
package sol

import "errors"

// Errors that others wrap. Those of package redir are in use too: ErrOpcode, ErrCut, ErrTimeout.
var (
	ErrRefused = errors.New("serial-over-LAN refused by the machine")
	ErrSilent  = errors.New("peer has fallen silent")
	ErrClosed  = errors.New("session closed") // by this end
)
