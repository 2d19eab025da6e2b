package firmware

import (
	"context"
	"net"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/wire/wsman"
)

// What a class does beyond holding its instances stands in one table, built once and shared by all machines.
//
// To add a behaviour: write func registerThing(t *table) in thing.go, add it to registrations below, and inside it
// fill what differs from the default:
//
//	b := t.class("AMT_Thing")                     // the behaviour of one class
//	b.patch = func(m *Machine, e *wsman.Element) { // complete an instance whenever it is read
//		set(e, "Count", strconv.Itoa(m.things.count()))
//	}
//	class.Handle(&t.methods, amt.ThingDoIt, doIt)  // a method
//	t.route("/thing", route{...})                  // an HTTP path
//	t.port(12345, service{...})                    // a TCP port
//
// State that belongs to a behaviour is a field of [parts]; see parts.go.
var registrations = []func(*table){
	registerPorts,
	registerTLS,
	registerPKI,
	registerAuth,
	registerWeb,
	registerGeneral,
	registerSetup,
	registerHostSetup,
	registerWatchdogAction,
	registerSwitches,
	registerUsers,
	registerPower,
	registerBoot,
	registerBootReason,
	registerNetwork,
	registerWiFi,
	registerWired8021x,
	registerOptIn,
	registerCIRA,
	registerKerberos,
	registerEvents,
	registerAlarms,
	registerPresence,
	registerStorage,
	registerAudit,
	registerAlerts,
	registerSOAP,
	registerRedirection,
	registerDefense, // after what else looks at the environment and at agents
}

// A table holds behaviours. It is filled once and only read afterwards.
type table struct {
	classes map[string]*behaviour
	methods class.Mux[*Machine]
	routes  map[string]route
	ports   map[int]service
}

// A behaviour is what one class does beyond the store. All fields may be nil. Functions run without any lock of the
// machine held, on the goroutine of the request, and may be called from several at a time.
type behaviour struct {
	// instances returns all instances of the class instead of the store.
	instances func(m *Machine) []wsman.Element

	// has reports whether the machine has a stored instance at all: what needs hardware that is not there stays out of
	// sight.
	has func(m *Machine, e *wsman.Element) bool

	// patch completes one instance for reading. The Children slice is the caller's own; what they hold is shared and
	// must be replaced, not changed; see set. Elements are put in wire order afterwards.
	patch func(m *Machine, e *wsman.Element)

	// onPut is asked before want replaces old, and may change want. want is whole: what the request left out is
	// filled in from old. Values of write-only properties are children of want like others, and are taken out of
	// sight after onPut. An error refuses: *wsman.Fault as it is, *status.Error as InternalError with AMT-STATUS n.
	onPut func(ctx context.Context, m *Machine, old, want *wsman.Element) error

	// onCreate is asked before want is added, and may change it: assign keys, above all. Keys that are missing or 0
	// afterwards are assigned by the store.
	onCreate func(ctx context.Context, m *Machine, want *wsman.Element) error

	// onDelete is asked before old is removed.
	onDelete func(ctx context.Context, m *Machine, old *wsman.Element) error

	// cleared are lists that a Put without them takes away, where it leaves other properties as they are.
	cleared []string

	// after is called when a Put, Create or Delete has been done; now is nil after Delete.
	after func(ctx context.Context, m *Machine, old, now *wsman.Element)
}

// A route answers requests for one HTTP path.
type route struct {
	open   bool                // answers without authentication
	realms RealmSet            // any of them will do; 0 is every user
	on     func(*Machine) bool // whether the machine has the path now; nil is yes
	serve  func(ctx context.Context, m *Machine, r *request) reply
}

// A service speaks on one TCP port.
type service struct {
	on    func(m *Machine, local bool) bool // whether the port is open now, to the PC itself or to the network; nil is yes
	serve func(ctx context.Context, m *Machine, conn net.Conn, from origin) error
	slots bool // counts against the few HTTP connections
}

func (t *table) class(name string) *behaviour {
	b := t.classes[name]
	if b == nil {
		b = &behaviour{}
		t.classes[name] = b
	}
	return b
}

func (t *table) route(path string, r route) { t.routes[path] = r }

func (t *table) port(port int, s service) { t.ports[port] = s }

// theTable is the one table. Only New asks for it: behaviours reach it through their machine.
var theTable = sync.OnceValue(func() *table {
	t := &table{
		classes: make(map[string]*behaviour),
		routes:  make(map[string]route),
		ports:   make(map[int]service),
	}
	for _, register := range registrations {
		register(t)
	}
	auditAround(t) // last: it is put around what the others have registered
	return t
})

// set makes values the values of one property of an instance: none removes it. Order does not matter.
func set(e *wsman.Element, name string, values ...string) {
	elements := make([]wsman.Element, len(values))
	for i, v := range values {
		elements[i] = wsman.El(e.Space, name, v)
	}
	setElements(e, name, elements...)
}

// setElements is set for values that are not text; each must bear the name.
func setElements(e *wsman.Element, name string, values ...wsman.Element) {
	if len(values) == 1 { // in place, mostly
		at, n := 0, 0
		for i := range e.Children {
			if e.Children[i].Local == name {
				at, n = i, n+1
			}
		}
		if n == 1 {
			e.Children[at] = values[0]
			return
		}
	}
	kept := e.Children[:0:0]
	for i := range e.Children {
		if e.Children[i].Local != name {
			kept = append(kept, e.Children[i])
		}
	}
	e.Children = append(kept, values...)
}
