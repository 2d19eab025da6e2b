package firmware

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/setupbin"
	"github.com/outband/outband/wire/wsman"
)

// A rootHash is a root certificate that setup may come with.
type rootHash struct {
	amthi.CertificateHash
	enabled bool
	handle  uint32
}

// rootHashes returns them by handle.
func (m *Machine) rootHashes() []rootHash {
	ci := m.catalogue.classes["AMT_ProvisioningCertificateHash"]
	if ci == nil {
		return nil
	}
	var out []rootHash
	for _, v := range m.views(ci) {
		e := &v.element
		hash, err := base64.StdEncoding.DecodeString(e.ChildText("HashData"))
		id := e.ChildText("InstanceID")
		if err != nil {
			continue
		}
		h := rootHash{enabled: e.ChildText("Enabled") == "true", handle: number(id[strings.LastIndexByte(id, ' ')+1:])}
		h.CertificateHash = amthi.CertificateHash{Default: e.ChildText("IsDefault") == "true", Active: h.enabled, Hash: hash,
			Algorithm: amthi.HashAlgorithm(number(e.ChildText("HashType"))), Name: e.ChildText("ElementName")}
		out = append(out, h)
	}
	return out
}

// addRootHash adds a root certificate that setup may come with.
func (m *Machine) addRootHash(h setupbin.CertHash) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	ci := m.catalogue.classes["AMT_ProvisioningCertificateHash"]
	most := userHashes
	if m.profile.Before(6, 0) {
		most = oldUserHashes
	}
	switch {
	case ci == nil:
		return fmt.Errorf("release %s has no certificate hashes", m.profile.Version)
	case h.Algorithm == setupbin.SHA1 && !m.profile.Before(16, 0): // activation.md section 1
		return fmt.Errorf("release %s takes no SHA-1", m.profile.Version)
	}
	list, own, last := m.store.of(ci), 0, -1
	for _, i := range list {
		if i.element.ChildText("IsDefault") != "true" {
			own++
		}
		id := i.element.ChildText("InstanceID")
		if n, err := strconv.Atoi(id[strings.LastIndexByte(id, ' ')+1:]); err == nil {
			last = max(last, n)
		}
	}
	if own >= most {
		return fmt.Errorf("no room for more than %d certificate hashes", most)
	}
	e := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: ci.Name}}
	for _, p := range [...][2]string{
		{"ElementName", h.Name}, {"Description", h.Name}, {"Enabled", "true"}, {"IsDefault", "false"},
		{"HashType", itoa(uint8(h.Algorithm))}, {"HashData", base64.StdEncoding.EncodeToString(h.Hash)},
		{"InstanceID", fmt.Sprintf("Intel(r) AMT: Certificate Hash %d", last+1)},
	} {
		set(&e, p[0], p[1])
	}
	_, err := m.add(ci, e)
	return err
}

// TrustRoot adds a root certificate to those that setup may come with, as somebody at the BIOS extension would.
func (m *Machine) TrustRoot(root *x509.Certificate) error {
	return m.addRootHash(setupbin.CertHash{Algorithm: setupbin.SHA256, Hash: activation.Hash(root, amthi.SHA256), Name: root.Subject.CommonName})
}
