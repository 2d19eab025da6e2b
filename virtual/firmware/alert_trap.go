package firmware

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/pet"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Limits of SNMP alerts. Source: spec inventory-events-policies.md section 4.1.
const (
	maxPETFilters     = 17
	maxPETSubscribers = 16
)

// InfoFormat of a receiver. Source: CIM_RemoteServiceAccessPoint.
const (
	infoIPv4 = "3"
	infoIPv6 = "4"
)

// registerTraps holds filters and receivers of SNMP alerts against the rules. They were removed in 18.0: the classes are
// not there then. Source: spec inventory-events-policies.md section 4.1.
func registerTraps(t *table) {
	filter := t.class("AMT_PETFilterSetting")
	filter.onCreate = func(_ context.Context, m *Machine, want *wsman.Element) error {
		if err := m.limit("AMT_PETFilterSetting", maxPETFilters); err != nil {
			return err
		}
		n := m.store.handle("AMT_PETFilterSetting")
		set(want, "InstanceID", "Intel(r) AMT:PET Filter "+itoa(n))
		if want.Child("ElementName") == nil {
			set(want, "ElementName", "Intel(r) AMT: PET Filter")
		}
		set(want, "OEMFilter", "false")
		return nil
	}
	receiver := t.class("AMT_SNMPEventSubscriber")
	check := func(want *wsman.Element) error {
		a, err := netip.ParseAddr(want.ChildText("AccessInfo"))
		format := want.ChildText("InfoFormat")
		if err != nil || format != "" && (format != infoIPv4 || !a.Is4()) && (format != infoIPv6 || !a.Is6()) {
			return wsman.ErrInvalidRepresentation.With("AccessInfo")
		}
		return nil
	}
	receiver.onCreate = func(_ context.Context, m *Machine, want *wsman.Element) error {
		if err := m.limit("AMT_SNMPEventSubscriber", maxPETSubscribers); err != nil {
			return err
		}
		set(want, "CreationClassName", "AMT_SNMPEventSubscriber")
		set(want, "Name", "Intel(r) AMT:SNMP Subscriber "+itoa(m.store.handle("AMT_SNMPEventSubscriber")))
		return check(want)
	}
	receiver.onPut = func(_ context.Context, _ *Machine, _, want *wsman.Element) error { return check(want) }
}

// limit refuses if there are that many instances of a class.
func (m *Machine) limit(class string, most int) error {
	if len(m.store.of(m.catalogue.classes[class])) >= most {
		return &status.Error{Op: class + ".Create", Code: status.MaxLimitReached}
	}
	return nil
}

// trap sends an event to the receivers of all policies that have a filter for it.
func (m *Machine) trap(r eventlog.Record) {
	filters, receivers := m.catalogue.classes["AMT_PETFilterSetting"], m.catalogue.classes["AMT_SNMPEventSubscriber"]
	if filters == nil || receivers == nil {
		return
	}
	policies := make(map[string]bool)
	for _, f := range m.store.of(filters) {
		if f.element.ChildText("EnableFilter") == "true" && f.element.ChildText("SendAlert") == "true" && filterMatches(&f.element, r) {
			policies[f.element.ChildText("PolicyID")] = true
		}
	}
	if len(policies) == 0 {
		return
	}
	for _, v := range m.store.of(receivers) {
		to, err := netip.ParseAddr(v.element.ChildText("AccessInfo"))
		if err != nil || !policies[v.element.ChildText("PolicyID")] {
			continue
		}
		community := v.element.ChildText("CommunityString")
		if community == "" {
			if service := m.one("AMT_EventManagerService"); service != nil {
				community = service.ChildText("DefaultCommunityString")
			}
		}
		m.sendTrap(to, community, r)
	}
}

// filterMatches reports whether an event passes a filter: 255 lets everything pass.
func filterMatches(filter *wsman.Element, r eventlog.Record) bool {
	for _, p := range []struct {
		property string
		value    uint8
	}{
		{"DeviceAddress", r.DeviceAddress}, {"EventSensorType", uint8(r.Sensor)}, {"EventType", uint8(r.EventType)}, {"EventOffset", r.Offset},
		{"EventSourceType", uint8(r.Source)}, {"EventSeverity", uint8(r.Severity)}, {"SensorNumber", r.Number}, {"Entity", uint8(r.Entity)},
		{"EntityInstance", r.Instance},
	} {
		if text := filter.ChildText(p.property); text != "255" && text != itoa(p.value) {
			return false
		}
	}
	return true
}

// sendTrap sends one trap. Nobody acknowledges it.
func (m *Machine) sendTrap(to netip.Addr, community string, r eventlog.Record) {
	a := &m.alerts
	a.mu.Lock()
	if a.began.IsZero() {
		a.began = m.hostTime()
	}
	a.sequence++
	sequence, uptime := a.sequence, uint32(m.hostTime().Sub(a.began)/(10*time.Millisecond))
	a.mu.Unlock()
	agent := netip.IPv4Unspecified()
	if own, err := netip.ParseAddr(m.address()); err == nil && own.Unmap().Is4() {
		agent = own.Unmap()
	}
	datagram, err := pet.New(community, agent, uptime, eventlog.NewTrap(m.Identity().UUID, sequence, r)).Append(nil)
	if err != nil {
		m.log.Error("trap", "error", err)
		return
	}
	address := net.JoinHostPort(to.String(), strconv.Itoa(pet.Port))
	a.queue(m, "trap receiver "+to.String(), func(ctx context.Context) error {
		conn, err := m.connect(ctx, "udp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write(datagram)
		return err
	})
}
