// Package wsman speaks WS-Management as Intel AMT does: SOAP 1.2 documents over HTTP, authenticated by digest. Consoles
// speak it to port 16992 (plain) and 16993 (TLS) of a machine, programs on the machine itself to the same ports of
// its loopback address. Both ends live here, without sockets: a client is given a Dial, a server is given documents.
//
// From the bottom up:
//
//   - [Scanner], [Parse] and [Append] turn XML into [Element] trees and back.
//   - [Selectors], [EPR] and [Datetime] are the values that CIM has beyond text and numbers.
//   - [Request], [Response] and [Fault] are the messages.
//   - [Client] carries messages over HTTP: digest, few and kept connections, pacing. It is a [RoundTripper].
//   - [Get], [Put], [Create], [Delete], [Invoke], [Enumerate] and [Identify] are the operations, over any RoundTripper.
//   - [Serve] is the other end: a document in, a document and an HTTP status out.
//
// Firmware has few sockets and little time: a Client keeps to two connections unless told otherwise, sends each request
// once, and never repeats one that may have been carried out, unless it only reads; see [ErrIndeterminate]. Every
// length that a machine states is held against a limit before memory is taken.
//
// Sizes are octets. Sources: DSP0226 (WS-Management), DSP0227 and DSP0230 (CIM in it), RFC 9112 (HTTP/1.1), RFC 7616
// (digest), and recorded answers of machines; spec wsman.md gathers what AMT does in its own way.
//
// The package knows no CIM classes (class does), opens no sockets, checks no certificates (the Dial does), logs nothing,
// and speaks neither Kerberos, HTTP/2, compression, fragment transfer nor the WS-Eventing receiver.
package wsman
