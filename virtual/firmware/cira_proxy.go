package firmware

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	proxyClass = "IPS_HTTPProxyAccessPoint"
	proxyName  = "Intel(r) ME:HTTP Proxy Access Point "
)

// registerProxies gives the HTTP proxies that the tunnel may go through their life: 11.0 and newer. Source: spec
// inventory-events-policies.md section 12; classes.json.
func registerProxies(t *table) {
	class.Handle(&t.methods, ips.HTTPProxyServiceAddProxyAccessPoint, addProxy)
	t.class(proxyClass).onPut = func(_ context.Context, m *Machine, old, want *wsman.Element) error {
		refuse := func(code status.Status) error { return &status.Error{Op: proxyClass + ".Put", Code: code} }
		if !goodProxy(want) {
			return refuse(status.InvalidParameter)
		}
		for _, i := range m.store.of(m.catalogue.classes[proxyClass]) {
			if i.element.ChildText("Name") != old.ChildText("Name") && sameProxy(&i.element, want) {
				return refuse(status.Duplicate)
			}
		}
		return nil
	}
}

// addProxy adds a proxy behind those that are there: the first in the network is tried first.
func addProxy(_ context.Context, m *Machine, _ wsman.Selectors, in ips.HTTPProxyServiceAddProxyAccessPointIn) (out ips.HTTPProxyServiceAddProxyAccessPointOut, _ status.Status, _ error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	ci := m.catalogue.classes[proxyClass]
	e := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: ci.Name}}
	set(&e, "AccessInfo", class.Value(in.AccessInfo))
	set(&e, "InfoFormat", itoa(class.Value(in.InfoFormat)))
	set(&e, "Port", itoa(class.Value(in.Port)))
	set(&e, "NetworkDnsSuffix", class.Value(in.NetworkDnsSuffix))
	all := m.store.of(ci)
	switch {
	case !goodProxy(&e):
		return out, status.InvalidParameter, nil
	case slices.ContainsFunc(all, func(i *instance) bool { return sameProxy(&i.element, &e) }):
		return out, status.Duplicate, nil
	case len(all) >= m.remoteLimit("MaxTotalProxyEntryPoints"):
		return out, status.MaxLimitReached, nil
	}
	next := uint32(0)
	for _, i := range all {
		next = max(next, number(i.element.ChildText("Priority"))+1)
	}
	set(&e, "ElementName", strings.TrimSuffix(proxyName, " "))
	set(&e, "Name", m.freeName(ci, proxyName))
	set(&e, "Priority", itoa(next))
	set(&e, "Type", "0")
	made, err := m.add(ci, e)
	if err != nil {
		return out, 0, err
	}
	out.ProxyAccessPoint = new(made.epr())
	return out, status.Success, nil
}

func goodProxy(e *wsman.Element) bool {
	port, err := strconv.ParseUint(e.ChildText("Port"), 10, 16)
	return err == nil && port > 0 && goodAccessInfo(e.ChildText("AccessInfo"), e.ChildText("InfoFormat")) && goodDomain(e.ChildText("NetworkDnsSuffix"))
}

func sameProxy(a, b *wsman.Element) bool {
	return sameAddress(a, b) && strings.EqualFold(a.ChildText("NetworkDnsSuffix"), b.ChildText("NetworkDnsSuffix"))
}
