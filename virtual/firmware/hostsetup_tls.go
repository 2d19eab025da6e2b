package firmware

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/status"
)

// Setup from the PC over TLS: AMTHI names the certificate of the setup program, AMT shows one of its own that its maker
// vouches for, and on that connection the program is the administrator. Source: spec activation.md section 5.

// Times of setup over TLS.
const (
	setupWindow = 6 * time.Hour    // from the start until it is given up; the window of remote configuration
	setupRest   = 20 * time.Second // after it was stopped, before it can start again. Source: spec amthi.md section 3.8
)

// tlsSetup returns the setup over TLS that the PC has begun, nil if there is none or its time is up.
func (m *Machine) tlsSetup() *tlsSetup {
	m.setup.mu.Lock()
	defer m.setup.mu.Unlock()
	s := m.setup.kept.TLS
	if s == nil || !m.hostTime().Before(s.Until) {
		return nil
	}
	return s
}

// A tlsSetup is a setup over TLS: whose certificate counts, and until when.
type tlsSetup struct {
	Algorithm amthi.HashAlgorithm
	Hash      []byte // of the program's certificate
	Until     time.Time
	Password  bool     `json:",omitempty"` // the administrator has got one since it began
	Suffixes  []string `json:",omitempty"` // DNS suffixes of the network, as the program says
}

// beginTLSSetup begins setup over TLS, or begins it anew, and returns the hash of the certificate that AMT will show.
func (m *Machine) beginTLSSetup(in amthi.HostBased) (out amthi.HostBasedReply, _ status.Status) {
	now := m.hostTime()
	m.setup.mu.Lock()
	resting := now.Before(m.setup.rest)
	m.setup.mu.Unlock()
	switch {
	case m.profile.Before(14, 0):
		return out, status.Unsupported
	case m.ControlMode() != ModeNone:
		return out, status.InvalidPTMode
	case in.Algorithm != amthi.SHA256 && in.Algorithm != amthi.SHA384 || len(in.Hash) != in.Algorithm.Size():
		return out, status.InvalidParameter
	case resting:
		return out, status.NotReady
	}
	own, err := m.maker()
	if err != nil {
		m.log.Error("certificate for setup", "error", err)
		return out, status.CertificateNotReady
	}
	m.setup.mu.Lock()
	m.setup.kept.TLS = &tlsSetup{Algorithm: in.Algorithm, Hash: slices.Clone(in.Hash), Until: now.Add(setupWindow), Suffixes: in.Suffixes}
	m.setup.mu.Unlock()
	m.portsChanged()
	return amthi.HostBasedReply{Algorithm: amthi.SHA256, Hash: activation.Hash(own.Leaf, amthi.SHA256)}, status.Success
}

// adminName returns the name of the administrator.
func (u *users) adminName() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.acl.Admin.Name
}

// named notes that the administrator has got a password, be it the one of before: the setup over TLS that has begun, if
// any, may be committed.
func (s *setup) named() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept.TLS == nil {
		return
	}
	t := *s.kept.TLS // others read the old one
	t.Password = true
	s.kept.TLS = &t
}

// stopSetup goes back to where setup had not begun.
func (m *Machine) stopSetup() status.Status {
	if m.ControlMode() != ModeNone {
		return status.InvalidPTMode
	}
	was := m.tlsSetup() != nil
	started := m.mebx.started()
	if !was && !started {
		return status.InvalidPTMode
	}
	m.mebx.change(func(s *mebxState) { s.Started = false })
	m.setup.mu.Lock()
	m.setup.kept.TLS = nil
	if was {
		m.setup.rest = m.hostTime().Add(setupRest)
	}
	m.setup.mu.Unlock()
	m.users.reset(m.Identity().Realm, "admin", rand.Text())
	m.epoch.Add(1)
	m.portsChanged()
	return status.Success
}

// provisioningState returns how far setup has come.
func (m *Machine) provisioningState() amthi.ProvisioningState {
	switch {
	case m.ControlMode() != ModeNone:
		return amthi.PostProvisioning
	case m.mebx.started(), m.tlsSetup() != nil:
		return amthi.InProvisioning
	}
	return amthi.PreProvisioning
}

// commitTLSSetup ends setup over TLS: the machine is in admin control mode. The administrator must have got a password,
// from release 19 on the BIOS extension too. Connections end after the answer.
func (m *Machine) commitTLSSetup(s *tlsSetup) status.Status {
	hash, _, ok := m.users.lookup(m.users.adminName(), false)
	m.setup.mu.Lock()
	mebx := m.setup.kept.MEBx
	m.setup.mu.Unlock()
	if !ok || !s.Password || !mebx && !m.profile.Before(19, 0) {
		return status.DataMissing
	}
	m.setup.mu.Lock()
	r := m.setup.pending
	m.setup.pending = nil
	m.setup.mu.Unlock()
	if r == nil { // by somebody who has not shown the certificate
		return status.NotPermitted
	}
	r.Time = m.now().UTC()
	m.setUp(ModeAdmin, hash, r)
	m.epoch.Add(1)
	return status.Success
}

// tlsSetupConfig is the configuration of the local TLS ports during such a setup. Whoever shows a certificate must show
// the right one; without one the accounts count as ever.
func (m *Machine) tlsSetupConfig(config *tls.Config) (*tls.Config, error) {
	own, err := m.maker()
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{*own}
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, max(config.MaxVersion, tls.VersionTLS12)
	config.CipherSuites = nil // its key is no RSA key
	config.ClientAuth = tls.RequestClientCert
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return nil
		}
		_, err := m.judgeSetupClient(s.PeerCertificates)
		return err
	}
	return config, nil
}

var errNoSetup = errors.New("no setup over TLS has begun")

// judgeSetupClient says whether a chain is that of the program that does the setup.
func (m *Machine) judgeSetupClient(chain []*x509.Certificate) (*provisioningRecord, error) {
	s := m.tlsSetup()
	if s == nil {
		return nil, errNoSetup
	}
	if !bytes.Equal(activation.Hash(chain[0], s.Algorithm), s.Hash) {
		return nil, errors.New("another certificate was announced")
	}
	r := &provisioningRecord{Kind: recordTLS}
	return r, m.judgeSetupChain(chain, r)
}

// setupPeer reports whether the other end of a connection is the program that does a setup over TLS: it is the
// administrator then, whatever name it gives.
func (m *Machine) setupPeer(conn net.Conn) bool {
	c, ok := conn.(*tls.Conn)
	if !ok {
		return false
	}
	chain := c.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return false
	}
	r, err := m.judgeSetupClient(chain)
	if err != nil {
		return false
	}
	m.setup.mu.Lock()
	m.setup.pending = r
	m.setup.mu.Unlock()
	return true
}

// maker returns the certificate that the maker of the chip has put into it: a chain of four, the root of which virtual
// machines make up. It names what it is for, not the machine. Source: spec activation.md section 5, step 4.
func (m *Machine) maker() (*tls.Certificate, error) {
	o := &m.certificate
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.maker == nil {
		c, err := onDie()
		if err != nil {
			return nil, err
		}
		o.maker = c
	}
	return o.maker, nil
}

// onDieKeys are the keys of the authorities that all machines of the process share.
var onDieKeys = sync.OnceValues(func() (keys [4]*ecdsa.PrivateKey, err error) {
	for i := range keys {
		if keys[i], err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
			return keys, err
		}
	}
	return keys, nil
})

// onDie makes a chain: the leaf, two layers of firmware, and the ROM, which an authority outside has signed.
func onDie() (*tls.Certificate, error) {
	shared, err := onDieKeys()
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	names := []pkix.Name{
		{CommonName: "AMT RCFG"},
		{CommonName: "Virtual CSME Kernel CA"},
		{CommonName: "Virtual CSME RBE CA"},
		{CommonName: "Virtual CSME ROM CA"},
		{CommonName: "Virtual On Die CA", OrganizationalUnit: []string{"ODCA 2 CSME"}},
	}
	signers := []*ecdsa.PrivateKey{key, shared[0], shared[1], shared[2], shared[3]}
	out := &tls.Certificate{PrivateKey: key}
	for i := range 4 {
		template := &x509.Certificate{
			SerialNumber:          serialNumber(),
			Subject:               names[i],
			NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
			NotAfter:              time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
			BasicConstraintsValid: true,
			IsCA:                  i > 0,
			KeyUsage:              x509.KeyUsageDigitalSignature,
			SignatureAlgorithm:    x509.ECDSAWithSHA384,
		}
		if i > 0 {
			template.KeyUsage = x509.KeyUsageCertSign
		}
		der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: names[i+1]}, crypto.PublicKey(&signers[i].PublicKey), signers[i+1])
		if err != nil {
			return nil, fmt.Errorf("firmware: certificate for setup: %w", err)
		}
		out.Certificate = append(out.Certificate, der)
	}
	out.Leaf, err = x509.ParseCertificate(out.Certificate[0])
	return out, err
}

func serialNumber() *big.Int {
	var b [15]byte
	rand.Read(b[:])
	return new(big.Int).SetBytes(b[:])
}
