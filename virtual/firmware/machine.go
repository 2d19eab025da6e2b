package firmware

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A Config says what machine to make. The zero Config is a provisioned, switched-off, well-behaved machine of
// generation 16.
type Config struct {
	Generation int    // 8, 11, 12, 16 or 19; default 16
	Version    string // a release instead: "12.0.67.1579"

	Seed     string    // what the identity derives from; machines with the same seed are twins
	Repeat   bool      // nonces, and the password of [LocalUser], derive from Seed too: what was recorded can be said again
	UUID     guid.GUID // default from Seed, like what follows
	HostName string
	Domain   string
	MAC      string // 12 hex digits

	Password string // of admin; default DefaultPassword
	Client   bool   // was set up in client control mode, instead of admin control mode
	Factory  bool   // was not set up yet
	TLS      bool   // has TLS switched on. Releases without plain ports always have

	// Certificate is what TLS shows. Default: a self-signed RSA one that is made when first needed, with a key that all
	// machines of the process share, as making one takes longer than all else a machine does.
	Certificate *tls.Certificate

	// State is a state or dump to begin with. What stands above goes before it.
	State *State

	Wireless *Wireless        // the PC's Wi-Fi adapter; nil: none, or that of State
	Platform Platform         // the PC around it; nil: power and boot do nothing
	Clock    func() time.Time // what the machine's clock counts by; default time.Now
	Log      *slog.Logger     // default silent
	Hooks    Hooks

	// AcceptAnyEmptyResponse imitates CVE-2017-5689: an empty digest response is taken for a right one.
	AcceptAnyEmptyResponse bool
}

// DefaultPassword is what admin has without [Config].Password. It satisfies the rules of AMT.
const DefaultPassword = "P@ssw0rd"

// Hooks let a test decide. A nil hook behaves. All must be safe for concurrent use.
type Hooks struct {
	// OnRequest is asked before each WS-Management request of an authenticated user. An error refuses; a *wsman.Fault is
	// sent as it is. Blocking delays.
	OnRequest func(ctx context.Context, user string, req *wsman.Request) error

	// OnInvoke is asked before each method call. A non-zero status is returned as ReturnValue instead of calling.
	OnInvoke func(ctx context.Context, class, method string) status.Status

	// OnPower is asked before each change of power that is possible.
	OnPower PowerHook

	// Dial opens the connections by which events are delivered to those who have subscribed. nil: over the network of the
	// computer, from the machine's own address.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// OnHeartbeat is asked how long the operating system may be silent that asks for that time.
	OnHeartbeat func(silence time.Duration) time.Duration
}

// A Machine is the AMT side of one virtual machine. All methods are safe for concurrent use.
type Machine struct {
	config    Config
	secrets   secrets
	profile   Profile
	catalogue *catalogue
	table     *table
	hooks     Hooks
	log       *slog.Logger
	platform  Platform // nil if there is none

	store        store
	enumerations enumerations
	lockouts     lockouts
	writing      sync.Mutex // held by Put, Create and Delete from reading to writing
	faults       atomic.Pointer[faultState]
	messages     atomic.Uint64 // answers so far, for MessageID
	epoch        atomic.Uint32 // unprovisions so far: connections of before end after the answer
	aclEpoch     atomic.Uint32 // changes of the access list so far
	slots        chan struct{} // one per HTTP connection
	certificate  ownCertificate
	listeners    listeners

	mu       sync.Mutex // guards what follows
	identity Identity
	auth     *digest.Server
	resets   int             // full unprovisions so far
	absent   map[string]bool // classes that it does not have, although the release does
	keySetup *KeySetup       // of the last boot; nil: no key with Setup.bin

	parts
}

// New makes a machine.
func New(c Config) (*Machine, error) {
	if c.State != nil {
		c.Seed = cmp.Or(c.Seed, c.State.Seed)
		c.Client = c.Client || c.State.Client
		c.Factory = c.Factory || c.State.Factory
		c.TLS = c.TLS || c.State.TLS
	}
	release := c.Version
	if release == "" && c.Generation == 0 && c.State != nil {
		release = c.State.release()
	}
	if release == "" {
		release = strconv.Itoa(cmp.Or(c.Generation, DefaultGeneration))
	}
	profile, err := ProfileOf(release)
	if err != nil {
		return nil, err
	}
	if c.Version == "" && c.Generation != 0 && generations[c.Generation] == "" {
		return nil, fmt.Errorf("firmware: no generation %d; there are 8, 11, 12, 16 and 19", c.Generation)
	}
	if c.MAC != "" && (len(c.MAC) != 12 || !isHex(c.MAC)) {
		return nil, fmt.Errorf("firmware: MAC address %.40q is not 12 hex digits", c.MAC)
	}
	m := &Machine{
		config:   c,
		secrets:  secrets{repeat: c.Repeat, seed: c.Seed},
		profile:  profile,
		hooks:    c.Hooks,
		log:      c.Log,
		platform: c.Platform,
		identity: newIdentity(c.Seed),
		table:    theTable(),
		slots:    make(chan struct{}, profile.Connections),
	}
	if m.catalogue, err = catalogueOf(&profile, m.table); err != nil {
		return nil, err
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.setRealm(m.identity.Realm)
	if err := m.start(); err != nil {
		return nil, err
	}
	if c.State != nil {
		if err := m.restore(c.State); err != nil {
			m.Close()
			return nil, err
		}
		if c.Password != "" {
			m.users.setPassword(m.identity.Realm, c.Password)
		}
		if c.Wireless != nil {
			m.network.adapter = c.Wireless
		}
	}
	id := &m.identity
	if !c.UUID.IsZero() {
		id.UUID = c.UUID
	}
	id.HostName = cmp.Or(c.HostName, id.HostName)
	id.Domain = cmp.Or(c.Domain, id.Domain)
	id.MAC = cmp.Or(strings.ToLower(c.MAC), id.MAC)
	return m, nil
}

func isHex(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' && c < 'A' || c > 'F' && c < 'a' || c > 'f' {
			return false
		}
	}
	return true
}

// setRealm begins anew with digest: nonces of before are void. mu is held, or nobody else can see the machine.
func (m *Machine) setRealm(realm string) {
	m.identity.Realm = realm
	m.auth = digest.NewServer(realm, digest.ServerOptions{QOP: m.profile.QOP, Random: m.secrets.fill("digest")})
}

// Profile returns what sets the machine's release apart.
func (m *Machine) Profile() Profile { return m.profile }

// Identity returns what the machine calls itself now.
func (m *Machine) Identity() Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.identity
}

// now returns the time of the machine's own clock, which clients may set.
func (m *Machine) now() time.Time { return m.hostTime().Add(m.clock.offset()) }

func (m *Machine) hostTime() time.Time {
	if m.config.Clock != nil {
		return m.config.Clock()
	}
	return time.Now()
}

// messageID returns the MessageID of the next answer.
func (m *Machine) messageID() string { return wsman.MessageID(m.messages.Add(1)) }

// Close lets go of the platform and closes all listeners.
func (m *Machine) Close() error {
	m.listeners.mu.Lock()
	all := slices.Clone(m.listeners.all)
	m.listeners.mu.Unlock()
	for _, l := range all {
		l.Close()
	}
	if m.power.unwatch != nil {
		m.power.unwatch()
	}
	m.consent.close()
	m.alarms.close()
	m.me.watchdog.close()
	return nil
}
