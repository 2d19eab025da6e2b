// Package apf speaks the AMT Port Forwarding protocol: one connection that carries many TCP connections to the ports of
// an AMT machine. LMS and local tools speak it with the firmware over MEI (LME); a machine that calls home speaks it over
// TLS with a gateway (CIRA, usually TCP port 4433). It is a subset of the SSH connection protocol with a start-up of its
// own.
//
// Both ends live here. [Device] is the firmware: it says who it is, asks for ports to be forwarded ([Session.Listen])
// and takes the connections that the other end opens to them. [Server] is the gateway or the LMS: it checks who calls,
// learns the ports and opens connections to them ([Session.Dial]). Each connection is a net.Conn, a [Channel].
//
// A message is a type byte, then fixed and length-prefixed fields. Integers are big-endian; lengths and windows count
// bytes. A TLS stream has no outer length, so a reader must know every message that it may meet: an unknown type ends the
// session there. Over MEI each message is a packet of its own and unknown ones are skipped; see [Config.LME].
//
// A channel ends in both directions at once: there is no message for the end of one direction, and so no CloseWrite.
// Data may be sent as far as the peer has granted a window. A peer that exceeds ours, floods us with channels, or asks
// without reading our answers meets a named limit; none of them makes us allocate without bound.
//
// The messages are in start.go, global.go, open.go and keepalive.go. To add one: the struct with Append and Parse, its
// line in [Reader]'s size, its case in the session's handle.
//
// Sources: RFC 4254; Intel AMT Port Forwarding Protocol Reference Manual 1.0.5; intel/lms LMS_if.h, LMEConnection.cpp,
// Protocol.cpp; device-management-toolkit/mps APFProcessor.ts; Ylianst/MeshCentral mpsserver.js, amt-lme.js; spec apf.md.
//
// The package needs an io.ReadWriteCloser. It opens no sockets, does no TLS and logs nothing.
package apf
