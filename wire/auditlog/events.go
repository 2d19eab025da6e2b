package auditlog

import "fmt"

// An App is an application: the part of AMT that an event is of.
type App uint16

// The applications.
const (
	SecurityAdmin    App = 16
	RemoteControl    App = 17
	RedirectionApp   App = 18
	FirmwareUpdate   App = 19
	AuditLog         App = 20
	NetworkTime      App = 21
	NetworkAdmin     App = 22
	StorageAdmin     App = 23
	EventManager     App = 24
	SystemDefense    App = 25
	AgentPresence    App = 26
	Wireless         App = 27
	EndpointAccess   App = 28 // endpoint access control, EAC
	KVM              App = 29
	UserConsent      App = 30
	ScreenBlanking   App = 32 // its events are not known
	WatchdogSettings App = 33
)

func (a App) String() string {
	switch a {
	case SecurityAdmin:
		return "security administration"
	case RemoteControl:
		return "remote control"
	case RedirectionApp:
		return "redirection"
	case FirmwareUpdate:
		return "firmware update"
	case AuditLog:
		return "audit log"
	case NetworkTime:
		return "network time"
	case NetworkAdmin:
		return "network administration"
	case StorageAdmin:
		return "storage administration"
	case EventManager:
		return "event manager"
	case SystemDefense:
		return "System Defense"
	case AgentPresence:
		return "agent presence"
	case Wireless:
		return "wireless"
	case EndpointAccess:
		return "endpoint access control"
	case KVM:
		return "KVM"
	case UserConsent:
		return "user consent"
	case ScreenBlanking:
		return "screen blanking"
	case WatchdogSettings:
		return "watchdog"
	}
	return fmt.Sprintf("unknown (%d)", uint16(a))
}

// An EventID names an event: application*65536 + number, as AMT_AuditPolicyRule.AuditApplicationEventID has it.
type EventID uint32

// ID makes an EventID of application and number.
func ID(app App, number uint16) EventID { return EventID(app)<<16 | EventID(number) }

// App returns the application.
func (id EventID) App() App { return App(id >> 16) }

// Number returns the event's number in its application.
func (id EventID) Number() uint16 { return uint16(id) }

// String returns what happened, "user added", or application and number of an unknown event.
func (id EventID) String() string {
	if e, ok := lookup(id); ok {
		return e.name
	}
	return fmt.Sprintf("%v: event %d", id.App(), id.Number())
}

// Known tells that the event has a name.
func (id EventID) Known() bool { _, ok := lookup(id); return ok }

// SuperCritical tells an event that since release 12.0 is always logged, whatever the policy, and without which the
// operation fails. AMT_AuditPolicyRule calls it critical.
func (id EventID) SuperCritical() bool {
	switch id {
	case ProvisioningStarted, ProvisioningCompleted, UnprovisioningStarted, BootOptionsSet, IDEROpened, SOLOpened, KVMStarted:
		return true
	}
	return false
}

// A Policy is whether an event is logged at any price, AMT_AuditPolicyRule.PolicyType.
type Policy uint8

// The policies.
const (
	PolicyNone     Policy = 0
	PolicyCritical Policy = 1 // what cannot be logged is refused, with status 2075 (audit fail)
)

func (p Policy) String() string {
	switch p {
	case PolicyNone:
		return "none"
	case PolicyCritical:
		return "critical"
	}
	return fmt.Sprintf("unknown (%d)", uint8(p))
}

// The events.
const (
	ProvisioningStarted    EventID = 0x100000
	ProvisioningCompleted  EventID = 0x100001
	UserAdded              EventID = 0x100002
	UserModified           EventID = 0x100003
	UserRemoved            EventID = 0x100004
	WrongCredentials       EventID = 0x100005
	UserStateChanged       EventID = 0x100006
	TLSChanged             EventID = 0x100007
	CertificateSet         EventID = 0x100008
	CertificateRemoved     EventID = 0x100009
	RootAdded              EventID = 0x10000A
	RootRemoved            EventID = 0x10000B
	PSKSet                 EventID = 0x10000C
	KerberosSet            EventID = 0x10000D
	KerberosKeySet         EventID = 0x10000E
	FlashCountersReset     EventID = 0x10000F
	PowerPackageSet        EventID = 0x100010
	RealmAuthenticationSet EventID = 0x100011
	ClientToAdmin          EventID = 0x100012
	UnprovisioningStarted  EventID = 0x100013
	PoweredUp              EventID = 0x110000
	PoweredDown            EventID = 0x110001
	PowerCycled            EventID = 0x110002
	WasReset               EventID = 0x110003
	BootOptionsSet         EventID = 0x110004
	GracefulPowerDown      EventID = 0x110005
	GracefulReset          EventID = 0x110006
	Standby                EventID = 0x110007
	Hibernated             EventID = 0x110008
	NMIRaised              EventID = 0x110009
	IDEROpened             EventID = 0x120000
	IDERClosed             EventID = 0x120001
	IDEREnabled            EventID = 0x120002
	IDERDisabled           EventID = 0x120003
	SOLOpened              EventID = 0x120004
	SOLClosed              EventID = 0x120005
	SOLEnabled             EventID = 0x120006
	SOLDisabled            EventID = 0x120007
	KVMStarted             EventID = 0x120008
	KVMEnded               EventID = 0x120009
	KVMEnabled             EventID = 0x12000A
	KVMDisabled            EventID = 0x12000B
	RFBPasswordFailed      EventID = 0x12000C
	FirmwareUpdated        EventID = 0x130000
	FirmwareUpdateFailed   EventID = 0x130001
	LogCleared             EventID = 0x140000
	PolicyChanged          EventID = 0x140001
	LogDisabled            EventID = 0x140002
	LogEnabled             EventID = 0x140003
	LogExported            EventID = 0x140004
	LogRecovered           EventID = 0x140005
	TimeSet                EventID = 0x150000
	IPv4Set                EventID = 0x160000
	HostNameSet            EventID = 0x160001
	DomainNameSet          EventID = 0x160002
	VLANSet                EventID = 0x160003
	LinkPolicySet          EventID = 0x160004
	IPv6Set                EventID = 0x160005
	StorageAttributesSet   EventID = 0x170000
	StorageEACLChanged     EventID = 0x170001
	StorageFPACLChanged    EventID = 0x170002
	StorageWritten         EventID = 0x170003
	AlertSubscribed        EventID = 0x180000
	AlertUnsubscribed      EventID = 0x180001
	EventLogCleared        EventID = 0x180002
	EventLogFrozen         EventID = 0x180003
	FilterAdded            EventID = 0x190000
	FilterRemoved          EventID = 0x190001
	DefensePolicyAdded     EventID = 0x190002
	DefensePolicyRemoved   EventID = 0x190003
	DefaultPolicySet       EventID = 0x190004
	HeuristicsSet          EventID = 0x190005
	HeuristicsCleared      EventID = 0x190006
	AgentAdded             EventID = 0x1A0000
	AgentRemoved           EventID = 0x1A0001
	AgentActionsSet        EventID = 0x1A0002
	WirelessProfileAdded   EventID = 0x1B0000
	WirelessProfileRemoved EventID = 0x1B0001
	WirelessProfileUpdated EventID = 0x1B0002
	WirelessSyncChanged    EventID = 0x1B0003
	WirelessLinkChanged    EventID = 0x1B0004
	WirelessSharingChanged EventID = 0x1B0005
	EACSignerSet           EventID = 0x1C0000
	EACEnabled             EventID = 0x1C0001
	EACDisabled            EventID = 0x1C0002
	EACPostureReset        EventID = 0x1C0003
	EACOptionsSet          EventID = 0x1C0004
	KVMConsentRequired     EventID = 0x1D0000
	KVMConsentNotRequired  EventID = 0x1D0001
	KVMPasswordChanged     EventID = 0x1D0002
	KVMConsentGiven        EventID = 0x1D0003
	KVMConsentFailed       EventID = 0x1D0004
	ConsentPolicyChanged   EventID = 0x1E0000
	ConsentCodeSent        EventID = 0x1E0001
	ConsentStartBlocked    EventID = 0x1E0002
	WatchdogActionChanged  EventID = 0x210001
	WatchdogPairingChanged EventID = 0x210002
)
