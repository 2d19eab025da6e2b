package amthi

import (
	"fmt"
	"strconv"
)

// How far setup has come, and what moves it: commands 08, 10, 11, 28 to 2B, 5E, 62, 6B, 84, 85, 88, 8B.

// A ProvisioningState is how far a machine's setup has come.
type ProvisioningState uint32

// The states.
const (
	PreProvisioning  ProvisioningState = 0
	InProvisioning   ProvisioningState = 1
	PostProvisioning ProvisioningState = 2
)

func (v ProvisioningState) Append(b []byte) []byte { return u32(b, uint32(v)) }

func (v ProvisioningState) String() string {
	return named(uint32(v), "pre provisioning", "in provisioning", "post provisioning")
}

// A ControlMode is who controls AMT. Zero means that it is not set up.
type ControlMode uint32

// The modes.
const (
	NotProvisioned ControlMode = 0
	ClientControl  ControlMode = 1
	AdminControl   ControlMode = 2
)

func (v ControlMode) Append(b []byte) []byte { return u32(b, uint32(v)) }

func (v ControlMode) String() string {
	return named(uint32(v), "not provisioned", "client control", "admin control")
}

// named returns the name of a number that counts from 0.
func named(v uint32, names ...string) string {
	if uint64(v) < uint64(len(names)) {
		return names[v]
	}
	return "unknown (" + strconv.FormatUint(uint64(v), 10) + ")"
}

// A ProvisioningMode is the kind of setup; current firmware always says 1, not legacy. 8 bytes.
type ProvisioningMode struct {
	Mode   uint32 // 0 none, 1 enterprise, 2 small business, 3 remote assistance
	Legacy bool
}

func (v ProvisioningMode) Append(b []byte) []byte { return appendBool(u32(b, v.Mode), v.Legacy) }

func provisioningMode(r *reader) ProvisioningMode {
	return ProvisioningMode{Mode: r.u32(), Legacy: r.bool()}
}

// A TLSMode is how a setup server will be trusted.
type TLSMode uint32

// The modes. One source, intel/lms.
const (
	TLSNotReady TLSMode = 0
	TLSPSK      TLSMode = 1
	TLSPKI      TLSMode = 2
)

func (v TLSMode) Append(b []byte) []byte { return u32(b, uint32(v)) }
func (v TLSMode) String() string         { return named(uint32(v), "not ready", "PSK", "PKI") }

// An RNGStatus is the state of the random number generator's seed.
type RNGStatus uint32

// The states.
const (
	RNGExists     RNGStatus = 0
	RNGInProgress RNGStatus = 1
	RNGNone       RNGStatus = 2
)

func (v RNGStatus) Append(b []byte) []byte { return u32(b, uint32(v)) }
func (v RNGStatus) String() string         { return named(uint32(v), "exists", "in progress", "none") }

// HostBased starts setup from the machine itself over TLS: the firmware will take a TLS client with this certificate,
// and answers with the hash of its own. 390 bytes as rpc-go writes it.
type HostBased struct {
	Algorithm HashAlgorithm
	Hash      []byte // of the setup program's leaf certificate; at most 64 bytes, read without what Algorithm leaves unused
	HostVPN   bool
	Suffixes  []string // DNS suffixes of the network, 320 bytes with a NUL behind each
}

// Layouts of HostBased. MeshCentral leaves the suffixes out or has 32-bit numbers for the VPN flag and the count of
// suffixes; ours is rpc-go's with a byte for the flag and the length of suffixes in bytes.
const (
	hashLen         = 64
	suffixesLen     = 5 * 64
	hostBasedLen    = 1 + hashLen + 1 + 4 + suffixesLen // rpc-go
	hostBasedMesh   = 1 + hashLen + 4 + 4
	hostBasedMeshed = hostBasedMesh + suffixesLen
)

func (v HostBased) Append(b []byte) []byte {
	list := appendNames(nil, v.Suffixes)
	list = list[:min(len(list), suffixesLen)]
	b = appendFixed(append(b, byte(v.Algorithm)), v.Hash, hashLen)
	b = u32(append(b, flag(v.HostVPN)), uint32(len(list)))
	return appendFixed(b, list, suffixesLen)
}

func hostBased(r *reader) HostBased {
	size := len(r.b)
	v := HostBased{Algorithm: HashAlgorithm(r.u8())}
	v.Hash = v.Algorithm.trim(r.take(hashLen))
	switch size {
	case hostBasedLen:
		v.HostVPN = r.flag()
		n := r.u32()
		v.Suffixes = names(r.take(suffixesLen)[:min(n, suffixesLen)])
	case hostBasedMesh:
		v.HostVPN = r.bool()
		r.u32()
	case hostBasedMeshed:
		v.HostVPN = r.bool()
		n := r.u32()
		all := names(r.take(suffixesLen))
		v.Suffixes = all[:min(uint64(n), uint64(len(all)))]
	default:
		if r.err == nil {
			r.err = fmt.Errorf("amthi: %w: %d bytes, not %d, %d or %d", ErrLength, size, hostBasedMesh, hostBasedLen, hostBasedMeshed)
		}
	}
	return v
}

// HostBasedReply names the certificate that AMT will show. 65 bytes.
type HostBasedReply struct {
	Algorithm HashAlgorithm
	Hash      []byte
}

func (v HostBasedReply) Append(b []byte) []byte {
	return appendFixed(append(b, byte(v.Algorithm)), v.Hash, hashLen)
}

func hostBasedReply(r *reader) HostBasedReply {
	v := HostBasedReply{Algorithm: HashAlgorithm(r.u8())}
	v.Hash = v.Algorithm.trim(r.take(hashLen))
	return v
}
