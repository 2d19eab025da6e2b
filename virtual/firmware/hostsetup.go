package firmware

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// hostSetup is a setup from the PC that has begun: the nonce to be signed, and the certificates that were shown. It does
// not outlive a restart.
type hostSetup struct {
	mu    sync.Mutex // guards what follows
	nonce []byte
	chain []*x509.Certificate
	whole bool // the root was the last
	spent bool // the nonce is not the first one: what a dump brought counts no more
}

// Return values of IPS_HostBasedSetupService. They are no PT_STATUS. Source: the class model.
const (
	setupInvalidState   status.Status = 2 // of Setup, AdminSetup, UpgradeClientToAdmin, DisableClientControlMode
	setupInvalidParam   status.Status = 3
	setupDisabled       status.Status = 4
	setupAuthFailed     status.Status = 5
	chainInvalidParam   status.Status = 1 // of AddNextCertInChain
	chainInvalidState   status.Status = 3
	chainVerifyFailed   status.Status = 4
	chainLengthExceeded status.Status = 5
)

// reset forgets what has begun, and the nonce: it is another one after a setup, an unprovision and a restart.
func (h *hostSetup) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nonce, h.chain, h.whole, h.spent = nil, nil, false, true
}

// adopt makes the nonce that of a dump, until there is need for another one.
func (h *hostSetup) adopt(text string) {
	b, err := base64.StdEncoding.DecodeString(text)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && len(b) == activation.NonceSize && !h.spent {
		h.nonce = b
	}
}

// challenge returns the nonce.
func (h *hostSetup) challenge(secrets *secrets) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nonce == nil {
		h.nonce = make([]byte, activation.NonceSize)
		secrets.fill("configuration nonce")(h.nonce)
	}
	return h.nonce
}

// status returns CertChainStatus.
func (h *hostSetup) status() ips.HostBasedSetupServiceCertChainStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.whole:
		return ips.HostBasedSetupServiceCertChainStatusComplete
	case len(h.chain) > 0:
		return ips.HostBasedSetupServiceCertChainStatusInProgress
	}
	return ips.HostBasedSetupServiceCertChainStatusNotStarted
}

// take returns the chain if it is whole, and forgets it: each is good for one try.
func (h *hostSetup) take() []*x509.Certificate {
	h.mu.Lock()
	defer h.mu.Unlock()
	chain, whole := h.chain, h.whole
	h.chain, h.whole = nil, false
	if !whole {
		return nil
	}
	return chain
}

// registerHostSetup gives IPS_HostBasedSetupService its life. Source: spec activation.md sections 3 and 4.
func registerHostSetup(t *table) {
	t.class("IPS_HostBasedSetupService").patch = func(m *Machine, e *wsman.Element) {
		set(e, "CurrentControlMode", itoa(uint8(m.ControlMode())))
		if !m.store.untouched("IPS_HostBasedSetupService") {
			m.hostSetup.adopt(e.ChildText("ConfigurationNonce"))
		}
		set(e, "ConfigurationNonce", base64.StdEncoding.EncodeToString(m.hostSetup.challenge(&m.secrets)))
		set(e, "CertChainStatus", itoa(uint8(m.hostSetup.status())))
		if !m.clientAllowed() {
			set(e, "AllowedControlModes", itoa(uint8(ModeAdmin)))
		}
	}
	class.Handle(&t.methods, ips.HostBasedSetupServiceSetup, hostSetupClient)
	class.Handle(&t.methods, ips.HostBasedSetupServiceAddNextCertInChain, addNextCert)
	class.Handle(&t.methods, ips.HostBasedSetupServiceAdminSetup, hostSetupAdmin)
	class.Handle(&t.methods, ips.HostBasedSetupServiceUpgradeClientToAdmin, upgradeToAdmin)
	class.Handle(&t.methods, ips.HostBasedSetupServiceDisableClientControlMode, disableClient)
	registerRecords(t)
}

// clientAllowed reports whether the machine may be set up in client control mode.
func (m *Machine) clientAllowed() bool {
	m.setup.mu.Lock()
	defer m.setup.mu.Unlock()
	return !m.setup.kept.NoClient
}

// adminHash reads NetAdminPassEncryptionType and NetworkAdminPassword: only digest hashes are taken, as hex digits.
func adminHash(kind uint16, text *string) (hash [16]byte, ok bool) {
	const digest = 2 // HTTP digest MD5(A1)
	b, err := hex.DecodeString(class.Value(text))
	if kind != digest || err != nil || len(b) != len(hash) {
		return hash, false
	}
	return [16]byte(b), true
}

// hostSetupClient sets the machine up in client control mode. A certificate is not needed, and not judged; a signature
// that comes with one must be right.
func hostSetupClient(_ context.Context, m *Machine, _ wsman.Selectors, in ips.HostBasedSetupServiceSetupIn) (out ips.HostBasedSetupServiceSetupOut, _ status.Status, _ error) {
	hash, ok := adminHash(uint16(class.Value(in.NetAdminPassEncryptionType)), in.NetworkAdminPassword)
	switch {
	case m.ControlMode() != ModeNone || m.tlsSetup() != nil:
		return out, setupInvalidState, nil
	case !m.clientAllowed():
		return out, setupDisabled, nil
	case !ok:
		return out, setupInvalidParam, nil
	}
	r := provisioningRecord{Kind: recordClient, Time: m.now().UTC()}
	if in.DigitalSignature != nil {
		c, err := x509.ParseCertificate(in.Certificate)
		if err != nil || uint16(class.Value(in.SigningAlgorithm)) != signRSA {
			return out, setupInvalidParam, nil
		}
		if activation.Verify(c, m.hostSetup.challenge(&m.secrets), in.McNonce, in.DigitalSignature) != nil {
			return out, setupAuthFailed, nil
		}
		r.Algorithm, r.Hash = amthi.SHA256, activation.Hash(c, amthi.SHA256)
	}
	m.setUp(ModeClient, hash, &r)
	return out, status.Success, nil
}

// signRSA is the one SigningAlgorithm.
const signRSA = 2

// setUp sets the machine up from the PC, and records how.
func (m *Machine) setUp(mode ControlMode, hash [16]byte, r *provisioningRecord) {
	m.setup.mu.Lock()
	m.setup.kept.Record, m.setup.kept.TLS = r, nil
	m.setup.mu.Unlock()
	m.mebx.change(func(s *mebxState) { s.Started = false })
	m.hostSetup.reset()
	m.Provision(mode, hash)
	switch {
	case r.Kind == recordTLS:
		m.noteSetup(setUpRemotely, r)
	case mode == ModeAdmin:
		m.noteSetup(setUpByHost, r)
	}
}

// maxProvisioningCert is the most octets of one certificate.
const maxProvisioningCert = 4 << 10

// addNextCert takes the next certificate, from the leaf to the root. What fails begins anew.
func addNextCert(_ context.Context, m *Machine, _ wsman.Selectors, in ips.HostBasedSetupServiceAddNextCertInChainIn) (out ips.HostBasedSetupServiceAddNextCertInChainOut, _ status.Status, _ error) {
	if m.ControlMode() == ModeAdmin || m.tlsSetup() != nil {
		return out, chainInvalidState, nil
	}
	h := &m.hostSetup
	h.mu.Lock()
	defer h.mu.Unlock()
	leaf, root := class.Value(in.IsLeafCertificate), class.Value(in.IsRootCertificate)
	fail := func(code status.Status) (ips.HostBasedSetupServiceAddNextCertInChainOut, status.Status, error) {
		h.chain, h.whole = nil, false
		return out, code, nil
	}
	if len(in.NextCertificate) > maxProvisioningCert {
		return fail(chainInvalidParam)
	}
	c, err := x509.ParseCertificate(in.NextCertificate)
	switch {
	case err != nil || leaf && root:
		return fail(chainInvalidParam)
	case leaf != (len(h.chain) == 0) || h.whole:
		return fail(chainInvalidState)
	case len(h.chain) == activation.MaxChain:
		return fail(chainLengthExceeded)
	case !leaf && activation.Link(h.chain[len(h.chain)-1], c) != nil, root && activation.Link(c, c) != nil:
		return fail(chainVerifyFailed)
	}
	h.chain, h.whole = append(h.chain, c), root
	return out, status.Success, nil
}

// hostSetupAdmin sets the machine up in admin control mode.
func hostSetupAdmin(_ context.Context, m *Machine, _ wsman.Selectors, in ips.HostBasedSetupServiceAdminSetupIn) (out ips.HostBasedSetupServiceAdminSetupOut, _ status.Status, _ error) {
	hash, ok := adminHash(uint16(class.Value(in.NetAdminPassEncryptionType)), in.NetworkAdminPassword)
	switch {
	case m.ControlMode() != ModeNone || m.tlsSetup() != nil:
		return out, setupInvalidState, nil
	case m.tlsOnly(true): // by TLS only: activation.md section 1
		return out, setupDisabled, nil
	case !ok:
		return out, setupInvalidParam, nil
	}
	chain := m.hostSetup.take()
	r := provisioningRecord{Kind: recordAdmin, Time: m.now().UTC()}
	if m.me.state().EHBC && chain == nil && in.DigitalSignature == nil {
		r.EHBC = true
		m.setUp(ModeAdmin, hash, &r)
		return out, status.Success, nil
	}
	if code := m.judgeSetup(chain, uint16(class.Value(in.SigningAlgorithm)), in.McNonce, in.DigitalSignature, &r); code != status.Success {
		return out, code, nil
	}
	m.setUp(ModeAdmin, hash, &r)
	return out, status.Success, nil
}

// upgradeToAdmin takes the machine from client to admin control mode. The administrator's password and all else stays.
func upgradeToAdmin(_ context.Context, m *Machine, _ wsman.Selectors, in ips.HostBasedSetupServiceUpgradeClientToAdminIn) (out ips.HostBasedSetupServiceUpgradeClientToAdminOut, _ status.Status, _ error) {
	if m.ControlMode() != ModeClient {
		return out, setupInvalidState, nil
	}
	r := provisioningRecord{Kind: recordAdmin, Time: m.now().UTC()}
	if code := m.judgeSetup(m.hostSetup.take(), uint16(class.Value(in.SigningAlgorithm)), in.McNonce, in.DigitalSignature, &r); code != status.Success {
		return out, code, nil
	}
	m.setup.mu.Lock()
	m.setup.kept.Mode, m.setup.kept.Record = new(ModeAdmin), &r
	m.setup.mu.Unlock()
	m.hostSetup.reset()
	m.portsChanged()
	return out, status.Success, nil
}

// judgeSetup says whether whoever has shown a chain and signed the nonces may have the machine in admin control mode.
// Source: spec activation.md sections 4 and 6.
func (m *Machine) judgeSetup(chain []*x509.Certificate, algorithm uint16, nonce, signature []byte, r *provisioningRecord) status.Status {
	switch {
	case chain == nil:
		return setupInvalidState
	case algorithm != signRSA || len(nonce) != activation.NonceSize || len(signature) == 0:
		return setupInvalidParam
	}
	err := m.judgeSetupChain(chain, r)
	if err == nil {
		err = activation.Verify(chain[0], m.hostSetup.challenge(&m.secrets), nonce, signature)
	}
	if err != nil {
		m.log.Info("setup from the PC refused", "error", err)
		m.hostSetup.reset()
		return setupAuthFailed
	}
	return status.Success
}

// judgeSetupChain holds a chain against the rules, and notes what of it is recorded.
func (m *Machine) judgeSetupChain(chain []*x509.Certificate, r *provisioningRecord) error {
	var trusted rootHash
	err := activation.Check(chain, m.now(), func(root *x509.Certificate) bool {
		for _, h := range m.rootHashes() {
			if h.enabled && string(activation.Hash(root, h.Algorithm)) == string(h.Hash) && len(h.Hash) > 0 {
				trusted = h
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	suffix := m.setupSuffix()
	if !activation.MatchDomain(chain[0], suffix) {
		return &domainError{chain[0].Subject.CommonName, suffix}
	}
	r.Name, r.Algorithm, r.Hash, r.DefaultHash = chain[0].Subject.CommonName, trusted.Algorithm, trusted.Hash, trusted.Default
	for _, c := range chain[1:] {
		serial := c.SerialNumber.Bytes()
		r.Serials = append(r.Serials, serial[:min(len(serial), 16)])
	}
	return nil
}

type domainError struct{ name, suffix string }

func (e *domainError) Error() string {
	return "the certificate is for " + e.name + ", the DNS suffix is " + e.suffix
}

// setupSuffix is what the name in a setup certificate must match: the suffix of the BIOS extension, else that of DHCP.
// Source: spec activation.md section 6.2.
func (m *Machine) setupSuffix() string {
	if s := m.trustedSuffix(); s != "" {
		return s
	}
	return m.dhcpSuffix()
}

func (m *Machine) trustedSuffix() string {
	e := m.one("AMT_SetupAndConfigurationService")
	if e == nil {
		return ""
	}
	return e.ChildText("TrustedDNSSuffix")
}

// dhcpSuffix is what the DHCP server of the wired network says: the domain that the virtual network has.
func (m *Machine) dhcpSuffix() string {
	if e := m.port(wiredPort); e == nil || ownAddress(e) {
		return ""
	}
	return m.Identity().Domain
}

// port returns a network port as it is now, or nil.
func (m *Machine) port(id string) *wsman.Element {
	ci := m.catalogue.classes["AMT_EthernetPortSettings"]
	if ci == nil {
		return nil
	}
	v, err := m.find(ci, wsman.Selectors{{Name: "InstanceID", Value: id}})
	if err != nil {
		return nil
	}
	return &v.element
}

// disableClient forbids client control mode until the machine is unprovisioned.
func disableClient(_ context.Context, m *Machine, _ wsman.Selectors, _ ips.HostBasedSetupServiceDisableClientControlModeIn) (out ips.HostBasedSetupServiceDisableClientControlModeOut, _ status.Status, _ error) {
	if m.clientMode() {
		return out, setupInvalidState, nil
	}
	m.setup.mu.Lock()
	defer m.setup.mu.Unlock()
	m.setup.kept.NoClient = true
	return out, status.Success, nil
}
