package firmware

import (
	"cmp"
	"encoding/json"
)

// parts is the state of a machine beside its instances: power, boot, users and so on. Each part is declared in the file
// of its subject, guards itself with its own lock, and belongs to one machine.
//
// To add one: a field here, a line in each, and, if its zero value will not do, a line in start.
type parts struct {
	users   users
	power   power
	boot    boot
	consent consent
	clock   clock
	setup   setup
	keys    privateKeys
	events  events
	alarms  alarms
	storage storage
	mebx    mebx
	audit   audit
	alerts  alerts
	agents  agents
	defense defense

	me        me
	hostSetup hostSetup // does not outlive a restart

	redirection redirection
	network     network
	cira        cira
	kerberos    kerberos
}

// A part can be written to a state file and read back. Its name there is the key in each.
type part interface {
	dump() (json.RawMessage, error) // nil for nothing worth writing
	load(text json.RawMessage) error
}

// each returns the parts by name.
func (p *parts) each() map[string]part {
	return map[string]part{
		"users":   &p.users,
		"power":   &p.power,
		"boot":    &p.boot,
		"consent": &p.consent,
		"clock":   &p.clock,
		"setup":   &p.setup,
		"keys":    &p.keys,
		"events":  &p.events,
		"alarms":  &p.alarms,
		"storage": &p.storage,
		"mebx":    &p.mebx,
		"audit":   &p.audit,
		"alerts":  &p.alerts,
		"agents":  &p.agents,
		"defense": &p.defense,

		"me": &p.me,

		"redirection": &p.redirection,
		"network":     &p.network,
		"cira":        &p.cira,
		"kerberos":    &p.kerberos,
	}
}

// start makes the parts ready, before anything else can see the machine.
func (m *Machine) start() error {
	m.users.reset(m.identity.Realm, "admin", cmp.Or(m.config.Password, DefaultPassword))
	m.users.void = m.voidNonces
	m.network.adapter = m.config.Wireless
	m.agents.awake, m.agents.policy = m.powerOf() == S0, m.agentsAsk
	if m.platform != nil {
		m.power.unwatch = m.platform.Watch(m.onPlatform)
	}
	m.power.unwatch = m.defense.closeWith(m.power.unwatch)
	m.power.unwatch = m.agents.closeWith(m.power.unwatch) // and the watching
	m.power.unwatch = m.alerts.closeWith(m.power.unwatch) // Close ends deliveries as well
	return nil
}
