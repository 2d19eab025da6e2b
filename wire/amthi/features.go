package amthi

// What is switched on, and what is going on: commands 1B, 49, 4A, 58 and 01000001.

// Security are 17 words of switches; 7 of them are reserved.
type Security struct {
	Enterprise       bool // enterprise mode
	TLS              bool
	HardwareCrypto   bool
	State            ProvisioningState
	NetworkInterface bool
	SOL              bool
	IDER             bool
	FirmwareUpdate   bool
	LinkUp           bool
	KVM              bool
}

func (v Security) Append(b []byte) []byte {
	b = appendBool(appendBool(appendBool(b, v.Enterprise), v.TLS), v.HardwareCrypto)
	b = v.State.Append(b)
	for _, on := range []bool{v.NetworkInterface, v.SOL, v.IDER, v.FirmwareUpdate, v.LinkUp, v.KVM} {
		b = appendBool(b, on)
	}
	return append(b, make([]byte, 7*4)...)
}

func security(r *reader) Security {
	v := Security{Enterprise: r.bool(), TLS: r.bool(), HardwareCrypto: r.bool(), State: ProvisioningState(r.u32()),
		NetworkInterface: r.bool(), SOL: r.bool(), IDER: r.bool(), FirmwareUpdate: r.bool(), LinkUp: r.bool(), KVM: r.bool()}
	r.take(7 * 4)
	return v
}

// A Feature is something whose state can be asked.
type Feature uint32

// The features.
const (
	FeatureRedirection   Feature = 0
	FeatureSystemDefense Feature = 1
	FeatureWebUI         Feature = 2
	FeatureEAC           Feature = 3
	FeatureKVM           Feature = 4
)

func (v Feature) Append(b []byte) []byte { return u32(b, uint32(v)) }

// A FeatureState answers for one feature; which field counts depends on it.
type FeatureState struct {
	Feature   Feature
	IDER, SOL bool   // FeatureRedirection: a session is open
	Active    bool   // FeatureSystemDefense, FeatureWebUI, FeatureEAC
	KVM       uint32 // FeatureKVM: bit 0 a session is open, bit 1 it waits for the user's consent
}

func (v FeatureState) Append(b []byte) []byte {
	b = v.Feature.Append(b)
	switch v.Feature {
	case FeatureRedirection:
		return u32(appendBool(appendBool(b, v.IDER), v.SOL), 0)
	case FeatureKVM:
		return u32(b, v.KVM)
	}
	return appendBool(b, v.Active)
}

func featureState(r *reader) FeatureState {
	v := FeatureState{Feature: Feature(r.u32())}
	switch v.Feature {
	case FeatureRedirection:
		v.IDER, v.SOL = r.bool(), r.bool()
		r.u32()
	case FeatureKVM:
		v.KVM = r.u32()
	default:
		v.Active = r.bool()
	}
	return v
}

// HostReset is why the host was last reset. 8 bytes.
type HostReset struct {
	Reason uint32 // 0 none or other, 1 remote control
	Time   uint32 // Unix seconds
}

func (v HostReset) Append(b []byte) []byte { return u32(u32(b, v.Reason), v.Time) }
func hostReset(r *reader) HostReset        { return HostReset{r.u32(), r.u32()} }

// Redirection are the kinds of redirection that are enabled.
type Redirection uint32

// The kinds.
const (
	RedirectSOL  Redirection = 1 << 0
	RedirectIDER Redirection = 1 << 1
	RedirectKVM  Redirection = 1 << 2
)

func (v Redirection) Append(b []byte) []byte { return u32(b, uint32(v)) }

// A StateID says which state GetAMTState shall tell. Only AMTStateID is known.
type StateID [16]byte

// AMTStateID is 15 zeros and a 1.
func AMTStateID() StateID { return StateID{15: 1} }

func (v StateID) Append(b []byte) []byte { return append(b, v[:]...) }
func stateID(r *reader) StateID          { return StateID(r.take(16)) }

// AMTState is some of the chip's state. The length of its fields, 5, stands before them.
type AMTState struct {
	ID              StateID
	LinkUp          bool
	CryptoFuse      uint8
	FlashProtection uint8
	LastReset       uint8 // of the ME: 0 none, 1 ME, 2 global, 3 exception
}

func (v AMTState) Append(b []byte) []byte {
	b = u32(v.ID.Append(b), 5)
	return append(b, flag(v.LinkUp), 0, v.CryptoFuse, v.FlashProtection, v.LastReset)
}

func amtState(r *reader) AMTState {
	v := AMTState{ID: stateID(r)}
	if n := r.u32(); n < 5 {
		r.fail("state of %d bytes", n)
	}
	v.LinkUp = r.flag()
	r.u8()
	v.CryptoFuse, v.FlashProtection, v.LastReset = r.u8(), r.u8(), r.u8()
	return v
}
