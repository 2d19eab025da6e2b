package amthi

// Ways home: commands 3F, 44, 45, 46, 4D.

// EnterpriseAccess tells the firmware whether the host has access to the company's network (by VPN). The answer's status
// is the result: see the Access constants. 18 bytes.
type EnterpriseAccess struct {
	IPv6    bool
	Address [16]byte // IPv4 in the first four, network order
	Access  bool
}

// Results of SetEnterpriseAccess, as statuses.
const (
	AccessNotGranted      = 0x200
	AccessVPNDisabled     = 0x201
	AccessGranted         = 0x202 // without dynamic DNS
	AccessGrantedWithDDNS = 0x203
)

func (v EnterpriseAccess) Append(b []byte) []byte {
	return append(append(append(b, flag(v.IPv6)), v.Address[:]...), flag(v.Access))
}

func enterpriseAccess(r *reader) EnterpriseAccess {
	return EnterpriseAccess{r.u8()&1 != 0, [16]byte(r.take(16)), r.flag()}
}

// RemoteAccess is the state of the tunnel to a gateway (CIRA).
type RemoteAccess struct {
	Network NetworkStatus
	Status  RemoteStatus
	Trigger RemoteTrigger
	MPS     string // the gateway's name
}

// A NetworkStatus is where the machine is.
type NetworkStatus uint32

func (v NetworkStatus) String() string {
	return named(uint32(v), "direct", "VPN", "outside enterprise", "unknown")
}

// A RemoteStatus is how far the tunnel is.
type RemoteStatus uint32

// How far.
const (
	RemoteNotConnected RemoteStatus = 0
	RemoteConnecting   RemoteStatus = 1
	RemoteConnected    RemoteStatus = 2
)

func (v RemoteStatus) String() string {
	return named(uint32(v), "not connected", "connecting", "connected")
}

// A RemoteTrigger is what opened it.
type RemoteTrigger uint32

func (v RemoteTrigger) String() string {
	return named(uint32(v), "user initiated", "alert", "provisioning", "periodic")
}

func (v RemoteAccess) Append(b []byte) []byte {
	return appendText(u32(u32(u32(b, uint32(v.Network)), uint32(v.Status)), uint32(v.Trigger)), v.MPS)
}

func remoteAccess(r *reader) RemoteAccess {
	return RemoteAccess{NetworkStatus(r.u32()), RemoteStatus(r.u32()), RemoteTrigger(r.u32()), r.text()}
}

// UserInitiated are the places from which a user may open a tunnel.
type UserInitiated uint32

// The places.
const (
	UserInitiatedBIOS UserInitiated = 1 << 0
	UserInitiatedOS   UserInitiated = 1 << 1
)

func (v UserInitiated) Append(b []byte) []byte { return u32(b, uint32(v)) }
