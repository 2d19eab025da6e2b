package console

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/wsman"
)

// AddRoot makes a certificate one that the machine trusts, and reads the store again. One that is there already is
// returned as it is; added tells which.
func (c *Client) AddRoot(ctx context.Context, cert *x509.Certificate) (now Certificate, added bool, err error) {
	now, added, err = c.addCertificate(ctx, cert, true)
	if err != nil {
		err = fmt.Errorf("add root %s: %w", cert.Subject, err)
	}
	return now, added, err
}

// AddCertificate gives the machine a certificate: one for a key that it has, or of an authority between such a one and
// its root. It reads the store again. One that is there already is returned as it is.
func (c *Client) AddCertificate(ctx context.Context, cert *x509.Certificate) (now Certificate, added bool, err error) {
	now, added, err = c.addCertificate(ctx, cert, false)
	if err != nil {
		err = fmt.Errorf("add certificate %s: %w", cert.Subject, err)
	}
	return now, added, err
}

func (c *Client) addCertificate(ctx context.Context, cert *x509.Certificate, root bool) (Certificate, bool, error) {
	if root && !cert.IsCA && cert.Version >= 3 {
		return Certificate{}, false, fmt.Errorf("%w: it is no certificate of an authority", ErrUsage)
	}
	before, err := c.pkiStore(ctx)
	if err != nil {
		return Certificate{}, false, err
	}
	if have := before.find(cert.Raw, root); have != nil {
		return *have, false, nil
	}
	if root {
		_, err = amt.PublicKeyManagementServiceAddTrustedRootCertificate.Invoke(ctx, c, amt.PublicKeyManagementServiceAddTrustedRootCertificateIn{CertificateBlob: cert.Raw})
	} else {
		_, err = amt.PublicKeyManagementServiceAddCertificate.Invoke(ctx, c, amt.PublicKeyManagementServiceAddCertificateIn{CertificateBlob: cert.Raw})
	}
	if err != nil {
		return Certificate{}, false, err
	}
	after, err := c.pkiStore(ctx)
	if err != nil {
		return Certificate{}, true, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	have := after.find(cert.Raw, root)
	if have == nil {
		return Certificate{}, true, ErrDiffers
	}
	return *have, true, nil
}

// AddKey gives the machine a private key, which nobody can read any more then, and reads the store again. One that is
// there already is returned as it is.
func (c *Client) AddKey(ctx context.Context, key *rsa.PrivateKey) (now KeyPair, added bool, err error) {
	if now, added, err = c.addKey(ctx, key); err != nil {
		err = fmt.Errorf("add key: %w", err)
	}
	return now, added, err
}

func (c *Client) addKey(ctx context.Context, key *rsa.PrivateKey) (KeyPair, bool, error) {
	before, err := c.pkiStore(ctx)
	if err != nil {
		return KeyPair{}, false, err
	}
	if have := before.keyOf(&key.PublicKey); have != nil {
		return *have, false, nil
	}
	if before.KeyLengths, err = c.keyLengths(ctx); err != nil {
		return KeyPair{}, false, err
	}
	if bits := key.N.BitLen(); !before.takes(bits) {
		return KeyPair{}, false, fmt.Errorf("%w: RSA of %d bits; the machine takes %v", ErrUsage, bits, before.KeyLengths)
	}
	in := amt.PublicKeyManagementServiceAddKeyIn{KeyBlob: x509.MarshalPKCS1PrivateKey(key)}
	if _, err := amt.PublicKeyManagementServiceAddKey.Invoke(ctx, c, in); err != nil {
		return KeyPair{}, false, err
	}
	after, err := c.pkiStore(ctx)
	if err != nil {
		return KeyPair{}, true, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	have := after.keyOf(&key.PublicKey)
	if have == nil {
		return KeyPair{}, true, ErrDiffers
	}
	return *have, true, nil
}

// takes reports whether the machine takes keys of that length, as far as it tells.
func (p *PKI) takes(bits int) bool {
	return len(p.KeyLengths) == 0 || slices.Contains(p.KeyLengths, bits)
}

// GenerateKey has the machine make an RSA key pair of so many bits, which takes up to a minute, and reads the store
// again. 0 bits is 2048.
func (c *Client) GenerateKey(ctx context.Context, bits int) (KeyPair, error) {
	key, err := c.generateKey(ctx, bits)
	if err != nil {
		return key, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

const defaultKeyBits = 2048

func (c *Client) generateKey(ctx context.Context, bits int) (KeyPair, error) {
	if bits == 0 {
		bits = defaultKeyBits
	}
	lengths, err := c.keyLengths(ctx)
	if err != nil {
		return KeyPair{}, err
	}
	if before := (PKI{KeyLengths: lengths}); !before.takes(bits) {
		return KeyPair{}, fmt.Errorf("%w: RSA of %d bits: the machine makes %v", ErrUnsupported, bits, before.KeyLengths)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, keyWait)
		defer cancel()
	}
	out, err := amt.PublicKeyManagementServiceGenerateKeyPair.Invoke(ctx, c, amt.PublicKeyManagementServiceGenerateKeyPairIn{
		KeyAlgorithm: new(amt.PublicKeyManagementServiceGenerateKeyPairKeyAlgorithmRSA), KeyLength: new(uint32(bits))})
	if err != nil {
		return KeyPair{}, err
	}
	after, err := c.pkiStore(ctx)
	if err != nil {
		return KeyPair{}, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for i := range after.Keys {
		key := &after.Keys[i]
		if out.KeyPair != nil && key.instance == out.KeyPair.Selectors.Value("InstanceID") && key.Bits() == bits {
			return *key, nil
		}
	}
	return KeyPair{}, ErrDiffers
}

// keyWait is how long a machine may take to make or to use a key when the caller sets no limit.
const keyWait = 2 * time.Minute

// AddCRL has the machine no longer believe certificates of these serial numbers (hex digits), and reads the lists again.
// url tells where the list is from.
func (c *Client) AddCRL(ctx context.Context, url string, serials []string) (CRL, error) {
	list, err := c.addCRL(ctx, url, serials)
	if err != nil {
		return list, fmt.Errorf("add revocation list: %w", err)
	}
	return list, nil
}

func (c *Client) addCRL(ctx context.Context, url string, serials []string) (CRL, error) {
	if url == "" || len(serials) == 0 {
		return CRL{}, fmt.Errorf("%w: a revocation list has an address and serial numbers", ErrUsage)
	}
	for _, serial := range serials {
		if strings.Trim(serial, "0123456789abcdefABCDEF") != "" || serial == "" {
			return CRL{}, fmt.Errorf("%w: serial number %q is not hex digits", ErrUsage, serial)
		}
	}
	_, err := amt.PublicKeyManagementServiceAddCRL.Invoke(ctx, c, amt.PublicKeyManagementServiceAddCRLIn{Url: &url, SerialNumbers: serials})
	if err != nil {
		return CRL{}, err
	}
	after, err := c.pki(ctx)
	if err != nil {
		return CRL{}, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for _, list := range after.CRLs {
		if list.URL == url && slices.Equal(list.Serials, serials) {
			return list, nil
		}
	}
	return CRL{}, ErrDiffers
}

// ResetCRLs removes all revocation lists, and reads that they are gone.
func (c *Client) ResetCRLs(ctx context.Context) error {
	_, err := amt.PublicKeyManagementServiceResetCRLList.Invoke(ctx, c, amt.PublicKeyManagementServiceResetCRLListIn{})
	if err == nil {
		var after PKI
		if after, err = c.pki(ctx); err == nil && len(after.CRLs) > 0 {
			err = ErrDiffers
		}
	}
	if err != nil {
		return fmt.Errorf("remove revocation lists: %w", err)
	}
	return nil
}

// An InUseError says that something of the certificate store cannot be removed; nothing was sent.
type InUseError struct {
	ID   string
	Uses []string
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("%s is in use: %s", e.ID, strings.Join(e.Uses, ", "))
}

// Is matches [ErrInUse].
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// ErrInUse says that what is to be removed is needed by something else.
var ErrInUse = errors.New("in use")

// RemovePKI removes a certificate, "cert-3", or a key pair, "key-1", and reads that it is gone. What is in use is not
// removed: an [*InUseError] says by whom.
func (c *Client) RemovePKI(ctx context.Context, id string) error {
	if err := c.removePKI(ctx, id); err != nil {
		return fmt.Errorf("remove %s: %w", id, err)
	}
	return nil
}

func (c *Client) removePKI(ctx context.Context, id string) error {
	before, err := c.pki(ctx)
	if err != nil {
		return err
	}
	cert, key := before.Certificate(id), before.Key(id)
	if cert != nil && cert.Root && len(cert.Uses) == 0 {
		ours, err := c.judges(ctx, cert)
		if err != nil {
			return err
		}
		if ours {
			return &InUseError{id, []string{usedByUs}}
		}
	}
	switch {
	case cert != nil && cert.ReadOnly:
		return fmt.Errorf("%w: it is built in", ErrUnsupported)
	case cert != nil && len(cert.Uses) > 0:
		return &InUseError{id, cert.Uses}
	case key != nil && len(key.Uses) > 0:
		return &InUseError{id, key.Uses}
	case cert != nil:
		err = class.Delete[amt.PublicKeyCertificate](ctx, c, wsman.Selector{Name: "InstanceID", Value: cert.instance})
	case key != nil:
		err = class.Delete[amt.PublicPrivateKeyPair](ctx, c, wsman.Selector{Name: "InstanceID", Value: key.instance})
	default:
		return fmt.Errorf("%w: the machine has no such certificate or key", ErrUsage)
	}
	if err != nil {
		return err
	}
	after, err := c.pki(ctx)
	if err != nil {
		return fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if after.Certificate(id) != nil || after.Key(id) != nil {
		return ErrDiffers
	}
	return nil
}
