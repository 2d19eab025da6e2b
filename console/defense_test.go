package console_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

var (
	thePC  = netip.MustParseAddr("192.0.2.10")
	server = netip.MustParseAddr("198.51.100.7")
)

// packet is one that the PC sends to the server; inbound turns it round.
func packet(protocol uint8, src, dst uint16) nic.Frame {
	return nic.Frame{Src: [6]byte{2, 0, 0, 0, 0, 1}, Dst: [6]byte{2, 0, 0, 0, 0, 2}, Type: nic.TypeIPv4, From: thePC, To: server, Protocol: protocol,
		SrcPort: src, DstPort: dst, Ports: protocol == nic.TCP || protocol == nic.UDP, Flags: nic.ACK}
}

func inbound(f nic.Frame) nic.Frame {
	f.Src, f.Dst, f.From, f.To, f.SrcPort, f.DstPort = f.Dst, f.Src, f.To, f.From, f.DstPort, f.SrcPort
	return f
}

// through reports whether the machine's network port lets a frame through.
func (m *managed) through(d nic.Direction, f nic.Frame) bool {
	return m.machine.Firmware.OfferFrame(firmware.Wired, d, f.Append(nil)).Verdict.Through()
}

// What is set is what the machine does with frames, and what it says of them.
func TestDefense(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	ctx := t.Context()
	net24, err := console.ParseDefenseAddresses("198.51.100.0/24")
	if err != nil {
		t.Fatal(err)
	}
	want := console.DefenseFilter{Name: "ssh", In: true, Action: console.DefenseDrop, Count: true, Event: true, Version: 4, Protocol: new(uint8(6)), Source: net24,
		DstPorts: &[2]uint16{22, 22}, FlagsOff: nic.SYN}
	got, err := m.AddDefenseFilter(ctx, want)
	if err != nil || got.Handle == 0 || got.Match() != "IPv4 tcp from 198.51.100.0/24 to port 22 flags !syn" {
		t.Fatalf("got %q, %+v, %v", got.Match(), got, err)
	}
	limit, err := m.AddDefenseFilter(ctx, console.DefenseFilter{Name: "pings", Action: console.DefenseLimit, Rate: 2, Version: 4, Protocol: new(nic.ICMP)})
	if err != nil || !limit.Count || limit.Rate != 2 {
		t.Fatal(limit, err)
	}
	vlan, err := m.AddDefenseFilter(ctx, console.DefenseFilter{Name: "vlan", Action: console.DefensePass, EtherType: nic.TypeARP, VLAN: new(uint16(12)), SrcMAC: "02:00:00:00:00:01/ff:ff:ff:00:00:00"})
	if err != nil || vlan.Match() != "ARP from 02:00:00:00:00:01/ff:ff:ff:00:00:00 VLAN 12" {
		t.Fatal(vlan.Match(), err)
	}
	policy, err := m.AddDefensePolicy(ctx, console.DefensePolicy{Name: "office", Precedence: 7, Out: console.DefenseDefault{Count: true}, Timeout: time.Hour}, "ssh", "pings")
	if err != nil || policy.Timeout != time.Hour {
		t.Fatal(policy, err)
	}
	if !m.through(nic.Receive, inbound(packet(nic.TCP, 22, 50000))) {
		t.Error("dropped before the policy was bound")
	}
	b, err := m.BindDefense(ctx, "office", console.OwnerConsole, "wired", false)
	if err != nil || !b.Active || !b.Enabled {
		t.Fatal(b, err)
	}
	if m.through(nic.Receive, inbound(packet(nic.TCP, 22, 50000))) {
		t.Error("the filter drops nothing")
	}
	if !m.through(nic.Transmit, packet(nic.UDP, 1, 2)) {
		t.Error("something else is dropped")
	}
	pings := 0
	at := time.Now()
	for range 5 {
		if m.machine.Firmware.OfferFrameAt(firmware.Wired, at, nic.Transmit, new(packet(nic.ICMP, 0, 0)).Append(nil)).Verdict.Through() {
			pings++
		}
	}
	if pings != 2 {
		t.Errorf("%d of 5 pings got through at a rate of 2", pings)
	}
	counts, err := m.DefenseStatistics(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	frames := map[string]uint32{}
	for _, n := range counts {
		if n.Port != "wired" || n.Policy != "office" || n.Since.IsZero() {
			t.Errorf("count %+v", n)
		}
		frames[n.Filter] = n.Frames
	}
	if frames["ssh"] != 1 || frames["pings"] != 5 || frames["Tx Default"] != 1 {
		t.Errorf("counts %v", frames)
	}
	events, err := m.Events(ctx)
	if err != nil || !slices.ContainsFunc(events.Records, func(r eventlog.Record) bool { return strings.Contains(r.Text(), "System Defense: filter") }) {
		t.Errorf("the log does not tell: %v", err)
	}

	// What is in use is left alone before anything is sent.
	spy := m.spy()
	if _, err := spy.RemoveDefenseFilters(ctx, "vlan", "ssh"); !errors.Is(err, console.ErrNotOffered) || m.changes() != nil {
		t.Errorf("a filter in use: %v, sent %v", err, m.sent)
	}
	if _, err := spy.RemoveDefensePolicies(ctx, "office"); !errors.Is(err, console.ErrNotOffered) || len(m.changes()) != 0 {
		t.Errorf("a policy in use: %v, sent %v", err, m.sent)
	}
	if gone, err := m.UnbindDefense(ctx, console.OwnerConsole, ""); err != nil || len(gone) != 1 {
		t.Error(gone, err)
	}
	if gone, err := m.RemoveDefensePolicies(ctx, "office"); err != nil || !slices.Equal(gone, []string{"office"}) {
		t.Error(gone, err)
	}
	if gone, err := m.RemoveDefenseFilters(ctx, "ssh", "pings", "vlan"); err != nil || len(gone) != 3 {
		t.Error(gone, err)
	}
	if d, err := m.Defense(ctx); err != nil || len(d.Filters)+len(d.Policies)+len(d.Bindings) != 0 {
		t.Errorf("left: %+v, %v", d, err)
	}
}

// changes are what was sent but for questions.
func (m *managed) changes() (out []string) {
	for _, s := range m.sent {
		if !strings.HasSuffix(s, ".GetTimeout") && !strings.HasSuffix(s, ".UpdateStatistics") {
			out = append(out, s)
		}
	}
	return out
}

// An isolated PC speaks to nobody but whom it may, and AMT does not notice; a release leaves nothing behind.
func TestIsolate(t *testing.T) {
	for _, profile := range []int{8, 12, 16} {
		version := ""
		if profile == 16 {
			version = "16.0.15.1620" // with plain ports
		}
		m := manage(t, lab.Machine{Profile: profile, Version: version, Power: "on", Wireless: &firmware.Wireless{}})
		ctx := t.Context()
		if _, err := m.AddDefensePolicy(ctx, console.DefensePolicy{Name: "other", Precedence: 1000}); err != nil {
			t.Fatal(err)
		}
		friend, err := console.ParseDefenseAddresses("203.0.113.5")
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.Isolate(ctx, console.Isolation{Keep: []string{"dhcp"}, Allow: []console.DefenseAddresses{friend}})
		if err != nil || !s.Isolated || !slices.Equal(s.Ports, []string{"wired", "wireless"}) || !slices.Equal(s.Keep, []string{"arp", "dhcp", "host 1"}) {
			t.Fatalf("%d: got %+v, %v", profile, s, err)
		}
		dhcp, arp, toFriend, amt := packet(nic.UDP, 68, 67), nic.Frame{Type: nic.TypeARP, From: thePC, To: server}, packet(nic.TCP, 50000, 443), inbound(packet(nic.TCP, 16992, 50000))
		toFriend.To = friend.First
		for _, tt := range []struct {
			name string
			d    nic.Direction
			f    nic.Frame
			want bool
		}{
			{"web", nic.Transmit, packet(nic.TCP, 50000, 80), false},
			{"web answers", nic.Receive, inbound(packet(nic.TCP, 50000, 80)), false},
			{"DNS", nic.Transmit, packet(nic.UDP, 50000, 53), false},
			{"ping", nic.Receive, inbound(packet(nic.ICMP, 0, 0)), false},
			{"DHCP", nic.Transmit, dhcp, true},
			{"DHCP answers", nic.Receive, inbound(dhcp), true},
			{"ARP", nic.Transmit, arp, true},
			{"the friend", nic.Transmit, toFriend, true},
			{"the friend's answer", nic.Receive, inbound(toFriend), true},
			{"AMT", nic.Receive, amt, true},
		} {
			if got := m.through(tt.d, tt.f); got != tt.want {
				t.Errorf("%d: %s: got %v", profile, tt.name, got)
			}
		}

		// Another way of isolating takes the place of the first.
		if s, err = m.Isolate(ctx, console.Isolation{Keep: []string{"dns"}, Ports: []string{"wired"}, Timeout: time.Hour}); err != nil ||
			!slices.Equal(s.Ports, []string{"wired"}) || !slices.Equal(s.Keep, []string{"arp", "dns", "dns tcp"}) || s.Timeout != time.Hour {
			t.Errorf("%d: again: %+v, %v", profile, s, err)
		}
		if !m.through(nic.Transmit, packet(nic.UDP, 50000, 53)) || m.through(nic.Transmit, dhcp) {
			t.Errorf("%d: it is still the first", profile)
		}
		ports, err := m.Release(ctx)
		if err != nil || !slices.Equal(ports, []string{"wired"}) {
			t.Errorf("%d: release: %v, %v", profile, ports, err)
		}
		d, err := m.Defense(ctx)
		if err != nil || len(d.Filters) != 0 || len(d.Policies) != 1 || len(d.Bindings) != 0 {
			t.Errorf("%d: left: %+v, %v", profile, d, err)
		}
		if !m.through(nic.Transmit, packet(nic.TCP, 50000, 80)) {
			t.Errorf("%d: released, and nothing gets through", profile)
		}
		if ports, err := m.Release(ctx); err != nil || ports != nil {
			t.Errorf("%d: released twice: %v, %v", profile, ports, err)
		}
	}
}

// When the machine says no on the way, what was made is taken back.
func TestIsolateTakesBack(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	refuse := console.Over(roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
		if req.Action == wsman.ActionCreate && wsman.ClassName(req.ResourceURI) == "AMT_NetworkPortSystemDefensePolicy" {
			return nil, wsman.ErrAccessDenied
		}
		return m.Client.RoundTrip(ctx, req)
	}), m.machine.Address)
	if _, err := refuse.Isolate(t.Context(), console.Isolation{Keep: []string{"dhcp"}}); !errors.Is(err, wsman.ErrAccessDenied) {
		t.Errorf("got %v", err)
	}
	if d, err := m.Defense(t.Context()); err != nil || len(d.Filters)+len(d.Policies)+len(d.Bindings) != 0 {
		t.Errorf("left: %+v, %v", d, err)
	}
}

// Nothing is sent of what the machine would refuse.
func TestDefenseRefusedBefore(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	ctx := t.Context()
	spy := m.spy()
	good := console.DefenseFilter{Name: "f", Action: console.DefensePass, Version: 4, Protocol: new(nic.TCP)}
	for name, spoil := range map[string]func(f *console.DefenseFilter){
		"name":            func(f *console.DefenseFilter) { f.Name = "seventeen letters" },
		"action":          func(f *console.DefenseFilter) { f.Action = "block" },
		"limit without":   func(f *console.DefenseFilter) { f.Action = console.DefenseLimit },
		"rate without":    func(f *console.DefenseFilter) { f.Rate = 1 },
		"both":            func(f *console.DefenseFilter) { f.EtherType = nic.TypeARP },
		"ports of what":   func(f *console.DefenseFilter) { f.Protocol, f.DstPorts = nil, &[2]uint16{1, 1} },
		"two ranges":      func(f *console.DefenseFilter) { f.SrcPorts, f.DstPorts = &[2]uint16{1, 2}, &[2]uint16{1, 1} },
		"address of IPv6": func(f *console.DefenseFilter) { f.Source.First = netip.MustParseAddr("2001:db8::1") },
		"flags of UDP":    func(f *console.DefenseFilter) { f.Protocol, f.FlagsOn = new(nic.UDP), nic.SYN },
		"DSCP":            func(f *console.DefenseFilter) { f.DSCP = []uint8{64} },
		"IP version":      func(f *console.DefenseFilter) { f.Version = 5 },
		"type that is none": func(f *console.DefenseFilter) {
			*f = console.DefenseFilter{Name: "f", Action: console.DefensePass, EtherType: 0x26}
		},
	} {
		f := good
		spoil(&f)
		if _, err := spy.AddDefenseFilter(ctx, f); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := spy.AddDefensePolicy(ctx, console.DefensePolicy{Name: "p"}, "nothing"); !errors.Is(err, console.ErrUsage) {
		t.Errorf("a filter that is not there: %v", err)
	}
	if _, err := spy.BindDefense(ctx, "nothing", console.OwnerConsole, "wired", false); !errors.Is(err, console.ErrUsage) {
		t.Errorf("a policy that is not there: %v", err)
	}
	if _, err := spy.SetDefenseHeuristics(ctx, func(*console.DefenseHeuristics) {}, false); !errors.Is(err, console.ErrUnsupported) {
		t.Errorf("heuristics of release 12: %v", err)
	}
	if _, err := spy.Isolate(ctx, console.Isolation{Keep: []string{"mail"}}); !errors.Is(err, console.ErrUsage) {
		t.Errorf("keep what: %v", err)
	}
	if got := m.changes(); got != nil {
		t.Errorf("sent %v", got)
	}
	locked := manage(t, lab.Machine{Profile: 12, ClientMode: true})
	if _, err := locked.Isolate(ctx, console.Isolation{}); !errors.Is(err, console.ErrNotOffered) || !strings.Contains(err.Error(), "client control mode") {
		t.Errorf("in client control mode: %v", err)
	}
	say := manage(t, lab.Machine{Profile: 12, Refuse: map[string]status.Status{"SetTimeout": status.InternalError}})
	if _, err := say.AddDefensePolicy(ctx, console.DefensePolicy{Name: "p", Timeout: time.Minute}); err == nil {
		t.Error("a refused timeout is no failure")
	} else if d, err := say.Defense(ctx); err != nil || len(d.Policies) != 0 {
		t.Errorf("and the policy without it is there: %+v, %v", d.Policies, err)
	}
}

func TestDefenseHeuristics(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 8, Power: "on"})
	h, err := m.SetDefenseHeuristics(t.Context(), func(h *console.DefenseHeuristics) {
		h.Enabled, h.Fast, h.FastClear, h.BlockPort, h.Encounter = true, 3, 100*time.Millisecond, true, time.Minute
	}, false)
	if err != nil || !h.Enabled || h.Fast != 3 || h.Found {
		t.Fatal(h, err)
	}
	at := time.Now()
	for i := range byte(3) {
		f := packet(nic.TCP, 50000, 445)
		f.To, f.Flags = netip.AddrFrom4([4]byte{10, 0, 0, i}), nic.SYN
		m.machine.Firmware.OfferFrameAt(firmware.Wired, at, nic.Transmit, f.Append(nil))
	}
	d, err := m.Defense(t.Context())
	if err != nil || !d.Heuristics.Found || d.Heuristics.Blocked != "protocol 6 port 445" {
		t.Errorf("got %+v, %v", d.Heuristics, err)
	}
	if h, err = m.SetDefenseHeuristics(t.Context(), func(h *console.DefenseHeuristics) { h.Enabled = false }, true); err != nil || h.Enabled || h.Found {
		t.Errorf("cleared: %+v, %v", h, err)
	}
}

func TestParseDefenseWords(t *testing.T) {
	for text, want := range map[string]string{"192.0.2.1": "192.0.2.1", "192.0.2.0/24": "192.0.2.0/24", "192.0.2.0/255.255.255.0": "192.0.2.0/24",
		"192.0.0.2/255.0.0.255": "192.0.0.2/255.0.0.255", "192.0.2.1-192.0.2.9": "192.0.2.1-192.0.2.9", "2001:db8::/32": "2001:db8::/32", "0.0.0.0/0": "0.0.0.0/0"} {
		if a, err := console.ParseDefenseAddresses(text); err != nil || a.String() != want {
			t.Errorf("%s: got %s, %v", text, a, err)
		}
	}
	for _, bad := range []string{"", "host", "192.0.2.1/33", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.1/ffff::", "fe80::1%eth0"} {
		if a, err := console.ParseDefenseAddresses(bad); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%q: got %s, %v", bad, a, err)
		}
	}
	if on, off, err := console.ParseDefenseFlags("SYN, !ack"); err != nil || on != nic.SYN || off != nic.ACK {
		t.Errorf("got %x, %x, %v", on, off, err)
	}
	for _, bad := range []string{"", "syn,!syn", "ece"} {
		if _, _, err := console.ParseDefenseFlags(bad); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if p, err := console.ParseDefensePorts("8000-8099"); err != nil || *p != [2]uint16{8000, 8099} {
		t.Error(p, err)
	}
	for _, bad := range []string{"", "a", "2-1", "65536", "1-"} {
		if _, err := console.ParseDefensePorts(bad); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
