package firmware

import "github.com/outband/outband/wire/rmcp"

// BeginSession is beginSession, for tests that need a PC and therefore are not in this package.
func (m *Machine) BeginSession() (end func()) { return m.beginSession() }

// Parts dumps the parts, and loads them into another machine.
func (m *Machine) Parts(into *Machine) error {
	other := into.parts.each()
	for name, p := range m.parts.each() {
		text, err := p.dump()
		if err != nil {
			return err
		}
		if text != nil {
			if err := other[name].load(text); err != nil {
				return err
			}
		}
	}
	return nil
}

// Presence is presence.
func (m *Machine) Presence() (rmcp.AMT, bool) { return m.presence() }
