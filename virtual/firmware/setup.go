package firmware

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A ControlMode says how a machine was set up. The numbers are those of IPS_HostBasedSetupService.CurrentControlMode.
type ControlMode uint8

// The control modes.
const (
	ModeNone   ControlMode = 0 // not set up: nothing answers on the network
	ModeClient ControlMode = 1 // from the PC: user consent cannot be waived
	ModeAdmin  ControlMode = 2
)

func (c ControlMode) String() string {
	switch c {
	case ModeNone:
		return "not set up"
	case ModeClient:
		return "client control mode"
	case ModeAdmin:
		return "admin control mode"
	}
	return fmt.Sprintf("unknown (%d)", uint8(c))
}

// setup is how the machine was set up, and what has been committed: settings of TLS take effect with CommitChanges, not
// with Put.
type setup struct {
	mu      sync.Mutex // guards what follows
	kept    setupState
	rest    time.Time           // until then setup over TLS does not start again
	pending *provisioningRecord // of the program that does a setup over TLS
}

type setupState struct {
	Mode     *ControlMode        `json:",omitempty"` // nil: as the configuration says
	MEBx     bool                `json:",omitempty"` // SetMEBxPassword was called
	NoClient bool                `json:",omitempty"` // client control mode is forbidden
	TLS      *tlsSetup           `json:",omitempty"` // setup over TLS from the PC, which has begun
	Record   *provisioningRecord `json:",omitempty"` // how the PC has set the machine up
	Network  *committedTLS       `json:",omitempty"` // nil: as on a freshly provisioned machine
	Local    *committedTLS       `json:",omitempty"`
}

// committedTLS are the TLS settings in force on one interface.
type committedTLS struct {
	Enabled     bool
	Plain       bool     // AcceptNonSecureConnections
	Mutual      bool     `json:",omitempty"` // clients must show a certificate
	TrustedCN   []string `json:",omitempty"` // names that it may bear; none: any
	Certificate string   `json:",omitempty"` // InstanceID of what is shown; "": the machine's own
}

func (s *setup) dump() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == (setupState{}) {
		return nil, nil
	}
	return json.Marshal(&s.kept)
}

func (s *setup) load(text json.RawMessage) error {
	var kept setupState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = kept
	return nil
}

// tls returns the settings in force.
func (m *Machine) tls(local bool) committedTLS {
	m.setup.mu.Lock()
	kept := m.setup.kept.Network
	if local {
		kept = m.setup.kept.Local
	}
	m.setup.mu.Unlock()
	if kept == nil {
		return committedTLS{Enabled: m.config.TLS && !local}
	}
	return *kept
}

// ControlMode returns how the machine is set up now.
func (m *Machine) ControlMode() ControlMode {
	m.setup.mu.Lock()
	defer m.setup.mu.Unlock()
	switch {
	case m.setup.kept.Mode != nil:
		return *m.setup.kept.Mode
	case m.config.Factory:
		return ModeNone
	case m.config.Client:
		return ModeClient
	}
	return ModeAdmin
}

// clientMode reports whether the machine was set up in client control mode.
func (m *Machine) clientMode() bool { return m.ControlMode() == ModeClient }

// Provision sets the machine up, as host based setup and the BIOS extension do: admin is the only user, with the
// password whose digest hash for the machine's present realm that is, and the network ports open. It is no business of
// WS-Man clients on the network.
func (m *Machine) Provision(mode ControlMode, hash [16]byte) {
	m.users.resetHA1("admin", hash)
	m.setup.mu.Lock()
	m.setup.kept.Mode = &mode
	m.setup.mu.Unlock()
	m.portsChanged()
}

// Unprovision makes the machine what it was in the factory: settings, users and realm are gone, and the network ports
// close. The clock stays. Source: spec activation.md section 8, inventory-events-policies.md section 14.
func (m *Machine) Unprovision() {
	m.forgetBoot()
	m.store.clear()
	m.keys.clear()
	m.enumerations.clear()
	m.mu.Lock()
	m.resets++
	realm := newRealm(m.config.Seed, m.resets)
	m.setRealm(realm)
	m.mu.Unlock()
	m.users.reset(realm, "admin", rand.Text()) // nobody may log on as admin
	m.setup.mu.Lock()
	m.setup.kept = setupState{Mode: new(ModeNone)}
	m.setup.mu.Unlock()
	m.storage.clear()
	m.armAlarms()
	m.withAgents(func(*agents) {}) // none is left
	m.forgetDefense()
	m.mebx.reset()
	m.hostSetup.reset()
	m.epoch.Add(1)
	m.portsChanged()
}

// registerSetup gives the services of setup what this package can do of it.
func registerSetup(t *table) {
	t.class("AMT_SetupAndConfigurationService").patch = func(m *Machine, e *wsman.Element) {
		switch m.ControlMode() {
		case ModeNone:
			set(e, "ProvisioningState", itoa(m.provisioningState()))
			if suffix := m.dhcpSuffix(); suffix != "" {
				set(e, "DhcpDNSSuffix", suffix)
			}
		case ModeClient:
			set(e, "ProvisioningMode", "4")
		}
	}
	class.Handle(&t.methods, amt.SetupAndConfigurationServiceCommitChanges, commitChanges)
	class.Handle(&t.methods, amt.SetupAndConfigurationServiceSetMEBxPassword, setMEBxPassword)
	registerUnprovision(t)
	class.Handle(&t.methods, amt.SetupAndConfigurationServiceGetUuid, getUUID)
}

func getUUID(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.SetupAndConfigurationServiceGetUuidIn) (out amt.SetupAndConfigurationServiceGetUuidOut, _ status.Status, _ error) {
	id := m.Identity()
	out.UUID = id.UUID[:]
	return out, status.Success, nil
}

// commitChanges puts settings in force. From 19 on the password of the BIOS extension must have been set before. Source:
// spec wsman.md sections 10 and 12, activation.md.
func commitChanges(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.SetupAndConfigurationServiceCommitChangesIn) (out amt.SetupAndConfigurationServiceCommitChangesOut, _ status.Status, _ error) {
	if s := m.tlsSetup(); s != nil && m.ControlMode() == ModeNone {
		return out, m.commitTLSSetup(s), nil
	}
	network, local := m.committed(false), m.committed(true)
	client := m.clientMode() // which leaves the BIOS extension alone
	m.setup.mu.Lock()
	if !m.profile.Before(19, 0) && !m.setup.kept.MEBx && !client {
		m.setup.mu.Unlock()
		return out, status.DataMissing, nil
	}
	m.setup.kept.Network, m.setup.kept.Local = network, local
	m.setup.mu.Unlock()
	m.portsChanged()
	return out, status.Success, nil
}

func setMEBxPassword(_ context.Context, m *Machine, _ wsman.Selectors, in amt.SetupAndConfigurationServiceSetMEBxPasswordIn) (out amt.SetupAndConfigurationServiceSetMEBxPasswordOut, _ status.Status, _ error) {
	if !strongPassword(class.Value(in.Password)) {
		return out, status.InvalidPassword, nil
	}
	m.setMEBx(class.Value(in.Password))
	m.setup.mu.Lock()
	defer m.setup.mu.Unlock()
	m.setup.kept.MEBx = true
	return out, status.Success, nil
}

// strongPassword reports whether firmware takes a password: 8 to 32 characters, a digit, a special character, upper and
// lower case; some are not allowed, and _ counts as a letter. Source: spec inventory-events-policies.md section 8.
func strongPassword(p string) bool {
	var upper, lower, digit, special bool
	for _, c := range []byte(p) {
		switch {
		case c < ' ' || c > '~' || c == ':' || c == ',' || c == '"':
			return false
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= '0' && c <= '9':
			digit = true
		case c != '_':
			special = true
		}
	}
	return len(p) >= 8 && len(p) <= 32 && upper && lower && digit && special
}
