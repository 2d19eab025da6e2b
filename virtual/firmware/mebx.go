package firmware

import (
	"crypto/subtle"
	"encoding/json"
	"sync"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/setupbin"
)

// mebx is what the BIOS extension keeps: its password, and settings that WS-Management does not show. The zero value is
// that of the factory.
type mebx struct {
	mu   sync.Mutex // guards what follows
	kept mebxState
}

// mebxState is what outlives a restart. It is a secret.
type mebxState struct {
	Password *ha1          `json:",omitempty"` // of user "mebx"; nil: as in the factory
	Settings []mebxSetting `json:",omitempty"`
	Off      bool          `json:",omitempty"` // manageability: none
	Started  bool          `json:",omitempty"` // provisioning by a server has been started
}

// A mebxSetting is a variable of Setup.bin that takes effect on nothing that this package has.
type mebxSetting struct {
	ID    setupbin.ID
	Value []byte
}

func (x *mebx) dump() (json.RawMessage, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := &x.kept; s.Password == nil && s.Settings == nil && !s.Off && !s.Started {
		return nil, nil
	}
	return json.Marshal(&x.kept)
}

func (x *mebx) load(text json.RawMessage) error {
	var kept mebxState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept = kept
	return nil
}

// reset brings back what the factory has set.
func (x *mebx) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept = mebxState{}
}

// change changes what is kept.
func (x *mebx) change(f func(s *mebxState)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(&x.kept)
}

// started reports whether provisioning by a server has been started.
func (x *mebx) started() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.kept.Started && !x.kept.Off
}

// setMEBx changes the password of the BIOS extension.
func (m *Machine) setMEBx(password string) {
	hash := ha1(mebxHash(m.Identity().Realm, password))
	m.mebx.change(func(s *mebxState) { s.Password = &hash })
}

// isMEBx reports whether that is the password of the BIOS extension.
func (m *Machine) isMEBx(password string) bool {
	realm := m.Identity().Realm
	want, got := mebxHash(realm, setupbin.DefaultPassword), mebxHash(realm, password)
	m.mebx.mu.Lock()
	defer m.mebx.mu.Unlock()
	if m.mebx.kept.Password != nil {
		want = *m.mebx.kept.Password
	}
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

func mebxHash(realm, password string) [16]byte { return digest.HA1("mebx", realm, password) }

// keep stores a setting that takes effect on nothing here.
func (x *mebx) keep(v setupbin.Variable) {
	x.change(func(s *mebxState) {
		for i := range s.Settings {
			if s.Settings[i].ID == v.ID {
				s.Settings[i].Value = v.Value
				return
			}
		}
		s.Settings = append(s.Settings, mebxSetting{v.ID, v.Value})
	})
}

// Setting returns a variable of Setup.bin that the BIOS extension has taken and that WS-Management does not show, such as
// the address of the provisioning server; nil if it has not. It may be a secret.
func (m *Machine) Setting(id setupbin.ID) []byte {
	m.mebx.mu.Lock()
	defer m.mebx.mu.Unlock()
	for _, s := range m.mebx.kept.Settings {
		if s.ID == id {
			return s.Value
		}
	}
	return nil
}
