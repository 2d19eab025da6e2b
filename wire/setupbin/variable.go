package setupbin

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
)

// An ID names a variable: module*65536 + number.
type ID uint32

// Modules.
const (
	MEBx uint16 = 1 // ME and MEBx
	AMT  uint16 = 2 // AMT configuration
)

// The variables. [Definitions] tells their types and values.
const (
	CurrentPassword       ID = 0x10001
	NewPassword           ID = 0x10002
	Manageability         ID = 0x10003
	LocalFirmwareUpdate   ID = 0x10004
	FirmwareUpdateControl ID = 0x10005
	PowerPackage          ID = 0x10006

	PID                  ID = 0x20001
	PPS                  ID = 0x20002
	DNSSuffix            ID = 0x20003
	ServerName           ID = 0x20004
	RemoteConfiguration  ID = 0x20005
	BuiltinHashes        ID = 0x20006
	UserHashes           ID = 0x20007
	AddHash              ID = 0x20008
	Redirection          ID = 0x2000A
	HostName             ID = 0x2000B
	Domain               ID = 0x2000C
	DHCP                 ID = 0x2000D
	SecureFirmwareUpdate ID = 0x2000E
	IdleTimeout          ID = 0x2000F
	ProvisioningMode     ID = 0x20010
	ServerAddress        ID = 0x20011
	ServerPort           ID = 0x20012
	StaticIPv4           ID = 0x20013
	VLAN                 ID = 0x20014
	PasswordPolicy       ID = 0x20015
	IPv6                 ID = 0x20016
	SharedFQDN           ID = 0x20017
	DynamicDNS           ID = 0x20018
	KVM                  ID = 0x20019
	UserConsent          ID = 0x2001A
	RemoteConsentPolicy  ID = 0x2001B
	Provisioning         ID = 0x2001C
	ManualSetup          ID = 0x2001D
	SupportChannel       ID = 0x2001E
	SupportDescription   ID = 0x2001F
	ServiceAccount       ID = 0x20020
	EnrolmentPasscode    ID = 0x20021
	ServiceType          ID = 0x20022
	ServiceProvider      ID = 0x20023
)

// Module returns the module that a variable is for.
func (id ID) Module() uint16 { return uint16(id >> 16) }

// Number returns the variable's number in its module.
func (id ID) Number() uint16 { return uint16(id) }

// String returns "2/13": module and number.
func (id ID) String() string { return fmt.Sprintf("%d/%d", id.Module(), id.Number()) }

// ParseID reads a name of [Definitions], "dhcp", or module and number, "2/13". Errors wrap [ErrUnknown].
func ParseID(s string) (ID, error) {
	if d, ok := byName(s); ok {
		return d.ID, nil
	}
	if module, number, ok := strings.Cut(s, "/"); ok {
		m, err1 := strconv.ParseUint(module, 10, 16)
		n, err2 := strconv.ParseUint(number, 10, 16)
		if err1 == nil && err2 == nil && m > 0 {
			return ID(m<<16 | n), nil
		}
	}
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return 0, fmt.Errorf("setupbin: %w: %q", ErrUnknown, s)
}

// A Variable is one setting. As text, JSON or in a log it does not show the value of a secret or of an unknown variable.
type Variable struct {
	ID       ID
	Value    []byte // at most 65535 octets, in practice what fits into a record's 480
	Reserved uint16 // 0

	pad [3]byte // up to the multiple of 4
}

// parseVariables reads the variables of a body and returns what follows them, with the mark of the end.
func parseVariables(b []byte) (variables []Variable, rest []byte, err error) {
	for len(b) >= varHeader {
		module := binary.LittleEndian.Uint16(b)
		if module == 0 {
			break
		}
		v := Variable{ID: ID(module)<<16 | ID(binary.LittleEndian.Uint16(b[2:])), Reserved: binary.LittleEndian.Uint16(b[6:])}
		n := int(binary.LittleEndian.Uint16(b[4:]))
		size := varHeader + roundUp(n)
		if size > len(b) {
			return nil, nil, fmt.Errorf("variable %v: %w: %d octets of value, %d are left", v.ID, ErrMalformed, n, len(b)-varHeader)
		}
		v.Value = slices.Clone(b[varHeader : varHeader+n])
		copy(v.pad[:], b[varHeader+n:size])
		variables = append(variables, v)
		b = b[size:]
	}
	return variables, b, nil
}

func (v Variable) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, v.ID.Module())
	b = binary.LittleEndian.AppendUint16(b, v.ID.Number())
	b = binary.LittleEndian.AppendUint16(b, uint16(len(v.Value)))
	b = binary.LittleEndian.AppendUint16(b, v.Reserved)
	b = append(b, v.Value...)
	return append(b, v.pad[:roundUp(len(v.Value))-len(v.Value)]...)
}

func roundUp(n int) int { return (n + 3) &^ 3 }

// Name returns the name of the variable, or module and number if it has none here.
func (v Variable) Name() string {
	if d, ok := Lookup(v.ID); ok {
		return d.Name
	}
	return v.ID.String()
}

// Secret tells that the value must not be shown: a password, a key, or a variable that is unknown.
func (v Variable) Secret() bool {
	d, ok := Lookup(v.ID)
	return !ok || d.Secret
}

// Text returns the value in the form that [Definition.Parse] reads, secrets too.
func (v Variable) Text() string {
	d, _ := Lookup(v.ID)
	return d.Format(v.Value)
}

// Masked is Text, but stars for a secret.
func (v Variable) Masked() string {
	if v.Secret() {
		return "***"
	}
	return v.Text()
}

// String returns "dhcp=on". Secrets are masked.
func (v Variable) String() string { return v.Name() + "=" + v.Masked() }

// GoString is String, so that %#v does not show secrets.
func (v Variable) GoString() string { return v.String() }

// LogValue is String, for slog.
func (v Variable) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalJSON returns ID, name and value as text. Secrets are masked.
func (v Variable) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		Value string `json:"value"`
	}{v.ID.String(), v.Name(), v.Masked()})
}
