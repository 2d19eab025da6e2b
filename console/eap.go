package console

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/wsman"
)

// An EAP is how a machine shows to an 802.1X network who it is. Certificates are named by their InstanceID in AMT's
// store. Source: spec wireless.md sections 7.3 and 7.5.
type EAP struct {
	Protocol        string `json:"protocol,omitempty"` // see [EAPProtocols]
	Username        string `json:"username,omitempty"`
	Domain          string `json:"domain,omitempty"`
	RoamingIdentity string `json:"roaming_identity,omitempty"` // shown before the tunnel stands
	ServerName      string `json:"server_name,omitempty"`      // that the server's certificate must have; "": any
	ServerSuffix    bool   `json:"server_suffix,omitempty"`    // ServerName is the end of it

	ClientCertificate string `json:"client_certificate,omitempty"`
	CACertificate     string `json:"ca_certificate,omitempty"` // the authority that vouches for the server

	Password string `json:"-"` // never read back
}

// An eapProtocol is one protocol with its numbers.
type eapProtocol struct {
	word string
	n    uint16 // CIM_IEEE8021xSettings and IPS_IEEE8021xSettings
	old  uint16 // AMT_8021XProfile; 99: it has none
}

const noOldProtocol = 99

var eapProtocols = []eapProtocol{
	{"tls", 0, 0}, {"ttls-mschapv2", 1, 1}, {"peap-mschapv2", 2, 2}, {"peap-gtc", 3, 3}, {"fast-mschapv2", 4, 4}, {"fast-gtc", 5, 5}, {"md5", 6, noOldProtocol},
	{"psk", 7, noOldProtocol}, {"sim", 8, noOldProtocol}, {"aka", 9, noOldProtocol}, {"fast-tls", 10, 6},
}

// EAPProtocols returns the words for the protocols that can be set.
func EAPProtocols() []string {
	return []string{"tls", "ttls-mschapv2", "peap-mschapv2", "peap-gtc", "fast-mschapv2", "fast-gtc", "fast-tls"}
}

func eapNumber(word string) (eapProtocol, bool) {
	i := slices.IndexFunc(eapProtocols, func(p eapProtocol) bool { return p.word == word })
	if i < 0 {
		return eapProtocol{}, false
	}
	return eapProtocols[i], true
}

func eapWord(n uint16, old bool) string {
	for _, p := range eapProtocols {
		if !old && p.n == n || old && p.old == n {
			return p.word
		}
	}
	return fmt.Sprintf("unknown (%d)", n)
}

// String tells all but the password: "peap-mschapv2 as EXAMPLE\\desk7".
func (e EAP) String() string {
	name := e.Username
	if e.Domain != "" {
		name = e.Domain + `\` + name
	}
	text := e.Protocol + " as " + name
	server := e.ServerName
	if e.ServerSuffix {
		server = "*." + server
	}
	for _, part := range []struct{ word, value string }{{"roaming as", e.RoamingIdentity}, {"to", server}, {"with", e.ClientCertificate}, {"judged by", e.CACertificate}} {
		if part.value != "" {
			text += ", " + part.word + " " + part.value
		}
	}
	return text
}

// wantsClient reports whether the protocol needs a certificate of the client.
func (e *EAP) wantsClient() bool { return e.Protocol == "tls" || e.Protocol == "fast-tls" }

// check holds settings against what firmware takes.
func (e *EAP) check() error {
	switch {
	case !slices.Contains(EAPProtocols(), e.Protocol):
		return fmt.Errorf("%w: EAP protocol %q is none of %s", ErrUsage, e.Protocol, strings.Join(EAPProtocols(), ", "))
	case e.wantsClient() && e.ClientCertificate == "":
		return fmt.Errorf("%w: %s needs a certificate of the client", ErrUsage, e.Protocol)
	case !e.wantsClient() && e.Username == "":
		return fmt.Errorf("%w: %s needs a user name", ErrUsage, e.Protocol)
	case len(e.Username) > 128 || len(e.Domain) > 128 || len(e.RoamingIdentity) > 128 || len(e.ServerName) > 128:
		return fmt.Errorf("%w: user, domain, identity and server name have 128 characters at most", ErrUsage)
	case len(e.Password) > 32:
		return fmt.Errorf("%w: the password for 802.1X has more than 32 characters", ErrUsage)
	}
	return nil
}

// same reports whether what can be read of two settings agrees.
func (e EAP) same(other EAP) bool {
	e.Password, other.Password = "", ""
	return e == other
}

// optional returns nil for "".
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// certificateID returns the InstanceID of a certificate that was named by its handle, "2", or by the InstanceID itself.
func certificateID(name string) string {
	if name != "" && strings.Trim(name, "0123456789") == "" {
		return "Intel(r) AMT Certificate: Handle: " + name
	}
	return name
}

// checkCertificates sees that certificates which settings name are there, and of the right kind.
func (c *Client) checkCertificates(ctx context.Context, e *EAP) error {
	e.ClientCertificate, e.CACertificate = certificateID(e.ClientCertificate), certificateID(e.CACertificate)
	if e.ClientCertificate == "" && e.CACertificate == "" {
		return nil
	}
	store, err := class.All[amt.PublicKeyCertificate](ctx, c)
	if err != nil {
		return err
	}
	for _, want := range []struct {
		id   string
		root bool
		what string
	}{{e.ClientCertificate, false, "certificate of the client"}, {e.CACertificate, true, "certificate of an authority"}} {
		if want.id == "" {
			continue
		}
		i := slices.IndexFunc(store, func(v *amt.PublicKeyCertificate) bool { return class.Value(v.InstanceID) == want.id })
		if i < 0 {
			return fmt.Errorf("%w: AMT's store has no certificate %q", ErrUsage, want.id)
		}
		if class.Value(store[i].TrustedRootCertficate) != want.root {
			return fmt.Errorf("%w: %q is no %s", ErrUsage, want.id, want.what)
		}
	}
	return nil
}

func certificateRef(id string) *wsman.EPR {
	if id == "" {
		return nil
	}
	return new(wsman.Ref("AMT_PublicKeyCertificate", "InstanceID", id))
}

// boundCertificates reads which certificates are bound to settings, by the InstanceID of the settings.
func (c *Client) boundCertificates(ctx context.Context) (map[string]EAP, error) {
	links, err := list[cim.CredentialContext](ctx, c)
	if err := lenient(err); err != nil {
		return nil, err
	}
	links = slices.DeleteFunc(links, func(l *cim.CredentialContext) bool {
		return l.ElementInContext == nil || l.ElementProvidingContext == nil || !strings.Contains(l.ElementProvidingContext.Class(), "8021")
	})
	bound := make(map[string]EAP)
	if len(links) == 0 {
		return bound, nil
	}
	store, err := list[amt.PublicKeyCertificate](ctx, c)
	if err := lenient(err); err != nil {
		return nil, err
	}
	for _, l := range links {
		at, id := l.ElementProvidingContext.Selectors.Value("InstanceID"), l.ElementInContext.Selectors.Value("InstanceID")
		e := bound[at]
		root := slices.ContainsFunc(store, func(v *amt.PublicKeyCertificate) bool {
			return class.Value(v.InstanceID) == id && class.Value(v.TrustedRootCertficate)
		})
		if root {
			e.CACertificate = id
		} else {
			e.ClientCertificate = id
		}
		bound[at] = e
	}
	return bound, nil
}
