package auditlog

import "slices"

// A kind is how a field of extended data is encoded, and shown.
type kind uint8

const (
	number  kind = 0 // size octets, big-endian
	flags   kind = 1 // a number whose bits are words
	octets  kind = 2 // size octets, shown in hex
	text    kind = 3 // length 1, text
	padded  kind = 4 // size octets of text, filled up with zeros
	address kind = 5 // size octets, 4 or 16
	seconds kind = 6 // 4 octets, since 1970
	uuid    kind = 7 // 16 octets
	version kind = 8 // 4 numbers of 2 octets
	rest    kind = 9 // all that is left
)

type word struct {
	value uint32
	text  string
}

// A field is one part of the extended data of an event.
type field struct {
	name    string
	kind    kind
	size    int
	words   []word                   // of a number or flags
	sizeBy  func(before []Field) int // in place of size
	present func(before []Field) bool
}

type event struct {
	id     EventID
	name   string
	layout []field
}

// lookup finds an event.
func lookup(id EventID) (event, bool) {
	i, ok := slices.BinarySearchFunc(events[:], id, func(e event, id EventID) int { return int(e.id) - int(id) })
	if !ok {
		return event{}, false
	}
	return events[i], true
}

func number1(name string, words ...word) field { return field{name: name, size: 1, words: words} }
func number2(name string) field                { return field{name: name, size: 2} }
func number4(name string, words ...word) field { return field{name: name, size: 4, words: words} }
func ip4(name string) field                    { return field{name: name, kind: address, size: 4} }
func ip6(name string) field                    { return field{name: name, kind: address, size: 16} }

// Parts that several events have.
var (
	userEntry = []field{
		number1("type"),
		{name: "name", kind: text},
		{name: "SID", kind: number, size: 4, present: nameless},
		{name: "domain", kind: text, present: nameless},
	}
	certificate = []field{{name: "serial number", kind: rest}}
	bootOptions = []field{
		number1("command", word{0, "none"}, word{1, "PXE"}, word{2, "disk"}, word{3, "disk in safe mode"}, word{4, "diagnostics"}, word{5, "CD"},
			word{193, "vendor's"}, word{194, "HTTPS boot"}, word{195, "PBA boot"}),
		number1("device"), // of command 193; see numberText
		{name: "options", kind: flags, size: 1, words: []word{{1, "redirection"}, {2, "secure boot"}, {4, "reflash"}, {8, "setup"}, {16, "pause"},
			{32, "KVM"}, {64, "secure erase"}, {128, "platform erase"}}},
		number2("boot option mask"),
		number2("OEM parameter"),
	}
	subscription = []field{
		number1("policy"),
		number1("type", word{1, "SNMP"}),
		number1("address type", word{0, "IPv4"}, word{1, "IPv6"}),
		{name: "address", kind: address, sizeBy: func(before []Field) int {
			if before[2].Number == 1 {
				return 16
			}
			return 4
		}},
	}
	wirelessProfile = []field{{name: "SSID", kind: padded, size: 32}, number1("priority"), {name: "profile", kind: text}}
	agent           = []field{{name: "agent", kind: uuid, size: 16}}

	tlsWords     = []word{{0, "none"}, {1, "server"}, {2, "mutual"}}
	stateWords   = []word{{0, "off"}, {1, "on"}}
	consentWords = []word{{0, "none"}, {1, "KVM"}, {2, "all"}, {255, "all"}}
)

// nameless tells an entry without a name, which has a SID instead.
func nameless(before []Field) bool {
	i := slices.IndexFunc(before, func(f Field) bool { return f.Name == "name" })
	return i >= 0 && len(before[i].Octets) == 0
}

func join(parts ...[]field) []field { return slices.Concat(parts...) }

// realms by number, AMT_AuthorizationService.
var realms = []word{{2, "redirection"}, {3, "administration"}, {4, "hardware asset"}, {5, "remote control"}, {6, "storage"}, {7, "event manager"},
	{8, "storage administration"}, {9, "agent presence local"}, {10, "agent presence remote"}, {11, "circuit breaker"}, {12, "network time"},
	{13, "general information"}, {14, "firmware update"}, {15, "EIT"}, {16, "local user notification"}, {17, "endpoint access control"},
	{18, "endpoint access control administration"}, {19, "event log reader"}, {20, "audit log"}, {21, "access control"}, {24, "local system"}}

// To add an event, give it an EventID and a line here, in ascending order.
var events = [...]event{
	{ProvisioningStarted, "provisioning started", nil},
	{ProvisioningCompleted, "provisioning completed", []field{
		number1("method", word{2, "remote configuration"}, word{3, "MEBx"}, word{5, "host based, admin mode"}),
		number1("hash", word{0, "none"}, word{1, "SHA-1"}, word{2, "SHA-256"}, word{3, "SHA-384"}),
		{name: "root", kind: octets, sizeBy: func(before []Field) int {
			switch before[1].Number {
			case 1:
				return 20
			case 2:
				return 32
			case 3:
				return 48
			}
			return 0
		}},
		number1("certificates"),
		{name: "serial numbers", kind: octets, sizeBy: func(before []Field) int { return 16 * int(before[3].Number) }},
		number1("further CAs"),
		{name: "server", kind: text},
	}},
	{UserAdded, "user added", userEntry},
	{UserModified, "user modified", join([]field{{name: "changed", kind: flags, size: 1, words: []word{{1, "name"}, {2, "password"}, {4, "local realms"},
		{8, "remote realms"}, {16, "Kerberos domain"}, {32, "SID"}}}}, userEntry)},
	{UserRemoved, "user removed", userEntry},
	{WrongCredentials, "access with wrong credentials", []field{number1("to", word{0, "AMT"}, word{1, "MEBx"})}},
	{UserStateChanged, "user switched", join([]field{number1("state", stateWords...)}, userEntry)},
	{TLSChanged, "TLS changed", []field{number1("remote", tlsWords...), number1("local", tlsWords...)}},
	{CertificateSet, "TLS certificate set", certificate},
	{CertificateRemoved, "TLS certificate removed", certificate},
	{RootAdded, "trusted root added", certificate},
	{RootRemoved, "trusted root removed", certificate},
	{PSKSet, "TLS pre-shared key set", nil},
	{KerberosSet, "Kerberos settings changed", []field{{name: "tolerance", kind: rest}}},
	{KerberosKeySet, "Kerberos master key or passphrase changed", nil},
	{FlashCountersReset, "flash wear-out counters reset", nil},
	{PowerPackageSet, "power package set", []field{{name: "policy", kind: rest}}},
	{RealmAuthenticationSet, "realm authentication set", []field{number4("realm", realms...), number1("authentication", word{0, "none"}, word{1, "required"}, word{2, "disabled"})}},
	{ClientToAdmin, "upgraded from client to admin control mode", nil},
	{UnprovisioningStarted, "unprovisioning started", []field{number1("by", word{0, "BIOS"}, word{1, "MEBx"}, word{2, "local MEI"}, word{3, "local WS-Man"}, word{4, "remote WS-Man"})}},

	{PoweredUp, "power up", bootOptions},
	{PoweredDown, "power down", nil},
	{PowerCycled, "power cycle", bootOptions},
	{WasReset, "reset", bootOptions},
	{BootOptionsSet, "boot options set", bootOptions},
	{GracefulPowerDown, "graceful power down", nil},
	{GracefulReset, "graceful reset", bootOptions},
	{Standby, "standby", nil},
	{Hibernated, "hibernate", nil},
	{NMIRaised, "NMI", nil},

	{IDEROpened, "IDE-R session opened", nil},
	{IDERClosed, "IDE-R session closed", nil},
	{IDEREnabled, "IDE-R enabled", nil},
	{IDERDisabled, "IDE-R disabled", nil},
	{SOLOpened, "SOL session opened", nil},
	{SOLClosed, "SOL session closed", nil},
	{SOLEnabled, "SOL enabled", nil},
	{SOLDisabled, "SOL disabled", nil},
	{KVMStarted, "KVM session started", nil},
	{KVMEnded, "KVM session ended", nil},
	{KVMEnabled, "KVM enabled", nil},
	{KVMDisabled, "KVM disabled", nil},
	{RFBPasswordFailed, "RFB password wrong three times", nil},

	{FirmwareUpdated, "firmware updated", []field{{name: "old", kind: version, size: 8}, {name: "new", kind: version, size: 8}}},
	{FirmwareUpdateFailed, "firmware update failed", []field{number1("type"), number1("reason")}},

	{LogCleared, "audit log cleared", nil},
	{PolicyChanged, "audit policy changed", nil},
	{LogDisabled, "audit log disabled", nil},
	{LogEnabled, "audit log enabled", nil},
	{LogExported, "audit log exported", nil},
	{LogRecovered, "audit log recovered", []field{number1("reason", word{0, "unknown"}, word{1, "migration failed"}, word{2, "initialisation failed"})}},

	{TimeSet, "time set", []field{{name: "to", kind: seconds, size: 4}}},

	{IPv4Set, "IPv4 parameters set", []field{number4("interface"), number1("DHCP", stateWords...), ip4("address"), ip4("mask"), ip4("gateway"), ip4("DNS"), ip4("second DNS")}},
	{HostNameSet, "host name set", []field{{name: "to", kind: text}}},
	{DomainNameSet, "domain name set", []field{{name: "to", kind: text}}},
	{VLANSet, "VLAN set", []field{number4("interface"), number2("tag")}},
	{LinkPolicySet, "link policy set", []field{number4("interface"), number4("policy")}},
	{IPv6Set, "IPv6 parameters set", []field{number4("interface"), number1("state", stateWords...), number1("identifier type"),
		{name: "identifier", kind: octets, size: 8, present: func(before []Field) bool { return before[2].Number == 2 }},
		ip6("address"), ip6("gateway"), ip6("DNS"), ip6("second DNS")}},

	{StorageAttributesSet, "storage attributes set", []field{number4("partner storage"), number4("non-partner storage")}},
	{StorageEACLChanged, "storage enterprise list changed", nil},
	{StorageFPACLChanged, "storage partner list changed", nil},
	{StorageWritten, "storage written", nil},

	{AlertSubscribed, "alert subscribed", subscription},
	{AlertUnsubscribed, "alert unsubscribed", subscription},
	{EventLogCleared, "event log cleared", nil},
	{EventLogFrozen, "event log frozen", []field{number1("state", stateWords...)}},

	{FilterAdded, "filter added", nil},
	{FilterRemoved, "filter removed", []field{number4("handle")}},
	{DefensePolicyAdded, "policy added", nil},
	{DefensePolicyRemoved, "policy removed", []field{number4("handle")}},
	{DefaultPolicySet, "default policy set", []field{number4("interface"), number4("policy")}},
	{HeuristicsSet, "heuristics set", []field{number4("interface"), number1("block all", stateWords...), number1("block offensive port", stateWords...), number4("policy")}},
	{HeuristicsCleared, "heuristics cleared", []field{number4("interface")}},

	{AgentAdded, "agent watchdog added", join(agent, []field{number2("heartbeat"), number2("startup")})},
	{AgentRemoved, "agent watchdog removed", agent},
	{AgentActionsSet, "agent watchdog actions set", agent},

	{WirelessProfileAdded, "wireless profile added", wirelessProfile},
	{WirelessProfileRemoved, "wireless profile removed", []field{{name: "profile", kind: text}}},
	{WirelessProfileUpdated, "wireless profile updated", wirelessProfile},
	{WirelessSyncChanged, "wireless profile synchronisation changed", []field{number4("to", word{0, "off"}, word{1, "user"}, word{2, "admin"}, word{3, "unrestricted"})}},
	{WirelessLinkChanged, "wireless link preference changed", []field{number4("timeout"), number4("preference", word{0, "none"}, word{1, "engine"}, word{2, "host"})}},
	{WirelessSharingChanged, "sharing of wireless profiles with UEFI changed", []field{number1("state", stateWords...)}},

	{EACSignerSet, "posture signer set or removed", nil},
	{EACEnabled, "endpoint access control enabled", nil},
	{EACDisabled, "endpoint access control disabled", nil},
	{EACPostureReset, "posture reset", nil},
	{EACOptionsSet, "endpoint access control options set", []field{number4("vendors")}},

	{KVMConsentRequired, "KVM consent required", nil},
	{KVMConsentNotRequired, "KVM consent no longer required", nil},
	{KVMPasswordChanged, "KVM password changed", nil},
	{KVMConsentGiven, "KVM consent given", nil},
	{KVMConsentFailed, "KVM consent failed", nil},

	{ConsentPolicyChanged, "consent policy changed", []field{number1("from", consentWords...), number1("to", consentWords...)}},
	{ConsentCodeSent, "consent code sent", []field{number1("code", word{0, "right"}, word{1, "wrong three times"})}},
	{ConsentStartBlocked, "start of consent blocked", nil},

	{WatchdogActionChanged, "watchdog action settings changed", nil},
	{WatchdogPairingChanged, "pairing of watchdog and action changed", []field{number1("result")}},
}
