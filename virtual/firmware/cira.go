package firmware

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Classes and instances of client initiated remote access (CIRA). Source: spec inventory-events-policies.md section 12;
// the names are recorded.
const (
	presenceServerClass = "AMT_ManagementPresenceRemoteSAP"
	presenceServerName  = "Intel(r) AMT:Management Presence Server "
	mpsUserClass        = "AMT_MPSUsernamePassword"
	mpsContextClass     = "AMT_RemoteAccessCredentialContext"
)

// maxMPSUser is the length of user name and password towards a presence server. Source: spec
// inventory-events-policies.md section 12.
const maxMPSUser = 16

// cira is the tunnel to a presence server, if one is open. Servers and policies are instances of the store.
type cira struct {
	mu     sync.Mutex // guards what follows
	tunnel func()     // ends the tunnel that is open; nil: none is
	number int        // of the tunnel
}

// dump writes nothing: a tunnel does not outlive a restart.
func (c *cira) dump() (json.RawMessage, error) { return nil, nil }
func (c *cira) load(json.RawMessage) error     { return nil }

// TunnelOpened notes that a tunnel to a presence server is open, as AMT_RemoteAccessService shows then; a machine has one
// at a time, so that one of before ends. end is called when a client asks for the end; it must not block. The caller
// says when the tunnel is closed.
func (m *Machine) TunnelOpened(end func()) (closed func()) {
	c := &m.cira
	c.mu.Lock()
	before := c.tunnel
	c.number++
	mine := c.number
	c.tunnel = end
	c.mu.Unlock()
	if before != nil {
		before()
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.number == mine {
			c.tunnel = nil
		}
	}
}

// ServeTunnelConn is ServeConn for a connection that comes through a tunnel: it is served outside of the home network
// too, where nothing else of the network is.
func (m *Machine) ServeTunnelConn(ctx context.Context, conn net.Conn, port int) error {
	return m.serveConn(ctx, conn, origin{port: port, tunnel: true})
}

// registerCIRA gives remote access its life: which servers a machine may call, and when.
func registerCIRA(t *table) {
	t.class("AMT_RemoteAccessService").patch = func(m *Machine, e *wsman.Element) {
		m.cira.mu.Lock()
		open := m.cira.tunnel != nil
		m.cira.mu.Unlock()
		set(e, "IsRemoteTunnelConnected", strconv.FormatBool(open))
	}
	class.Handle(&t.methods, amt.RemoteAccessServiceAddMpServer, addPresenceServer)
	class.Handle(&t.methods, amt.RemoteAccessServiceCloseRemoteAccessConnection, closeTunnel)
	server := t.class(presenceServerClass)
	server.onPut = putPresenceServer
	server.onDelete = deletePresenceServer
	server.after = func(_ context.Context, m *Machine, old, now *wsman.Element) {
		if now == nil {
			m.unbind(mpsContextClass, presenceServerRef(old))
		}
	}
	user := t.class(mpsUserClass)
	user.patch = func(m *Machine, e *wsman.Element) {
		if m.store.untouched(mpsUserClass) { // nobody has said yet
			set(e, "RemoteID", "")
		}
	}
	user.onPut = func(_ context.Context, _ *Machine, _, want *wsman.Element) error {
		if name := want.ChildText("RemoteID"); name != "" && !goodMPSUser(name) || len(want.ChildText("Secret")) > maxMPSUser {
			return &status.Error{Op: mpsUserClass + ".Put", Code: status.InvalidParameter}
		}
		return nil
	}
	registerRemotePolicies(t)
	registerEnvironment(t)
	registerProxies(t)
}

func closeTunnel(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.RemoteAccessServiceCloseRemoteAccessConnectionIn) (out amt.RemoteAccessServiceCloseRemoteAccessConnectionOut, _ status.Status, _ error) {
	m.cira.mu.Lock()
	end := m.cira.tunnel
	m.cira.tunnel = nil
	m.cira.mu.Unlock()
	if end == nil {
		return out, status.NotPermitted, nil // a guess: 1 and 16 are the two that it has
	}
	end()
	return out, status.Success, nil
}

// presenceServerRef returns the reference to a server that an instance is.
func presenceServerRef(e *wsman.Element) wsman.EPR {
	return wsman.Ref(presenceServerClass, "CreationClassName", e.ChildText("CreationClassName"), "Name", e.ChildText("Name"),
		"SystemCreationClassName", e.ChildText("SystemCreationClassName"), "SystemName", e.ChildText("SystemName"))
}

// remoteLimit returns a limit of remote access that the machine states.
func (m *Machine) remoteLimit(name string) int {
	limits := m.one("AMT_RemoteAccessCapabilities")
	if limits == nil {
		return 0
	}
	return int(number(limits.ChildText(name)))
}

// addPresenceServer adds a server that the machine may call, and the credential that it shows to it.
func addPresenceServer(_ context.Context, m *Machine, _ wsman.Selectors, in amt.RemoteAccessServiceAddMpServerIn) (out amt.RemoteAccessServiceAddMpServerOut, _ status.Status, _ error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	ci := m.catalogue.classes[presenceServerClass]
	e := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: ci.Name}}
	set(&e, "AccessInfo", class.Value(in.AccessInfo))
	set(&e, "InfoFormat", itoa(class.Value(in.InfoFormat)))
	set(&e, "Port", itoa(class.Value(in.Port)))
	set(&e, "CN", class.Value(in.CN))
	user, secret := class.Value(in.Username), class.Value(in.Password)
	byPassword := class.Value(in.AuthMethod) == amt.RemoteAccessServiceAddMpServerAuthMethodUsernamePasswordAuthentication
	var credential *view
	if byPassword {
		if !goodMPSUser(user) || secret == "" || len(secret) > maxMPSUser {
			return out, status.InvalidParameter, nil
		}
	} else {
		var ok bool
		if credential, ok = m.certificateAt(in.Certificate, false); !ok || credential == nil || class.Value(in.AuthMethod) != amt.RemoteAccessServiceAddMpServerAuthMethodMutualAuthentication {
			return out, status.InvalidParameter, nil
		}
	}
	servers := m.store.of(ci)
	switch {
	case !goodPresenceServer(&e):
		return out, status.InvalidParameter, nil
	case slices.ContainsFunc(servers, func(i *instance) bool { return sameAddress(&i.element, &e) }):
		return out, status.Duplicate, nil
	case len(servers) >= m.remoteLimit("MaxTotalMpServers"):
		return out, status.MaxLimitReached, nil
	}
	set(&e, "ElementName", strings.TrimSuffix(presenceServerName, " "))
	set(&e, "Name", m.freeName(ci, presenceServerName))
	made, err := m.add(ci, e)
	if err != nil {
		return out, 0, err
	}
	if byPassword {
		if credential = m.setMPSUser(user, secret); credential == nil {
			return out, status.InternalError, nil
		}
	}
	if err := m.bind(mpsContextClass, made.epr(), credential); err != nil {
		return out, 0, err
	}
	out.MpServer = new(made.epr())
	return out, status.Success, nil
}

// freeName returns prefix and the lowest number that no instance of the class has in its Name.
func (m *Machine) freeName(ci *classInfo, prefix string) string {
	for n := 0; ; n++ {
		name := prefix + strconv.Itoa(n)
		if !slices.ContainsFunc(m.store.of(ci), func(i *instance) bool { return i.element.ChildText("Name") == name }) {
			return name
		}
	}
}

// setMPSUser sets the one account that the machine has towards presence servers, and returns it; nil if it has none.
func (m *Machine) setMPSUser(user, secret string) *view {
	ci := m.catalogue.classes[mpsUserClass]
	for range 8 { // somebody else may write at the same time
		v, err := m.find(ci, nil)
		if err != nil || v.stored == nil {
			return nil
		}
		e := v.element
		e.Children = slices.Clone(e.Children)
		set(&e, "RemoteID", user)
		set(&e, "Secret", secret)
		ci.Order(e.Children)
		now := ci.instance(e)
		now.hidden = ci.hide(&now.element, v.hidden)
		if m.store.update(ci, v.stored, now) {
			return &view{now, now}
		}
	}
	return nil
}

func goodMPSUser(name string) bool {
	return name != "" && len(name) <= maxMPSUser && strings.IndexFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
}

// goodPresenceServer holds a server against the rules: its address must be of the form that it claims to be, and a server
// with an address instead of a name needs the name of its certificate.
func goodPresenceServer(e *wsman.Element) bool {
	format, cn := e.ChildText("InfoFormat"), e.ChildText("CN")
	port, err := strconv.ParseUint(e.ChildText("Port"), 10, 16)
	return err == nil && port > 0 && goodAccessInfo(e.ChildText("AccessInfo"), format) && len(cn) <= maxDomain && (format == accessByName || cn != "")
}

// Values of InfoFormat.
const (
	accessByIPv4 = "3"
	accessByIPv6 = "4"
	accessByName = "201"
)

// goodAccessInfo reports whether an address is of the form that InfoFormat says.
func goodAccessInfo(text, format string) bool {
	addr, err := netip.ParseAddr(text)
	switch format {
	case accessByIPv4:
		return err == nil && addr.Is4()
	case accessByIPv6:
		return err == nil && addr.Is6() && addr.Zone() == ""
	case accessByName:
		return err != nil && goodDomain(text)
	}
	return false
}

// goodDomain reports whether a text can be a DNS name. RFC 1123 2.1.
func goodDomain(text string) bool {
	if text == "" || len(text) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > maxHostName || strings.IndexFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) >= 0 {
			return false
		}
	}
	return true
}

func sameAddress(a, b *wsman.Element) bool {
	return strings.EqualFold(a.ChildText("AccessInfo"), b.ChildText("AccessInfo")) && a.ChildText("Port") == b.ChildText("Port")
}

func putPresenceServer(_ context.Context, m *Machine, old, want *wsman.Element) error {
	refuse := func(code status.Status) error { return &status.Error{Op: presenceServerClass + ".Put", Code: code} }
	if !goodPresenceServer(want) {
		return refuse(status.InvalidParameter)
	}
	for _, i := range m.store.of(m.catalogue.classes[presenceServerClass]) {
		if i.element.ChildText("Name") != old.ChildText("Name") && sameAddress(&i.element, want) {
			return refuse(status.Duplicate)
		}
	}
	return nil
}

// deletePresenceServer refuses while a policy names the server: policies go first. Source: spec
// inventory-events-policies.md section 12; the status is a guess.
func deletePresenceServer(_ context.Context, m *Machine, old *wsman.Element) error {
	ref := presenceServerRef(old)
	for _, i := range m.store.of(m.catalogue.classes[policyServerClass]) {
		if at := i.keys.Get("ManagedElement"); at != nil && at.EPR != nil && m.catalogue.sameRef(at.EPR, &ref) {
			return &status.Error{Op: presenceServerClass + ".Delete", Code: status.NotPermitted}
		}
	}
	return nil
}
