package rfb

import (
	"encoding/binary"
	"fmt"
	"image"
)

// Types of messages to the server.
const (
	typeSetPixelFormat = 0
	typeSetEncodings   = 2
	typeUpdateRequest  = 3
	typeKey            = 4
	typePointer        = 5
	typeClientText     = 6
	typeSetDesktopSize = 251
	typeQEMU           = 255 // with 0 behind it: extended key event
)

// Types of messages to the client.
const (
	typeUpdate     = 0
	typeColourMap  = 1 // never from AMT
	typeBell       = 2
	typeServerText = 3
)

// An Encoding is how a rectangle is written, or, of a client, something that it can do.
type Encoding int32

// Encodings. Source: the IANA registry of RFB; spec kvm.md for 1092.
const (
	EncodingRaw         Encoding = 0
	EncodingHextile     Encoding = 5
	EncodingTight       Encoding = 7
	EncodingZRLE        Encoding = 16
	EncodingDataChannel Encoding = 1092 // AMT: the client wants the data channel
	EncodingDesktopSize Encoding = -223
	EncodingLastRect    Encoding = -224
	EncodingCursor      Encoding = -239
	EncodingExtendedKey Encoding = -258 // QEMU
	EncodingDesktopSet  Encoding = -308 // ExtendedDesktopSize
)

func (e Encoding) String() string {
	switch e {
	case EncodingRaw:
		return "Raw"
	case EncodingHextile:
		return "Hextile"
	case EncodingTight:
		return "Tight"
	case EncodingZRLE:
		return "ZRLE"
	case EncodingDataChannel:
		return "AMT data channel"
	case EncodingDesktopSize:
		return "DesktopSize"
	case EncodingLastRect:
		return "LastRect"
	case EncodingCursor:
		return "Cursor"
	case EncodingExtendedKey:
		return "QEMU extended key event"
	case EncodingDesktopSet:
		return "ExtendedDesktopSize"
	}
	return fmt.Sprintf("unknown (%d)", int32(e))
}

// A ClientMessage is what a viewer sends once the session stands: one of [SetPixelFormat], [SetEncodings],
// [UpdateRequest], [KeyEvent], [PointerEvent], [ClientText], [SetDesktopSize].
type ClientMessage interface{ Append(b []byte) []byte }

// SetPixelFormat chooses how pixels are written from now on. 20 bytes.
type SetPixelFormat struct{ Format PixelFormat }

// Append appends the message.
func (m SetPixelFormat) Append(b []byte) []byte {
	return m.Format.Append(append(b, typeSetPixelFormat, 0, 0, 0))
}

// SetEncodings lists what the client can read, the best first.
type SetEncodings struct{ Encodings []Encoding }

// Append appends the message.
func (m SetEncodings) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, typeSetEncodings, 0), uint16(len(m.Encodings)))
	for _, e := range m.Encodings {
		b = binary.BigEndian.AppendUint32(b, uint32(e))
	}
	return b
}

// UpdateRequest asks for one update: of all pixels of a rectangle, or of those that changed. 10 bytes.
type UpdateRequest struct {
	Incremental bool
	X, Y, W, H  uint16
}

// Append appends the message.
func (m UpdateRequest) Append(b []byte) []byte {
	return appendRect(append(b, typeUpdateRequest, bit(m.Incremental)), m.X, m.Y, m.W, m.H)
}

func (m UpdateRequest) rectangle() image.Rectangle {
	return image.Rect(int(m.X), int(m.Y), int(m.X)+int(m.W), int(m.Y)+int(m.H))
}

func appendRect(b []byte, x, y, w, h uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, x)
	b = binary.BigEndian.AppendUint16(b, y)
	b = binary.BigEndian.AppendUint16(b, w)
	return binary.BigEndian.AppendUint16(b, h)
}

// KeyEvent is a key that goes down or up. 8 bytes; 12 with a scan code, which needs [EncodingExtendedKey].
type KeyEvent struct {
	Down   bool
	Keysym uint32 // X11's number of the character or key
	Code   uint32 // XT scan code, E0h codes as 80h and more; 0: not told
}

// Append appends the message.
func (m KeyEvent) Append(b []byte) []byte {
	if m.Code == 0 {
		return binary.BigEndian.AppendUint32(append(b, typeKey, bit(m.Down), 0, 0), m.Keysym)
	}
	b = binary.BigEndian.AppendUint32(append(b, typeQEMU, 0, 0, bit(m.Down)), m.Keysym)
	return binary.BigEndian.AppendUint32(b, m.Code)
}

// PointerEvent is where the pointer is and which buttons are down: bit 0 left, 1 middle, 2 right, 3 and 4 the wheel up and
// down. 6 bytes.
type PointerEvent struct {
	Buttons uint8
	X, Y    uint16
}

// Append appends the message.
func (m PointerEvent) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, typePointer, m.Buttons), m.X)
	return binary.BigEndian.AppendUint16(b, m.Y)
}

// ClientText is the viewer's clipboard, Latin-1 by the standard, or an extension of AMT; see [Extension].
type ClientText struct{ Text []byte }

// Append appends the message.
func (m ClientText) Append(b []byte) []byte { return appendText(b, typeClientText, m.Text) }

// SetDesktopSize asks for another size of the screen, of a server that has told it by [EncodingDesktopSet]. Viewers do so
// when their window changes. 8 bytes, and 16 for each monitor.
type SetDesktopSize struct {
	W, H    uint16
	Screens []Screen
}

// A Screen is a monitor's part of a screen.
type Screen struct {
	ID         uint32 // the server's, or the client's own
	X, Y, W, H uint16
	Flags      uint32 // none is defined
}

const screenLen = 16

func (s Screen) append(b []byte) []byte {
	b = appendRect(binary.BigEndian.AppendUint32(b, s.ID), s.X, s.Y, s.W, s.H)
	return binary.BigEndian.AppendUint32(b, s.Flags)
}

// Append appends the message.
func (m SetDesktopSize) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, typeSetDesktopSize, 0), m.W)
	b = append(binary.BigEndian.AppendUint16(b, m.H), byte(len(m.Screens)), 0)
	for _, s := range m.Screens {
		b = s.append(b)
	}
	return b
}

func parseSetDesktopSize(b []byte) SetDesktopSize {
	u16 := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	m := SetDesktopSize{W: u16(2), H: u16(4), Screens: make([]Screen, b[6])}
	for i := range m.Screens {
		at := 8 + i*screenLen
		m.Screens[i] = Screen{binary.BigEndian.Uint32(b[at:]), u16(at + 4), u16(at + 6), u16(at + 8), u16(at + 10), binary.BigEndian.Uint32(b[at+12:])}
	}
	return m
}

func appendText(b []byte, kind byte, text []byte) []byte {
	return append(binary.BigEndian.AppendUint32(append(b, kind, 0, 0, 0), uint32(len(text))), text...)
}

// ClientLength tells how long the client's message at the front of b is, 0 if b is too short to tell. The error wraps
// [ErrProtocol] or [ErrTooLong].
func ClientLength(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	switch b[0] {
	case typeSetPixelFormat:
		return 20, nil
	case typeSetEncodings:
		if len(b) < 4 {
			return 0, nil
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n > MaxListed {
			return 0, fmt.Errorf("rfb: list of %d encodings: %w", n, ErrTooLong)
		}
		return 4 + 4*n, nil
	case typeUpdateRequest:
		return 10, nil
	case typeKey:
		return 8, nil
	case typePointer:
		return 6, nil
	case typeClientText:
		if len(b) < 8 {
			return 0, nil
		}
		n := binary.BigEndian.Uint32(b[4:])
		if n > MaxText {
			return 0, fmt.Errorf("rfb: text of %d bytes: %w", n, ErrTooLong)
		}
		return 8 + int(n), nil
	case typeSetDesktopSize:
		if len(b) < 8 {
			return 0, nil
		}
		return 8 + screenLen*int(b[6]), nil
	case typeQEMU:
		if len(b) > 1 && b[1] != 0 {
			return 0, fmt.Errorf("rfb: message of type 255, %d: %w", b[1], ErrProtocol)
		}
		return 12, nil
	}
	return 0, fmt.Errorf("rfb: message of type %d: %w", b[0], ErrProtocol)
}

// ParseClientMessage reads one message off the front of b and returns the rest. Errors wrap [ErrProtocol] or [ErrTooLong].
func ParseClientMessage(b []byte) (m ClientMessage, rest []byte, err error) {
	n, err := ClientLength(b)
	if err != nil {
		return nil, b, err
	}
	if n == 0 || len(b) < n {
		return nil, b, fmt.Errorf("rfb: message of %d bytes ends early: %w", len(b), ErrProtocol)
	}
	u16 := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	rest = b[n:]
	switch b[0] {
	case typeSetPixelFormat:
		f, err := ParsePixelFormat(b[4:])
		if err != nil {
			return nil, b, fmt.Errorf("rfb: %w", err)
		}
		m = SetPixelFormat{f}
	case typeSetEncodings:
		list := make([]Encoding, u16(2))
		for i := range list {
			list[i] = Encoding(binary.BigEndian.Uint32(b[4+4*i:]))
		}
		m = SetEncodings{list}
	case typeUpdateRequest:
		m = parseUpdateRequest(b)
	case typeKey:
		m = KeyEvent{Down: b[1] != 0, Keysym: binary.BigEndian.Uint32(b[4:])}
	case typePointer:
		m = PointerEvent{b[1], u16(2), u16(4)}
	case typeClientText:
		m = ClientText{b[8:n:n]}
	case typeSetDesktopSize:
		m = parseSetDesktopSize(b)
	case typeQEMU:
		m = KeyEvent{u16(2) != 0, binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])}
	}
	return m, rest, nil
}

// parseUpdateRequest reads the message, of which all is there.
func parseUpdateRequest(b []byte) UpdateRequest {
	u16 := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	return UpdateRequest{b[1] != 0, u16(2), u16(4), u16(6), u16(8)}
}

// A Rect is the head of a rectangle of an update. 12 bytes.
type Rect struct {
	X, Y, W, H uint16
	Encoding   Encoding
}

const rectLen = 12

// Append appends the head.
func (r Rect) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(appendRect(b, r.X, r.Y, r.W, r.H), uint32(r.Encoding))
}

// ParseRect reads the head of a rectangle off the front of b, which has 12 bytes or more.
func ParseRect(b []byte) Rect {
	_ = b[rectLen-1]
	u16 := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	return Rect{u16(0), u16(2), u16(4), u16(6), Encoding(binary.BigEndian.Uint32(b[8:]))}
}

// appendUpdate appends the head of an update of n rectangles. 4 bytes.
func appendUpdate(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint16(append(b, typeUpdate, 0), uint16(n))
}

// ServerInit is what a session begins with: the screen. 24 bytes and the name.
type ServerInit struct {
	Width, Height uint16
	Format        PixelFormat
	Name          string // of AMT always "Intel(r) AMT KVM"
}

const serverInitLen = 24

// Append appends the message.
func (m ServerInit) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, m.Width)
	b = binary.BigEndian.AppendUint16(b, m.Height)
	b = m.Format.Append(b)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(m.Name))), m.Name...)
}
