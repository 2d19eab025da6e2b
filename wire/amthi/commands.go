package amthi

import "fmt"

// A Command is a command's number and its data both ways. [Do] calls it, [Handle] answers it.
type Command[In, Out Data] struct {
	Name   string // for errors
	Number Number
	in     func(*reader) In
	out    func(*reader) Out
}

// Data is what can travel in a message.
type Data interface{ Append(b []byte) []byte }

// ParseRequest reads the data of a request. Errors wrap ErrShort or ErrLength: firmware refuses both.
func (c Command[In, Out]) ParseRequest(data []byte) (In, error) {
	r := reader{b: data}
	v := c.in(&r)
	if err := r.end(); err != nil {
		return v, fmt.Errorf("%s: %w", c.Name, err)
	}
	return v, nil
}

// ParseResponse reads the data of a successful answer. What follows it is ignored: firmware pads.
func (c Command[In, Out]) ParseResponse(data []byte) (Out, error) {
	r := reader{b: data}
	v := c.out(&r)
	if r.err != nil {
		return v, fmt.Errorf("%s: %w", c.Name, r.err)
	}
	return v, nil
}

// The commands, by number.
var (
	GetTCPIPParameters       = Command[None, TCPIP]{"AMTHI get TCP/IP parameters", 0x04000006, none, tcpip}
	GetProvisioningMode      = Command[None, ProvisioningMode]{"AMTHI get provisioning mode", 0x04000008, none, provisioningMode}
	Unprovision              = Command[Word, None]{"AMTHI unprovision", 0x04000010, word[Word], none} // mode, which firmware ignores; send 0
	GetProvisioningState     = Command[None, ProvisioningState]{"AMTHI get provisioning state", 0x04000011, none, word[ProvisioningState]}
	GetCodeVersions          = Command[None, CodeVersions]{"AMTHI get code versions", 0x0400001a, none, codeVersions}
	GetSecurityParameters    = Command[None, Security]{"AMTHI get security parameters", 0x0400001b, none, security}
	GetMACAddresses          = Command[None, MACs]{"AMTHI get MAC addresses", 0x04000025, none, macs}
	GenerateRNGSeed          = Command[None, None]{"AMTHI generate RNG seed", 0x04000028, none, none}           // up to AMT 5
	StartConfiguration       = Command[None, None]{"AMTHI start configuration", 0x04000029, none, none}         // deprecated
	SetServerOTP             = Command[Text, None]{"AMTHI set provisioning server OTP", 0x0400002a, text, none} // 8 to 32 characters
	GetProvisioningTLSMode   = Command[None, TLSMode]{"AMTHI get provisioning TLS mode", 0x0400002b, none, word[TLSMode]}
	EnumerateHashHandles     = Command[None, Handles]{"AMTHI enumerate certificate hash handles", 0x0400002c, none, handles}
	GetCertificateHash       = Command[Word, CertificateHash]{"AMTHI get certificate hash entry", 0x0400002d, word[Word], certificateHash} // handle
	GetRNGSeedStatus         = Command[None, RNGStatus]{"AMTHI get RNG seed status", 0x0400002e, none, word[RNGStatus]}
	SetDNSSuffix             = Command[Text, None]{"AMTHI set DNS suffix", 0x0400002f, text, none}
	GetZeroTouchEnabled      = Command[None, Bool]{"AMTHI get zero-touch enabled", 0x04000030, none, boolean}
	GetDNSSuffix             = Command[None, Text]{"AMTHI get PKI FQDN suffix", 0x04000036, none, text}
	GetDNSSuffixList         = Command[None, Suffixes]{"AMTHI get DNS suffix list", 0x0400003e, none, suffixes}
	SetEnterpriseAccess      = Command[EnterpriseAccess, None]{"AMTHI set enterprise access", 0x0400003f, enterpriseAccess, none}
	OpenUserInitiated        = Command[None, None]{"AMTHI open user-initiated connection", 0x04000044, none, none}
	CloseUserInitiated       = Command[None, None]{"AMTHI close user-initiated connection", 0x04000045, none, none}
	GetRemoteAccessStatus    = Command[None, RemoteAccess]{"AMTHI get remote access connection status", 0x04000046, none, remoteAccess}
	GetPowerPolicy           = Command[None, Text]{"AMTHI get current power policy", 0x04000047, none, text}
	GetLANSettings           = Command[Interface, LAN]{"AMTHI get LAN interface settings", 0x04000048, word[Interface], lan}
	GetFeaturesState         = Command[Feature, FeatureState]{"AMTHI get features state", 0x04000049, word[Feature], featureState}
	GetLastHostReset         = Command[None, HostReset]{"AMTHI get last host reset reason", 0x0400004a, none, hostReset}
	GetUserInitiatedEnabled  = Command[None, UserInitiated]{"AMTHI get user-initiated enabled interfaces", 0x0400004d, none, word[UserInitiated]}
	GetConfigurationServer   = Command[None, ConfigurationServer]{"AMTHI get configuration server data", 0x0400004e, none, configurationServer}
	GetAuditRecord           = Command[None, AuditRecord]{"AMTHI get ME setup audit record", 0x04000050, none, auditRecord}
	GetIPv6Status            = Command[Interface, IPv6]{"AMTHI get IPv6 LAN interface status", 0x04000052, word[Interface], ipv6}
	GetFQDN                  = Command[None, FQDN]{"AMTHI get FQDN", 0x04000056, none, fqdn}
	GetRedirectionState      = Command[None, Redirection]{"AMTHI get redirection state", 0x04000058, none, word[Redirection]}
	SetHostFQDN              = Command[Text, None]{"AMTHI set host FQDN", 0x0400005b, text, none}
	GetUUID                  = Command[None, UUID]{"AMTHI get UUID", 0x0400005c, none, uuid}
	StopConfiguration        = Command[None, None]{"AMTHI stop configuration", 0x0400005e, none, none}
	StartConfigurationEx     = Command[Bool, None]{"AMTHI start configuration Ex", 0x04000062, boolean, none} // true: over IPv6
	GetLocalSystemAccount    = Command[Reserved40, LocalAccount]{"AMTHI get local system account", 0x04000067, reserved40, localAccount}
	GetControlMode           = Command[None, ControlMode]{"AMTHI get control mode", 0x0400006b, none, word[ControlMode]}
	GetEHBCState             = Command[None, Bool]{"AMTHI get EHBC state", 0x04000084, none, boolean}
	SetEHBCState             = Command[Bool, None]{"AMTHI set EHBC state", 0x04000085, boolean, none}
	DisableAndClear          = Command[None, None]{"AMTHI disable and clear AMT", 0x04000088, none, none} // AMT 12 and newer
	StartConfigurationHBased = Command[HostBased, HostBasedReply]{"AMTHI start configuration, host based", 0x0400008b, hostBased, hostBasedReply}
	GetCIRALog               = Command[LogVersion, CIRALog]{"AMTHI get CIRA log", 0x0400008e, logVersion, ciraLog} // recent firmware
	GetAMTState              = Command[StateID, AMTState]{"AMTHI get AMT state", 0x01000001, stateID, amtState}
)
