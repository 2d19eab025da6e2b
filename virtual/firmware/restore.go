package firmware

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/dump"
	"github.com/outband/outband/wire/wsman"
)

// Load makes the machine what a state or a dump says, while it runs: nonces become void, ports open and close. The
// release must be the machine's own; to load another, give it to [New].
func (m *Machine) Load(r io.Reader) error {
	s, err := ReadState(r)
	if err != nil {
		return err
	}
	if release := s.release(); release != "" {
		p, err := ProfileOf(release)
		if err != nil {
			return err
		}
		if p.Release != m.profile.Release {
			return fmt.Errorf("firmware: state is of release %s, the machine of %s", p.Version, m.profile.Version)
		}
	}
	if err := m.restore(s); err != nil {
		return err
	}
	m.portsChanged()
	return nil
}

// release returns the release that a state names, or "".
func (s *State) release() string {
	if s.Version == "" && s.Generation != 0 {
		return fmt.Sprint(s.Generation)
	}
	return s.Version
}

// restore makes the machine what a state says. What it does not name stays.
func (m *Machine) restore(s *State) error {
	changed := make(map[string][]*instance)
	for _, c := range s.Instances {
		ci := m.catalogue.classes[wsman.ClassName(c.Name)]
		if ci == nil || ci.uri != wsman.ClassURI(c.Name) {
			m.log.Debug("class of the state is not known", "class", c.Name)
			continue
		}
		list, err := ci.restore(c.Instances, s.Secrets[ci.Name])
		if err != nil {
			return err
		}
		changed[ci.Name] = list
	}
	parts := m.parts.each()
	for name := range s.Parts {
		if parts[name] == nil {
			return fmt.Errorf("firmware: state: %w: no part %.40q", dump.ErrFormat, name)
		}
	}
	m.store.load(changed, s.Handles)
	m.mu.Lock()
	id := &m.identity
	if !s.Identity.UUID.IsZero() {
		id.UUID = s.Identity.UUID
	}
	for dst, v := range map[*string]string{&id.MAC: s.Identity.MAC, &id.Serial: s.Identity.Serial, &id.AssetTag: s.Identity.AssetTag} {
		if v != "" {
			*dst = v
		}
	}
	if s.Identity.HostName != nil {
		id.HostName = *s.Identity.HostName
	}
	if s.Identity.Domain != nil {
		id.Domain = *s.Identity.Domain
	}
	m.resets = max(m.resets, s.Resets)
	m.absent = nil
	for _, name := range s.Absent {
		if m.absent == nil {
			m.absent = make(map[string]bool)
		}
		m.absent[name] = true
	}
	newRealm := s.Identity.Realm != "" && s.Identity.Realm != id.Realm
	if newRealm {
		m.setRealm(s.Identity.Realm)
	}
	realm := id.Realm
	m.mu.Unlock()
	if s.Parts["users"] == nil && (newRealm || s.Password != "") {
		m.users.reset(realm, "admin", m.password(s))
	}
	for name, text := range s.Parts {
		if err := parts[name].load(text); err != nil {
			return fmt.Errorf("firmware: state of %s: %w: %v", name, dump.ErrFormat, err)
		}
	}
	if !m.store.untouched("AMT_AuthorizationService") {
		m.offerQOP()
	}
	if s.Faults != nil || s.Refuse != nil {
		f := Faults{}
		if s.Faults != nil {
			f = *s.Faults
		}
		if f.Refuse == nil {
			f.Refuse = s.Refuse
		}
		m.SetFaults(&f)
	}
	m.armAlarms()
	m.restoreAgents()
	m.watchForWorms()
	m.applyDefense()
	return nil
}

// password returns admin's password: that of the configuration, of the state, or the default.
func (m *Machine) password(s *State) string {
	for _, p := range []string{m.config.Password, s.Password} {
		if p != "" {
			return p
		}
	}
	return DefaultPassword
}

// setPassword gives the administrator a password, whatever the rules say of it.
func (u *users) setPassword(realm, password string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.acl.Admin.HA1 = digest.HA1(u.acl.Admin.Name, realm, password)
}

// restore makes instances of elements. Elements that the class does not know are kept: a real machine sent them.
func (ci *classInfo) restore(elements []wsman.Element, secrets json.RawMessage) ([]*instance, error) {
	if len(elements) > maxInstances {
		return nil, fmt.Errorf("firmware: state: %w: %d instances of %s", dump.ErrLimit, len(elements), ci.Name)
	}
	var hidden []json.RawMessage
	if secrets != nil {
		if err := json.Unmarshal(secrets, &hidden); err != nil || len(hidden) > len(elements) {
			return nil, fmt.Errorf("firmware: state: %w: secrets of %s", dump.ErrFormat, ci.Name)
		}
	}
	out := make([]*instance, len(elements))
	for i, e := range elements {
		out[i] = ci.instance(e)
		if i < len(hidden) {
			h, err := dump.ParseInstance(ci.Name, hidden[i])
			if err != nil {
				return nil, fmt.Errorf("firmware: state: secrets of %s: %w", ci.Name, err)
			}
			out[i].hidden = h.Children
		}
	}
	return out, nil
}

// load replaces classes.
func (s *store) load(changed map[string][]*instance, handles map[string]uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, list := range changed {
		if s.changed == nil {
			s.changed = make(map[string][]*instance)
		}
		s.changed[name] = list
	}
	for name, n := range handles {
		if s.handles == nil {
			s.handles = make(map[string]uint32)
		}
		s.handles[name] = max(s.handles[name], n)
	}
}
