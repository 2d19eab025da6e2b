package redir

import (
	"encoding/binary"
	"fmt"
)

// Opcodes. Those of the kinds are in packages sol (20h-2Bh) and ider (40h-54h).
const (
	opStart      = 0x10 // StartRedirectionSession
	opStartReply = 0x11
	opEnd        = 0x12 // EndRedirectionSession
	opAuth       = 0x13 // AuthenticateSession
	opAuthReply  = 0x14
	opRecorded   = 0xF0 // put in by the MeshCentral relay only: this session is recorded. 1 byte
)

// MaxAuthData limits the data of 13h and 14h. Digest needs at most 2048; a Kerberos token can have some thousands.
const MaxAuthData = 16384

// EnterpriseIntel is the enterprise number of Intel, as IANA gives them.
const EnterpriseIntel uint32 = 343

// Lengths of the fixed parts.
const (
	startLen      = 8
	startReplyLen = 13
	refusalLen    = 4 // of a start reply that says no, read by consoles
	endLen        = 4
	authLen       = 9
)

// Length tells how long the message at the front of b is: 0 if b is too short to tell. It knows 10h to 14h. A start
// reply that says no counts 4 bytes, as some machines send no more; what may follow is not to be read. The error wraps
// [ErrOpcode] or [ErrTooLong].
func Length(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	switch b[0] {
	case opStart:
		return startLen, nil
	case opStartReply:
		switch {
		case len(b) < 2:
			return 0, nil
		case Status(b[1]) != StatusSuccess:
			return refusalLen, nil
		case len(b) < startReplyLen:
			return 0, nil
		}
		return startReplyLen + int(b[12]), nil
	case opEnd:
		return endLen, nil
	case opAuth, opAuthReply:
		if len(b) < authLen {
			return 0, nil
		}
		if n := binary.LittleEndian.Uint32(b[5:]); n > MaxAuthData {
			return 0, fmt.Errorf("redir: authentication data: %w: %d bytes of at most %d", ErrTooLong, n, MaxAuthData)
		}
		return authLen + int(binary.LittleEndian.Uint32(b[5:])), nil
	case opRecorded:
		return 1, nil
	}
	return 0, fmt.Errorf("redir: %w %02xh", ErrOpcode, b[0])
}

// check tells whether b begins with a whole message op.
func check(b []byte, op byte, name string) (n int, err error) {
	if len(b) > 0 && b[0] != op {
		return 0, fmt.Errorf("redir: %s: %w %02xh", name, ErrOpcode, b[0])
	}
	n, err = Length(b)
	if err != nil {
		return 0, fmt.Errorf("redir: %s: %w", name, err)
	}
	if n == 0 || len(b) < n {
		return 0, fmt.Errorf("redir: %s: %w (%d bytes)", name, ErrShort, len(b))
	}
	return n, nil
}

// Start opens a session. Console to machine, 8 bytes.
type Start struct {
	Minor uint8 // 1 for KVM, else 0; its meaning is unknown and one console always sends 1. Not to be checked
	Kind  Kind
}

// Append appends the message.
func (m Start) Append(b []byte) []byte {
	b = append(b, opStart, m.Minor, 0, 0)
	return append(b, m.Kind[:]...)
}

// ParseStart reads one message off the front of b and returns the rest.
func ParseStart(b []byte) (m Start, rest []byte, err error) {
	n, err := check(b, opStart, "start")
	if err != nil {
		return m, b, err
	}
	return Start{Minor: b[1], Kind: Kind(b[4:8])}, b[n:], nil
}

// StartReply answers [Start]. Machine to console, 13 bytes and OEM.
type StartReply struct {
	Status       Status
	Major, Minor uint8    // of the redirection protocol: 1, 0
	Firmware     [2]uint8 // major, minor: 0Bh 08h on AMT 11.8, 0Ch 00h on 12.0
	Enterprise   uint32   // EnterpriseIntel
	OEM          []byte   // at most 255 bytes; empty on all machines seen
}

// Append appends the message, a refusal too with all its 13 bytes.
func (m StartReply) Append(b []byte) []byte {
	b = append(b, opStartReply, byte(m.Status), 0, 0, m.Major, m.Minor, m.Firmware[0], m.Firmware[1])
	b = binary.LittleEndian.AppendUint32(b, m.Enterprise)
	oem := m.OEM[:min(len(m.OEM), 255)]
	b = append(b, byte(len(oem)))
	return append(b, oem...)
}

// ParseStartReply reads one message off the front of b and returns the rest. A refusal is read as far as its status:
// see [Length].
func ParseStartReply(b []byte) (m StartReply, rest []byte, err error) {
	n, err := check(b, opStartReply, "start reply")
	if err != nil {
		return m, b, err
	}
	m.Status = Status(b[1])
	if n > refusalLen {
		m.Major, m.Minor, m.Firmware = b[4], b[5], [2]uint8(b[6:8])
		m.Enterprise = binary.LittleEndian.Uint32(b[8:])
		m.OEM = b[startReplyLen:n]
	}
	return m, b[n:], nil
}

// AppendEnd appends EndRedirectionSession, 4 bytes, to which there is no answer.
func AppendEnd(b []byte) []byte { return append(b, opEnd, 0, 0, 0) }

// A Method is a way to authenticate.
type Method uint8

// The methods.
const (
	MethodQuery    Method = 0 // which are there?
	MethodPassword Method = 1 // user and password in clear; AMT 2 to 11
	MethodKerberos Method = 2 // a SPNEGO token; empty after HTTP authentication of a web socket
	MethodRFC2069  Method = 3 // digest without qop; old
	MethodDigest   Method = 4 // digest with qop=auth; since about AMT 3.2
)

func (m Method) String() string {
	switch m {
	case MethodQuery:
		return "query"
	case MethodPassword:
		return "password"
	case MethodKerberos:
		return "Kerberos"
	case MethodRFC2069:
		return "digest (RFC 2069)"
	case MethodDigest:
		return "digest"
	}
	return fmt.Sprintf("unknown (%d)", uint8(m))
}

// An AuthStatus answers an [Auth].
type AuthStatus uint8

// The values of AuthStatus.
const (
	AuthSuccess      AuthStatus = 0
	AuthFailure      AuthStatus = 1 // for digest also "here is a challenge"
	AuthNotSupported AuthStatus = 2
)

func (s AuthStatus) String() string {
	switch s {
	case AuthSuccess:
		return "success"
	case AuthFailure:
		return "failure"
	case AuthNotSupported:
		return "not supported"
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// Auth asks for the methods or proves who one is. Console to machine, 9 bytes and Data.
type Auth struct {
	Method Method
	Data   []byte // see Password, Digest; a parsed one points into the parser's input
}

// Append appends the message.
func (m Auth) Append(b []byte) []byte { return appendAuth(b, opAuth, 0, m.Method, m.Data) }

// ParseAuth reads one message off the front of b and returns the rest.
func ParseAuth(b []byte) (m Auth, rest []byte, err error) {
	n, err := check(b, opAuth, "authenticate")
	if err != nil {
		return m, b, err
	}
	return Auth{Method: Method(b[4]), Data: b[authLen:n]}, b[n:], nil
}

// AuthReply answers [Auth]. Machine to console, 9 bytes and Data.
type AuthReply struct {
	Status AuthStatus
	Method Method // of the request
	Data   []byte // a byte for each method, a challenge, or nothing
}

// Append appends the message.
func (m AuthReply) Append(b []byte) []byte {
	return appendAuth(b, opAuthReply, byte(m.Status), m.Method, m.Data)
}

// ParseAuthReply reads one message off the front of b and returns the rest.
func ParseAuthReply(b []byte) (m AuthReply, rest []byte, err error) {
	n, err := check(b, opAuthReply, "authentication reply")
	if err != nil {
		return m, b, err
	}
	return AuthReply{Status: AuthStatus(b[1]), Method: Method(b[4]), Data: b[authLen:n]}, b[n:], nil
}

func appendAuth(b []byte, op, status byte, method Method, data []byte) []byte {
	data = data[:min(len(data), MaxAuthData)]
	b = append(b, op, status, 0, 0, byte(method))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}
