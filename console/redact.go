package console

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/outband/outband/wire/dump"
	"github.com/outband/outband/wire/wsman"
)

// identity are the properties whose values tell machines, networks and people apart.
var identity = map[string]bool{
	"PlatformGUID": true, "UUID": true, "SerialNumber": true, "DigestRealm": true, "HostName": true, "DomainName": true, "HostOSFQDN": true,
	"MACAddress": true, "PermanentAddress": true, "NetworkAddresses": true, "IPAddress": true, "IPv4Address": true, "IPv6Address": true,
	"DefaultGateway": true, "PrimaryDNS": true, "SecondaryDNS": true, "DhcpDNSSuffix": true, "TrustedDNSSuffix": true,
	"ConfigurationServerFQDN": true, "AccessInfo": true, "DetectionStrings": true, "SSID": true, "Username": true, "UserName": true, "UserID": true,
	"RealmName": true, "ServicePrincipalName": true, "TrustedCN": true, "X509IssuerName": true, "X509SerialNumber": true, "Subject": true, "Issuer": true,
	"Destination": true, "RoamingIdentity": true, "ServerCertificateName": true, "AssetTag": true,
	"CertificateHash": true, "ReceiverAddress": true, "CurrentIPAddress": true, "OwnerName": true, "PrimaryOwnerName": true, "PrimaryOwnerContact": true,
}

// dropped are properties that make no sense with another value.
var dropped = map[string]bool{"X509Certificate": true, "DERKey": true}

// wellKnown are values that every machine has.
var wellKnown = map[string]bool{"admin": true, "$$OsAdmin": true, "$$uns": true, "Intel(R) AMT": true, "Intel(r) AMT": true}

// minSpread is how long a text must be to be replaced wherever it appears, and not only where it was found.
const minSpread = 5

// redact replaces identifying values throughout a dump.
func redact(f *dump.File) {
	var salt [16]byte
	rand.Read(salt[:])
	other := map[string]string{}
	swap := func(text string) string {
		if strings.TrimSpace(text) == "" || wellKnown[text] {
			return text
		}
		if _, ok := other[text]; !ok {
			other[text] = alias(salt[:], text)
		}
		return other[text]
	}
	if f.Host != "" {
		f.Host = swap(f.Host)
	}
	for i := range f.Classes {
		for j := range f.Classes[i].Instances {
			e := &f.Classes[i].Instances[j]
			e.Children = slices.DeleteFunc(slices.Clone(e.Children), func(child wsman.Element) bool { return dropped[child.Local] })
			for k := range e.Children {
				if child := &e.Children[k]; identity[child.Local] && len(child.Children) == 0 {
					child.Text = swap(child.Text)
				}
			}
		}
	}
	// Names of instances are made of such values at times, and references point to them.
	var pairs []string
	for _, from := range longestFirst(other) {
		if trimmed := strings.TrimSpace(from); len(trimmed) >= minSpread {
			pairs = append(pairs, trimmed, strings.TrimSpace(other[from]))
		}
	}
	all := strings.NewReplacer(pairs...)
	for i := range f.Classes {
		for j := range f.Classes[i].Instances {
			for k := range f.Classes[i].Instances[j].Children {
				if child := &f.Classes[i].Instances[j].Children[k]; !identity[child.Local] {
					*child = spread(*child, all)
				}
			}
		}
	}
}

func longestFirst(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return keys
}

// spread returns a copy of an element with all texts replaced.
func spread(e wsman.Element, all *strings.Replacer) wsman.Element {
	e.Text = all.Replace(e.Text)
	e.Children = slices.Clone(e.Children)
	for i := range e.Children {
		e.Children[i] = spread(e.Children[i], all)
	}
	return e
}

// alias returns another text of the same form: hexadecimal digits for hexadecimal digits, letters for letters, and
// documentation addresses (RFC 5737, RFC 3849) for addresses.
func alias(salt []byte, text string) string {
	stream := keystream(salt, text)
	if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil && !a.IsUnspecified() {
		if a.Is4() {
			return netip.AddrFrom4([4]byte{192, 0, 2, 1 + stream()%254}).String()
		}
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1 + stream()%254}).String()
	}
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(":-. {}", r) {
			return -1
		}
		return r
	}, text)
	_, err := hex.DecodeString(digits)
	isHex := err == nil && strings.ContainsAny(digits, "ABCDEFabcdef")
	alphabet := "0123456789ABCDEF"
	if strings.ContainsAny(text, "abcdef") {
		alphabet = "0123456789abcdef"
	}
	prefix := ""
	if rest, ok := strings.CutPrefix(text, "Digest:"); ok { // the form of a realm
		prefix, text, isHex, alphabet = "Digest:", rest, true, "0123456789ABCDEF"
	}
	return prefix + strings.Map(func(r rune) rune {
		switch {
		case isHex && strings.ContainsRune("0123456789ABCDEFabcdef", r):
			return rune(alphabet[stream()%16])
		case r >= '0' && r <= '9':
			return rune('0' + stream()%10)
		case r >= 'a' && r <= 'z':
			return rune('a' + stream()%26)
		case r >= 'A' && r <= 'Z':
			return rune('A' + stream()%26)
		case r >= 0x80:
			return 'x'
		}
		return r
	}, text)
}

// keystream returns octets that depend on salt and text alone.
func keystream(salt []byte, text string) func() byte {
	block := sha256.Sum256(append(slices.Clone(salt), text...))
	at := 0
	return func() byte {
		if at == len(block) {
			block, at = sha256.Sum256(block[:]), 0
		}
		at++
		return block[at-1]
	}
}
