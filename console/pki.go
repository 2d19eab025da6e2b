package console

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/wsman"
)

// A Certificate is one of a machine's certificate store: a trusted root, by which it judges others, or a certificate of
// its own. Source: AMT_PublicKeyCertificate; spec inventory-events-policies.md section 10.
type Certificate struct {
	ID       string // "cert-3"
	Root     bool   // a trusted root
	ReadOnly bool   // built in
	Issuer   string
	Subject  string
	DER      []byte
	X509     *x509.Certificate // nil if what the machine sends cannot be read
	Key      string            // "key-1" if the machine has the private key; "" if not
	Uses     []string          // who uses it: "TLS", "802.1X", "CIRA" ...; rising

	instance string
}

// A KeyPair is a key of which the machine alone has the private half. Source: AMT_PublicPrivateKeyPair.
type KeyPair struct {
	ID           string         // "key-1"
	Public       *rsa.PublicKey // nil if what the machine sends cannot be read
	Certificates []string       // that belong to it: "cert-3"
	Uses         []string       // of these certificates

	instance string
}

// Bits returns the length of the key, 0 if it is not known.
func (k *KeyPair) Bits() int {
	if k.Public == nil {
		return 0
	}
	return k.Public.N.BitLen()
}

// A CRL is a list of certificates that are no longer to be believed. Source: AMT_CRL.
type CRL struct {
	ID      string // "crl-0"
	URL     string
	Serials []string // hex digits
}

// A PKI is the certificate store of a machine.
type PKI struct {
	Certificates []Certificate
	Keys         []KeyPair
	CRLs         []CRL
	KeyLengths   []int // in bits, that the machine can make; none: not told
}

// handle returns the number at the end of an InstanceID: 3 of "Intel(r) AMT Certificate: Handle: 3".
func handle(kind, instance string) string {
	if n, ok := number(instance); ok {
		return kind + "-" + strconv.Itoa(n)
	}
	return instance
}

// PKI reads the certificate store, and who uses what.
func (c *Client) PKI(ctx context.Context) (PKI, error) {
	p, err := c.pki(ctx)
	if err != nil {
		return p, fmt.Errorf("certificates: %w", err)
	}
	return p, nil
}

func (c *Client) pki(ctx context.Context) (PKI, error) {
	p, err := c.pkiStore(ctx)
	if err != nil {
		return p, err
	}
	var crls []*amt.CRL
	var uses map[string][]string
	err = together(
		func() (err error) { crls, err = list[amt.CRL](ctx, c); return lenient(err) },
		func() (err error) { p.KeyLengths, err = c.keyLengths(ctx); return err },
		func() (err error) { uses, err = c.pkiUses(ctx); return err })
	if err != nil {
		return p, err
	}
	for i := range p.Certificates {
		p.Certificates[i].Uses = uses[p.Certificates[i].instance]
	}
	for _, v := range crls {
		p.CRLs = append(p.CRLs, CRL{handle("crl", class.Value(v.InstanceID)), text(v.Url), v.SerialNumbers})
	}
	p.join()
	return p, nil
}

// pkiStore reads certificates and keys only, and not who uses them: to see whether a change was kept.
func (c *Client) pkiStore(ctx context.Context) (PKI, error) {
	var p PKI
	var certificates []*amt.PublicKeyCertificate
	var keys []*amt.PublicPrivateKeyPair
	err := together(
		func() (err error) { certificates, err = class.All[amt.PublicKeyCertificate](ctx, c); return err },
		func() (err error) { keys, err = list[amt.PublicPrivateKeyPair](ctx, c); return err })
	if err != nil {
		return p, err
	}
	for _, v := range certificates {
		one := Certificate{Root: class.Value(v.TrustedRootCertficate), ReadOnly: class.Value(v.ReadOnlyCertificate), Issuer: text(v.Issuer), Subject: text(v.Subject),
			DER: v.X509Certificate, instance: class.Value(v.InstanceID)}
		one.ID = handle("cert", one.instance)
		one.X509, _ = x509.ParseCertificate(one.DER) // what cannot be read is shown as the machine describes it
		p.Certificates = append(p.Certificates, one)
	}
	for _, v := range keys {
		key := KeyPair{instance: class.Value(v.InstanceID)}
		key.ID = handle("key", key.instance)
		key.Public = publicKey(v.DERKey)
		p.Keys = append(p.Keys, key)
	}
	p.join()
	return p, nil
}

// keyLengths reads which keys the machine takes, in bits; none if it does not tell.
func (c *Client) keyLengths(ctx context.Context) ([]int, error) {
	limits, err := got[amt.PublicKeyManagementCapabilities](ctx, c)
	var out []int
	for _, bits := range limits.SupportedKeyLengths {
		out = append(out, int(bits))
	}
	return out, err
}

// publicKey reads a public key: PKCS #1, or as a part of a certificate, which some firmware sends. nil if it is neither.
func publicKey(der []byte) *rsa.PublicKey {
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return key
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil
	}
	public, _ := key.(*rsa.PublicKey)
	return public
}

// join finds out which certificate belongs to which key: those with the same public key do.
func (p *PKI) join() {
	for i := range p.Keys {
		key := &p.Keys[i]
		key.Certificates, key.Uses = nil, nil
		for k := range p.Certificates {
			cert := &p.Certificates[k]
			if key.Public == nil || cert.X509 == nil || !key.Public.Equal(cert.X509.PublicKey) {
				continue
			}
			cert.Key = key.ID
			key.Certificates = append(key.Certificates, cert.ID)
			key.Uses = append(key.Uses, cert.Uses...)
		}
		slices.Sort(key.Uses)
		key.Uses = slices.Compact(key.Uses)
	}
}

// pkiUses reads who uses the certificates, by InstanceID. Enumerating the base class is not known to give everything on
// each release, so that the derived ones are asked too.
func (c *Client) pkiUses(ctx context.Context) (map[string][]string, error) {
	uses := map[string][]string{}
	// One after the other: firmware keeps few enumerations open.
	for _, name := range []string{"CIM_CredentialContext", tlsContext, "AMT_8021xCredentialContext", "IPS_8021xCredentialContext"} {
		err := c.each(ctx, name, func(of string, e *wsman.Element) error {
			var link cim.CredentialContext
			if err := link.Decode(e); err != nil || link.ElementInContext == nil {
				return err
			}
			id := link.ElementInContext.Selectors.Value("InstanceID")
			if use := useOf(of, link.ElementProvidingContext); !slices.Contains(uses[id], use) {
				uses[id] = append(uses[id], use)
				slices.Sort(uses[id])
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return uses, nil
}

// useOf names what an association binds a certificate to.
func useOf(association string, to *wsman.EPR) string {
	what := association
	if to != nil && association == "CIM_CredentialContext" {
		what = to.Class()
	}
	switch {
	case strings.Contains(what, "TLS"):
		return "TLS"
	case strings.HasPrefix(what, "CIM_") && strings.Contains(what, "8021"), strings.Contains(what, "WiFi"):
		return "Wi-Fi"
	case strings.Contains(what, "8021"):
		return "802.1X"
	case strings.Contains(what, "RemoteAccess"), strings.Contains(what, "ManagementPresence"):
		return "CIRA"
	case strings.Contains(what, "EAC"), strings.Contains(what, "EndpointAccess"):
		return "endpoint access"
	}
	return what
}

// Certificate returns the certificate of that ID, or nil.
func (p *PKI) Certificate(id string) *Certificate {
	for i := range p.Certificates {
		if p.Certificates[i].ID == id {
			return &p.Certificates[i]
		}
	}
	return nil
}

// Key returns the key pair of that ID, or nil.
func (p *PKI) Key(id string) *KeyPair {
	for i := range p.Keys {
		if p.Keys[i].ID == id {
			return &p.Keys[i]
		}
	}
	return nil
}

// find returns the certificate that consists of these octets, or nil.
func (p *PKI) find(der []byte, root bool) *Certificate {
	for i := range p.Certificates {
		if v := &p.Certificates[i]; v.Root == root && bytes.Equal(v.DER, der) {
			return v
		}
	}
	return nil
}

// keyOf returns the key pair with a public key, or nil.
func (p *PKI) keyOf(public any) *KeyPair {
	for i := range p.Keys {
		if k := &p.Keys[i]; k.Public != nil && k.Public.Equal(public) {
			return k
		}
	}
	return nil
}
