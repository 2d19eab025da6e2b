package firmware

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
	"github.com/outband/outband/wire/sol"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// redirection is the sessions of serial line, drives and screen: at most one of each. Source: spec redirection.md.
type redirection struct {
	mu      sync.Mutex    // guards what follows
	server  *redir.Server // nil until somebody comes
	realm   string        // of server
	open    map[redir.Kind]*redirected
	serial  *sol.Device // of the open session, like what follows
	drives  drives
	screen  *rfb.Device
	view    monitorView
	blank   blanking
	message []byte // of the console for a program on the host; nil: none waits
	guests  int    // connections, sessions or not
}

// maxGuests is how many connections of redirection there may be, most of which can only be on their way to a session.
const maxGuests = 16

var errGuests = fmt.Errorf("redirection: more than %d connections", maxGuests)

// A redirected is one session that is open.
type redirected struct {
	kind   redir.Kind
	user   string // "" on port 5900
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when it has ended
}

// dump writes nothing: sessions do not outlive a restart.
func (r *redirection) dump() (json.RawMessage, error) { return nil, nil }
func (r *redirection) load(json.RawMessage) error     { return nil }

// Why sessions end that neither side has closed.
var (
	errTerminated  = errors.New("session terminated by an administrator")
	errSwitchedOff = errors.New("redirection was switched off")

	errConsentEnded = errors.New("consent was taken back")
)

func registerRedirection(t *table) {
	serve := func(ctx context.Context, m *Machine, conn net.Conn, from origin) error {
		return m.serveRedirection(ctx, conn, from)
	}
	t.port(PortRedir, service{
		on:    func(m *Machine, local bool) bool { return m.plainOpen(local) && m.redirectionOpen() },
		serve: serve,
	})
	t.port(PortRedirTLS, service{
		on: func(m *Machine, local bool) bool { return m.tlsOpen(local) && m.redirectionOpen() },
		serve: func(ctx context.Context, m *Machine, conn net.Conn, from origin) error {
			c, err := m.handshake(ctx, conn, from.local)
			if err != nil {
				return err
			}
			from.secure = true
			return serve(ctx, m, c, from)
		},
	})
	registerSocket(t)
	for _, s := range []struct {
		class string
		kind  redir.Kind
	}{{"IPS_SolSessionUsingPort", redir.SOL}, {"IPS_IderSessionUsingPort", redir.IDER}, {"IPS_KvmSessionUsingPort", redir.KVM}} {
		t.class(s.class).instances = func(m *Machine) []wsman.Element { return m.sessionInstances(s.class, s.kind) }
	}
	class.Handle(&t.methods, amt.RedirectionServiceTerminateSession, terminateRedirection)
	registerKVM(t)
	registerScreen(t)
}

// redirectionOpen reports whether anybody listens on the ports of redirection: they are closed if the listener is off
// and KVM too.
func (m *Machine) redirectionOpen() bool {
	return m.one("AMT_RedirectionService").ChildText("ListenerEnabled") == "true" || m.kvmEnabled()
}

// kvmEnabled reports whether KVM may be used: "enabled but offline" counts.
func (m *Machine) kvmEnabled() bool {
	switch m.one("CIM_KVMRedirectionSAP").ChildText("EnabledState") {
	case strconv.Itoa(stateEnabled), strconv.Itoa(stateOffline):
		return m.kvmAllowed()
	}
	return false
}

// kvmAllowed reports whether the setup menu of the firmware (MEBx) lets KVM be switched on from afar. Source: spec
// redirection.md section 2.
func (m *Machine) kvmAllowed() bool {
	return m.one("IPS_KVMRedirectionSettingData").ChildText("EnabledByMEBx") != "false"
}

// allow says whether a session of a kind may start: whether the kind is switched on, and consent, where it is needed,
// was given. SOL needs none: only boots that use it do.
func (m *Machine) allow(k redir.Kind) redir.Status {
	service := m.one("AMT_RedirectionService")
	state, _ := strconv.Atoi(service.ChildText("EnabledState"))
	listener := service.ChildText("ListenerEnabled") == "true"
	var on bool
	switch k {
	case redir.SOL:
		on = listener && (state == 32770 || state == 32771)
	case redir.IDER:
		on = listener && (state == 32769 || state == 32771)
	case redir.KVM:
		on = m.kvmEnabled()
	}
	switch {
	case !on || m.ControlMode() == ModeNone:
		return redir.StatusUnsupported
	case k == redir.KVM && m.isOpen(k): // perhaps by port 5900
		return redir.StatusBusy
	case m.needsConsent(k) && !m.consented():
		return redir.StatusConsent
	case !m.mayAct(sessionTraces[k].opened): // which status real machines send is not known
		return redir.StatusInternal
	}
	return redir.StatusSuccess
}

// needsConsent reports whether a kind of session needs consent. SOL needs none: only boots that use it do.
func (m *Machine) needsConsent(k redir.Kind) bool {
	switch m.consentPolicy() {
	case ips.OptInServiceOptInRequiredAll:
		return k != redir.SOL
	case ips.OptInServiceOptInRequiredKVM:
		return k == redir.KVM
	}
	return false
}

// consented reports whether the person in front of the PC has agreed.
func (m *Machine) consented() bool {
	m.consent.mu.Lock()
	defer m.consent.mu.Unlock()
	return m.consent.state == ips.OptInServiceOptInStateReceived || m.consent.state == ips.OptInServiceOptInStateInSession
}

// redirServer returns who lets sessions in. It is another one after the realm has changed.
func (m *Machine) redirServer() *redir.Server {
	realm := m.Identity().Realm
	r := &m.redirection
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server == nil || r.realm != realm {
		r.realm = realm
		r.server = &redir.Server{
			Digest:   digest.NewServer(realm, digest.ServerOptions{}),
			HA1:      m.redirectionAccount,
			Allow:    m.allow,
			Password: m.profile.Before(12, 0),
			RFC2069:  m.profile.Before(12, 0),
			Firmware: [2]uint8{uint8(m.profile.Release.Major), uint8(m.profile.Release.Minor)},
		}
	}
	return r.server
}

// redirectionAccount finds an account that owns the realm of redirection, on either interface.
func (m *Machine) redirectionAccount(user string) ([16]byte, bool) {
	for _, network := range []bool{true, false} {
		if ha1, realms, ok := m.users.lookup(user, network); ok && realms.Allows(Realms(RealmRedirection)) {
			return ha1, true
		}
	}
	return [16]byte{}, false
}

// serveRedirection speaks on a connection to the ports of redirection.
func (m *Machine) serveRedirection(ctx context.Context, conn net.Conn, from origin) error {
	r := &m.redirection
	if !r.welcome(1) {
		return errGuests
	}
	defer r.welcome(-1)
	s, err := m.redirServer().Accept(ctx, conn)
	if err != nil {
		return ended(err)
	}
	return m.serveSession(ctx, s, conn, from)
}

// welcome counts a connection in or out. It reports false when there are too many.
func (r *redirection) welcome(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.guests+n > maxGuests {
		return false
	}
	r.guests += n
	return true
}

// serveSession serves a session that is let in, until either side ends it.
func (m *Machine) serveSession(ctx context.Context, s *redir.Session, conn net.Conn, from origin) error {
	defer s.Close()
	if _, _, ok := m.users.lookup(s.User, !from.local); !ok {
		return fmt.Errorf("redirection: user %q may not come from there", s.User)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	end, ok := m.opened(ctx, &redirected{kind: s.Kind, user: s.User, cancel: cancel})
	if !ok {
		return nil
	}
	defer end()
	m.log.Info("session", "kind", s.Kind.String(), "user", s.User)
	var err error
	switch s.Kind {
	case redir.SOL:
		err = m.serveSOL(ctx, s)
	case redir.IDER:
		err = m.serveIDER(ctx, s)
	case redir.KVM:
		err = m.serveKVMR(ctx, s)
	}
	return cmp.Or(context.Cause(ctx), ended(err))
}

// opened notes a session, unless there is one of its kind. One that was let in by the log-in waits for the one before it,
// which is on its way out then: its console is gone already. end notes that it is over.
func (m *Machine) opened(ctx context.Context, s *redirected) (end func(), ok bool) {
	s.over = make(chan struct{})
	for {
		before := m.redirection.note(s)
		if before == nil {
			break
		}
		if s.user == "" || before.user == "" {
			return nil, false
		}
		select {
		case <-before.over:
		case <-ctx.Done():
			return nil, false
		}
	}
	r := &m.redirection
	over := m.beginSession()
	traceEnd := m.traceSession(ctx, s)
	return func() {
		r.mu.Lock()
		delete(r.open, s.kind)
		r.mu.Unlock()
		traceEnd()
		over()
		close(s.over)
	}, true
}

// note notes a session, or returns the one of its kind that is there.
func (r *redirection) note(s *redirected) (before *redirected) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before = r.open[s.kind]; before != nil {
		return before
	}
	if r.open == nil {
		r.open = make(map[redir.Kind]*redirected)
	}
	r.open[s.kind] = s
	return nil
}

func (m *Machine) isOpen(k redir.Kind) bool {
	m.redirection.mu.Lock()
	defer m.redirection.mu.Unlock()
	return m.redirection.open[k] != nil
}

// endSessions ends the sessions of some kinds, and reports whether there were any.
func (m *Machine) endSessions(why error, ends func(redir.Kind) bool) (found bool) {
	r := &m.redirection
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.open {
		if ends(s.kind) {
			found = true
			s.cancel(why)
		}
	}
	return found
}

// onPlatform tells the sessions what has happened to the PC.
func (r *redirection) onPlatform(p Platform, e Event) {
	r.mu.Lock()
	serial := r.serial
	r.mu.Unlock()
	switch {
	case e.Kind == EventPower && serial != nil:
		serial.SetLine(lineOf(e.Power))
	case e.Kind == EventBoot:
		r.drives.reset()
		r.blank.boot(p)
	}
}

// redirectionChanged looks again at what is allowed: sessions of what was switched off end.
func (m *Machine) redirectionChanged() {
	off := map[redir.Kind]bool{}
	for _, k := range []redir.Kind{redir.SOL, redir.IDER, redir.KVM} {
		off[k] = m.allow(k) == redir.StatusUnsupported // asks which sessions are open, so it cannot be asked below
	}
	m.endSessions(errSwitchedOff, func(k redir.Kind) bool { return off[k] })
}

// Sessions returns which sessions of redirection are open: "SOL", "IDE-R", "KVM".
func (m *Machine) Sessions() []string {
	r := &m.redirection
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, k := range []redir.Kind{redir.SOL, redir.IDER, redir.KVM} {
		if r.open[k] != nil {
			out = append(out, k.String())
		}
	}
	return out
}

// terminateRedirection ends the session of SOL or IDE-R. Which number is which is not known: with one session open, any
// number ends it. Source: spec redirection.md section 2.
func terminateRedirection(_ context.Context, m *Machine, _ wsman.Selectors, in amt.RedirectionServiceTerminateSessionIn) (out amt.RedirectionServiceTerminateSessionOut, _ status.Status, _ error) {
	kind := redir.IDER
	if class.Value(in.SessionType) != 0 {
		kind = redir.SOL
	}
	if !m.isOpen(kind) {
		kind = map[redir.Kind]redir.Kind{redir.SOL: redir.IDER, redir.IDER: redir.SOL}[kind]
	}
	if !m.endSessions(errTerminated, func(k redir.Kind) bool { return k == kind }) {
		return out, status.InternalError, nil
	}
	return out, 0, nil
}

// sessionInstances is one instance for a session that is open: which access point it came in by, and what of.
func (m *Machine) sessionInstances(name string, kind redir.Kind) []wsman.Element {
	r := &m.redirection
	r.mu.Lock()
	s := r.open[kind]
	r.mu.Unlock()
	if s == nil {
		return nil
	}
	var service wsman.EPR
	if kind == redir.KVM {
		service = wsman.Ref("CIM_KVMRedirectionSAP", "CreationClassName", "CIM_KVMRedirectionSAP", "Name", "KVM Redirection Service Access Point",
			"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "ManagedSystem")
	} else {
		service = wsman.Ref("AMT_RedirectionService", "CreationClassName", "AMT_RedirectionService", "Name", "Intel(r) AMT Redirection Service",
			"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT")
	}
	port := wsman.Ref("AMT_EthernetPortSettings", "InstanceID", "Intel(r) AMT Ethernet Port Settings 0")
	ns := wsman.ClassURI(name)
	return []wsman.Element{wsman.Group(ns, name, port.Element(ns, "Antecedent"), service.Element(ns, "Dependent"))}
}
