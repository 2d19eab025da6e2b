package setupbin

import "slices"

// A Kind is how a value is encoded.
type Kind uint8

// The kinds.
const (
	Raw    Kind = 0 // octets; as text: hex
	Text   Kind = 1 // a string without end mark
	Number Kind = 2 // little-endian, 1, 2 or 4 octets
	Choice Kind = 3 // a number that stands for a word
	Bits   Kind = 4 // a number whose bits stand for words; as text: "sol+ider"
	GUID   Kind = 5 // 16 octets in SMBIOS order
	IPv4   Kind = 6 // 4 octets, the last part of the address first
	Hash   Kind = 7 // see [CertHash]
)

func (k Kind) String() string {
	switch k {
	case Raw:
		return "hex"
	case Text:
		return "text"
	case Number:
		return "number"
	case Choice:
		return "choice"
	case Bits:
		return "bits"
	case GUID:
		return "guid"
	case IPv4:
		return "ipv4"
	case Hash:
		return "hash"
	}
	return "unknown"
}

// A Word is a value of a Choice or a bit of Bits.
type Word struct {
	Value uint32
	Text  string
}

// A Definition is what is known of a variable.
type Definition struct {
	ID        ID
	Name      string // "new-password", for command lines and files
	Title     string // "New MEBx password", for people
	Kind      Kind
	Min, Max  int     // octets of the value
	High      uint32  // highest value of a Number, 0 is no limit; the lowest is 1 then
	Since     Version // of the file format, as far as is known
	Words     []Word
	Secret    bool
	Repeats   bool // may occur more than once
	Uncertain bool // the encoding is not known for sure: set it from raw octets only, [Definition.Raw]
}

// Definitions returns all variables that are known, in the order in which files have them.
func Definitions() []Definition {
	all := slices.Clone(definitions[:])
	for i := range all {
		all[i].Words = slices.Clone(all[i].Words)
	}
	return all
}

// Lookup returns what is known of a variable. ok is false for others; they are Raw and secret.
func Lookup(id ID) (d Definition, ok bool) {
	i, ok := slices.BinarySearchFunc(definitions[:], id, func(d Definition, id ID) int { return int(d.ID) - int(id) })
	if !ok {
		return Definition{ID: id, Name: id.String(), Kind: Raw, Max: 0xffff, Secret: true}, false
	}
	return definitions[i], true
}

func byName(name string) (Definition, bool) {
	for _, d := range definitions {
		if d.Name == name {
			return d, true
		}
	}
	return Definition{}, false
}

var (
	offOn      = []Word{{0, "off"}, {1, "on"}}
	consent    = []Word{{0, "none"}, {1, "kvm"}, {255, "all"}}
	redirector = []Word{{1, "sol"}, {2, "ider"}, {4, "password"}}
	services   = []Word{{1, "reactive"}, {2, "proactive"}, {4, "one-time"}}
)

// To add a variable, give it an ID and a line here, in ascending order. Source: spec setupbin.md section 2; Since by
// what section 1.1 says that came with a version, and nothing more.
var definitions = [...]Definition{
	{ID: CurrentPassword, Name: "current-password", Title: "Current MEBx password", Kind: Text, Min: 1, Max: 32, Since: V1, Secret: true},
	{ID: NewPassword, Name: "new-password", Title: "New MEBx password", Kind: Text, Min: 8, Max: 32, Since: V1, Secret: true},
	{ID: Manageability, Name: "manageability", Title: "Manageability selection", Kind: Choice, Min: 1, Max: 1, Since: V2,
		Words: []Word{{0, "none"}, {1, "amt"}}},
	{ID: LocalFirmwareUpdate, Name: "local-firmware-update", Title: "Local firmware update", Kind: Choice, Min: 1, Max: 1, Since: V21,
		Words: []Word{{0, "off"}, {1, "on"}, {2, "password"}}},
	{ID: FirmwareUpdateControl, Name: "firmware-update-qualifier", Title: "Firmware update qualifier", Kind: Choice, Min: 1, Max: 1, Since: V21,
		Words: []Word{{0, "always"}, {1, "never"}, {2, "restricted"}}},
	{ID: PowerPackage, Name: "power-package", Title: "Power package", Kind: GUID, Min: 16, Max: 16, Since: V21},

	{ID: PID, Name: "pid", Title: "PSK provisioning ID (PID)", Kind: Text, Min: 8, Max: 8, Since: V1, Secret: true},
	{ID: PPS, Name: "pps", Title: "PSK provisioning passphrase (PPS)", Kind: Text, Min: 32, Max: 32, Since: V1, Secret: true},
	{ID: DNSSuffix, Name: "dns-suffix", Title: "PKI DNS suffix", Kind: Text, Max: 255, Since: V2},
	{ID: ServerName, Name: "server-name", Title: "Configuration server name", Kind: Text, Max: 255, Since: V2},
	{ID: RemoteConfiguration, Name: "remote-configuration", Title: "Remote configuration", Kind: Choice, Min: 1, Max: 1, Since: V2, Words: offOn},
	{ID: BuiltinHashes, Name: "builtin-hashes", Title: "Built-in root certificate hashes", Kind: Choice, Min: 1, Max: 1, Since: V2, Words: offOn},
	{ID: UserHashes, Name: "user-hashes", Title: "User certificate hashes", Kind: Choice, Min: 1, Max: 1, Since: V2,
		Words: []Word{{0, "off"}, {1, "on"}, {2, "delete"}}},
	{ID: AddHash, Name: "add-hash", Title: "Add a root certificate hash", Kind: Hash, Min: 22, Max: 82, Since: V2, Repeats: true},
	{ID: Redirection, Name: "redirection", Title: "SOL and IDE redirection", Kind: Bits, Min: 1, Max: 1, Since: V2, Words: redirector},
	{ID: HostName, Name: "host-name", Title: "Host name", Kind: Text, Max: 63, Since: V21},
	{ID: Domain, Name: "domain", Title: "Domain", Kind: Text, Max: 255, Since: V21},
	{ID: DHCP, Name: "dhcp", Title: "DHCP", Kind: Choice, Min: 1, Max: 1, Since: V21, Words: []Word{{1, "off"}, {2, "on"}}},
	{ID: SecureFirmwareUpdate, Name: "secure-firmware-update", Title: "Secure firmware update", Kind: Choice, Min: 1, Max: 1, Since: V21, Words: offOn},
	{ID: IdleTimeout, Name: "idle-timeout", Title: "Idle timeout", Kind: Raw, Max: 480, Since: V21, Uncertain: true},
	{ID: ProvisioningMode, Name: "provisioning-mode", Title: "Provisioning mode", Kind: Raw, Max: 480, Since: V21, Uncertain: true},
	{ID: ServerAddress, Name: "server-address", Title: "Provisioning server address", Kind: IPv4, Min: 4, Max: 4, Since: V21},
	{ID: ServerPort, Name: "server-port", Title: "Provisioning server port", Kind: Number, Min: 2, Max: 2, High: 65535, Since: V21},
	{ID: StaticIPv4, Name: "static-ipv4", Title: "Static IPv4 parameters", Kind: Raw, Max: 480, Since: V21, Uncertain: true},
	{ID: VLAN, Name: "vlan", Title: "VLAN", Kind: Raw, Max: 480, Since: V21, Uncertain: true},
	{ID: PasswordPolicy, Name: "password-policy", Title: "Password policy", Kind: Raw, Max: 480, Since: V21, Uncertain: true},
	{ID: IPv6, Name: "ipv6", Title: "IPv6 parameters", Kind: Raw, Max: 480, Since: V3, Uncertain: true},
	{ID: SharedFQDN, Name: "fqdn", Title: "Name shared with the host", Kind: Choice, Min: 1, Max: 1, Since: V3,
		Words: []Word{{0, "dedicated"}, {1, "shared"}}},
	{ID: DynamicDNS, Name: "dynamic-dns", Title: "Dynamic DNS update", Kind: Choice, Min: 1, Max: 1, Since: V3, Words: offOn},
	{ID: KVM, Name: "kvm", Title: "KVM", Kind: Choice, Min: 1, Max: 1, Since: V3, Words: offOn},
	{ID: UserConsent, Name: "user-consent", Title: "User consent", Kind: Choice, Min: 1, Max: 1, Since: V3, Words: consent},
	{ID: RemoteConsentPolicy, Name: "remote-consent-policy", Title: "Remote change of the consent policy", Kind: Choice, Min: 1, Max: 1, Since: V3, Words: offOn},
	{ID: Provisioning, Name: "provisioning", Title: "Provisioning", Kind: Choice, Min: 1, Max: 1, Since: V21,
		Words: []Word{{0, "stop"}, {1, "start"}}},
	{ID: ManualSetup, Name: "manual-setup", Title: "Manual setup and configuration", Kind: Choice, Min: 1, Max: 1, Since: V3,
		Words: []Word{{0, "automatic"}, {1, "manual"}}},
	{ID: SupportChannel, Name: "support-channel", Title: "Support channel identifier", Kind: Number, Min: 4, Max: 4, High: 65535, Since: V3},
	{ID: SupportDescription, Name: "support-description", Title: "Support channel description", Kind: Text, Max: 60, Since: V3},
	{ID: ServiceAccount, Name: "service-account", Title: "Service account number", Kind: Text, Max: 32, Since: V3},
	{ID: EnrolmentPasscode, Name: "enrolment-passcode", Title: "Enrolment passcode", Kind: Text, Max: 32, Since: V3, Secret: true},
	{ID: ServiceType, Name: "service-type", Title: "Service type", Kind: Bits, Min: 4, Max: 4, Since: V3, Words: services},
	{ID: ServiceProvider, Name: "service-provider", Title: "Service provider identifier", Kind: GUID, Min: 16, Max: 16, Since: V3},
}
