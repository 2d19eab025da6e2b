package firmware

import (
	"context"
	"strconv"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	heuristicsClass      = "AMT_HeuristicPacketFilterSettings"
	heuristicsStatistics = "AMT_HeuristicPacketFilterStatistics"
)

// States of AMT_HeuristicPacketFilterStatistics. Enabled and disabled are the vendor's; the one between is likely.
const (
	heuristicsQuiet     = 0
	heuristicsEncounter = 1
	heuristicsDisabled  = 3
)

// Ranges of the times after which counts begin anew. Source: spec inventory-events-policies.md section 5.
const (
	minFastClear = 10   // milliseconds
	maxFastClear = 1000 // milliseconds
	minSlowClear = 1    // seconds
	maxSlowClear = 50   // seconds
)

// registerHeuristics gives the looking for worms its life, on releases that have it. Only the wired port looks.
func registerHeuristics(t *table) {
	b := t.class(heuristicsClass)
	b.onPut = func(ctx context.Context, m *Machine, _, want *wsman.Element) error {
		if err := m.mayDefend(ctx); err != nil {
			return err
		}
		var v amt.HeuristicPacketFilterSettings
		if err := v.Decode(want); err != nil {
			return wsman.ErrInvalidRepresentation.With(err.Error())
		}
		within := func(n *uint32, low, high uint32) bool { return n == nil || low <= *n && *n <= high }
		if !within(v.FastConnectionRateClearTime, minFastClear, maxFastClear) || !within(v.SlowConnectionRateClearTime, minSlowClear, maxSlowClear) ||
			class.Value(v.Enabled) && class.Value(v.FastConnectionRateThreshold) == 0 && class.Value(v.SlowConnectionRateThreshold) == 0 {
			return badValue()
		}
		return nil
	}
	b.after = func(_ context.Context, m *Machine, _, _ *wsman.Element) {
		m.watchForWorms()
		m.applyDefense()
	}
	t.class(heuristicsStatistics).instances = func(m *Machine) []wsman.Element {
		v := m.wormStatistics()
		return []wsman.Element{v.Element()}
	}
	class.Handle(&t.methods, amt.HeuristicPacketFilterStatisticsResetSelectedStats,
		func(ctx context.Context, m *Machine, _ wsman.Selectors, _ amt.HeuristicPacketFilterStatisticsResetSelectedStatsIn) (out amt.HeuristicPacketFilterStatisticsResetSelectedStatsOut, _ status.Status, _ error) {
			if m.mayDefend(ctx) != nil {
				return out, status.NotPermitted, nil
			}
			m.watchForWorms()
			m.applyDefense()
			return out, status.Success, nil
		})
}

// heuristics returns what the port is to look for: nothing, on releases without.
func (m *Machine) heuristics() (h nic.Heuristics) {
	ci := m.catalogue.classes[heuristicsClass]
	if ci == nil {
		return h
	}
	for _, i := range m.store.of(ci) {
		var v amt.HeuristicPacketFilterSettings
		if v.Decode(&i.element) != nil {
			continue
		}
		h = nic.Heuristics{Enabled: class.Value(v.Enabled), BlockAll: class.Value(v.BlockAll), BlockPort: class.Value(v.BlockOffensivePort),
			FastLimit: class.Value(v.FastConnectionRateThreshold), FastClear: time.Duration(class.Value(v.FastConnectionRateClearTime)) * time.Millisecond,
			SlowLimit: class.Value(v.SlowConnectionRateThreshold), SlowClear: time.Duration(class.Value(v.SlowConnectionRateClearTime)) * time.Second,
			Encounter: time.Duration(class.Value(v.EncounterTimeout)) * time.Second}
	}
	return h
}

// watchForWorms tells the port what to look for, and forgets an encounter.
func (m *Machine) watchForWorms() { m.defense.ports[Wired].Watch(m.heuristics()) }

// wormFound tells of an encounter, and has the policy for it become active.
func (m *Machine) wormFound(port NetworkPort, why nic.Trigger) {
	id := "iAMT0010"
	if why == nic.FastTrigger {
		id = "iAMT0011"
	}
	m.alert(id, eventing.Critical, strconv.Itoa(int(port)))
	m.defense.forgetEnd(heuristicPolicies, port)
	m.applyDefense()
}

// wormsOver tells of an encounter whose time is up.
func (m *Machine) wormsOver(now time.Time) {
	for port := range NetworkPort(portCount) {
		if found, on := m.defense.ports[port].Encounter(now); found.Trigger != nic.NoTrigger && !on {
			m.defense.ports[port].Watch(m.heuristics())
			m.alert("iAMT0013", eventing.Information, strconv.Itoa(int(port)))
		}
	}
}

// wormStatistics is the state of the looking.
func (m *Machine) wormStatistics() amt.HeuristicPacketFilterStatistics {
	h := m.heuristics()
	found, on := m.defense.ports[Wired].Encounter(m.hostTime())
	v := amt.HeuristicPacketFilterStatistics{InstanceID: new("Intel(r) AMT: Heuristic Packet Filter Statistics 0"),
		ElementName: new("Intel(r) AMT: Heuristic Packet Filter Statistics"), State: new(uint16(heuristicsQuiet)), BlockedAll: new(on && h.BlockAll),
		TriggerReason: new(uint16(found.Trigger)), EnabledPolicy: new(false)}
	if !h.Enabled {
		v.State = new(uint16(heuristicsDisabled))
	}
	if on {
		v.State, v.TimeStamp = new(uint16(heuristicsEncounter)), new(m.ownTime(found.At))
		if h.BlockPort {
			v.BlockedOffensivePort, v.BlockedOffensivePortProtocol = &found.Port, new(uint16(found.Protocol))
		}
		m.defense.mu.Lock()
		v.EnabledPolicy = new(m.defense.kept.Ports[Wired].Owner == heuristicPolicies)
		m.defense.mu.Unlock()
	}
	return v
}
