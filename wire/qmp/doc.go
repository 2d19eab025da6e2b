// Package qmp speaks the QEMU Machine Protocol: JSON objects by which a program controls a running QEMU. [Open] gives the
// client's end, which is all there is here; tests play the server with a few lines of JSON.
//
//	QEMU                                            client
//	{"QMP": {"version": ..., "capabilities": []}} ->
//	                                              <- {"execute": "qmp_capabilities", "id": 1}
//	{"return": {}, "id": 1}                       ->
//	                                              <- {"execute": "cont", "id": 2}
//	{"event": "RESUME", "timestamp": {...}}       ->
//	{"return": {}, "id": 2}                       ->
//
// Each message is an object on a line of its own. Events come at any time, in order.
//
// Sources: QEMU docs/interop/qmp-spec.rst; the QEMU QMP Reference Manual for commands and events.
//
// The package opens no sockets and logs nothing. It does not know the commands: see [Client.Do].
package qmp

import "errors"

// MaxMessage is the longest message in bytes: more than any answer of QEMU's to what a program here asks.
const MaxMessage = 4 << 20

// Errors that others wrap.
var (
	ErrProtocol = errors.New("protocol error")
	ErrTooLong  = errors.New("message too long")
	ErrClosed   = errors.New("session closed")     // by this end
	ErrCut      = errors.New("connection cut off") // QEMU has ended, most likely
)
