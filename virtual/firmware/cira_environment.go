package firmware

import (
	"context"
	"net/netip"
	"strings"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const environmentClass = "AMT_EnvironmentDetectionSettingData"

// maxDetection is how many domains, and how many IPv6 prefixes, may count as home. Source: spec
// inventory-events-policies.md section 7.
const maxDetection = 5

// registerEnvironment has the machine know its home network by the DNS suffix that DHCP tells: outside of it the ports are
// closed to the network, and what is left are the PC itself and a tunnel. Source: spec inventory-events-policies.md
// section 7.
func registerEnvironment(t *table) {
	b := t.class(environmentClass)
	b.cleared = []string{"DetectionStrings", "DetectionIPv6LocalPrefixes"} // a list without members is sent as nothing
	b.patch = func(m *Machine, e *wsman.Element) {
		if m.store.untouched(environmentClass) { // a fresh machine is at home everywhere
			set(e, "DetectionStrings")
		}
	}
	b.onPut = putEnvironment
	b.after = func(_ context.Context, m *Machine, _, _ *wsman.Element) { m.portsChanged() }
	// The suffix comes with the domain of the virtual network, and by DHCP only.
	for _, name := range []string{"AMT_GeneralSettings", "AMT_EthernetPortSettings"} {
		c := t.class(name)
		before := c.after
		c.after = func(ctx context.Context, m *Machine, old, now *wsman.Element) {
			if before != nil {
				before(ctx, m, old, now)
			}
			m.portsChanged()
		}
	}
}

func putEnvironment(_ context.Context, _ *Machine, _, want *wsman.Element) error {
	refuse := &status.Error{Op: environmentClass + ".Put", Code: status.InvalidParameter}
	names, prefixes := 0, 0
	for s := range want.All("DetectionStrings") {
		if names++; !goodDomain(s.TrimText()) {
			return refuse
		}
	}
	for s := range want.All("DetectionIPv6LocalPrefixes") {
		prefixes++
		if p, err := netip.ParsePrefix(s.TrimText()); err != nil || !p.Addr().Is6() {
			return refuse
		}
	}
	if names > maxDetection || prefixes > maxDetection || want.ChildText("DetectionAlgorithm") != "0" { // other algorithms are defined, not known
		return refuse
	}
	return nil
}

// Outside reports whether the machine finds itself outside of its home network. With an address of its own it cannot
// tell, and is at home.
func (m *Machine) Outside() bool {
	e := m.one(environmentClass)
	if e == nil || e.Child("DetectionStrings") == nil { // most machines, and each of their connections asks
		return false
	}
	if port := m.port(wiredPort); port == nil || ownAddress(port) {
		return false
	}
	suffix := m.dhcpSuffix()
	for s := range e.All("DetectionStrings") {
		if strings.EqualFold(s.TrimText(), suffix) {
			return false
		}
	}
	return true
}

// closedOutside reports whether a connection comes from where the machine does not listen: the network, outside of home.
func (m *Machine) closedOutside(from origin) bool { return !from.local && !from.tunnel && m.Outside() }
