// Package rfb speaks the Remote Framebuffer protocol (RFB, the protocol of VNC) as Intel AMT's KVM does, and as common
// viewers and emulators do. Three ends live here:
//
//   - [Client] shows a machine: AMT behind package redir or on port 5900, or an emulator's VNC server;
//   - [Device] is AMT's own end: 8 and 16 bits per pixel, tiles of 64x64, Raw and AMT's kind of ZRLE, its extensions;
//   - [Viewer] serves any VNC viewer what it asks for, at 32 bits per pixel mostly: Tight, ZRLE, Hextile or Raw.
//
// All three have a [Frame] on their other side: the picture, which remembers what changed when. A Client draws in it, the
// others watch it; so a Client and any number of Viewers around one Frame are a transcoder.
//
// Integers are big-endian, pixels have the order of their [PixelFormat]; coordinates and sizes count pixels from the top
// left. A message is a type byte and what the type says; there is no common length field. Credit is one-sided: an update
// is sent when it was asked for, and never twice for one request.
//
// Sources: RFC 6143; spec kvm.md; the community's RFB specification (rfbproto) for Tight, DesktopSize, ExtendedDesktopSize,
// LastRect and the QEMU extended key event; Intel AMT Implementation and Reference Guide, "KVM".
//
// The package opens no sockets and logs nothing. It knows no JPEG, no CopyRect and no cursor shapes, and no security but
// None and the VNC challenge.
package rfb

import "errors"

// Port is where AMT up to 16.0 speaks plain RFB, with the VNC challenge; TCP.
const Port = 5900

// Limits of what a peer may ask for.
const (
	MaxWidth  = 16384    // pixels
	MaxHeight = 16384    // pixels
	MaxPixels = 36 << 20 // pixels of a screen: 8192x4320 and a little
	MaxText   = 1 << 20  // bytes of a clipboard or of an extension
	MaxName   = 4096     // bytes of a desktop's name
	MaxReason = 4096     // bytes of a refusal's text
	MaxListed = 1024     // encodings in one list
)

// Errors that others wrap.
var (
	ErrProtocol = errors.New("protocol error")
	ErrTooLong  = errors.New("too long") // beyond a named limit
	ErrSecurity = errors.New("no common way to log in")
	ErrDenied   = errors.New("refused")                // the peer says no; its words follow, if it has any
	ErrCut      = errors.New("connection cut off")     // inside a message or a handshake; wraps io.ErrUnexpectedEOF
	ErrFormat   = errors.New("pixel format not taken") // by AMT: 32 bits per pixel, or a colour map
	ErrRaw      = errors.New("encodings without Raw not taken")
	ErrMemory   = errors.New("screen too large for the frame memory") // of the firmware, at these bits per pixel
)
