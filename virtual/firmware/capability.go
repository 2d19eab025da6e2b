package firmware

import "github.com/outband/outband/wire/wsman"

// DenyCapabilities has AMT_BootCapabilities say that the PC's BIOS cannot do something: properties that are true become
// false, and sets of bits empty. Those that the release does not have stay away.
func (m *Machine) DenyCapabilities(properties ...string) {
	m.changeOne("AMT_BootCapabilities", func(e *wsman.Element) {
		for _, name := range properties {
			switch e.ChildText(name) {
			case "", "false", "0":
			case "true":
				set(e, name, "false")
			default:
				set(e, name, "0")
			}
		}
	})
}
