package status

// The status codes: PT_STATUS and the underscore form of each name in the vendor's headers, so InvalidPTMode is
// PT_STATUS_INVALID_PT_MODE. Decimal, as WS-Man writes them. To add one: a line here, a line in text, and, if
// programs should act on it, one in meaning.
const (
	Success                      Status = 0
	InternalError                Status = 1
	NotReady                     Status = 2
	InvalidPTMode                Status = 3 // also INVALID_AMT_MODE
	InvalidMessageLength         Status = 4
	TableFingerprintNotAvailable Status = 5
	IntegrityCheckFailed         Status = 6
	UnsupportedISVSVersion       Status = 7
	ApplicationNotRegistered     Status = 8
	InvalidRegistrationData      Status = 9
	ApplicationDoesNotExist      Status = 10
	NotEnoughStorage             Status = 11
	InvalidName                  Status = 12
	BlockDoesNotExist            Status = 13
	InvalidByteOffset            Status = 14
	InvalidByteCount             Status = 15
	NotPermitted                 Status = 16
	NotOwner                     Status = 17
	BlockLockedByOther           Status = 18
	BlockNotLocked               Status = 19
	InvalidGroupPermissions      Status = 20
	GroupDoesNotExist            Status = 21
	InvalidMemberCount           Status = 22
	MaxLimitReached              Status = 23
	InvalidAuthType              Status = 24
	AuthenticationFailed         Status = 25
	InvalidDHCPMode              Status = 26
	InvalidIPAddress             Status = 27
	InvalidDomainName            Status = 28
	UnsupportedVersion           Status = 29
	RequestUnexpected            Status = 30
	InvalidTableType             Status = 31
	InvalidProvisioningState     Status = 32
	UnsupportedObject            Status = 33
	InvalidTime                  Status = 34
	InvalidIndex                 Status = 35
	InvalidParameter             Status = 36
	InvalidNetmask               Status = 37
	FlashWriteLimitExceeded      Status = 38 // too many writes in a short time; wait
	InvalidImageLength           Status = 39
	InvalidImageSignature        Status = 40
	ProposeAnotherVersion        Status = 41
	InvalidPIDFormat             Status = 42
	InvalidPPSFormat             Status = 43
	BISTCommandBlocked           Status = 44
	ConnectionFailed             Status = 45
	ConnectionTooMany            Status = 46
	RNGGenerationInProgress      Status = 47
	RNGNotReady                  Status = 48
	CertificateNotReady          Status = 49

	DisabledByPolicy Status = 1024

	NetworkIFErrorBase       Status = 2048
	UnsupportedOEMNumber     Status = 2049
	UnsupportedBootOption    Status = 2050
	InvalidCommand           Status = 2051 // the host interface's answer to a command it does not know
	InvalidSpecialCommand    Status = 2052
	InvalidHandle            Status = 2053
	InvalidPassword          Status = 2054
	InvalidRealm             Status = 2055
	StorageACLEntryInUse     Status = 2056
	DataMissing              Status = 2057 // AMT 19 and newer, of CommitChanges: the MEBx password must be set first
	Duplicate                Status = 2058
	EventLogFrozen           Status = 2059
	PKIMissingKeys           Status = 2060
	PKIGeneratingKeys        Status = 2061
	InvalidKey               Status = 2062
	InvalidCert              Status = 2063
	CertKeyNotMatch          Status = 2064
	MaxKerberosDomainReached Status = 2065
	Unsupported              Status = 2066
	InvalidPriority          Status = 2067
	NotFound                 Status = 2068
	InvalidCredentials       Status = 2069
	InvalidPassphrase        Status = 2070
	NoAssociation            Status = 2072
	AuditFail                Status = 2075
	BlockingComponent        Status = 2076 // an auditor or another component forbids it
	UserConsentRequired      Status = 2081
	OperationInProgress      Status = 2082

	// These come from client-side libraries of the vendor, never from firmware.
	AppInternalError          Status = 4096
	NotInitialized            Status = 4097
	LibraryVersionUnsupported Status = 4098
	InvalidParam              Status = 4099
	Resources                 Status = 4100
	HardwareAccessError       Status = 4101
	RequestorNotRegistered    Status = 4102
	NetworkError              Status = 4103
	ParamBufferTooShort       Status = 4104
	COMNotInitializedInThread Status = 4105
	URLRequired               Status = 4106
)

// text returns what a code of PT_STATUS means, "" if it is not known.
func (s Status) text() string {
	switch s {
	case Success:
		return "success"
	case InternalError:
		return "internal error"
	case NotReady:
		return "not ready"
	case InvalidPTMode:
		return "invalid in this provisioning mode"
	case InvalidMessageLength:
		return "invalid message length"
	case TableFingerprintNotAvailable:
		return "table fingerprint not available"
	case IntegrityCheckFailed:
		return "integrity check failed"
	case UnsupportedISVSVersion:
		return "unsupported ISV storage version"
	case ApplicationNotRegistered:
		return "application not registered"
	case InvalidRegistrationData:
		return "invalid registration data"
	case ApplicationDoesNotExist:
		return "application does not exist"
	case NotEnoughStorage:
		return "not enough storage"
	case InvalidName:
		return "invalid name"
	case BlockDoesNotExist:
		return "block does not exist"
	case InvalidByteOffset:
		return "invalid byte offset"
	case InvalidByteCount:
		return "invalid byte count"
	case NotPermitted:
		return "not permitted"
	case NotOwner:
		return "not owner"
	case BlockLockedByOther:
		return "block locked by another"
	case BlockNotLocked:
		return "block not locked"
	case InvalidGroupPermissions:
		return "invalid group permissions"
	case GroupDoesNotExist:
		return "group does not exist"
	case InvalidMemberCount:
		return "invalid member count"
	case MaxLimitReached:
		return "maximum reached"
	case InvalidAuthType:
		return "invalid authentication type"
	case AuthenticationFailed:
		return "authentication failed"
	case InvalidDHCPMode:
		return "invalid DHCP mode"
	case InvalidIPAddress:
		return "invalid IP address"
	case InvalidDomainName:
		return "invalid domain name"
	case UnsupportedVersion:
		return "unsupported version"
	case RequestUnexpected:
		return "unexpected request"
	case InvalidTableType:
		return "invalid table type"
	case InvalidProvisioningState:
		return "invalid provisioning state"
	case UnsupportedObject:
		return "unsupported object"
	case InvalidTime:
		return "invalid time"
	case InvalidIndex:
		return "invalid index"
	case InvalidParameter:
		return "invalid parameter"
	case InvalidNetmask:
		return "invalid netmask"
	case FlashWriteLimitExceeded:
		return "flash write limit exceeded"
	case InvalidImageLength:
		return "invalid image length"
	case InvalidImageSignature:
		return "invalid image signature"
	case ProposeAnotherVersion:
		return "propose another version"
	case InvalidPIDFormat:
		return "invalid PID format"
	case InvalidPPSFormat:
		return "invalid PPS format"
	case BISTCommandBlocked:
		return "BIST command blocked"
	case ConnectionFailed:
		return "connection failed"
	case ConnectionTooMany:
		return "too many connections"
	case RNGGenerationInProgress:
		return "random numbers are being generated"
	case RNGNotReady:
		return "random number generator not ready"
	case CertificateNotReady:
		return "certificate not ready"
	case DisabledByPolicy:
		return "disabled by policy"
	case NetworkIFErrorBase:
		return "network interface error"
	case UnsupportedOEMNumber:
		return "unsupported OEM number"
	case UnsupportedBootOption:
		return "unsupported boot option"
	case InvalidCommand:
		return "invalid command"
	case InvalidSpecialCommand:
		return "invalid special command"
	case InvalidHandle:
		return "invalid handle"
	case InvalidPassword:
		return "invalid password"
	case InvalidRealm:
		return "invalid realm"
	case StorageACLEntryInUse:
		return "storage ACL entry in use"
	case DataMissing:
		return "data missing"
	case Duplicate:
		return "duplicate"
	case EventLogFrozen:
		return "event log frozen"
	case PKIMissingKeys:
		return "PKI keys missing"
	case PKIGeneratingKeys:
		return "PKI keys are being generated"
	case InvalidKey:
		return "invalid key"
	case InvalidCert:
		return "invalid certificate"
	case CertKeyNotMatch:
		return "key does not match certificate"
	case MaxKerberosDomainReached:
		return "maximum of Kerberos domains reached"
	case Unsupported:
		return "unsupported"
	case InvalidPriority:
		return "invalid priority"
	case NotFound:
		return "not found"
	case InvalidCredentials:
		return "invalid credentials"
	case InvalidPassphrase:
		return "invalid passphrase"
	case NoAssociation:
		return "no association"
	case AuditFail:
		return "audit failed"
	case BlockingComponent:
		return "blocked by a component"
	case UserConsentRequired:
		return "user consent required"
	case OperationInProgress:
		return "operation in progress"
	case AppInternalError:
		return "internal error of the library"
	case NotInitialized:
		return "not initialized"
	case LibraryVersionUnsupported:
		return "library version unsupported"
	case InvalidParam:
		return "invalid parameter of the library call"
	case Resources:
		return "out of resources"
	case HardwareAccessError:
		return "hardware access error"
	case RequestorNotRegistered:
		return "requestor not registered"
	case NetworkError:
		return "network error"
	case ParamBufferTooShort:
		return "buffer too short"
	case COMNotInitializedInThread:
		return "COM not initialized in thread"
	case URLRequired:
		return "URL required"
	}
	return ""
}
