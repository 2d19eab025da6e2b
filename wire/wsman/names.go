package wsman

import "strings"

// Namespaces of WS-Management as AMT speaks it. Source: spec wsman.md section 5.
const (
	NSSoap        = "http://www.w3.org/2003/05/soap-envelope"
	NSAddressing  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	NSWSMan       = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	NSEnumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
	NSTransfer    = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	NSEventing    = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
	NSCIMBinding  = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
	NSCommon      = "http://schemas.dmtf.org/wbem/wscim/1/common"
	NSIdentity    = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
	NSDASH        = "http://schemas.dmtf.org/wbem/dash/1/dash.xsd"
	NSTrust       = "http://schemas.xmlsoap.org/ws/2005/02/trust"
	NSSecExt      = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	NSXSI         = "http://www.w3.org/2001/XMLSchema-instance"

	nsXML = "http://www.w3.org/XML/1998/namespace"
)

// Bases of the resource URIs of the three schemas.
const (
	NSAMT = "http://intel.com/wbem/wscim/1/amt-schema/1/"
	NSCIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
	NSIPS = "http://intel.com/wbem/wscim/1/ips-schema/1/"

	// AllClasses is the resource URI of association queries.
	AllClasses = "http://schemas.dmtf.org/wbem/wscim/1/*"

	// Anonymous is the address of "whoever asked".
	Anonymous = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
)

// Actions of the standard operations. A method's action is its class URI, a slash and its name; the action of an
// answer is that of the request and [ResponseSuffix].
const (
	ActionGet         = NSTransfer + "/Get"
	ActionPut         = NSTransfer + "/Put"
	ActionCreate      = NSTransfer + "/Create"
	ActionDelete      = NSTransfer + "/Delete"
	ActionEnumerate   = NSEnumeration + "/Enumerate"
	ActionPull        = NSEnumeration + "/Pull"
	ActionRelease     = NSEnumeration + "/Release"
	ActionSubscribe   = NSEventing + "/Subscribe"
	ActionUnsubscribe = NSEventing + "/Unsubscribe"
	ActionRenew       = NSEventing + "/Renew"

	ResponseSuffix = "Response"
)

// ClassURI returns the resource URI of a class named with its schema: "CIM_Chip". Anything else, a URI among it, is
// returned as it is.
func ClassURI(class string) string {
	switch {
	case strings.HasPrefix(class, "AMT_"):
		return NSAMT + class
	case strings.HasPrefix(class, "CIM_"):
		return NSCIM + class
	case strings.HasPrefix(class, "IPS_"):
		return NSIPS + class
	}
	return class
}

// ClassName returns the last part of a resource URI: "CIM_Chip".
func ClassName(uri string) string { return uri[strings.LastIndexByte(uri, '/')+1:] }
