package firmware

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const kerberosClass = "AMT_KerberosSettingData"

// Limits of the settings of Kerberos; guesses.
const (
	maxPrincipals    = 4
	maxPrincipal     = 256
	maxKerberosRealm = 256
)

// kerberosKeys are the lengths of master keys in octets, by algorithm. Sources: RFC 4757 3, RFC 3962 6.
var kerberosKeys = map[string]int{"0": 16, "1": 16, "2": 32}

// kerberos is what is kept of it beside AMT_KerberosSettingData.
type kerberos struct {
	mu    sync.Mutex // guards what follows
	cache bool       // tickets are kept for the next log-in
}

type kerberosState struct{ Cache bool }

func (k *kerberos) dump() (json.RawMessage, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.cache {
		return nil, nil
	}
	return json.Marshal(kerberosState{k.cache})
}

func (k *kerberos) load(text json.RawMessage) error {
	var s kerberosState
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cache = s.Cache
	return nil
}

// registerKerberos gives the settings of Kerberos their rules. A machine with Kerberos offers it beside digest; tickets
// themselves are not judged here, and refused.
func registerKerberos(t *table) {
	t.class(kerberosClass).onPut = putKerberos
	class.Handle(&t.methods, amt.KerberosSettingDataGetCredentialCacheState,
		func(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.KerberosSettingDataGetCredentialCacheStateIn) (out amt.KerberosSettingDataGetCredentialCacheStateOut, _ status.Status, _ error) {
			m.kerberos.mu.Lock()
			defer m.kerberos.mu.Unlock()
			out.Enabled = new(m.kerberos.cache && m.kerberosOn())
			return out, status.Success, nil
		})
	class.Handle(&t.methods, amt.KerberosSettingDataSetCredentialCacheState,
		func(_ context.Context, m *Machine, _ wsman.Selectors, in amt.KerberosSettingDataSetCredentialCacheStateIn) (out amt.KerberosSettingDataSetCredentialCacheStateOut, _ status.Status, _ error) {
			if in.Enable == nil || *in.Enable && !m.kerberosOn() {
				return out, status.InternalError, nil
			}
			m.kerberos.mu.Lock()
			defer m.kerberos.mu.Unlock()
			m.kerberos.cache = *in.Enable
			return out, status.Success, nil
		})
}

// kerberosOn reports whether users may log in by Kerberos.
func (m *Machine) kerberosOn() bool {
	e := m.one(kerberosClass)
	return e != nil && e.ChildText("KrbEnabled") == "true"
}

// negotiate is the line of a 401 that offers Kerberos. Source: spec wsman.md section 3.
func (m *Machine) negotiate() []string {
	if !m.kerberosOn() {
		return nil
	}
	return []string{"WWW-Authenticate: Negotiate"}
}

// putKerberos holds new settings against the rules: what is switched on has a realm, the names of the machine there, and a
// key or what one is made of. Secrets that are not sent are those of before.
func putKerberos(_ context.Context, m *Machine, _, want *wsman.Element) error {
	refuse := func(code status.Status) error { return &status.Error{Op: kerberosClass + ".Put", Code: code} }
	if want.ChildText("KrbEnabled") != "true" {
		return nil
	}
	var names, protocols int
	for s := range want.All("ServicePrincipalName") {
		if text := s.TrimText(); text == "" || len(text) > maxPrincipal {
			return refuse(status.InvalidParameter)
		}
		names++
	}
	for range want.All("ServicePrincipalProtocol") {
		protocols++
	}
	algorithm, realm := want.ChildText("EncryptionAlgorithm"), want.ChildText("RealmName")
	length, known := kerberosKeys[algorithm]
	switch {
	case realm == "" || len(realm) > maxKerberosRealm || names == 0 || names > maxPrincipals || protocols != 0 && protocols != names || !known || !m.encrypts(want, algorithm):
		return refuse(status.InvalidParameter)
	}
	secret := func(name string) string {
		if text := want.ChildText(name); text != "" {
			return text
		}
		return m.secret(kerberosClass, name)
	}
	if key := secret("MasterKey"); key != "" {
		if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) != length {
			return refuse(status.InvalidKey)
		}
		return nil
	}
	if secret("Passphrase") == "" || secret("Salt") == "" && algorithm != "0" { // RC4 knows no salt
		return refuse(status.InvalidPassphrase)
	}
	return nil
}

// encrypts reports whether the machine knows an algorithm; one that does not tell knows RC4-HMAC.
func (m *Machine) encrypts(e *wsman.Element, algorithm string) bool {
	told := false
	for s := range e.All("SupportedEncryptionAlgorithms") {
		if told = true; s.TrimText() == algorithm {
			return true
		}
	}
	return !told && algorithm == "0"
}
