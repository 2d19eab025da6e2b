package firmware

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/outband/outband/wire/guid"
)

// An Identity is what a machine calls itself. It is derived from [Config].Seed, so that the same seed makes the same
// machine again, and may be overridden field by field.
type Identity struct {
	UUID     guid.GUID
	HostName string // without domain
	Domain   string // "" for none
	MAC      string // of the wired port, 12 lower-case hex digits
	Serial   string // of the chassis, and what other serial numbers begin with
	AssetTag string
	Realm    string // of digest: "Digest:" and 32 upper-case hex digits; a new one after a full unprovision
}

// newIdentity derives an identity.
func newIdentity(seed string) Identity {
	h := func(what string) []byte {
		sum := sha256.Sum256([]byte("outband virtual machine\x00" + what + "\x00" + seed))
		return sum[:]
	}
	serial := strings.ToUpper(hex.EncodeToString(h("serial")[:5]))
	mac := h("mac")[:6]
	mac[0] = mac[0]&0xfc | 0x02 // locally administered, unicast: no real machine has it
	return Identity{
		UUID:     guid.FromSeed("outband virtual machine\x00" + seed),
		HostName: "vm-" + strings.ToLower(serial),
		Domain:   "lab.example",
		MAC:      hex.EncodeToString(mac),
		Serial:   "OB" + serial,
		AssetTag: fmt.Sprintf("A-%05d", int(h("asset")[0])<<8|int(h("asset")[1])),
		Realm:    newRealm(seed, 0),
	}
}

// newRealm derives the digest realm that a machine has after n unprovisions.
func newRealm(seed string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "outband virtual machine\x00realm %d\x00%s", n, seed))
	return "Digest:" + strings.ToUpper(hex.EncodeToString(sum[:16]))
}

// dashed returns a MAC address as AMT_EthernetPortSettings has it: c8-d9-d2-7a-1e-33.
func dashed(mac string) string {
	var b strings.Builder
	for i := 0; i+1 < len(mac); i += 2 {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(mac[i : i+2])
	}
	return b.String()
}

// FQDN returns the name with domain.
func (id *Identity) FQDN() string {
	if id.Domain == "" {
		return id.HostName
	}
	return id.HostName + "." + id.Domain
}
