package firmware

import (
	"context"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// PartialUnprovision makes the machine wait for its setup server again: the network ports close and settings go, but the
// administrator stays, and so do the realm, the machine's name, its domain and where the server is. Source: spec
// activation.md section 9.
func (m *Machine) PartialUnprovision() {
	m.forgetBoot()
	server := m.one("AMT_SetupAndConfigurationService").ChildText("ConfigurationServerFQDN")
	m.store.clear()
	if server != "" {
		m.changeOne("AMT_SetupAndConfigurationService", func(e *wsman.Element) { set(e, "ConfigurationServerFQDN", server) })
	}
	m.enumerations.clear()
	m.keys.clear()
	m.storage.clear()
	m.users.onlyAdmin()
	m.setup.mu.Lock()
	m.setup.kept = setupState{Mode: new(ModeNone)}
	m.setup.mu.Unlock()
	m.mebx.change(func(s *mebxState) { s.Started = true })
	m.armAlarms()
	m.withAgents(func(*agents) {}) // none is left
	m.forgetDefense()
	m.epoch.Add(1)
	m.portsChanged()
}

// changeOne changes the stored instance of a class that has one.
func (m *Machine) changeOne(name string, change func(e *wsman.Element)) {
	ci := m.catalogue.classes[name]
	if ci == nil {
		return
	}
	for _, old := range m.store.of(ci) {
		e := wsman.Element{Name: old.element.Name, Children: append([]wsman.Element(nil), old.element.Children...)}
		change(&e)
		ci.Order(e.Children)
		m.store.update(ci, old, ci.instance(e))
	}
}

// onlyAdmin removes all accounts but the administrator's and the firmware's own.
func (u *users) onlyAdmin() {
	u.mu.Lock()
	u.acl.List = []account{uns}
	u.mu.Unlock()
	u.changed()
}

// registerUnprovision gives the machine the ways back.
func registerUnprovision(t *table) {
	class.Handle(&t.methods, amt.SetupAndConfigurationServiceUnprovision, unprovision)
	class.Handle(&t.methods, amt.SetupAndConfigurationServicePartialUnprovision, partialUnprovision)
	class.Handle(&t.methods, amt.SetupAndConfigurationServiceGetUnprovisionBlockingComponents, blockingComponents)
}

// unprovision answers first; the connection ends after the answer.
func unprovision(_ context.Context, m *Machine, _ wsman.Selectors, in amt.SetupAndConfigurationServiceUnprovisionIn) (out amt.SetupAndConfigurationServiceUnprovisionOut, _ status.Status, _ error) {
	if in.ProvisioningMode != nil && *in.ProvisioningMode > 1 {
		return out, status.InvalidParameter, nil
	}
	m.Unprovision()
	return out, status.Success, nil
}

// partialUnprovision likewise. In client control mode there is no setup server to wait for; what real machines say there
// is not known.
func partialUnprovision(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.SetupAndConfigurationServicePartialUnprovisionIn) (out amt.SetupAndConfigurationServicePartialUnprovisionOut, _ status.Status, _ error) {
	if m.ControlMode() != ModeAdmin {
		return out, status.NotPermitted, nil
	}
	m.PartialUnprovision()
	return out, status.Success, nil
}

// componentAuditLog is the one component that is known to block. Source: spec activation.md section 9.
const componentAuditLog = 1

// blockingComponents tells what keeps the machine from being unprovisioned: the audit log, once an auditor was appointed.
func blockingComponents(ctx context.Context, m *Machine, _ wsman.Selectors, _ amt.SetupAndConfigurationServiceGetUnprovisionBlockingComponentsIn) (out amt.SetupAndConfigurationServiceGetUnprovisionBlockingComponentsOut, _ status.Status, _ error) {
	if blockUnprovision(ctx, m) != status.Success {
		out.Component = append(out.Component, componentAuditLog)
	}
	return out, status.Success, nil
}
