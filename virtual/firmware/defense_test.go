package firmware_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/pcap"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// frameTo is a frame from somewhere to the PC, over TCP, to a port.
func frameTo(port uint16) []byte {
	f := nic.Frame{Src: [6]byte{2, 0, 0, 0, 0, 9}, Dst: [6]byte{2, 0, 0, 0, 0, 1}, Type: nic.TypeIPv4, From: netip.MustParseAddr("198.51.100.7"),
		To: netip.MustParseAddr("192.0.2.10"), Protocol: nic.TCP, SrcPort: 50000, DstPort: port, Flags: nic.SYN, Ports: true}
	return f.Append(nil)
}

// receives offers a frame to the PC's port, and tells what became of it.
func receives(w *world, port uint16) nic.Verdict {
	return w.OfferFrame(firmware.Wired, nic.Receive, frameTo(port)).Verdict
}

func deny(t *testing.T, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// defenseRefuses holds an error against a status that a behaviour gave, which travels inside a fault.
func defenseRefuses(t *testing.T, what string, err error, code status.Status) {
	t.Helper()
	var fault *wsman.Fault
	if !errors.As(err, &fault) || fault.Detail != fmt.Sprintf("AMT-STATUS %d", code) {
		t.Errorf("%s: got %v, want status %d", what, err, code)
	}
}

func tcpFilter(name string, profile amt.FilterProfile, port uint16) *amt.IPHeadersFilter {
	return &amt.IPHeadersFilter{Name: &name, CreationClassName: new("0"), InstanceID: new("0"), SystemCreationClassName: new("0"), SystemName: new("0"),
		FilterProfile: &profile, FilterDirection: new(amt.FilterDirectionReceive), ActionEventOnMatch: new(false), HdrIPVersion: new(amt.IPHeadersFilterHdrIPVersion(4)),
		HdrProtocolID: new(nic.TCP), HdrDestPortStart: &port, HdrDestPortEnd: &port}
}

// created creates an instance and returns its InstanceID.
func created[T any, P class.Pointer[T]](t *testing.T, w *world, v *T) string {
	t.Helper()
	ref, err := class.Create[T, P](t.Context(), w, v)
	if err != nil {
		t.Fatal(err)
	}
	return ref.Selectors.Value("InstanceID")
}

func handleOf(t *testing.T, id string) uint32 {
	t.Helper()
	var n uint32
	if _, err := fmt.Sscan(id, &n); err != nil {
		t.Fatalf("%q is no number", id)
	}
	return n
}

// policyOf makes a policy that drops what it does not know.
func policyOf(t *testing.T, w *world, name string, precedence uint32, handles ...uint32) string {
	t.Helper()
	return created(t, w, &amt.SystemDefensePolicy{PolicyName: &name, PolicyPrecedence: &precedence, FilterCreationHandles: handles, TxDefaultDrop: new(false),
		TxDefaultCount: new(true), TxDefaultMatchEvent: new(false), RxDefaultDrop: new(true), RxDefaultCount: new(true), RxDefaultMatchEvent: new(true)})
}

var wiredRef = wsman.Ref("CIM_EthernetPort", "DeviceID", "Intel(r) AMT Ethernet Port 0")

func bind(t *testing.T, w *world, id string) error {
	t.Helper()
	_, err := class.Create(t.Context(), w, &amt.NetworkPortSystemDefensePolicy{Antecedent: &wiredRef, Dependent: new(wsman.Ref("AMT_SystemDefensePolicy", "InstanceID", id))})
	return err
}

func unbind(t *testing.T, w *world, id string) {
	t.Helper()
	policy := wsman.Ref("AMT_SystemDefensePolicy", "InstanceID", id)
	if err := class.Delete[amt.NetworkPortSystemDefensePolicy](t.Context(), w, wsman.Selector{Name: "Antecedent", EPR: &wiredRef},
		wsman.Selector{Name: "Dependent", EPR: &policy}); err != nil {
		t.Fatal(err)
	}
}

func updated(t *testing.T, w *world, id string, reset bool) error {
	t.Helper()
	_, err := amt.SystemDefensePolicyUpdateStatistics.Invoke(t.Context(), w, amt.SystemDefensePolicyUpdateStatisticsIn{NetworkInterface: &wiredRef, ResetOnRead: &reset},
		wsman.Selector{Name: "InstanceID", Value: id})
	return err
}

// seen returns the counts that WS-Man shows, by the name of the filter.
func seen(t *testing.T, w *world) map[string]uint32 {
	t.Helper()
	all, err := class.All[amt.ActiveFilterStatistics](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]uint32)
	for _, v := range all {
		out[v.Dependent.Selectors.Get("Dependent").EPR.Selectors.Value("Name")] = class.Value(v.ReadCount)
	}
	return out
}

// Frames pass and are dropped as the policy says, the statistics count them, and a match is told once.
func TestDefenseFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		web := handleOf(t, created(t, w, tcpFilter("web", amt.FilterProfilePassAndCount, 80)))
		ssh := handleOf(t, created(t, w, tcpFilter("ssh", amt.FilterProfileDropAndCount, 22)))
		if web == ssh {
			t.Fatal("two filters have one handle")
		}
		id := policyOf(t, w, "strict", 5, web, ssh)
		if got := receives(w, 22); got != nic.Passed {
			t.Errorf("before the policy is enabled: %v", got)
		}
		if err := bind(t, w, id); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			port uint16
			want nic.Verdict
		}{{80, nic.Passed}, {80, nic.Passed}, {22, nic.Dropped}, {443, nic.Dropped}, {443, nic.Dropped}, {443, nic.Dropped}, {16992, nic.ToEngine}} {
			if got := receives(w, tt.port); got != tt.want {
				t.Errorf("port %d: got %v, want %v", tt.port, got, tt.want)
			}
		}
		if got := seen(t, w); got["web"] != 0 {
			t.Errorf("before the update the statistics say %v", got)
		}
		if err := updated(t, w, id, true); err != nil {
			t.Fatal(err)
		}
		if got := seen(t, w); got["web"] != 2 || got["ssh"] != 1 || got["Rx Default"] != 3 || got["Tx Default"] != 0 || len(got) != 4 {
			t.Errorf("the statistics say %v", got)
		}
		if err := updated(t, w, id, false); err != nil {
			t.Fatal(err)
		}
		if got := seen(t, w); got["web"] != 0 || got["Rx Default"] != 0 {
			t.Errorf("after the reset they say %v", got)
		}
		events := w.Events()
		if len(events) != 1 || events[0].Sensor != eventlog.PlatformAlert || events[0].Text() != "System Defense: filter for all that is received matched on the wired interface" {
			t.Errorf("the log has %v", events)
		}
		v, err := class.Get[amt.NetworkPortSystemDefensePolicy](t.Context(), w)
		if err != nil || !class.Value(v.Active) || !class.Value(v.Enabled) {
			t.Errorf("the binding: %+v, %v", v, err)
		}
		unbind(t, w, id)
		if got := receives(w, 22); got != nic.Passed {
			t.Errorf("after it was unbound: %v", got)
		}
		var refused *status.Error
		if err := updated(t, w, id, false); !errors.As(err, &refused) || refused.Code != status.NotFound {
			t.Errorf("statistics of a policy that is not active: %v", err)
		}
	})
}

// What is in use stays, and what firmware does not take is refused.
func TestDefenseRefuses(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	web := created(t, w, tcpFilter("web", amt.FilterProfilePass, 80))
	id := policyOf(t, w, "one", 1, handleOf(t, web))
	if err := bind(t, w, id); err != nil {
		t.Fatal(err)
	}
	defenseRefuses(t, "a filter in use", class.Delete[amt.IPHeadersFilter](t.Context(), w, wsman.Selector{Name: "InstanceID", Value: web}), status.NotPermitted)
	defenseRefuses(t, "a policy in use", class.Delete[amt.SystemDefensePolicy](t.Context(), w, wsman.Selector{Name: "InstanceID", Value: id}), status.NotPermitted)
	deny(t, bind(t, w, id), wsman.ErrAlreadyExists)
	for name, spoil := range map[string]func(f *amt.IPHeadersFilter){
		"no name":               func(f *amt.IPHeadersFilter) { f.Name = new("") },
		"long name":             func(f *amt.IPHeadersFilter) { f.Name = new("seventeen letters") },
		"no such profile":       func(f *amt.IPHeadersFilter) { f.FilterProfile = new(amt.FilterProfile(5)) },
		"rate without number":   func(f *amt.IPHeadersFilter) { f.FilterProfile = new(amt.FilterProfileRateLimit) },
		"ports without a range": func(f *amt.IPHeadersFilter) { f.HdrDestPortEnd = nil },
		"ports backwards":       func(f *amt.IPHeadersFilter) { f.HdrDestPortEnd = new(uint16(1)) },
		"ports of ICMP":         func(f *amt.IPHeadersFilter) { f.HdrProtocolID = new(nic.ICMP) },
		"ranges on both sides":  func(f *amt.IPHeadersFilter) { f.HdrSrcPortStart, f.HdrSrcPortEnd = new(uint16(1)), new(uint16(2)) },
		"address without mask":  func(f *amt.IPHeadersFilter) { f.HdrSrcAddress = new("c0000201") },
		"address of IPv6": func(f *amt.IPHeadersFilter) {
			f.HdrSrcAddress, f.HdrSrcMask = new("20010db8000000000000000000000001"), new("ffffffff")
		},
		"flags on and off": func(f *amt.IPHeadersFilter) { f.TCPFlagsOn, f.TCPFlagsOff = []uint16{2}, []uint16{2, 16} },
		"flow of IPv4":     func(f *amt.IPHeadersFilter) { f.HdrFlowLabel = new("000001") },
	} {
		f := tcpFilter("bad", amt.FilterProfilePass, 80)
		spoil(f)
		if _, err := class.Create(t.Context(), w, f); !errors.Is(err, wsman.ErrInvalidRepresentation) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := class.Create(t.Context(), w, &amt.SystemDefensePolicy{PolicyName: new("bad"), PolicyPrecedence: new(uint32(1)), FilterCreationHandles: []uint32{99},
		TxDefaultDrop: new(false), TxDefaultCount: new(false), TxDefaultMatchEvent: new(false), RxDefaultDrop: new(false), RxDefaultCount: new(false), RxDefaultMatchEvent: new(false)})
	defenseRefuses(t, "a handle of nothing", err, status.InvalidHandle)
	deny(t, bind(t, w, "Intel(r) AMT:Policy 9"), wsman.ErrInvalidRepresentation)

	// Limits: 8 policies, 80 filters, and what the port holds of one policy.
	var six []uint32
	for range 9 {
		f := tcpFilter("six", amt.FilterProfilePass, 80)
		f.HdrIPVersion = new(amt.IPHeadersFilterHdrIPVersion(6))
		six = append(six, handleOf(t, created(t, w, f)))
	}
	_, err = class.Create(t.Context(), w, &amt.SystemDefensePolicy{PolicyName: new("six"), PolicyPrecedence: new(uint32(1)), FilterCreationHandles: six,
		TxDefaultDrop: new(false), TxDefaultCount: new(false), TxDefaultMatchEvent: new(false), RxDefaultDrop: new(false), RxDefaultCount: new(false), RxDefaultMatchEvent: new(false)})
	defenseRefuses(t, "more filters of IPv6 than the port has", err, status.MaxLimitReached)
	for i := 1; i < 8; i++ {
		policyOf(t, w, "more", 0, six[:8]...)
	}
	_, err = class.Create(t.Context(), w, &amt.SystemDefensePolicy{PolicyName: new("ninth"), PolicyPrecedence: new(uint32(1)),
		TxDefaultDrop: new(false), TxDefaultCount: new(false), TxDefaultMatchEvent: new(false), RxDefaultDrop: new(false), RxDefaultCount: new(false), RxDefaultMatchEvent: new(false)})
	defenseRefuses(t, "the ninth policy", err, status.MaxLimitReached)
	for i := 10; i < 80; i++ {
		created(t, w, &amt.Hdr8021Filter{Name: new("arp"), FilterProfile: new(amt.FilterProfilePass), FilterDirection: new(amt.FilterDirectionTransmit),
			ActionEventOnMatch: new(false), HdrProtocolID8021: new(amt.Hdr8021FilterHdrProtocolID8021(nic.TypeARP))})
	}
	_, err = class.Create(t.Context(), w, tcpFilter("last", amt.FilterProfilePass, 80))
	defenseRefuses(t, "the 81st filter", err, status.MaxLimitReached)
}

// In client control mode nothing of it can be changed.
func TestDefenseInClientMode(t *testing.T) {
	w := newWorld(t, firmware.Config{Client: true}, pc.Options{On: true})
	_, err := class.Create(t.Context(), w, tcpFilter("web", amt.FilterProfilePass, 80))
	deny(t, err, wsman.ErrAccessDenied)
}

// Of the policies that are enabled the one with the highest precedence is active, and the default one without any.
func TestDefensePrecedence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		drop := handleOf(t, created(t, w, tcpFilter("no web", amt.FilterProfileDrop, 80)))
		web := handleOf(t, created(t, w, tcpFilter("web", amt.FilterProfilePass, 80)))
		fallback := policyOf(t, w, "default", 99, web)
		low := policyOf(t, w, "console", 1, drop)
		high := policyOf(t, w, "agent", 2, web)
		if _, err := class.Create(t.Context(), w, &amt.NetworkPortDefaultSystemDefensePolicy{Antecedent: &wiredRef,
			Dependent: new(wsman.Ref("AMT_SystemDefensePolicy", "InstanceID", fallback))}); err != nil {
			t.Fatal(err)
		}
		if got := receives(w, 80); got != nic.Passed {
			t.Errorf("default: %v", got)
		}
		if err := bind(t, w, low); err != nil {
			t.Fatal(err)
		}
		if got := receives(w, 80); got != nic.Dropped {
			t.Errorf("the console's goes before the default whatever its precedence: %v", got)
		}
		if _, err := class.Create(t.Context(), w, &amt.AgentPresenceInterfacePolicy{Antecedent: &wiredRef,
			Dependent: new(wsman.Ref("AMT_SystemDefensePolicy", "InstanceID", high))}); err != nil {
			t.Fatal(err)
		}
		if got := receives(w, 80); got != nic.Dropped {
			t.Errorf("nobody has asked for the agents' policy: %v", got)
		}

		// The agent registers, and falls silent.
		id := guid.FromSeed("guard")
		device := wsman.Selector{Name: "DeviceID", Value: w.DeviceID(id)}
		if _, err := class.Create(t.Context(), w, &amt.AgentPresenceWatchdog{DeviceID: &device.Value, StartupInterval: new(uint16(60)), TimeoutInterval: new(uint32(10)),
			MonitoredEntityDescription: new("guard")}); err != nil {
			t.Fatal(err)
		}
		if _, err := amt.AgentPresenceWatchdogAddAction.Invoke(t.Context(), w, amt.AgentPresenceWatchdogAddActionIn{OldState: new(uint16(4)), NewState: new(uint16(8)),
			EventOnTransition: new(true), ActionSd: new(amt.AgentPresenceWatchdogAddActionActionSdActivatePolicy)}, device); err != nil {
			t.Fatal(err)
		}
		if _, err := amt.AgentPresenceWatchdogAddAction.Invoke(t.Context(), w, amt.AgentPresenceWatchdogAddActionIn{OldState: new(uint16(8)), NewState: new(uint16(4)),
			EventOnTransition: new(false), ActionSd: new(amt.AgentPresenceWatchdogAddActionActionSdDeactivatePolicy)}, device); err != nil {
			t.Fatal(err)
		}
		register := func() {
			if _, err := amt.AgentPresenceWatchdogRegisterAgent.Invoke(t.Context(), w, amt.AgentPresenceWatchdogRegisterAgentIn{}, device); err != nil {
				t.Fatal(err)
			}
		}
		register()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := receives(w, 80); got != nic.Dropped {
			t.Errorf("while the agent runs: %v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := receives(w, 80); got != nic.Passed {
			t.Errorf("when the agent is silent its policy is the active one: %v", got)
		}
		if !slices.ContainsFunc(w.Events(), func(r eventlog.Record) bool {
			return r.Sensor == eventlog.SystemEvent && r.Data[7] == byte(eventlog.Expired)
		}) {
			t.Errorf("the log does not tell of the agent: %v", w.Events())
		}
		register()
		if got := receives(w, 80); got != nic.Dropped {
			t.Errorf("when it is back: %v", got)
		}
	})
}

// A policy with a timeout ends, and the next one takes its place. Time goes on over a restart, and so do counts.
func TestDefenseTimeoutAndState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		ssh := handleOf(t, created(t, w, tcpFilter("ssh", amt.FilterProfileDropAndCount, 22)))
		id := policyOf(t, w, "short", 1, ssh)
		by := wsman.Selector{Name: "InstanceID", Value: id}
		if _, err := amt.SystemDefensePolicySetTimeout.Invoke(t.Context(), w, amt.SystemDefensePolicySetTimeoutIn{Timeout: new(amt.SystemDefensePolicySetTimeoutTimeout(60))}, by); err != nil {
			t.Fatal(err)
		}
		if err := bind(t, w, id); err != nil {
			t.Fatal(err)
		}
		receives(w, 22)
		receives(w, 22)
		time.Sleep(40 * time.Second)
		var saved bytes.Buffer
		if err := w.Dump(&saved); err != nil {
			t.Fatal(err)
		}
		state, err := firmware.ReadState(&saved)
		if err != nil {
			t.Fatal(err)
		}
		again := newWorld(t, firmware.Config{State: state}, pc.Options{On: true})
		if got := receives(again, 22); got != nic.Dropped {
			t.Errorf("after a restart: %v", got)
		}
		if err := updated(t, again, id, false); err != nil {
			t.Fatal(err)
		}
		if got := seen(t, again); got["ssh"] != 3 {
			t.Errorf("counts after a restart: %v", got)
		}
		out, err := amt.SystemDefensePolicyGetTimeout.Invoke(t.Context(), again, amt.SystemDefensePolicyGetTimeoutIn{}, by)
		if err != nil || class.Value(out.Timeout) != 60 {
			t.Errorf("timeout %v, %v", out.Timeout, err)
		}
		time.Sleep(21 * time.Second)
		synctest.Wait()
		for _, x := range []*world{w, again} {
			if got := receives(x, 22); got != nic.Passed {
				t.Errorf("when its time is up: %v", got)
			}
			v, err := class.Get[amt.NetworkPortSystemDefensePolicy](t.Context(), x)
			if err != nil || class.Value(v.Active) || class.Value(v.Enabled) {
				t.Errorf("the binding: active %v, enabled %v, %v", class.Value(v.Active), class.Value(v.Enabled), err)
			}
		}
		unbind(t, w, id)
		if err := bind(t, w, id); err != nil {
			t.Fatal(err)
		}
		if got := receives(w, 22); got != nic.Dropped {
			t.Errorf("when it was enabled anew: %v", got)
		}
		again.Unprovision()
		if got := receives(again, 22); got != nic.Passed {
			t.Errorf("after the unprovision: %v", got)
		}
	})
}

// A PC that attacks others is stopped, on releases that look for it, and let go when the time is up.
func TestDefenseHeuristics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{On: true})
		s, err := class.Get[amt.HeuristicPacketFilterSettings](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		s.Enabled, s.FastConnectionRateThreshold, s.FastConnectionRateClearTime = new(true), new(uint32(5)), new(uint32(2000))
		_, err = class.Put(t.Context(), w, s)
		deny(t, err, wsman.ErrInvalidRepresentation)
		s.FastConnectionRateClearTime, s.EncounterTimeout = new(uint32(1000)), new(uint16(30))
		if _, err := class.Put(t.Context(), w, s); err != nil {
			t.Fatal(err)
		}
		policy := created(t, w, &amt.SystemDefensePolicy{PolicyName: new("worm"), PolicyPrecedence: new(uint32(1)), TxDefaultDrop: new(true), TxDefaultCount: new(true),
			TxDefaultMatchEvent: new(false), RxDefaultDrop: new(false), RxDefaultCount: new(false), RxDefaultMatchEvent: new(false)})
		if _, err := class.Create(t.Context(), w, &amt.HeuristicPacketFilterInterfacePolicy{Antecedent: &wiredRef,
			Dependent: new(wsman.Ref("AMT_SystemDefensePolicy", "InstanceID", policy))}); err != nil {
			t.Fatal(err)
		}
		sends := func(last byte) nic.Verdict {
			f := nic.Frame{Type: nic.TypeIPv4, From: netip.MustParseAddr("192.0.2.10"), To: netip.AddrFrom4([4]byte{10, 0, 0, last}), Protocol: nic.TCP, DstPort: 445, Flags: nic.SYN, Ports: true}
			return w.OfferFrame(firmware.Wired, nic.Transmit, f.Append(nil)).Verdict
		}
		for i := range byte(5) {
			if got := sends(i); got != nic.Passed {
				t.Errorf("connection %d: %v", i, got)
			}
		}
		if got := sends(5); got != nic.Dropped {
			t.Errorf("the sixth: %v", got)
		}
		v, err := class.Get[amt.HeuristicPacketFilterStatistics](t.Context(), w)
		if err != nil || class.Value(v.State) != 1 || class.Value(v.TriggerReason) != 1 || !class.Value(v.EnabledPolicy) {
			t.Errorf("statistics %+v, %v", v, err)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if got := sends(6); got != nic.Passed {
			t.Errorf("when the encounter is over: %v", got)
		}
		newer := newWorld(t, firmware.Config{}, pc.Options{})
		for _, name := range []string{"Settings", "Statistics", "InterfacePolicy"} {
			if _, err := wsman.Get(t.Context(), newer, wsman.ClassURI("AMT_HeuristicPacketFilter"+name), nil); !errors.Is(err, wsman.ErrDestinationUnreachable) {
				t.Errorf("release 12 answers for %s: %v", name, err)
			}
		}
	})
}

// A capture goes through the port, and what gets through is a capture again.
func TestDefenseReplay(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	ssh := handleOf(t, created(t, w, tcpFilter("ssh", amt.FilterProfileDropAndCount, 22)))
	open := amt.SystemDefensePolicy{PolicyName: new("ssh"), PolicyPrecedence: new(uint32(1)), FilterCreationHandles: []uint32{ssh}, TxDefaultDrop: new(true), TxDefaultCount: new(true),
		TxDefaultMatchEvent: new(false), RxDefaultDrop: new(false), RxDefaultCount: new(false), RxDefaultMatchEvent: new(false)}
	if err := bind(t, w, created(t, w, &open)); err != nil {
		t.Fatal(err)
	}
	var in, out bytes.Buffer
	c, err := pcap.NewWriter(&in)
	if err != nil {
		t.Fatal(err)
	}
	sent := frameTo(80)
	mac := w.Identity().MAC
	fmt.Sscanf(mac, "%02x%02x%02x%02x%02x%02x", &sent[6], &sent[7], &sent[8], &sent[9], &sent[10], &sent[11])
	for _, frame := range [][]byte{frameTo(22), frameTo(80), sent, frameTo(443), []byte("short")} {
		if err := c.Write(frame, time.Unix(1_600_000_000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	done, err := w.Replay(t.Context(), firmware.Wired, &in, &out)
	if err != nil || done.Frames != 5 || done.Sent != 1 || done.Verdicts[nic.Passed] != 2 || done.Verdicts[nic.Dropped] != 2 || done.Verdicts[nic.Broken] != 1 {
		t.Errorf("got %+v, %v", done, err)
	}
	r, err := pcap.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]byte{frameTo(80), frameTo(443)} {
		if got, at, err := r.Next(); err != nil || !bytes.Equal(got, want) || at.Unix() != 1_600_000_000 {
			t.Errorf("got %x at %v, %v", got, at, err)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("more got through: %v", err)
	}
}

// Outside of its home network the machine puts the policy for that in force, on all its ports.
func TestDefenseOutside(t *testing.T) {
	w := newWorld(t, firmware.Config{Domain: "home.example"}, pc.Options{On: true})
	id := policyOf(t, w, "outside", 1)
	ref := wsman.Ref("AMT_SystemDefensePolicy", "InstanceID", id)
	if _, err := amt.EnvironmentDetectionSettingDataSetSystemDefensePolicy.Invoke(t.Context(), w,
		amt.EnvironmentDetectionSettingDataSetSystemDefensePolicyIn{Policy: &ref}); err != nil {
		t.Fatal(err)
	}
	if got := receives(w, 80); got != nic.Passed {
		t.Errorf("at home: %v", got)
	}
	s, err := class.Get[amt.EnvironmentDetectionSettingData](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	s.DetectionStrings = []string{"elsewhere.example"}
	if _, err := class.Put(t.Context(), w, s); err != nil {
		t.Fatal(err)
	}
	if !w.Outside() {
		t.Fatal("it believes to be at home")
	}
	if got := receives(w, 80); got != nic.Dropped {
		t.Errorf("outside: %v", got)
	}
}

// What is sent from addresses that are not the PC's is dropped, and who lacks the realm changes nothing.
func TestDefenseAntiSpoofing(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	port, err := class.Get[amt.EthernetPortSettings](t.Context(), w, wsman.Selector{Name: "InstanceID", Value: "Intel(r) AMT Ethernet Port Settings 0"})
	if err != nil {
		t.Fatal(err)
	}
	port.DHCPEnabled, port.IpSyncEnabled, port.IPAddress, port.SubnetMask, port.DefaultGateway = new(false), new(false), new("192.0.2.10"), new("255.255.255.0"), new("192.0.2.1")
	if _, err := class.Put(t.Context(), w, port); err != nil {
		t.Fatal(err)
	}
	id := created(t, w, &amt.SystemDefensePolicy{PolicyName: new("honest"), PolicyPrecedence: new(uint32(1)), AntiSpoofingSupport: new(uint32(1)), TxDefaultDrop: new(false),
		TxDefaultCount: new(true), TxDefaultMatchEvent: new(false), RxDefaultDrop: new(false), RxDefaultCount: new(false), RxDefaultMatchEvent: new(false)})
	if err := bind(t, w, id); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]nic.Verdict{"192.0.2.10": nic.Passed, "0.0.0.0": nic.Passed, "203.0.113.1": nic.Dropped} {
		f := nic.Frame{Type: nic.TypeIPv4, From: netip.MustParseAddr(from), To: netip.MustParseAddr("198.51.100.7"), Protocol: nic.UDP, DstPort: 53, Ports: true}
		if got := w.OfferFrame(firmware.Wired, nic.Transmit, f.Append(nil)).Verdict; got != want {
			t.Errorf("from %s: %v, want %v", from, got, want)
		}
	}
	if _, code := w.add(t, w.newUser("reader", firmware.DefaultPassword, amt.RealmGeneralInfo)); code != status.Success {
		t.Fatal(code)
	}
	reader := w.login(t, "reader", firmware.DefaultPassword)
	_, err = class.Create(t.Context(), reader, tcpFilter("web", amt.FilterProfilePass, 80))
	deny(t, err, wsman.ErrAccessDenied)
}

func BenchmarkOfferFrame(b *testing.B) {
	m, err := firmware.New(firmware.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	frame := frameTo(80)
	b.ReportAllocs()
	for b.Loop() {
		m.OfferFrame(firmware.Wired, nic.Receive, frame)
	}
}
