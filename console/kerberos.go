package console

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
)

// A Kerberos is how a machine knows the users of a Windows domain or another Kerberos realm. Source:
// AMT_KerberosSettingData; spec inventory-events-policies.md section 8.
type Kerberos struct {
	Enabled    bool
	Realm      string         // "EXAMPLE.ORG"; "": not told
	Principals []Principal    // names of the machine there
	KeyVersion uint32         // of the master key, as the realm counts it
	Encryption string         // "rc4-hmac", "aes128", "aes256"; "": not told
	Supported  []string       // what the machine knows
	Tolerance  *time.Duration // how far the clocks of machine and user may be apart, in whole minutes; nil: not told
	Cache      *bool          // tickets are kept for the next log-in; nil: not told
}

// A Principal is a name under which the machine offers a service.
type Principal struct {
	Name     string // "HTTP/desk-7.example.org:16992"
	Protocol string // "http", "https", "redirection", "redirection-tls"; "": not told
}

var kerberosProtocols = []string{"http", "https", "redirection", "redirection-tls"} // by number

// kerberosKinds are the ways to encrypt, by number, with the length of their keys in octets. Sources: RFC 4757 3, RFC
// 3962 6.
var kerberosKinds = []struct {
	word   string
	octets int
}{{"rc4-hmac", 16}, {"aes128", 16}, {"aes256", 32}}

func kerberosWord(n amt.KerberosSettingDataEncryptionAlgorithm) string {
	if int(n) < len(kerberosKinds) {
		return kerberosKinds[n].word
	}
	return fmt.Sprintf("unknown (%d)", n)
}

// Limits of what is sent.
const (
	maxPrincipals    = 4
	maxKerberosText  = 256
	defaultTolerance = 5 * time.Minute // of most realms
)

// Kerberos reads the settings. The key cannot be read.
func (c *Client) Kerberos(ctx context.Context) (Kerberos, error) {
	k, _, err := c.kerberos(ctx)
	if err != nil {
		return k, fmt.Errorf("kerberos: %w", err)
	}
	return k, nil
}

func (c *Client) kerberos(ctx context.Context) (k Kerberos, v *amt.KerberosSettingData, err error) {
	var cache amt.KerberosSettingDataGetCredentialCacheStateOut
	err = together(
		func() (err error) { v, err = ask[amt.KerberosSettingData](ctx, c); return err },
		func() (err error) {
			cache, err = amt.KerberosSettingDataGetCredentialCacheState.Invoke(ctx, c, amt.KerberosSettingDataGetCredentialCacheStateIn{})
			return lenient(err)
		})
	if err == nil && v == nil {
		err = fmt.Errorf("%w: it knows no Kerberos", ErrUnsupported)
	}
	if err != nil {
		return k, v, err
	}
	k = Kerberos{Enabled: class.Value(v.KrbEnabled), Realm: text(v.RealmName), KeyVersion: class.Value(v.KeyVersion), Cache: cache.Enabled}
	if v.EncryptionAlgorithm != nil {
		k.Encryption = kerberosWord(*v.EncryptionAlgorithm)
	}
	if v.MaximumClockTolerance != nil {
		k.Tolerance = new(time.Duration(*v.MaximumClockTolerance) * time.Minute)
	}
	for _, n := range v.SupportedEncryptionAlgorithms {
		k.Supported = append(k.Supported, kerberosWord(n))
	}
	for i, name := range v.ServicePrincipalName {
		p := Principal{Name: name}
		if i < len(v.ServicePrincipalProtocol) && int(v.ServicePrincipalProtocol[i]) < len(kerberosProtocols) {
			p.Protocol = kerberosProtocols[v.ServicePrincipalProtocol[i]]
		}
		k.Principals = append(k.Principals, p)
	}
	return k, v, nil
}

// SetKerberos lets users of a realm log in, with the master key that the realm keeps for the machine, and returns the
// settings as the machine has them then. Encryption "" is the best that the machine knows for a key of that length;
// a Tolerance of nil is five minutes; a nil Cache leaves it. Domain users need an account by their SID as well:
// [Client.AddUser].
func (c *Client) SetKerberos(ctx context.Context, want Kerberos, key []byte) (Kerberos, error) {
	now, err := c.setKerberos(ctx, want, key)
	if err != nil {
		return now, fmt.Errorf("set kerberos: %w", err)
	}
	return now, nil
}

func (c *Client) setKerberos(ctx context.Context, want Kerberos, key []byte) (Kerberos, error) {
	if err := want.check(); err != nil {
		return Kerberos{}, err
	}
	before, v, err := c.kerberos(ctx)
	if err != nil {
		return Kerberos{}, err
	}
	kind, err := before.kindFor(want.Encryption, key)
	if err != nil {
		return before, err
	}
	want.Encryption = kerberosWord(kind)
	if want.Tolerance == nil {
		want.Tolerance = new(defaultTolerance)
	}
	v.KrbEnabled, v.RealmName, v.KeyVersion, v.EncryptionAlgorithm, v.MasterKey = new(true), &want.Realm, &want.KeyVersion, &kind, key
	v.MaximumClockTolerance = new(uint32(*want.Tolerance / time.Minute))
	v.ServicePrincipalName, v.ServicePrincipalProtocol = nil, nil
	for _, p := range want.Principals {
		v.ServicePrincipalName = append(v.ServicePrincipalName, p.Name)
		v.ServicePrincipalProtocol = append(v.ServicePrincipalProtocol, amt.KerberosSettingDataServicePrincipalProtocol(slices.Index(kerberosProtocols, p.Protocol)))
	}
	if _, err := class.Put(ctx, c, v); err != nil {
		return before, err
	}
	if want.Cache != nil {
		if err := c.cacheTickets(ctx, *want.Cache); err != nil {
			return before, fmt.Errorf("switched on, but the keeping of tickets is refused: %w", err)
		}
	}
	now, _, err := c.kerberos(ctx)
	if err != nil {
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if !now.Enabled || !now.shows(&want) {
		return now, ErrDiffers
	}
	return now, nil
}

func (c *Client) cacheTickets(ctx context.Context, keep bool) error {
	_, err := amt.KerberosSettingDataSetCredentialCacheState.Invoke(ctx, c, amt.KerberosSettingDataSetCredentialCacheStateIn{Enable: &keep})
	return err
}

// shows reports whether what the machine gives back of its settings is what was wanted; it may keep some to itself.
func (k *Kerberos) shows(want *Kerberos) bool {
	return (k.Realm == "" || k.Realm == want.Realm) && (k.Encryption == "" || k.Encryption == want.Encryption) &&
		(k.KeyVersion == 0 || k.KeyVersion == want.KeyVersion) && (k.Tolerance == nil || *k.Tolerance == *want.Tolerance) &&
		(want.Cache == nil || k.Cache == nil || *k.Cache == *want.Cache) &&
		(k.Principals == nil || slices.EqualFunc(k.Principals, want.Principals, func(a, b Principal) bool {
			return a.Name == b.Name && (a.Protocol == "" || a.Protocol == b.Protocol)
		}))
}

// check holds settings against what firmware takes.
func (k *Kerberos) check() error {
	bad := func(text string) bool {
		return text == "" || len(text) > maxKerberosText || strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0
	}
	if bad(k.Realm) {
		return fmt.Errorf("%w: realm %q does not have 1 to %d printable characters", ErrUsage, k.Realm, maxKerberosText)
	}
	if len(k.Principals) == 0 || len(k.Principals) > maxPrincipals {
		return fmt.Errorf("%w: %d names of the machine in the realm; AMT takes 1 to %d", ErrUsage, len(k.Principals), maxPrincipals)
	}
	for _, p := range k.Principals {
		service, host, found := strings.Cut(p.Name, "/")
		if bad(p.Name) || !found || service == "" || host == "" {
			return fmt.Errorf("%w: %q is no name such as HTTP/desk-7.example.org:16992", ErrUsage, p.Name)
		}
		if !slices.Contains(kerberosProtocols, p.Protocol) {
			return fmt.Errorf("%w: protocol %q of %s is none of %s", ErrUsage, p.Protocol, p.Name, strings.Join(kerberosProtocols, ", "))
		}
	}
	if k.Tolerance != nil && (*k.Tolerance <= 0 || *k.Tolerance%time.Minute != 0 || *k.Tolerance > 1<<16*time.Minute) {
		return fmt.Errorf("%w: clocks may be whole minutes apart; %v is not", ErrUsage, *k.Tolerance)
	}
	return nil
}

// kindFor finds the number of a way to encrypt that fits a key and that the machine knows.
func (k *Kerberos) kindFor(word string, key []byte) (amt.KerberosSettingDataEncryptionAlgorithm, error) {
	knows := func(word string) bool {
		return slices.Contains(k.Supported, word) || k.Supported == nil && word == kerberosKinds[0].word
	}
	if word == "" {
		for n := len(kerberosKinds) - 1; n >= 0; n-- {
			if kind := kerberosKinds[n]; kind.octets == len(key) && knows(kind.word) {
				return amt.KerberosSettingDataEncryptionAlgorithm(n), nil
			}
		}
		return 0, fmt.Errorf("%w: a master key of %d octets fits nothing that the machine knows (16 are for rc4-hmac and aes128, 32 for aes256)", ErrUsage, len(key))
	}
	for n, kind := range kerberosKinds {
		switch {
		case kind.word != word:
		case !knows(word):
			return 0, fmt.Errorf("%w: it does not know %s", ErrUnsupported, word)
		case kind.octets != len(key):
			return 0, fmt.Errorf("%w: the master key has %d octets; that of %s has %d", ErrUsage, len(key), word, kind.octets)
		default:
			return amt.KerberosSettingDataEncryptionAlgorithm(n), nil
		}
	}
	return 0, fmt.Errorf("%w: encryption %q is none of rc4-hmac, aes128, aes256", ErrUsage, word)
}

// DisableKerberos lets nobody log in by Kerberos any more. Realm and key stay at the machine.
func (c *Client) DisableKerberos(ctx context.Context) (Kerberos, error) {
	now, err := c.disableKerberos(ctx)
	if err != nil {
		return now, fmt.Errorf("disable kerberos: %w", err)
	}
	return now, nil
}

func (c *Client) disableKerberos(ctx context.Context) (Kerberos, error) {
	before, v, err := c.kerberos(ctx)
	if err != nil || !before.Enabled {
		return before, err
	}
	v.KrbEnabled = new(false)
	if _, err := class.Put(ctx, c, v); err != nil {
		return before, err
	}
	now, _, err := c.kerberos(ctx)
	switch {
	case err != nil:
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	case now.Enabled:
		return now, ErrDiffers
	}
	return now, nil
}

// ErrKerberosKey is the error of a file that holds no master key.
var ErrKerberosKey = errors.New("no master key: 16 or 32 octets, as they are or in hex digits")

// ParseKerberosKey reads a master key: 32 or 64 hex digits, or 16 or 32 octets as they are. White space around digits does
// not count. Errors wrap [ErrKerberosKey] and do not hold the key.
func ParseKerberosKey(b []byte) ([]byte, error) {
	if trimmed := strings.TrimSpace(string(b)); len(trimmed) == 32 || len(trimmed) == 64 {
		if key, err := hex.DecodeString(trimmed); err == nil {
			return key, nil
		}
	}
	if len(b) == 16 || len(b) == 32 {
		return slices.Clone(b), nil
	}
	return nil, fmt.Errorf("%w (%d octets)", ErrKerberosKey, len(b))
}
