package apf

import (
	"fmt"

	"github.com/outband/outband/wire/guid"
)

// A Trigger says why a machine calls home. WS-Man and AMTHI count otherwise, from 0.
type Trigger uint32

// The triggers.
const (
	TriggerUser         Trigger = 1   // somebody asked for help
	TriggerAlert        Trigger = 2   // an event
	TriggerProvisioning Trigger = 3   // setup wants a server
	TriggerPeriodic     Trigger = 4   // it was time
	TriggerLME          Trigger = 254 // the host end of LME; rpc-go sends 9, and the firmware takes anything here
)

func (t Trigger) String() string {
	switch t {
	case TriggerUser:
		return "user initiated"
	case TriggerAlert:
		return "alert"
	case TriggerProvisioning:
		return "provisioning"
	case TriggerPeriodic:
		return "periodic"
	case TriggerLME:
		return "LME"
	}
	return fmt.Sprintf("unknown (%d)", uint32(t))
}

// Services.
const (
	ServiceForward = "pfwd@amt.intel.com"
	ServiceAuth    = "auth@amt.intel.com"
)

// Methods of authentication.
const (
	MethodNone     = "none"
	MethodPassword = "password"
)

// ProtocolVersion opens the conversation. 93 bytes.
//
//	 0  1  192
//	 1  4  major
//	 5  4  minor
//	 9  4  trigger
//	13 16  UUID, SMBIOS order
//	29 64  0
type ProtocolVersion struct {
	Major, Minor uint32 // 1.0; LMS also knows 1.1
	Trigger      Trigger
	UUID         guid.GUID // of the machine; 0 from a host
}

const versionLen = 93

// Append appends the message.
func (m ProtocolVersion) Append(b []byte) []byte {
	b = append(b, byte(KindProtocolVersion))
	b = appendU32(b, m.Major)
	b = appendU32(b, m.Minor)
	b = appendU32(b, uint32(m.Trigger))
	b = append(b, m.UUID[:]...)
	var reserved [64]byte
	return append(b, reserved[:]...)
}

// ParseProtocolVersion reads one message off the front of b and returns the rest. The reserved bytes are not looked at.
func ParseProtocolVersion(b []byte) (m ProtocolVersion, rest []byte, err error) {
	f := open(b, KindProtocolVersion)
	m.Major, m.Minor, m.Trigger = f.u32(), f.u32(), Trigger(f.u32())
	copy(m.UUID[:], f.bytes(guid.Size))
	f.bytes(64)
	rest, err = f.rest(KindProtocolVersion)
	return m, rest, err
}

// ServiceRequest asks for a service. 5 bytes and the name.
//
//	0  1  5
//	1  .  service, string
type ServiceRequest struct{ Service string }

// Append appends the message.
func (m ServiceRequest) Append(b []byte) []byte {
	return appendString(append(b, byte(KindServiceRequest)), m.Service)
}

// ParseServiceRequest reads one message off the front of b and returns the rest.
func ParseServiceRequest(b []byte) (m ServiceRequest, rest []byte, err error) {
	f := open(b, KindServiceRequest)
	m.Service = f.str()
	rest, err = f.rest(KindServiceRequest)
	return m, rest, err
}

// ServiceAccept grants it. 5 bytes and the name.
//
//	0  1  6
//	1  .  service, string
type ServiceAccept struct{ Service string }

// Append appends the message.
func (m ServiceAccept) Append(b []byte) []byte {
	return appendString(append(b, byte(KindServiceAccept)), m.Service)
}

// ParseServiceAccept reads one message off the front of b and returns the rest.
func ParseServiceAccept(b []byte) (m ServiceAccept, rest []byte, err error) {
	f := open(b, KindServiceAccept)
	m.Service = f.str()
	rest, err = f.rest(KindServiceAccept)
	return m, rest, err
}

// UserAuthRequest says who the machine is.
//
//	0  1  50
//	1  .  user, string
//	.  .  service, string
//	.  .  method, string; after "none" nothing follows
//	.  1  0; after "password" only
//	.  .  password, string; after "password" only
//
// Another method's data has no known layout: in a stream it is an error.
type UserAuthRequest struct {
	User     string // at most 64 characters, a limit of WS-Man; MeshCentral uses 16 of the device group's id
	Service  string // ServiceForward
	Method   string
	Password string // of method "password"
}

// String leaves the password out.
func (m UserAuthRequest) String() string { return fmt.Sprintf("user %q by %s", m.User, m.Method) }

// GoString leaves the password out.
func (m UserAuthRequest) GoString() string { return m.String() }

// Append appends the message.
func (m UserAuthRequest) Append(b []byte) []byte {
	b = appendString(append(b, byte(KindUserAuthRequest)), m.User)
	b = appendString(b, m.Service)
	b = appendString(b, m.Method)
	if m.Method == MethodPassword {
		b = appendString(append(b, 0), m.Password)
	}
	return b
}

// ParseUserAuthRequest reads one message off the front of b and returns the rest. What follows a method other than
// "password" is part of the rest.
func ParseUserAuthRequest(b []byte) (m UserAuthRequest, rest []byte, err error) {
	f := open(b, KindUserAuthRequest)
	m.User, m.Service, m.Method = f.str(), f.str(), f.str()
	if m.Method == MethodPassword {
		f.u8() // true would announce a new password (RFC 4252 8), which AMT does not do
		m.Password = f.str()
	}
	rest, err = f.rest(KindUserAuthRequest)
	return m, rest, err
}

// UserAuthFailure refuses. 6 bytes and the methods: 14 bytes with "password".
//
//	0  1  51
//	1  .  methods that can go on, string, comma between
//	.  1  partial success
//
// MPS and MeshCentral send one byte more, 0. As the connection ends anyway, nobody waits for it.
type UserAuthFailure struct {
	Methods string
	Partial bool
}

// Append appends the message.
func (m UserAuthFailure) Append(b []byte) []byte {
	b = appendString(append(b, byte(KindUserAuthFailure)), m.Methods)
	return appendBool(b, m.Partial)
}

// ParseUserAuthFailure reads one message off the front of b and returns the rest.
func ParseUserAuthFailure(b []byte) (m UserAuthFailure, rest []byte, err error) {
	f := open(b, KindUserAuthFailure)
	m.Methods, m.Partial = f.str(), f.u8() != 0
	rest, err = f.rest(KindUserAuthFailure)
	return m, rest, err
}

// UserAuthSuccess lets the machine in. 1 byte, 52.
type UserAuthSuccess struct{}

// Append appends the message.
func (m UserAuthSuccess) Append(b []byte) []byte { return append(b, byte(KindUserAuthSuccess)) }

// ParseUserAuthSuccess reads one message off the front of b and returns the rest.
func ParseUserAuthSuccess(b []byte) (m UserAuthSuccess, rest []byte, err error) {
	f := open(b, KindUserAuthSuccess)
	rest, err = f.rest(KindUserAuthSuccess)
	return m, rest, err
}

// Disconnect ends the session. 7 bytes.
//
//	0  1  1
//	1  4  reason
//	5  2  0
type Disconnect struct{ Reason DisconnectReason }

// Append appends the message.
func (m Disconnect) Append(b []byte) []byte {
	return append(appendU32(append(b, byte(KindDisconnect)), uint32(m.Reason)), 0, 0)
}

// ParseDisconnect reads one message off the front of b and returns the rest.
func ParseDisconnect(b []byte) (m Disconnect, rest []byte, err error) {
	f := open(b, KindDisconnect)
	m.Reason = DisconnectReason(f.u32())
	f.bytes(2)
	rest, err = f.rest(KindDisconnect)
	return m, rest, err
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
