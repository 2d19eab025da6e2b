package status

import (
	"errors"
	"fmt"
	"testing"
)

func TestString(t *testing.T) {
	for _, tt := range []struct {
		code Status
		want string
	}{
		{0, "success"},
		{2, "not ready"},
		{16, "not permitted"},
		{38, "flash write limit exceeded"},
		{50, "unknown (50)"},
		{1024, "disabled by policy"},
		{2057, "data missing"},
		{2058, "duplicate"},
		{2068, "not found"},
		{2071, "unknown (2071)"},
		{2075, "audit failed"},
		{2081, "user consent required"},
		{4106, "URL required"},
		{4107, "unknown (4107)"},
		{32768 + 1, "internal error (32768 + 1)"},
		{32768 + 36, "invalid parameter (32768 + 36)"},
		{32768 + 2081, "user consent required (32768 + 2081)"},
		{32768 + 99, "unknown (32867)"},
		{1<<32 - 1, "unknown (4294967295)"},
	} {
		if got := tt.code.String(); got != tt.want {
			t.Errorf("%d: got %q, want %q", uint32(tt.code), got, tt.want)
		}
	}
}

// The numbers are the wire's; a slip in one of these would go unnoticed elsewhere.
func TestNumbers(t *testing.T) {
	for code, want := range map[Status]uint32{
		InvalidPTMode: 3, NotPermitted: 0x10, MaxLimitReached: 0x17, AuthenticationFailed: 0x19, UnsupportedObject: 0x21,
		InvalidParameter: 0x24, FlashWriteLimitExceeded: 0x26, CertificateNotReady: 0x31, DisabledByPolicy: 0x400,
		NetworkIFErrorBase: 0x800, InvalidCommand: 0x803, InvalidHandle: 0x805, InvalidPassword: 0x806, InvalidRealm: 0x807,
		StorageACLEntryInUse: 0x808, DataMissing: 0x809, Duplicate: 0x80a, EventLogFrozen: 0x80b, PKIMissingKeys: 0x80c,
		InvalidKey: 0x80e, InvalidCert: 0x80f, CertKeyNotMatch: 0x810, Unsupported: 0x812, InvalidPriority: 0x813,
		NotFound: 0x814, InvalidCredentials: 0x815, InvalidPassphrase: 0x816, NoAssociation: 0x818, AuditFail: 0x81b,
		BlockingComponent: 0x81c, UserConsentRequired: 0x821, AppInternalError: 0x1000, ParamBufferTooShort: 0x1008,
	} {
		if uint32(code) != want {
			t.Errorf("%v is %d, want %d", code, uint32(code), want)
		}
	}
}

// The words of two codes differ, and a code with a meaning has words.
func TestTextsAreDistinct(t *testing.T) {
	seen := map[string]Status{}
	known := 0
	for s := range Status(5000) {
		text := s.text()
		if text == "" {
			if s.meaning() != nil {
				t.Errorf("%d has a meaning and no text", uint32(s))
			}
			continue
		}
		known++
		if other, ok := seen[text]; ok {
			t.Errorf("%d and %d are both %q", uint32(other), uint32(s), text)
		}
		seen[text] = s
	}
	if known != 90 {
		t.Errorf("%d codes have a text, want 90", known)
	}
}

func TestError(t *testing.T) {
	all := []error{ErrNotReady, ErrBusy, ErrNotPermitted, ErrConsentRequired, ErrUnsupported, ErrDuplicate, ErrNotFound,
		ErrInvalidParameter, ErrInvalidPassword, ErrLimitReached, ErrAuditFailed}
	const power = "CIM_PowerManagementService.RequestPowerStateChange"
	for _, tt := range []struct {
		e    Error
		text string
		is   error // the only one of all, nil is none
	}{
		{Error{power, 2, ""}, power + ": refused with not ready", ErrNotReady},
		{Error{power, 2, "Unknown or unspecified error"}, power + ": refused with Unknown or unspecified error", ErrNotReady},
		{Error{power, 1, "Not supported"}, power + ": refused with Not supported", ErrUnsupported},
		{Error{power, 4099, "Busy"}, power + ": refused with Busy", ErrBusy},
		{Error{power, 4098, "Timeout parameter not supported"}, power + ": refused with Timeout parameter not supported", ErrUnsupported},
		{Error{"CIM_BootService.SetBootConfigRole", 2, "Unknown/Unspecified Error"}, "CIM_BootService.SetBootConfigRole: refused with Unknown/Unspecified Error", nil},
		{Error{"CIM_BootConfigSetting.ChangeBootOrder", 5, "Invalid Parameter"}, "CIM_BootConfigSetting.ChangeBootOrder: refused with Invalid Parameter", ErrInvalidParameter},
		{Error{"CIM_BootConfigSetting.ChangeBootOrder", 32768 + 16, ""}, "CIM_BootConfigSetting.ChangeBootOrder: refused with not permitted (32768 + 16)", ErrNotPermitted},
		{Error{"CIM_BootConfigSetting.ChangeBootOrder", 32768 + 2081, "x"}, "CIM_BootConfigSetting.ChangeBootOrder: refused with x", ErrConsentRequired},
		{Error{"IPS_HostBasedSetupService.Setup", 2, "InvalidState"}, "IPS_HostBasedSetupService.Setup: refused with InvalidState", nil},
		{Error{"IPS_HostBasedSetupService.Setup", 3, "InvalidParam"}, "IPS_HostBasedSetupService.Setup: refused with InvalidParam", ErrInvalidParameter},
		{Error{"AMT_X.Y", 36, "PT_STATUS_INVALID_PARAMETER"}, "AMT_X.Y: refused with PT_STATUS_INVALID_PARAMETER", ErrInvalidParameter},
		{Error{"AMT_PublicKeyManagementService.AddKey", 2058, ""}, "AMT_PublicKeyManagementService.AddKey: refused with duplicate", ErrDuplicate},
		{Error{"AMT_AuthorizationService.GetUserAclEntryEx", 2068, ""}, "AMT_AuthorizationService.GetUserAclEntryEx: refused with not found", ErrNotFound},
		{Error{"AMT_AuthorizationService.AddUserAclEntryEx", 2054, ""}, "AMT_AuthorizationService.AddUserAclEntryEx: refused with invalid password", ErrInvalidPassword},
		{Error{"AMT_AuthorizationService.AddUserAclEntryEx", 23, ""}, "AMT_AuthorizationService.AddUserAclEntryEx: refused with maximum reached", ErrLimitReached},
		{Error{"AMT_X.Y", 2075, ""}, "AMT_X.Y: refused with audit failed", ErrAuditFailed},
		{Error{"AMT_X.Y", 1, ""}, "AMT_X.Y: refused with internal error", nil},
		{Error{"AMT_X.Y", 3000, ""}, "AMT_X.Y: refused with unknown (3000)", nil},
	} {
		err := fmt.Errorf("ask: %w", &tt.e)
		if got := tt.e.Error(); got != tt.text {
			t.Errorf("got %q, want %q", got, tt.text)
		}
		for _, target := range all {
			if got := errors.Is(err, target); got != (target == tt.is) {
				t.Errorf("%v: is %v: %t", err, target, got)
			}
		}
		var back *Error
		if !errors.As(err, &back) || back.Code != tt.e.Code {
			t.Errorf("%v: the code is lost", err)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := Check("AMT_X.Y", Success); err != nil {
		t.Error(err)
	}
	if err := Check("AMT_X.Y", UserConsentRequired); !errors.Is(err, ErrConsentRequired) || err.Error() != "AMT_X.Y: refused with user consent required" {
		t.Error(err)
	}
}
