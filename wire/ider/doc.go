// Package ider speaks storage redirection of Intel AMT, called IDE-R and from AMT 11 on USB-R; the protocol is the same.
// A console far away owns disk images; the machine shows two drives to its host, a floppy (or removable disk) and a CD,
// and hands each ATAPI packet command of the host to the console, which answers it. Package redir starts the session and
// logs in; both ends of what follows live here. [Open] gives the console's, which serves images; [Accept] gives the
// machine's, which turns reads of a host into commands.
//
//	console                              machine
//	40 open, times                  ->
//	                                 <-  41 reply, sizes of buffers
//	48 set register state           ->
//	                                 <-  49 done: the host sees the drives
//	                                 <-  50 command written: a drive and 12 bytes of CDB
//	54 data to host, more follows   ->
//	54 data to host, completed      ->
//	                                 <-  50 ...
//	51 command end, sense           ->
//	                                 <-  50 ... (a write)
//	52 get data from host           ->
//	                                 <-  53 data from host
//	51 command end                  ->
//	                                 <-  46 the host has reset the bus
//	47 reset response               ->
//
// Pings (44, answered by 45) go either way; the machine sends heartbeats (4B). Message fields are little-endian, SCSI
// commands and their data big-endian. Times are milliseconds, lengths bytes; a block is 512 bytes on the floppy, 2048 on
// the CD. Sequence numbers count each direction from 0, and a console insists on those of the machine.
//
// Each command costs a round trip, so throughput is bytes per command over the time of one. Two things matter much: the
// connection must have TCP_NODELAY (as Go sets it), and a console sends all messages of one read in one Write.
//
// Sources: spec ider.md; kraxel/amtterm ider.c; Ylianst/MeshCentral amt-ider-module.js; SCSI commands: SPC-3, SBC-2,
// MMC-5, SFF-8070i.
//
// The package opens no sockets or files and logs nothing. It has no image formats but the flat one, and no audio.
package ider

import "errors"

// Errors that others wrap. Those of package redir are in use too: ErrOpcode, ErrShort, ErrCut, ErrTimeout, ErrProtocol.
var (
	ErrRefused  = errors.New("storage redirection refused by the machine")
	ErrSequence = errors.New("message out of sequence")
	ErrSilent   = errors.New("peer has fallen silent")
	ErrClosed   = errors.New("session closed") // by this end
	ErrReset    = errors.New("bus reset")      // of a command that was running at the time
	ErrDetached = errors.New("drives are not enabled")
	ErrMedium   = errors.New("image does not fit the drive")
)
