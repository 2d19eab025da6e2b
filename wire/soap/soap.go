// Package soap speaks the SOAP interface of AMT 1 to 8, the vendor's "EOI": SOAP 1.1, document/literal, one POST per
// call to /<Name>Service on the WS-Man ports, behind the same digest accounts. Deprecated from release 6, switched off by
// AMT_GeneralSettings.WsmanOnlyMode, gone from 9 on. Debian's amttool and everything that runs it (fence_amt, MAAS) knows
// nothing else. Both ends live here.
//
// A call is one element named after the method, in the namespace of the service; its children are the parameters. The
// answer is <MethodResponse>: its first child is the status, a PT_STATUS, the others are what the method gives back, in
// an order that is binding, since Perl's SOAP::Lite counts and does not look at names. A refusal is HTTP 200 with a
// status that is not zero. A call that makes no sense is HTTP 500 with a fault. Numbers are decimal; an IPv4 address is
// one number, its first octet the highest.
//
// Sources: SOAP 1.1 (W3C note, May 2000); kraxel/amtterm amttool; spec soap-eoi.md.
//
// The package has the calls that amttool makes, and the means to make others ([Client.Call], [Mux.Handle]). It opens no
// sockets, does no authentication and logs nothing. It does no RPC/encoded SOAP and no SOAP headers.
package soap

import "strings"

// NSEnvelope is the namespace of SOAP 1.1 envelopes.
const NSEnvelope = "http://schemas.xmlsoap.org/soap/envelope/"

// ContentType is that of calls and answers.
const ContentType = "text/xml; charset=utf-8"

// Limits on a message from the peer.
const (
	MaxMessage = 256 << 10 // octets
	MaxParams  = 256       // children of the method's element
)

// A Service is a group of methods with a path and a namespace of its own. The value is its name in both.
type Service string

// Services whose path is known. Source: spec soap-eoi.md section 3.
const (
	SecurityAdministration Service = "SecurityAdministration" // version, accounts, TLS
	RemoteControl          Service = "RemoteControl"          // power and boot
	NetworkAdministration  Service = "NetworkAdministration"  // names and addresses
	HardwareAsset          Service = "HardwareAsset"
	Storage                Service = "Storage"
	StorageAdministration  Service = "StorageAdministration"
	EventManager           Service = "EventManager"
	Redirection            Service = "Redirection"
	GeneralInfo            Service = "GeneralInfo"
	NetworkTime            Service = "NetworkTime"
	CircuitBreaker         Service = "CircuitBreaker"
	RemoteAgentPresence    Service = "RemoteAgentPresence"
	LocalAgentPresence     Service = "LocalAgentPresence"
	WirelessConfiguration  Service = "WirelessConfiguration"
)

const (
	baseClient     = "http://schemas.intel.com/platform/client/"
	baseManagement = "http://schemas.intel.com/2004/12/management/PC/"
)

// Path returns where calls are posted to: /RemoteControlService.
func (s Service) Path() string { return "/" + string(s) + "Service" }

// Space returns the namespace of the service's methods.
func (s Service) Space() string {
	switch s {
	case CircuitBreaker:
		return baseManagement + "CircuitBreaker"
	case RemoteAgentPresence:
		return baseManagement + "AgentWatchdogRemote"
	case LocalAgentPresence:
		return baseManagement + "AgentWatchdogLocal"
	case WirelessConfiguration:
		return baseClient + "WirelessConfiguration/2006/01"
	}
	return baseClient + string(s) + "/2004/01"
}

// Action returns the SOAPAction of a call, without quotes. Servers ignore it.
func (s Service) Action(method string) string { return s.Space() + "#" + method }

// ServiceAt returns the service that answers at a path.
func ServiceAt(path string) (Service, bool) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(path, "/"), "Service")
	switch s := Service(name); s {
	case SecurityAdministration, RemoteControl, NetworkAdministration, HardwareAsset, Storage, StorageAdministration,
		EventManager, Redirection, GeneralInfo, NetworkTime, CircuitBreaker, RemoteAgentPresence, LocalAgentPresence,
		WirelessConfiguration:
		return s, ok && strings.HasPrefix(path, "/")
	}
	return "", false
}
