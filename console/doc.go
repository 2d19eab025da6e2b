// Package console is what an administrator does to one machine with Intel AMT: switch it, choose what it boots, ask
// what it is, find out what is wrong with it, copy its whole description. [Client] is one such machine; [Each] does
// something to many; [Discover] finds them.
//
// It speaks WS-Management through [github.com/outband/outband/wire/wsman], over whatever connection [Config.Dial]
// opens: TCP, a CIRA channel, a pipe. Machines of release 8 and older also answer SOAP; see [Client.Legacy].
//
// Three rules run through it. A certificate is believed because an authority or a pin says so, never because
// checking was off. What changes a machine is sent once: when no answer comes the error is [ErrIndeterminate], and
// nothing is sent again. Success is said after the machine was read again, and [PowerResult] tells by what it is known.
//
// Times are durations and moments of package time; sizes are octets; ports are 16992 (HTTP) and 16993 (TLS) unless
// told otherwise. Errors are sorted by [Explain].
//
// The package keeps no files, reads no environment, asks nothing on a terminal, and logs only to a logger handed in.
//
// Sources: DSP0226; the vendor's class definitions; spec power-and-boot.md, wsman.md, inventory-events-policies.md.
package console
