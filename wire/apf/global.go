package apf

// Names of global requests.
const (
	RequestForward = "tcpip-forward"
	RequestCancel  = "cancel-tcpip-forward"
	RequestUDP     = "udp-send-to@amt.intel.com"
)

// GlobalRequest asks for something that belongs to no channel: forward a port, stop that, send a datagram.
//
//	0  1  80
//	1  .  name, string
//	.  1  want reply
//	.  .  address, string
//	.  4  port
//
// and for udp-send-to@amt.intel.com
//
//	.  .  originator's address, string
//	.  4  originator's port
//	.  4  length
//	.  .  datagram
//
// Another name's data has no known layout: in a stream it is an error.
type GlobalRequest struct {
	Name          string
	WantReply     bool   // AMT wants one for ports, none for datagrams
	Address       string // to listen on, see [Forward]; to send to
	Port          uint32
	OriginAddress string // datagrams only
	OriginPort    uint32 // datagrams only
	Payload       []byte // the datagram; after Parse, part of what was parsed. For an unknown name, all that follows
}

// Append appends the message.
func (m GlobalRequest) Append(b []byte) []byte {
	b = appendString(append(b, byte(KindGlobalRequest)), m.Name)
	b = appendBool(b, m.WantReply)
	switch m.Name {
	case RequestForward, RequestCancel:
		b = appendString(b, m.Address)
		return appendU32(b, m.Port)
	case RequestUDP:
		b = appendString(b, m.Address)
		b = appendU32(b, m.Port)
		b = appendString(b, m.OriginAddress)
		b = appendU32(b, m.OriginPort)
		b = appendU32(b, uint32(len(m.Payload)))
	}
	return append(b, m.Payload...)
}

// ParseGlobalRequest reads one message off the front of b and returns the rest. With an unknown name nothing is left.
func ParseGlobalRequest(b []byte) (m GlobalRequest, rest []byte, err error) {
	f := open(b, KindGlobalRequest)
	m.Name, m.WantReply = f.str(), f.u8() != 0
	switch m.Name {
	case RequestForward, RequestCancel:
		m.Address, m.Port = f.str(), f.u32()
	case RequestUDP:
		m.Address, m.Port = f.str(), f.u32()
		m.OriginAddress, m.OriginPort = f.str(), f.u32()
		m.Payload = f.counted(MaxDatagram)
	default:
		m.Payload = f.bytes(len(f.b) - f.at)
	}
	rest, err = f.rest(KindGlobalRequest)
	return m, rest, err
}

// RequestSuccess answers a global request with yes. 5 bytes to tcpip-forward, 1 byte to all others: only who knows what
// was asked can tell where it ends.
//
//	0  1  81
//	1  4  port; to tcpip-forward only, but there always, unlike in SSH
type RequestSuccess struct {
	HasPort bool
	Port    uint32
}

// Append appends the message.
func (m RequestSuccess) Append(b []byte) []byte {
	b = append(b, byte(KindRequestSuccess))
	if m.HasPort {
		b = appendU32(b, m.Port)
	}
	return b
}

// ParseRequestSuccess reads one message off the front of b and returns the rest. hasPort says that tcpip-forward was
// asked.
func ParseRequestSuccess(b []byte, hasPort bool) (m RequestSuccess, rest []byte, err error) {
	f := open(b, KindRequestSuccess)
	if hasPort {
		m.HasPort, m.Port = true, f.u32()
	}
	rest, err = f.rest(KindRequestSuccess)
	return m, rest, err
}

// RequestFailure answers a global request with no. 1 byte, 82.
type RequestFailure struct{}

// Append appends the message.
func (m RequestFailure) Append(b []byte) []byte { return append(b, byte(KindRequestFailure)) }

// ParseRequestFailure reads one message off the front of b and returns the rest.
func ParseRequestFailure(b []byte) (m RequestFailure, rest []byte, err error) {
	f := open(b, KindRequestFailure)
	rest, err = f.rest(KindRequestFailure)
	return m, rest, err
}
