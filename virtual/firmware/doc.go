// Package firmware is the AMT side of a virtual machine: what answers on ports 16992 and 16993 of a PC with Intel AMT,
// as WS-Management, web pages and, on old releases, SOAP. It takes a net.Conn of any kind, TCP, a pipe or a channel of a
// CIRA tunnel, and needs no PC: give it a [Platform] if power and boot are to have one.
//
//	m, err := firmware.New(firmware.Config{Password: "P@ssw0rd"})
//	go m.ServeConn(ctx, conn, 16993)
//
// It behaves as recorded machines do, byte for byte where a client could see the difference, and by the class model
// (class/model) where nothing was recorded. Five generations are emulated; [Profile] lists what sets them apart. It can
// be told to misbehave: see [Faults] and [Hooks].
//
// A machine at rest has no goroutine but one per listener, and shares all that is not its own with the others:
// thousands fit in one process. Its whole state can be written and read as one JSON document; see [Machine.Dump].
//
// Sizes are octets. Sources: spec wsman.md, classes.md; DSP0226, DSP0227, RFC 9112, RFC 7616.
//
// The package logs to the *slog.Logger it is given and to nothing else. It is no security boundary: what it knows, the
// process knows.
package firmware
