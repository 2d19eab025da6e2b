package firmware

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/outband/outband/wire/dump"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A State is all that makes one machine: a file of package dump with some members more. All are optional, so that a
// state can be written by hand, and the dump of a real machine is a state as well:
//
//	{"generation": 12, "seed": "desk-7", "power": "off", "refuse": {"RequestPowerStateChange": 2}}
//
// A class that stands in "instances" replaces all instances that a fresh machine has of it; the others stay.
type State struct {
	Generation int    `json:"generation,omitzero"`
	Version    string `json:"-"` // "version" of the file; goes before Generation
	Seed       string `json:"seed,omitzero"`
	Password   string `json:"password,omitzero"` // of admin; never written
	Client     bool   `json:"client,omitzero"`
	Factory    bool   `json:"factory,omitzero"` // not set up
	TLS        bool   `json:"tls,omitzero"`

	// Power is the state the PC is to be in: "on", "off", "sleep" or "hibernate". The firmware does nothing about it;
	// whoever makes the [Platform] does.
	Power string `json:"power,omitzero"`

	Identity identityState            `json:"identity,omitzero"`
	Resets   int                      `json:"resets,omitzero"` // full unprovisions so far
	Faults   *Faults                  `json:"faults,omitzero"`
	Refuse   map[string]status.Status `json:"refuse,omitzero"` // as in Faults, for short

	Parts   map[string]json.RawMessage `json:"parts,omitzero"`   // users, power, boot ...; users hold password hashes
	Handles map[string]uint32          `json:"handles,omitzero"` // numbers given to created instances, by class
	Secrets map[string]json.RawMessage `json:"secrets,omitzero"` // write-only values, by class: one object per instance

	Absent    []string     `json:"-"` // classes that the machine does not have
	Instances []dump.Class `json:"-"`
}

// identityState is an Identity as far as it is given.
type identityState struct {
	UUID     guid.GUID `json:"uuid,omitzero"`
	HostName *string   `json:"hostname,omitzero"`
	Domain   *string   `json:"domain,omitzero"`
	MAC      string    `json:"mac,omitzero"`
	Serial   string    `json:"serial,omitzero"`
	AssetTag string    `json:"asset,omitzero"`
	Realm    string    `json:"realm,omitzero"`
}

// ReadState reads a state or a dump. Errors wrap those of package dump.
func ReadState(r io.Reader) (*State, error) {
	f, err := dump.Read(r)
	if err != nil {
		return nil, err
	}
	s := &State{}
	if len(f.Rest) > 0 {
		rest, err := json.Marshal(f.Rest)
		if err != nil {
			return nil, fmt.Errorf("firmware: state: %w", err)
		}
		d := json.NewDecoder(bytes.NewReader(rest))
		d.DisallowUnknownFields()
		if err := d.Decode(s); err != nil {
			return nil, fmt.Errorf("firmware: state: %w: %v", dump.ErrFormat, err)
		}
	}
	s.Version, s.Absent, s.Instances = f.Version, f.Absent, f.Classes
	if s.Version == "" && s.Generation == 0 {
		s.Version = s.versionFromInstances()
	}
	s.identityFromInstances()
	return s, nil
}

// class returns the instances of a class.
func (s *State) class(name string) []wsman.Element {
	for i := range s.Instances {
		if s.Instances[i].Name == name {
			return s.Instances[i].Instances
		}
	}
	return nil
}

// versionFromInstances puts the release together from CIM_SoftwareIdentity, as consoles do.
func (s *State) versionFromInstances() string {
	var version, build string
	for _, e := range s.class("CIM_SoftwareIdentity") {
		switch e.ChildText("InstanceID") {
		case "AMT":
			version = e.ChildText("VersionString")
		case "Build Number":
			build = e.ChildText("VersionString")
		}
	}
	if version != "" && build != "" && strings.Count(version, ".") == 2 {
		version += "." + build
	}
	return version
}

// identityFromInstances fills what the file does not say of the identity from the instances that show it.
func (s *State) identityFromInstances() {
	id := &s.Identity
	text := func(class, property string) *string {
		for _, e := range s.class(class) {
			if c := e.Child(property); c != nil {
				return new(c.TrimText())
			}
		}
		return nil
	}
	fill := func(dst *string, class, property string) {
		if v := text(class, property); *dst == "" && v != nil {
			*dst = *v
		}
	}
	if v := text("CIM_ComputerSystemPackage", "PlatformGUID"); v != nil && id.UUID.IsZero() {
		if g, err := guid.ParseSMBIOSHex(*v); err == nil {
			id.UUID = g
		}
	}
	if id.HostName == nil {
		id.HostName = text("AMT_GeneralSettings", "HostName")
	}
	if id.Domain == nil {
		id.Domain = text("AMT_GeneralSettings", "DomainName")
	}
	fill(&id.Realm, "AMT_GeneralSettings", "DigestRealm")
	fill(&id.MAC, "CIM_EthernetPort", "NetworkAddresses")
	fill(&id.MAC, "AMT_EthernetPortSettings", "MACAddress")
	id.MAC = strings.ToLower(strings.NewReplacer("-", "", ":", "").Replace(id.MAC))
	fill(&id.Serial, "CIM_Chassis", "SerialNumber")
}

// Write writes the state. The password is not written, but the users' password hashes and all secrets are: whoever has
// the file can log on.
func (s *State) Write(w io.Writer) error {
	written := *s
	written.Password = ""
	text, err := json.Marshal(&written)
	if err != nil {
		return fmt.Errorf("firmware: state: %w", err)
	}
	f := dump.File{Version: s.Version, Absent: s.Absent, Classes: s.Instances}
	if err := json.Unmarshal(text, &f.Rest); err != nil {
		return fmt.Errorf("firmware: state: %w", err)
	}
	return f.Write(w)
}

// State returns the state of the machine as it is now. Classes that are as on a fresh machine are left out.
func (m *Machine) State() (*State, error) {
	m.mu.Lock()
	id := m.identity
	s := &State{
		Version: m.profile.Version + "." + m.profile.Build,
		Seed:    m.config.Seed,
		Client:  m.config.Client,
		Factory: m.config.Factory,
		TLS:     m.config.TLS,
		Resets:  m.resets,
		Identity: identityState{
			UUID: id.UUID, HostName: new(id.HostName), Domain: new(id.Domain), MAC: id.MAC, Serial: id.Serial, AssetTag: id.AssetTag, Realm: id.Realm,
		},
		Absent: slices.Sorted(maps.Keys(m.absent)),
	}
	m.mu.Unlock()
	if m.platform != nil {
		s.Power = powerWords[m.platform.Power()]
	}
	if f := m.faults.Load(); f != nil {
		s.Faults = new(f.Faults)
	}
	for name, p := range m.parts.each() {
		text, err := p.dump()
		if err != nil {
			return nil, fmt.Errorf("firmware: state of %s: %w", name, err)
		}
		if text != nil {
			if s.Parts == nil {
				s.Parts = make(map[string]json.RawMessage)
			}
			s.Parts[name] = text
		}
	}
	m.store.save(s)
	return s, nil
}

// powerWords are how a state names what the PC is in.
var powerWords = map[Sx]string{S0: "on", S3: "sleep", S4: "hibernate", S5: "off", G3: "unplugged"}

// Dump writes the state of the machine; see [State.Write].
func (m *Machine) Dump(w io.Writer) error {
	s, err := m.State()
	if err != nil {
		return err
	}
	return s.Write(w)
}

// save adds the changed classes to a state.
func (s *store) save(to *State) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(s.changed)) {
		c := dump.Class{Name: name}
		var hidden [][]byte
		any := false
		for _, i := range s.changed[name] {
			c.Instances = append(c.Instances, i.element)
			h := wsman.Element{Name: i.element.Name, Children: i.hidden}
			hidden = append(hidden, dump.MarshalInstance(&h))
			any = any || len(i.hidden) > 0
		}
		to.Instances = append(to.Instances, c)
		if any {
			if to.Secrets == nil {
				to.Secrets = make(map[string]json.RawMessage)
			}
			to.Secrets[name] = slices.Concat([]byte("["), bytes.Join(hidden, []byte(",")), []byte("]"))
		}
	}
	if len(s.handles) > 0 {
		to.Handles = maps.Clone(s.handles)
	}
}
