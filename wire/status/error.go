package status

import (
	"errors"
	"strings"
)

// What a refusal comes down to, for errors.Is. Several codes may share one; most have none.
var (
	ErrNotReady         = errors.New("not ready")             // not now; try again later
	ErrBusy             = errors.New("busy")                  // something else is going on; try again later
	ErrNotPermitted     = errors.New("not permitted")         // this account, or the machine's policy
	ErrConsentRequired  = errors.New("user consent required") // somebody at the screen must read out a code first
	ErrUnsupported      = errors.New("not supported")         // by this firmware or platform
	ErrDuplicate        = errors.New("exists already")
	ErrNotFound         = errors.New("not found")
	ErrInvalidParameter = errors.New("invalid parameter")
	ErrInvalidPassword  = errors.New("invalid password") // a new password that is too weak, or an old one that is wrong
	ErrLimitReached     = errors.New("limit reached")    // no room, too many entries, or flash written too often
	ErrAuditFailed      = errors.New("audit failed")     // the audit log is full or locked and the action must be audited
)

// An Error is the firmware's own no: the request arrived, was understood, and was refused.
type Error struct {
	Op   string // as the firmware names it: "CIM_PowerManagementService.RequestPowerStateChange"
	Code Status // as sent, even if we have no name for it
	Text string // what the method's own table says of Code; "" if Code is a PT_STATUS
}

// Check returns nil for Success and else an [*Error], for operations that answer with a PT_STATUS.
func Check(op string, code Status) error {
	if code == Success {
		return nil
	}
	return &Error{Op: op, Code: code}
}

// Error returns "Op: refused with meaning".
func (e *Error) Error() string {
	text := e.Text
	if text == "" {
		text = e.Code.String()
	}
	return e.Op + ": refused with " + text
}

// Is tells whether target is what this refusal comes down to. Where the method has its own table the words decide, not
// the number: 2 is "not ready" by PT_STATUS and "unspecified error" by the DMTF.
func (e *Error) Is(target error) bool {
	if target == nil {
		return false
	}
	return target == e.meaning()
}

func (e *Error) meaning() error {
	pt := e.Code.PT()
	if e.Text == "" || pt != e.Code || strings.HasPrefix(e.Text, "PT_STATUS_") {
		return pt.meaning()
	}
	text := strings.Map(letters, e.Text)
	// CIM_PowerManagementService says 2 when the transition is not possible now, as while a redirection session is
	// open. Spec power-and-boot.md, table of RequestPowerStateChange.
	if e.Code == 2 && strings.HasPrefix(text, "unknown") && strings.HasSuffix(e.Op, ".RequestPowerStateChange") {
		return ErrNotReady
	}
	return textMeaning(text)
}

// letters keeps the letters of a text, in lower case: the tables spell "Not Supported", "InvalidParam" as they please.
func letters(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case 'a' <= r && r <= 'z':
		return r
	}
	return -1
}

// textMeaning maps the words of methods' own tables.
func textMeaning(text string) error {
	switch text {
	case "notready":
		return ErrNotReady
	case "busy", "inuse":
		return ErrBusy
	case "notsupported", "unsupported", "unsupportedsubject", "unsupportedtarget", "unsupportedprivilege",
		"timeoutparameternotsupported", "methoddisabled":
		return ErrUnsupported
	case "invalidparameter", "invalidparam", "invalidreference", "invalidrecordpointed", "invalidabsoluterecordnumber",
		"invalidrelativerecordnumber":
		return ErrInvalidParameter
	case "accessdenied", "authorizationerror", "blocked", "notpermitted":
		return ErrNotPermitted
	case "notfound", "norecordexists", "norecordexistsinlog":
		return ErrNotFound
	case "flashwritelimitexceeded":
		return ErrLimitReached
	case "userconsentrequired":
		return ErrConsentRequired
	}
	return nil
}

// meaning maps the codes of PT_STATUS.
func (s Status) meaning() error {
	switch s {
	case NotReady, RNGGenerationInProgress, RNGNotReady, CertificateNotReady, PKIGeneratingKeys:
		return ErrNotReady
	case OperationInProgress, BlockLockedByOther, StorageACLEntryInUse:
		return ErrBusy
	case NotPermitted, NotOwner, DisabledByPolicy, BlockingComponent:
		return ErrNotPermitted
	case UserConsentRequired:
		return ErrConsentRequired
	case Unsupported, UnsupportedObject, UnsupportedVersion, UnsupportedISVSVersion, UnsupportedOEMNumber,
		UnsupportedBootOption, InvalidCommand, InvalidSpecialCommand:
		return ErrUnsupported
	case Duplicate:
		return ErrDuplicate
	case NotFound, BlockDoesNotExist, GroupDoesNotExist, ApplicationDoesNotExist:
		return ErrNotFound
	case InvalidParameter, InvalidParam, InvalidName, InvalidIndex, InvalidHandle, InvalidTime, InvalidIPAddress,
		InvalidNetmask, InvalidDomainName, InvalidDHCPMode, InvalidRealm, InvalidPriority:
		return ErrInvalidParameter
	case InvalidPassword:
		return ErrInvalidPassword
	case MaxLimitReached, NotEnoughStorage, FlashWriteLimitExceeded, MaxKerberosDomainReached, ConnectionTooMany:
		return ErrLimitReached
	case AuditFail:
		return ErrAuditFailed
	}
	return nil
}
