package cli

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/outband/outband/console"
)

// A Signer is the authority that signs certificates: one of the user's own, which is made when first needed, or one
// whose files are given.
type Signer struct {
	CACert string `name:"ca-cert" placeholder:"FILE" help:"Sign with this authority (PEM; what is above it may follow), instead of one of your own that is made at first use."`
	CAKey  string `name:"ca-key" placeholder:"FILE" help:"Private key of that authority (PEM)."`
	Days   int    `placeholder:"N" help:"Days that the certificate is good for; default 1095."`
}

const signerHelp = "Certificates are signed by an authority of your own, which is made when first needed: its certificate is ca.pem beside the list " +
	"of machines, and its key is in that list, encrypted as the passwords are. --ca-cert and --ca-key name another one.\n\n"

// ownAuthority is the secret that holds certificate and key of the user's own authority (PEM).
const ownAuthority = "ca"

// authority returns who signs, and the file to check its certificates with.
func (s *Signer) authority(a *app) (*console.Authority, string, error) {
	switch {
	case (s.CACert == "") != (s.CAKey == ""):
		return nil, "", usage("", "--ca-cert and --ca-key need each other")
	case s.Days < 0:
		return nil, "", usage("", "--days: %d is negative", s.Days)
	case s.CACert == "":
		return a.ownCA(true)
	}
	text, err := os.ReadFile(s.CACert)
	if err == nil {
		var key []byte
		if key, err = os.ReadFile(s.CAKey); err == nil {
			text = append(append(text, '\n'), key...)
		}
	}
	if err != nil {
		return nil, "", usage("", "authority: %w", err)
	}
	authority, err := parseAuthority(text)
	if err != nil {
		return nil, "", usage("", "authority: %w", err)
	}
	file, err := filepath.Abs(s.CACert)
	return authority, file, err
}

// parseAuthority reads certificates, the signing one first, and a key from PEM.
func parseAuthority(text []byte) (*console.Authority, error) {
	authority := &console.Authority{}
	chain, err := parseCertificates(text)
	if err != nil {
		return nil, err
	}
	authority.Cert, authority.Chain = chain[0], chain[1:]
	if authority.Key, err = parseKey(text); err != nil {
		return nil, err
	}
	return authority, authority.Check()
}

// ownCA returns the user's own authority and the file of its certificate. If there is none it is made, or, unless make,
// nil is returned.
func (a *app) ownCA(make bool) (*console.Authority, string, error) {
	db, err := a.database()
	if err != nil {
		return nil, "", err
	}
	file, err := filepath.Abs(filepath.Join(filepath.Dir(db.Path()), "ca.pem"))
	if err != nil {
		return nil, "", err
	}
	var text string
	if make {
		text, err = db.SecretOr(a.ctx, ownAuthority, func() (string, error) {
			a.note("making an authority of your own: %s", file)
			return newAuthority()
		})
	} else if _, err = os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	} else if err == nil {
		text, err = db.Secret(a.ctx, ownAuthority)
	}
	if err != nil {
		return nil, "", fmt.Errorf("your own authority: %w", err)
	}
	authority, err := parseAuthority([]byte(text))
	if err != nil {
		return nil, "", fmt.Errorf("your own authority: %w", err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Cert.Raw})
	if have, err := os.ReadFile(file); err != nil || string(have) != string(public) {
		if err := writeFile(file, public); err != nil {
			return nil, "", err
		}
	}
	return authority, file, nil
}

// newAuthority makes an authority and returns it as PEM.
func newAuthority() (string, error) {
	name := "outband authority"
	if host, err := os.Hostname(); err == nil {
		name += " of " + host
	}
	if len(name) > 64 { // RFC 5280, ub-common-name
		name = name[:64]
	}
	authority, err := console.NewAuthority(name)
	if err != nil {
		return "", err
	}
	return encodePair([][]byte{authority.Cert.Raw}, authority.Key)
}

// encodePair writes certificates and their key as PEM.
func encodePair(chain [][]byte, key crypto.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	var out []byte
	for _, cert := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	}
	return string(append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)), nil
}

// parseCertificates reads all certificates of a PEM text, or the one of DER octets.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	if out == nil {
		if cert, err := x509.ParseCertificate(text); err == nil {
			return []*x509.Certificate{cert}, nil
		}
		return nil, errors.New("no certificate in PEM or DER form")
	}
	return out, nil
}

// parseKey reads the private key of a PEM text. Errors do not quote it.
func parseKey(text []byte) (crypto.Signer, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("no private key in PEM form")
		}
		switch block.Type {
		case "PRIVATE KEY":
			if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				if signer, ok := key.(crypto.Signer); ok {
					return signer, nil
				}
			}
		case "RSA PRIVATE KEY":
			if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
				return key, nil
			}
		case "EC PRIVATE KEY":
			if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
				return key, nil
			}
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted; decrypt it first (openssl pkey)")
		default:
			continue
		}
		return nil, errors.New("the private key cannot be read")
	}
}

// readRSAKey reads a file with an RSA key, the only kind that machines take.
func readRSAKey(file string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	signer, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, ok := signer.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an RSA key", file)
	}
	return key, nil
}

// consolePair returns the certificate by which machines know this console, and its files: beside the list of machines,
// made by authority if there is none that it has signed. Unlike the authority's own key this one is a plain file, readable by
// its owner alone: other programs (browsers, curl, openssl) are to use it too, and without an account's password it opens
// nothing.
func (a *app) consolePair(ctx context.Context, authority *console.Authority, days int) (pair tls.Certificate, certFile, keyFile string, err error) {
	db, err := a.database()
	if err != nil {
		return pair, "", "", err
	}
	dir, err := filepath.Abs(filepath.Dir(db.Path()))
	if err != nil {
		return pair, "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "console.pem"), filepath.Join(dir, "console-key.pem")
	if pair, err = tls.LoadX509KeyPair(certFile, keyFile); err == nil && console.CheckConsoleCertificate(pair, authority.Root(), nil) == nil {
		return pair, certFile, keyFile, nil
	}
	if err == nil {
		return pair, "", "", usage("name another one with --cert and --key, or move it away", "%s was not signed by %s, or is no longer good", certFile, authority.Cert.Subject)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return pair, "", "", usage("move it away to have a new one made", "%s: %w", certFile, err)
	}
	if err := ctx.Err(); err != nil {
		return pair, "", "", err
	}
	if pair, err = authority.ConsoleCertificate("outband-console", days); err != nil {
		return pair, "", "", err
	}
	both, err := encodePair(pair.Certificate, pair.PrivateKey)
	if err != nil {
		return pair, "", "", err
	}
	var certs, key []byte
	for rest := []byte(both); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			certs = append(certs, pem.EncodeToMemory(block)...)
		} else {
			key = pem.EncodeToMemory(block)
		}
	}
	if err := writeFile(keyFile, key); err != nil {
		return pair, "", "", err
	}
	return pair, certFile, keyFile, writeFile(certFile, certs)
}
