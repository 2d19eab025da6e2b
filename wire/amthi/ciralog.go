package amthi

import "net/netip"

// The log of tunnels to a gateway: command 8E. One source, rpc-go; times are Unix seconds, intervals seconds.

// LogVersion is the version of the log asked for, 0.
type LogVersion uint8

func (v LogVersion) Append(b []byte) []byte { return append(b, byte(v)) }
func logVersion(r *reader) LogVersion       { return LogVersion(r.u8()) }

// CIRALog is what is going on, and what went wrong last.
type CIRALog struct {
	Version uint8
	Summary CIRASummary
	Tunnel  CIRATunnel
	Attempt CIRAAttempt
}

// CIRASummary is the present. 27 bytes.
type CIRASummary struct {
	Open              bool
	State             uint8 // 0 inside the enterprise, 1 VPN, 2 outside
	LastKeepAlive     uint32
	KeepAliveInterval uint32
	LastConnection    uint8 // 0 n/a, 1 internal, 2 DNS, 3 TCP, 4 TLS, 5 success, 6 in progress
	LastConnectionAt  uint32
	LastTunnel        uint8
	Opened, Closed    uint32 // how many
}

// CIRATunnel is the last tunnel that was open and failed. 545 bytes.
type CIRATunnel struct {
	Valid             bool
	Opened            uint32
	Trigger           uint8 // 0 user, 1 alert, 2 periodic
	MPS               string
	ProxyUsed         bool
	Proxy             string
	Auth              uint8 // 1 mutual TLS, 2 user and password
	Interface         uint8 // 0 wired, 1 wireless, 2 none
	LastKeepAlive     uint32
	KeepAliveInterval uint32
	Closure           CIRAClosure
}

// CIRAClosure is how a tunnel ended. 10 bytes.
type CIRAClosure struct {
	Time      uint32
	ByMPS     bool
	APFReason uint8 // of the disconnect message
	Reason    uint8 // 0 user, 1 lifetime, 2 internal, 3 keep-alive, 4 socket, 5 invalid APF command, 255 n/a
}

// CIRAAttempt is the last tunnel that could not be opened. 2208 bytes.
type CIRAAttempt struct {
	Valid          bool
	Time           uint32
	Trigger        uint8
	MPS            string
	Auth           uint8
	Interfaces     [2]CIRAInterface // wired, wireless
	Profile        string           // wireless
	HostControl    bool             // of the wireless interface
	Result8021X    uint8
	SubResult8021X uint8
	Media8021X     uint8
	DiscreteLAN    bool
	ConnectedBy    uint8 // interface
	Connections    [2]CIRAConnection
	Closure        CIRAClosure
}

// CIRAInterface is an interface at that time. 676 bytes. Addresses are in network order here.
type CIRAInterface struct {
	Present, LinkUp bool
	DHCP            uint8
	Address         netip.Addr
	Gateway         netip.Addr
	DNS             [2]netip.Addr
	Domain          string
	Router6         netip.Addr
	DNS6            [2]netip.Addr
	Addresses6      [6]CIRAAddress
}

// CIRAAddress is one IPv6 address. 18 bytes.
type CIRAAddress struct {
	Address     netip.Addr
	Type, State uint8
}

// CIRAConnection is one try. 269 bytes.
type CIRAConnection struct {
	Status    uint32
	ProxyUsed bool
	Proxy     string
	TCPError  uint32 // 0 ok, 1 general, 2 timeout, 3 reset, 4 unreachable
	TLSAlert  int32
}

const (
	ciraNameLen   = 256
	ciraDomainLen = 192
	ciraPadLen    = 306
	profileLen    = 33
)

func (v CIRALog) Append(b []byte) []byte {
	b = v.Summary.append(append(b, v.Version))
	return v.Attempt.append(v.Tunnel.append(b))
}

func ciraLog(r *reader) CIRALog {
	return CIRALog{r.u8(), ciraSummary(r), ciraTunnel(r), ciraAttempt(r)}
}

func (v CIRASummary) append(b []byte) []byte {
	b = append(b, flag(v.Open), v.State, 0, 0, 0)
	b = u32(u32(b, v.LastKeepAlive), v.KeepAliveInterval)
	b = append(u32(append(b, v.LastConnection), v.LastConnectionAt), v.LastTunnel)
	return u32(u32(b, v.Opened), v.Closed)
}

func ciraSummary(r *reader) CIRASummary {
	v := CIRASummary{Open: r.flag(), State: r.u8()}
	r.take(3)
	v.LastKeepAlive, v.KeepAliveInterval = r.u32(), r.u32()
	v.LastConnection, v.LastConnectionAt, v.LastTunnel = r.u8(), r.u32(), r.u8()
	v.Opened, v.Closed = r.u32(), r.u32()
	return v
}

func (v CIRATunnel) append(b []byte) []byte {
	b = append(u32(append(b, flag(v.Valid)), v.Opened), v.Trigger, 0, 0, 0)
	b = append(appendPadded(b, v.MPS, ciraNameLen), flag(v.ProxyUsed))
	b = append(appendPadded(b, v.Proxy, ciraNameLen), v.Auth, v.Interface, 0, 0, 0)
	return v.Closure.append(u32(u32(b, v.LastKeepAlive), v.KeepAliveInterval))
}

func ciraTunnel(r *reader) CIRATunnel {
	v := CIRATunnel{Valid: r.flag(), Opened: r.u32(), Trigger: r.u8()}
	r.take(3)
	v.MPS, v.ProxyUsed, v.Proxy = r.padded(ciraNameLen), r.flag(), r.padded(ciraNameLen)
	v.Auth, v.Interface = r.u8(), r.u8()
	r.take(3)
	v.LastKeepAlive, v.KeepAliveInterval = r.u32(), r.u32()
	v.Closure = ciraClosure(r)
	return v
}

func (v CIRAClosure) append(b []byte) []byte {
	return append(u32(b, v.Time), flag(v.ByMPS), v.APFReason, v.Reason, 0, 0, 0)
}

func ciraClosure(r *reader) CIRAClosure {
	v := CIRAClosure{r.u32(), r.flag(), r.u8(), r.u8()}
	r.take(3)
	return v
}

func (v CIRAAttempt) append(b []byte) []byte {
	b = append(u32(append(b, flag(v.Valid)), v.Time), v.Trigger, 0, 0, 0)
	b = append(appendPadded(b, v.MPS, ciraNameLen), v.Auth)
	for _, i := range v.Interfaces {
		b = i.append(b)
	}
	b = append(appendPadded(b, v.Profile, profileLen), flag(v.HostControl))
	b = append(b, v.Result8021X, v.SubResult8021X, v.Media8021X, flag(v.DiscreteLAN), v.ConnectedBy, 0, 0, 0)
	for _, c := range v.Connections {
		b = append(u32(b, c.Status), flag(c.ProxyUsed))
		b = u32(u32(appendPadded(b, c.Proxy, ciraNameLen), c.TCPError), uint32(c.TLSAlert))
	}
	return v.Closure.append(b)
}

func ciraAttempt(r *reader) CIRAAttempt {
	v := CIRAAttempt{Valid: r.flag(), Time: r.u32(), Trigger: r.u8()}
	r.take(3)
	v.MPS, v.Auth = r.padded(ciraNameLen), r.u8()
	for i := range v.Interfaces {
		v.Interfaces[i] = ciraInterface(r)
	}
	v.Profile, v.HostControl = r.padded(profileLen), r.flag()
	v.Result8021X, v.SubResult8021X, v.Media8021X = r.u8(), r.u8(), r.u8()
	v.DiscreteLAN, v.ConnectedBy = r.flag(), r.u8()
	r.take(3)
	for i := range v.Connections {
		v.Connections[i] = CIRAConnection{r.u32(), r.flag(), r.padded(ciraNameLen), r.u32(), int32(r.u32())}
	}
	v.Closure = ciraClosure(r)
	return v
}

func (v CIRAInterface) append(b []byte) []byte {
	b = append(b, flag(v.Present), flag(v.LinkUp), v.DHCP, 0, 0, 0)
	for _, a := range []netip.Addr{v.Address, v.Gateway, v.DNS[0], v.DNS[1]} {
		var n [4]byte
		if a.Is4() {
			n = a.As4()
		}
		b = append(b, n[:]...)
	}
	b = appendPadded(b, v.Domain, ciraDomainLen)
	for _, a := range []netip.Addr{v.Router6, v.DNS6[0], v.DNS6[1]} {
		b = append16(b, a)
	}
	for _, a := range v.Addresses6 {
		b = append(append16(b, a.Address), a.Type, a.State)
	}
	return append(b, make([]byte, ciraPadLen)...)
}

func ciraInterface(r *reader) CIRAInterface {
	v := CIRAInterface{Present: r.flag(), LinkUp: r.flag(), DHCP: r.u8()}
	r.take(3)
	address4 := func() netip.Addr { return netip.AddrFrom4([4]byte(r.take(4))) }
	address6 := func() netip.Addr { return netip.AddrFrom16([16]byte(r.take(16))) }
	v.Address, v.Gateway, v.DNS = address4(), address4(), [2]netip.Addr{address4(), address4()}
	v.Domain = r.padded(ciraDomainLen)
	v.Router6, v.DNS6 = address6(), [2]netip.Addr{address6(), address6()}
	for i := range v.Addresses6 {
		v.Addresses6[i] = CIRAAddress{address6(), r.u8(), r.u8()}
	}
	r.take(ciraPadLen)
	return v
}

func append16(b []byte, a netip.Addr) []byte {
	var n [16]byte
	if a.IsValid() {
		n = a.As16()
	}
	return append(b, n[:]...)
}
