package firmware

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/wsman"
)

// A provisioningRecord is how a machine was set up from its PC. It stays until it is unprovisioned.
type provisioningRecord struct {
	Kind        recordKind
	Time        time.Time
	Name        string              `json:",omitempty"` // common name of the certificate
	Algorithm   amthi.HashAlgorithm `json:",omitempty"`
	Hash        []byte              `json:",omitempty"` // of the root; of the certificate in client control mode
	DefaultHash bool                `json:",omitempty"` // it was built in
	Serials     [][]byte            `json:",omitempty"` // of the authorities
	EHBC        bool                `json:",omitempty"`
}

// A recordKind is the class that shows a record.
type recordKind string

const (
	recordClient recordKind = "IPS_ClientProvisioningRecord"
	recordAdmin  recordKind = "IPS_AdminProvisioningRecord"
	recordTLS    recordKind = "IPS_TLSProvisioningRecord"
)

// record returns how the machine was set up, nil if that was not from its PC.
func (m *Machine) record() *provisioningRecord {
	m.setup.mu.Lock()
	defer m.setup.mu.Unlock()
	return m.setup.kept.Record
}

// registerRecords shows the record as an instance of the class of its kind. Which properties real machines leave out is
// not known.
func registerRecords(t *table) {
	for _, kind := range []recordKind{recordClient, recordAdmin, recordTLS} {
		t.class(string(kind)).instances = func(m *Machine) []wsman.Element {
			r := m.record()
			if r == nil || r.Kind != kind {
				return nil
			}
			return []wsman.Element{r.element()}
		}
	}
}

// element returns the record as an instance.
func (r *provisioningRecord) element() wsman.Element {
	uri := wsman.ClassURI(string(r.Kind))
	e := wsman.Element{Name: wsman.Name{Space: uri, Local: string(r.Kind)}}
	text := func(name, value string) { e.Children = append(e.Children, wsman.El(uri, name, value)) }
	text("InstanceID", "Intel(r) AMT: Provisioning Record 1")
	text("ElementName", "Intel(r) AMT Provisioning Record")
	e.Children = append(e.Children, wsman.At(r.Time).Element(uri, "CreationTimeStamp"))
	algorithm, hash := strconv.Itoa(int(r.Algorithm)), base64.StdEncoding.EncodeToString(r.Hash)
	if r.Kind == recordClient {
		if r.Hash != nil {
			text("HashAlgorithm", algorithm)
			text("ProvCertificateHash", hash)
		}
		return e
	}
	var serials strings.Builder
	for i := range 3 {
		var field [16]byte
		if i < len(r.Serials) {
			copy(field[:], r.Serials[i])
		}
		serials.WriteString(hex.EncodeToString(field[:]))
	}
	text("SecureDNS", "false")
	text("SelectedHashType", algorithm)
	text("SelectedHashData", hash)
	text("CaCertificateSerials", serials.String())
	text("AdditionalCaSerialNums", strconv.FormatBool(len(r.Serials) > 3))
	text("HashIsOemDefault", strconv.FormatBool(r.DefaultHash))
	if r.Kind == recordAdmin {
		text("CertificateCN", r.Name)
		state := "0"
		if r.EHBC {
			state = "1"
		}
		text("EHBCState", state)
		return e
	}
	text("ProvisioningTLSMode", strconv.Itoa(int(amthi.TLSPKI)))
	text("HostInitiated", "true")
	text("ProvServerFQDN", r.Name)
	text("IsTimeValid", "true")
	return e
}
