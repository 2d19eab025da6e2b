// Package hosts keeps the machines a person manages: a JSON file with one entry per machine, its
// address, how to trust its certificate, and its password encrypted with age.
//
// Commands ask it for what a user typed ([DB.Expand]): a name, an address, a range such as
// node[1-5,7], a tag such as @lab. Hosts of other tools come in through [ImportAmtctrl],
// [ImportMeshCommander] and [ImportMeshCentral].
//
// The file is read once by [Open] and rewritten whole by each change: under a lock against other
// processes, into a temporary file that takes its place only when it has safely reached the disk.
// Fields this version does not know are kept. A file that cannot be understood is never written.
//
// Passwords are encrypted to an X25519 identity (age-encryption.org/v1) that lies in a key file
// beside the database or in the keyring of the operating system. Reading the list needs neither;
// only [DB.Password], and storing a password, do.
//
// The package opens no network connection, reads no environment but what [DefaultPath] needs, and
// logs nothing.
package hosts

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultUser is the administrator account every AMT firmware has.
const DefaultUser = "admin"

// Limits of one entry. They bound what a file or an import can make us keep.
const (
	maxName     = 253  // bytes, as of a DNS name
	maxText     = 4096 // bytes of any other text field
	maxTags     = 64
	maxPassword = 1024 // bytes; AMT itself takes 32
)

// A Host is one machine. The zero value of every field but Address works.
type Host struct {
	Name          string   `json:"name"`                     // unique but for case; no spaces and none of , : [ ] @ / \ " '
	Address       string   `json:"address"`                  // DNS name or IP address, without port or brackets
	Port          int      `json:"port,omitempty"`           // WS-Management port; 0: found out
	Scheme        string   `json:"scheme,omitempty"`         // "http", "https"; "": found out
	User          string   `json:"user,omitempty"`           // "": [DefaultUser], see [Host.Username]
	Pin           string   `json:"pin,omitempty"`            // SHA-256 of the leaf certificate, 64 lower-case hex digits; see [DB.SetPin]
	CAFile        string   `json:"ca_file,omitempty"`        // PEM: whom to believe instead of the system's roots
	CertFile      string   `json:"cert_file,omitempty"`      // PEM: client certificate for mutual TLS
	KeyFile       string   `json:"key_file,omitempty"`       // PEM: its private key
	TLSMin        string   `json:"tls_min,omitempty"`        // "1.0", "1.1", "1.2"; "": 1.2
	LegacyCiphers bool     `json:"legacy_ciphers,omitempty"` // also offer RSA key exchange, for firmware that knows nothing better
	Tags          []string `json:"tags,omitempty"`           // groups; @tag on the command line
	Note          string   `json:"note,omitempty"`           // for people
	UUID          string   `json:"uuid,omitempty"`           // of the machine (SMBIOS), lower case; "": not known

	// A pointer, so that printing a struct with a Host somewhere inside shows an address at most.
	password *secret
}

// Username is the account to log in with: User, or [DefaultUser].
func (h Host) Username() string {
	if h.User == "" {
		return DefaultUser
	}
	return h.User
}

// HasPassword reports whether a password is set, without decrypting it.
func (h Host) HasPassword() bool { return h.password != nil }

// SetPassword sets the password that [DB.Put] will encrypt and store; "" removes it.
func (h *Host) SetPassword(password string) {
	h.password = nil
	if password != "" {
		h.password = &secret{plain: password}
	}
}

// TakePassword gives h the password of another entry of the same database, without decrypting it.
func (h *Host) TakePassword(from Host) { h.password = from.password }

// HasTag reports whether h carries the tag; case does not count.
func (h Host) HasTag(tag string) bool {
	return slices.ContainsFunc(h.Tags, func(t string) bool { return strings.EqualFold(t, tag) })
}

// String is "name (user@address)". It never contains the password.
func (h Host) String() string {
	at := h.Username() + "@" + h.Address
	if h.Name == "" || h.Name == h.Address {
		return at
	}
	return h.Name + " (" + at + ")"
}

// GoString keeps %#v from printing what String hides.
func (h Host) GoString() string { return fmt.Sprintf("hosts.Host{%q, %q}", h.Name, h.Address) }

// ErrInvalid is in the chain of every complaint about the content of a Host.
var ErrInvalid = errors.New("not a valid host")

// Validate says what is wrong with h, or nil.
func (h Host) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("host %q: %w: %s", clip(h.Name), ErrInvalid, fmt.Sprintf(format, args...))
	}
	if why := nameFault(h.Name); why != "" {
		return bad("name %s", why)
	}
	if why := addressFault(h.Address); why != "" {
		return bad("address %q %s", clip(h.Address), why)
	}
	if h.Port < 0 || h.Port > 65535 {
		return bad("port %d is not in 0..65535", h.Port)
	}
	if !slices.Contains([]string{"", "http", "https"}, h.Scheme) {
		return bad("scheme %q is neither http nor https", clip(h.Scheme))
	}
	if !slices.Contains([]string{"", "1.0", "1.1", "1.2"}, h.TLSMin) {
		return bad("tls_min %q is not 1.0, 1.1 or 1.2", clip(h.TLSMin))
	}
	if h.Pin != "" {
		if pin, err := ParsePin(h.Pin); err != nil {
			return bad("%v", err)
		} else if pin != h.Pin {
			return bad("pin %q is not 64 lower-case hex digits", clip(h.Pin))
		}
	}
	if h.UUID != "" && !isUUID(h.UUID) {
		return bad("uuid %q is not 8-4-4-4-12 hex digits", clip(h.UUID))
	}
	if len(h.Tags) > maxTags {
		return bad("%d tags, at most %d", len(h.Tags), maxTags)
	}
	for _, tag := range h.Tags {
		if why := nameFault(tag); why != "" {
			return bad("tag %q %s", clip(tag), why)
		}
	}
	for _, f := range []struct{ name, value string }{
		{"user", h.User}, {"ca_file", h.CAFile}, {"cert_file", h.CertFile}, {"key_file", h.KeyFile}, {"note", h.Note},
	} {
		if len(f.value) > maxText || !utf8.ValidString(f.value) {
			return bad("%s is longer than %d bytes or not UTF-8", f.name, maxText)
		}
		if f.name != "note" && strings.ContainsFunc(f.value, unicode.IsControl) {
			return bad("%s contains a control character", f.name)
		}
	}
	if h.password != nil && len(h.password.plain) > maxPassword {
		return bad("password is longer than %d bytes", maxPassword)
	}
	return nil
}

// nameReserved are the characters that [DB.Expand] or a shell would take for something else.
const nameReserved = ",:[]@/\\\"'"

// nameFault says why s cannot name a host or a tag; "" if it can.
func nameFault(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > maxName:
		return fmt.Sprintf("is longer than %d bytes", maxName)
	case s[0] == '-':
		return "begins with a hyphen"
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.ContainsAny(s, nameReserved):
		return "contains one of " + nameReserved
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return "contains a space or an unprintable character"
	}
	return ""
}

// addressFault says why s is neither an IP address nor something to look up; "" if it is.
func addressFault(s string) string {
	ip, err := netip.ParseAddr(s)
	switch {
	case err != nil && strings.Contains(s, ":"):
		return "contains a colon but is no IPv6 address"
	case err == nil && ip.Zone() != "":
		return nameFault(ip.Zone())
	case err == nil:
		return ""
	}
	return nameFault(s)
}

// ParsePin reads a SHA-256 fingerprint as people write it (upper or lower case, with or without
// colons, with or without "sha256:" before it) and returns it as a [Host] keeps it.
func ParsePin(s string) (string, error) {
	digits := strings.ToLower(strings.TrimSpace(s))
	digits = strings.TrimPrefix(strings.TrimPrefix(digits, "sha256:"), "sha-256:")
	digits = strings.ReplaceAll(digits, ":", "")
	if raw, err := hex.DecodeString(digits); err != nil || len(raw) != 32 {
		return "", fmt.Errorf("%q is not a SHA-256 fingerprint (64 hex digits)", clip(s))
	}
	return digits, nil
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		digit := '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
		if hyphen != (c == '-') || !hyphen && !digit {
			return false
		}
	}
	return true
}

// clip keeps a hostile value from filling a message.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "..."
	}
	return s
}
