// Package redir speaks the part of Intel AMT's redirection protocol that Serial-over-LAN, storage redirection (IDE-R,
// USB-R) and KVM have in common: starting a session of one kind, authentication, the end. A console opens the TCP
// connection, a machine accepts it; both ends live here.
//
// One connection carries one session of one kind. A message is an opcode and what the opcode says; there is no common
// length field, so a reader must know every message it may meet, and an unknown one ends the connection. Integers are
// little-endian, lengths count bytes. Messages come split or run together in any way: a [Conn] keeps what came behind
// the message it was asked for.
//
//	console                               machine
//	10 StartRedirectionSession, kind ->
//	                                  <-  11 reply: status, versions
//	13 AuthenticateSession, query    ->
//	                                  <-  14 reply: the methods
//	13 digest, empty                 ->
//	                                  <-  14 "failure", realm nonce qop
//	13 digest, response              ->
//	                                  <-  14 success
//	the kind's own messages (packages sol and ider; after them, for KVM, plain RFB)
//	12 EndRedirectionSession         ->
//
// Ports: 16994 plain, 16995 TLS; the same bytes run in a CIRA channel to these ports and in the binary frames of the
// web socket /ws-redirection.
//
// Sources: spec redirection.md; Intel AMT Implementation and Reference Guide, "Redirection"; constants and lengths also
// in kraxel/amtterm RedirectionConstants.h and Ylianst/MeshCommander amt-redir-ws-0.1.0.js.
//
// The package opens no sockets and logs nothing. It does not speak Kerberos; of method 2 it knows only the empty
// message that follows HTTP authentication of a web socket.
package redir

import "errors"

// Ports, TCP.
const (
	Port    = 16994 // IANA amt-redir-tcp
	PortTLS = 16995 // IANA amt-redir-tls
)

// Errors that others wrap.
var (
	ErrShort    = errors.New("message too short")
	ErrTooLong  = errors.New("message too long")        // beyond a named limit
	ErrOpcode   = errors.New("unexpected opcode")       // unknown, or not in this state
	ErrProtocol = errors.New("protocol error")          // any other message that makes no sense
	ErrTimeout  = errors.New("no answer in time")       // of the peer
	ErrCut      = errors.New("connection cut off")      // inside a message or before an answer; wraps io.ErrUnexpectedEOF
	ErrNoMethod = errors.New("no common way to log in") // e.g. only passwords in clear, and those not allowed
	ErrDenied   = errors.New("wrong user name or password")
	ErrRealm    = errors.New("realm is not the expected one") // another machine, or unprovisioned since
)
