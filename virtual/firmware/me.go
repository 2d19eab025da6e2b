package firmware

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// me is the management engine as programs on the PC see it, over MEI: its clients, who is connected to them, and what
// the programs have told it.
//
// Each link has an engine of its own, so that several programs can each have one where there is no kernel driver to
// share; what can be had once, such as LME, can be had once for all links together.
type me struct {
	mu       sync.Mutex // guards what follows
	engines  map[*mei.Engine]struct{}
	inUse    map[guid.GUID]uint8
	password string // of [LocalUser]; "" until it is asked for
	lme      *lme   // the session with the PC's LMS; nil: none
	kept     meState

	commands sync.Once
	mux      amthi.Mux
	watchdog osWatchdog
}

// meState is what outlives a restart.
type meState struct {
	HostFQDN string `json:",omitempty"` // of the operating system, as LMS tells it
	EHBC     bool   `json:",omitempty"` // admin control mode without a certificate: for machines without a person
	VPN      bool   `json:",omitempty"` // the host has told that it has access to the company's network
}

func (x *me) dump() (json.RawMessage, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.kept == (meState{}) {
		return nil, nil
	}
	return json.Marshal(&x.kept)
}

func (x *me) load(text json.RawMessage) error {
	var kept meState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept = kept
	return nil
}

// state returns what is kept.
func (x *me) state() meState {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.kept
}

func (x *me) change(f func(*meState)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(&x.kept)
}

// What the clients take. Source: spec mei.md section 6.
const (
	amthiMessage    = 5120 // octets
	lmeMessage      = 5120
	watchdogMessage = 512

	amthiConnections = 4
	oldConnections   = 1 // of AMTHI before release 9
	watchdogShares   = 2
)

// clients are the services of the engine, without their connections.
func (m *Machine) clients() []mei.Client {
	most := uint8(amthiConnections)
	if m.profile.Before(9, 0) {
		most = oldConnections
	}
	return []mei.Client{
		{Properties: mei.Properties{Client: mei.AMTHI, Version: 1, MaxConnections: most, MaxMsgLen: amthiMessage}, Serve: m.serveAMTHI},
		{Properties: mei.Properties{Client: mei.LME, Version: 1, MaxConnections: 1, MaxMsgLen: lmeMessage}, Serve: m.serveLME},
		{Properties: mei.Properties{Client: mei.Watchdog, Version: watchdogVersion, MaxConnections: watchdogShares, MaxMsgLen: watchdogMessage}, Serve: m.serveWatchdog},
		{Properties: mei.Properties{Client: mei.MKHI, Version: 1, MaxConnections: mkhiConnections, MaxMsgLen: mkhiMessage}, Serve: m.serveMKHI},
		{Properties: mei.Properties{Client: mei.MKHIFixed, Version: 1, Fixed: true, MaxMsgLen: mkhiMessage}, Serve: m.serveMKHI},
	}
}

// ServeME is the management engine on one link, until the context ends (the error is its cause), or the link does. It
// closes the link. The other side is the PC's: its MEI driver, or a [mei.Host] in its place. Several links may be served
// at once.
func (m *Machine) ServeME(ctx context.Context, link mei.Link) error {
	e := mei.NewEngine()
	e.Log = m.log
	most := make(map[guid.GUID]uint8)
	for _, c := range m.clients() {
		most[c.Properties.Client] = c.Properties.MaxConnections
		if err := e.Add(c); err != nil {
			link.Close()
			return fmt.Errorf("firmware: %w", err)
		}
	}
	e.Admit = func(id guid.GUID) mei.Status { return m.me.admit(id, most[id]) }
	e.Release = m.me.release
	m.me.mu.Lock()
	if m.me.engines == nil {
		m.me.engines = make(map[*mei.Engine]struct{})
	}
	m.me.engines[e] = struct{}{}
	m.me.mu.Unlock()
	defer func() {
		m.me.mu.Lock()
		delete(m.me.engines, e)
		m.me.mu.Unlock()
	}()
	return e.Run(ctx, link)
}

// admit counts a connection to a client, unless there are as many as there may be.
func (x *me) admit(id guid.GUID, most uint8) mei.Status {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.inUse[id] >= most {
		return mei.StatusRejected
	}
	if x.inUse == nil {
		x.inUse = make(map[guid.GUID]uint8)
	}
	x.inUse[id]++
	return mei.StatusSuccess
}

func (x *me) release(id guid.GUID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.inUse[id]--
}

// MEBus connects a [mei.Host] in this process to the management engine: a bus as programs on the PC have it. stop ends
// both and waits for them.
func (m *Machine) MEBus() (bus *mei.Host, stop func()) {
	there, here := mei.Pipe()
	bus = mei.NewHost()
	bus.Log = m.log
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { m.ServeME(ctx, here) })
	work.Go(func() { bus.Run(ctx, there) })
	return bus, func() {
		cancel()
		work.Wait()
	}
}

// ResetME restarts the management engine, as far as the PC sees it: all connections over MEI end, the watchdog stops,
// and the password of [LocalUser] is another one.
func (m *Machine) ResetME() {
	m.me.mu.Lock()
	m.me.password = ""
	m.me.mu.Unlock()
	m.hostSetup.reset()
	m.resetLinks()
}

// resetLinks ends all connections over MEI.
func (m *Machine) resetLinks() {
	m.me.watchdog.server.Reset()
	m.me.watchdog.spare()
	m.me.mu.Lock()
	engines := make([]*mei.Engine, 0, len(m.me.engines))
	for e := range m.me.engines {
		engines = append(engines, e)
	}
	m.me.mu.Unlock()
	for _, e := range engines {
		e.Reset()
	}
}

// onPlatform ends connections when their programs are gone: at a boot, or when the PC leaves S0. After sleep they are
// connected anew. Source: spec mei.md section 9, watchdog.md section 3.
func (x *me) onPlatform(m *Machine, e Event) {
	if e.Kind == EventBoot || e.Kind == EventPower && e.Power != S0 {
		m.resetLinks()
	}
}

// LocalUser is the account that AMTHI gives to programs on the PC. It is known on the local interface only, and its
// password until the engine restarts. Source: spec amthi.md section 3.18.
const LocalUser = "$$OsAdmin"

// localRealms are what LocalUser may do once the machine is set up: what LMS needs. Before, it may do everything.
// Source: intel/lms, which reads general information, sets the clock and the power capabilities with this account; how
// real firmware draws the line is not known.
var localRealms = Realms(RealmGeneralInfo, RealmLocalSystem, RealmLocalNotification, RealmNetworkTime, RealmRemoteControl)

// localPassword returns the password of LocalUser, which is made when it is first asked for.
func (m *Machine) localPassword() string {
	m.me.mu.Lock()
	defer m.me.mu.Unlock()
	if m.me.password == "" {
		m.me.password = m.secrets.text("local user")
	}
	return m.me.password
}

// lookup returns what a digest user's name stands for, where the user comes from: [LocalUser], or one of the users.
func (m *Machine) lookup(name string, local bool) (hash [16]byte, realms RealmSet, ok bool) {
	if !local || name != LocalUser {
		return m.users.lookup(name, !local)
	}
	realms = localRealms
	if m.ControlMode() == ModeNone {
		realms = Realms(RealmAdministration)
	}
	return digest.HA1(LocalUser, m.Identity().Realm, m.localPassword()), realms, true
}

// serveAMTHI answers the commands of one connection.
func (m *Machine) serveAMTHI(ctx context.Context, c mei.Conn) {
	m.me.commands.Do(m.handleAMTHI)
	if err := m.me.mux.Serve(ctx, c); err != nil && ctx.Err() == nil {
		m.log.Info("AMTHI", "error", err)
	}
}

// amtOff reports whether AMT is switched off: in the BIOS extension, or by the PC itself.
func (m *Machine) amtOff() bool {
	m.mebx.mu.Lock()
	defer m.mebx.mu.Unlock()
	return m.mebx.kept.Off
}

// hostName returns what the operating system calls itself, as LMS has told; "" if it has not.
func (m *Machine) hostName() string { return m.me.state().HostFQDN }

// watchdogVersion is the protocol version of the watchdog client: starts are answered.
const watchdogVersion = 2
