package apf

import (
	"errors"
	"fmt"
)

// A Kind is the first byte of a message.
type Kind uint8

// The kinds, with the vendor's names.
const (
	KindDisconnect              Kind = 1   // APF_DISCONNECT
	KindServiceRequest          Kind = 5   // APF_SERVICE_REQUEST
	KindServiceAccept           Kind = 6   // APF_SERVICE_ACCEPT
	KindUserAuthRequest         Kind = 50  // APF_USERAUTH_REQUEST
	KindUserAuthFailure         Kind = 51  // APF_USERAUTH_FAILURE
	KindUserAuthSuccess         Kind = 52  // APF_USERAUTH_SUCCESS
	KindGlobalRequest           Kind = 80  // APF_GLOBAL_REQUEST
	KindRequestSuccess          Kind = 81  // APF_REQUEST_SUCCESS
	KindRequestFailure          Kind = 82  // APF_REQUEST_FAILURE
	KindChannelOpen             Kind = 90  // APF_CHANNEL_OPEN
	KindChannelOpenConfirmation Kind = 91  // APF_CHANNEL_OPEN_CONFIRMATION
	KindChannelOpenFailure      Kind = 92  // APF_CHANNEL_OPEN_FAILURE
	KindWindowAdjust            Kind = 93  // APF_CHANNEL_WINDOW_ADJUST
	KindData                    Kind = 94  // APF_CHANNEL_DATA
	KindChannelClose            Kind = 97  // APF_CHANNEL_CLOSE
	KindProtocolVersion         Kind = 192 // APF_PROTOCOLVERSION
	KindKeepAliveRequest        Kind = 208 // APF_KEEPALIVE_REQUEST
	KindKeepAliveReply          Kind = 209 // APF_KEEPALIVE_REPLY
	KindKeepAliveOptionsRequest Kind = 210 // APF_KEEPALIVE_OPTIONS_REQUEST
	KindKeepAliveOptionsReply   Kind = 211 // APF_KEEPALIVE_OPTIONS_REPLY
)

func (k Kind) String() string {
	switch k {
	case KindDisconnect:
		return "disconnect"
	case KindServiceRequest:
		return "service request"
	case KindServiceAccept:
		return "service accept"
	case KindUserAuthRequest:
		return "user auth request"
	case KindUserAuthFailure:
		return "user auth failure"
	case KindUserAuthSuccess:
		return "user auth success"
	case KindGlobalRequest:
		return "global request"
	case KindRequestSuccess:
		return "request success"
	case KindRequestFailure:
		return "request failure"
	case KindChannelOpen:
		return "channel open"
	case KindChannelOpenConfirmation:
		return "channel open confirmation"
	case KindChannelOpenFailure:
		return "channel open failure"
	case KindWindowAdjust:
		return "window adjust"
	case KindData:
		return "channel data"
	case KindChannelClose:
		return "channel close"
	case KindProtocolVersion:
		return "protocol version"
	case KindKeepAliveRequest:
		return "keepalive request"
	case KindKeepAliveReply:
		return "keepalive reply"
	case KindKeepAliveOptionsRequest:
		return "keepalive options request"
	case KindKeepAliveOptionsReply:
		return "keepalive options reply"
	}
	return fmt.Sprintf("unknown (%d)", uint8(k))
}

// Limits of what a peer may send. A length beyond them is an error that wraps [ErrTooLong], before anything is
// allocated.
const (
	MaxString   = 2048    // bytes in a string: names, addresses, user, password; existing servers have the same
	MaxData     = 1 << 20 // bytes in one channel data message; MPS has the same
	MaxDatagram = 65535   // bytes in a UDP datagram to be sent on
)

// Errors that parsers wrap.
var (
	ErrShort   = errors.New("message too short")
	ErrTooLong = errors.New("length over the limit")
	ErrUnknown = errors.New("unknown message") // in a stream: nobody can tell where it ends
	ErrKind    = errors.New("not the expected message")
)

// Errors that end a session or a channel.
var (
	ErrProtocol   = errors.New("protocol violated")
	ErrWindow     = errors.New("peer sent more than its window")
	ErrFlood      = errors.New("peer asks without reading the answers")
	ErrVersion    = errors.New("protocol version not supported")
	ErrService    = errors.New("service not available")
	ErrAuth       = errors.New("authentication refused")
	ErrTimeout    = errors.New("peer is silent")
	ErrRestarted  = errors.New("peer started over")
	ErrPeerClosed = errors.New("channel closed by peer")
	ErrChannels   = errors.New("too many channels")
	ErrRefused    = errors.New("request refused") // a forward that the server does not want
)

// A DisconnectReason says why a session ends.
type DisconnectReason uint32

// The reasons. 1 to 15 are those of RFC 4253 11.1.
const (
	HostNotAllowed         DisconnectReason = 1  // HOST_NOT_ALLOWED_TO_CONNECT
	ProtocolError          DisconnectReason = 2  // PROTOCOL_ERROR
	KeyExchangeFailed      DisconnectReason = 3  // KEY_EXCHANGE_FAILED
	ReservedReason         DisconnectReason = 4  // RESERVED
	MACError               DisconnectReason = 5  // MAC_ERROR
	CompressionError       DisconnectReason = 6  // COMPRESSION_ERROR
	ServiceNotAvailable    DisconnectReason = 7  // SERVICE_NOT_AVAILABLE
	VersionNotSupported    DisconnectReason = 8  // PROTOCOL_VERSION_NOT_SUPPORTED
	HostKeyNotVerifiable   DisconnectReason = 9  // HOST_KEY_NOT_VERIFIABLE
	ConnectionLost         DisconnectReason = 10 // CONNECTION_LOST
	ByApplication          DisconnectReason = 11 // BY_APPLICATION
	TooManyConnections     DisconnectReason = 12 // TOO_MANY_CONNECTIONS
	AuthCancelled          DisconnectReason = 13 // AUTH_CANCELLED_BY_USER
	NoMoreAuthMethods      DisconnectReason = 14 // NO_MORE_AUTH_METHODS_AVAILABLE
	InvalidCredentials     DisconnectReason = 15 // INVALID_CREDENTIALS; ILLEGAL_USER_NAME in SSH
	TimedOut               DisconnectReason = 16 // CONNECTION_TIMED_OUT
	ByPolicy               DisconnectReason = 17 // BY_POLICY
	TemporarilyUnavailable DisconnectReason = 18 // TEMPORARILY_UNAVAILABLE
)

func (r DisconnectReason) String() string {
	switch r {
	case HostNotAllowed:
		return "host not allowed to connect"
	case ProtocolError:
		return "protocol error"
	case KeyExchangeFailed:
		return "key exchange failed"
	case ReservedReason:
		return "reserved"
	case MACError:
		return "MAC error"
	case CompressionError:
		return "compression error"
	case ServiceNotAvailable:
		return "service not available"
	case VersionNotSupported:
		return "protocol version not supported"
	case HostKeyNotVerifiable:
		return "host key not verifiable"
	case ConnectionLost:
		return "connection lost"
	case ByApplication:
		return "by application"
	case TooManyConnections:
		return "too many connections"
	case AuthCancelled:
		return "authentication cancelled by user"
	case NoMoreAuthMethods:
		return "no more authentication methods"
	case InvalidCredentials:
		return "invalid credentials"
	case TimedOut:
		return "connection timed out"
	case ByPolicy:
		return "by policy"
	case TemporarilyUnavailable:
		return "temporarily unavailable"
	}
	return fmt.Sprintf("unknown (%d)", uint32(r))
}

// An OpenReason says why a channel is refused.
type OpenReason uint32

// The reasons. RFC 4254 5.1.
const (
	Prohibited         OpenReason = 1 // ADMINISTRATIVELY_PROHIBITED
	ConnectFailed      OpenReason = 2 // CONNECT_FAILED
	UnknownChannelType OpenReason = 3 // UNKNOWN_CHANNEL_TYPE
	ResourceShortage   OpenReason = 4 // RESOURCE_SHORTAGE: on LME, more than 8 channels
)

func (r OpenReason) String() string {
	switch r {
	case Prohibited:
		return "administratively prohibited"
	case ConnectFailed:
		return "connect failed"
	case UnknownChannelType:
		return "unknown channel type"
	case ResourceShortage:
		return "resource shortage"
	}
	return fmt.Sprintf("unknown (%d)", uint32(r))
}

// A DisconnectError ends a session because the peer said so.
type DisconnectError struct{ Reason DisconnectReason }

func (e *DisconnectError) Error() string { return fmt.Sprintf("apf: peer disconnected: %v", e.Reason) }

// An OpenError is the peer's no to a channel.
type OpenError struct {
	Address string // that was to be connected
	Port    uint32
	Reason  OpenReason
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("apf: open channel to port %d: %v", e.Port, e.Reason)
}
