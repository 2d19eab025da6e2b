package nic

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/outband/outband/internal/wiretest"
)

var (
	here  = netip.MustParseAddr("192.0.2.10")
	there = netip.MustParseAddr("198.51.100.7")
	here6 = netip.MustParseAddr("2001:db8::10")
	far6  = netip.MustParseAddr("2001:db8:1::7")
	noon  = time.Unix(1_700_000_000, 0)
	mac   = [6]byte{2, 0, 0, 0, 0, 1}
	other = [6]byte{2, 0, 0, 0, 0, 2}
)

// ip is a frame from here to there.
func ip(protocol uint8, src, dst uint16, flags uint8) Frame {
	f := Frame{Src: mac, Dst: other, Type: TypeIPv4, From: here, To: there, Protocol: protocol, SrcPort: src, DstPort: dst, Flags: flags}
	f.Ports = protocol == TCP || protocol == UDP
	return f
}

// ip6 is the same over IPv6.
func ip6(protocol uint8, src, dst uint16, flags uint8) Frame {
	f := ip(protocol, src, dst, flags)
	f.Type, f.From, f.To = TypeIPv6, here6, far6
	return f
}

// back turns a frame round.
func back(f Frame) Frame {
	f.Src, f.Dst, f.From, f.To, f.SrcPort, f.DstPort = f.Dst, f.Src, f.To, f.From, f.DstPort, f.SrcPort
	return f
}

// A SYN and a DNS query as tcpdump prints them of captures of its own test suite's kind: octets put together by hand from
// the RFCs.
const (
	synWire = "020000000002 020000000001 0800" +
		"4500 0028 1c46 4000 4006 0000 c000020a c6336407" +
		"c350 0050 00000001 00000000 5002 2000 0000 0000"
	dnsTagged = "020000000002 020000000001 8100 a00c 86dd" +
		"6b812345 0010 00 40 20010db8000000000000000000000010 20010db8000100000000000000000007" +
		"1100 010400000000" + // hop-by-hop, router alert and so on: padding
		"d431 0035 0008 0000"
)

func TestParseFrame(t *testing.T) {
	tagged := ip6(UDP, 54321, 53, 0)
	tagged.Tagged, tagged.VLAN, tagged.Priority, tagged.DSCP, tagged.Flow = true, 12, 5, 46, 0x12345
	fragment := ip(UDP, 0, 0, 0)
	fragment.Ports = false
	for _, tt := range []struct {
		name, wire string
		want       Frame
		err        error
	}{
		{"SYN", synWire, ip(TCP, 50000, 80, SYN), nil},
		{"tagged, IPv6 with an extension header", dnsTagged, tagged, nil},
		{"later fragment", "020000000002 020000000001 0800 4500 0028 1c46 0005 4011 0000 c000020a c6336407 c3500035", fragment, nil},
		{"cut in the IP header", "020000000002 020000000001 0800 4500 0028", Frame{Src: mac, Dst: other, Type: TypeIPv4}, nil},
		{"IP header longer than the frame", "020000000002 020000000001 0800 4f00 0028 1c46 0000 4011 0000 c000020a c6336407", Frame{Src: mac, Dst: other, Type: TypeIPv4}, nil},
		{"ARP", "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c000020a 000000000000 c6336407",
			Frame{Src: mac, Dst: [6]byte{255, 255, 255, 255, 255, 255}, Type: TypeARP, From: here, To: there}, nil},
		{"802.2", "0180c2000000 020000000001 0026 4242030000", Frame{Src: mac, Dst: [6]byte{1, 0x80, 0xc2}}, nil},
		{"no Ethernet", "020000000002 0200", Frame{}, ErrShort},
		{"cut in a tag", "020000000002 020000000001 8100 a0", Frame{Src: mac, Dst: other, Type: typeVLAN}, ErrShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseFrame(wiretest.Hex(t, tt.wire))
			if tt.err != nil {
				tt.want = got
			}
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
	if _, err := ParseFrame(make([]byte, MaxFrame+1)); !errors.Is(err, ErrLong) {
		t.Errorf("too long: %v", err)
	}
}

func TestAppendFrame(t *testing.T) {
	arp := Frame{Src: mac, Dst: other, Type: TypeARP, From: here, To: there}
	tagged := ip6(TCP, 1, 2, SYN|ACK)
	tagged.Tagged, tagged.VLAN, tagged.Priority, tagged.DSCP, tagged.Flow = true, 4094, 7, 63, 0xfffff
	for _, f := range []Frame{ip(TCP, 1, 2, FIN|URG), ip(UDP, 53, 1, 0), ip(ICMP, 0, 0, 0), ip(89, 0, 0, 0), ip6(UDP, 1, 2, 0), ip6(ICMPv6, 0, 0, 0), tagged, arp} {
		wire := f.Append(nil)
		if got, err := ParseFrame(wire); err != nil || got != f {
			t.Errorf("wrote %+v, read %+v, %v", f, got, err)
		}
		if len(wire) < 60 {
			t.Errorf("%d octets", len(wire))
		}
	}
	// The sum over a header with its check sum is all ones. RFC 1071.
	if wire := new(ip(TCP, 1, 2, 0)).Append(nil); checksum(0, wire[14:34]) != 0 {
		t.Errorf("check sum of %x", wire[14:34])
	}
}

func TestMatch(t *testing.T) {
	web, tagged, arp := ip(TCP, 50000, 80, SYN), ip(UDP, 1, 2, 0), Frame{Src: mac, Dst: other, Type: TypeARP, From: here, To: there}
	tagged.Tagged, tagged.VLAN, tagged.Priority, tagged.DSCP = true, 7, 3, 46
	cut := ip(TCP, 0, 0, 0)
	cut.Ports = false
	flow := ip6(UDP, 1, 2, 0)
	flow.Flow = 9
	mapped := ip6(TCP, 1, 2, 0)
	mapped.From = netip.MustParseAddr("::ffff:192.0.2.10")
	addr := netip.MustParseAddr
	for _, tt := range []struct {
		name string
		m    Match
		f    Frame
		want bool
	}{
		{"everything", Match{}, arp, true},
		{"ARP", Match{Type: new(TypeARP)}, arp, true},
		{"ARP, of IP", Match{Type: new(TypeARP)}, web, false},
		{"ARP has no IP addresses", Match{Src: &Addresses{First: here}}, arp, false},
		{"IPv4", Match{Version: 4}, web, true},
		{"IPv6, of IPv4", Match{Version: 6}, web, false},
		{"IPv6", Match{Version: 6}, ip6(TCP, 1, 2, 0), true},
		{"port", Match{Protocol: new(TCP), DstPort: &Ports{80, 80}}, web, true},
		{"first of a range", Match{Protocol: new(TCP), DstPort: &Ports{80, 90}}, web, true},
		{"last of a range", Match{Protocol: new(TCP), DstPort: &Ports{70, 80}}, web, true},
		{"beside a range", Match{Protocol: new(TCP), DstPort: &Ports{81, 90}}, web, false},
		{"the other side's port", Match{SrcPort: &Ports{80, 80}}, web, false},
		{"other protocol", Match{Protocol: new(UDP), DstPort: &Ports{80, 80}}, web, false},
		{"no ports there", Match{DstPort: &Ports{0, 65535}}, cut, false},
		{"network", Match{Dst: &Addresses{First: addr("198.51.100.0"), Mask: addr("255.255.255.0")}}, web, true},
		{"bits outside the mask", Match{Dst: &Addresses{First: addr("198.51.100.99"), Mask: addr("255.255.255.0")}}, web, true},
		{"other network", Match{Dst: &Addresses{First: addr("198.51.101.0"), Mask: addr("255.255.255.0")}}, web, false},
		{"range", Match{Dst: &Addresses{First: addr("198.51.100.1"), Last: there}}, web, true},
		{"above a range", Match{Dst: &Addresses{First: addr("198.51.100.1"), Last: addr("198.51.100.6")}}, web, false},
		{"IPv6 network", Match{Src: &Addresses{First: addr("2001:db8::"), Mask: addr("ffff:ffff::")}}, ip6(TCP, 1, 2, 0), true},
		{"IPv4 inside IPv6 is no IPv4", Match{Src: &Addresses{First: here}}, mapped, false},
		{"SYN", Match{On: SYN, Off: ACK}, web, true},
		{"SYN and ACK", Match{On: SYN, Off: ACK}, ip(TCP, 1, 2, SYN|ACK), false},
		{"flags of what is no TCP", Match{Off: ACK}, tagged, false},
		{"VLAN", Match{VLAN: new(uint16(7)), Priority: new(uint8(3))}, tagged, true},
		{"no VLAN", Match{VLAN: new(uint16(0))}, web, false},
		{"DSCP", Match{DSCP: []uint8{1, 46}}, tagged, true},
		{"flow", Match{Flow: new(uint32(9))}, flow, true},
		{"IPv4 has no flow", Match{Flow: new(uint32(0))}, web, false},
		{"MAC", Match{SrcMAC: &MACs{mac, [6]byte{255, 255, 255, 255, 255, 255}}}, web, true},
		{"vendor of a MAC", Match{DstMAC: &MACs{mac, [6]byte{255, 255, 255}}}, web, true},
		{"other MAC", Match{DstMAC: &MACs{mac, [6]byte{0, 0, 0, 0, 0, 255}}}, web, false},
	} {
		if got := tt.m.Has(&tt.f); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func offer(p *Port, at time.Time, d Direction, f Frame) Result {
	return p.OfferAt(at, d, f.Append(nil))
}

// Drop goes before pass, pass before the default; what counts is counted, in its direction only.
func TestPolicy(t *testing.T) {
	p := new(Port)
	if r := offer(p, noon, Receive, ip(TCP, 1, 80, SYN)); r.Verdict != Passed {
		t.Errorf("without a policy: %v", r.Verdict)
	}
	p.Apply(&Policy{Handle: 1, Filters: []Filter{
		{Handle: 11, Direction: Receive, Action: PassCount, Match: Match{Protocol: new(TCP)}},
		{Handle: 12, Direction: Receive, Action: DropCount, Event: true, Match: Match{DstPort: &Ports{80, 80}}},
		{Handle: 13, Direction: Receive, Action: Pass, Match: Match{DstPort: &Ports{80, 81}}},
	}, Default: [2]Default{Receive: {Drop: true, Count: true}}}, noon)
	for _, tt := range []struct {
		name string
		d    Direction
		f    Frame
		want Verdict
		by   uint32
	}{
		{"passed and dropped", Receive, ip(TCP, 1, 80, SYN), Dropped, 12},
		{"once more", Receive, ip(TCP, 1, 80, SYN), Dropped, 12},
		{"passed", Receive, ip(TCP, 1, 81, SYN), Passed, 0},
		{"default", Receive, ip(UDP, 1, 82, 0), Dropped, AllReceived},
		{"other direction", Transmit, ip(TCP, 1, 80, SYN), Passed, 0},
		{"AMT's own", Receive, ip(TCP, 50000, 16992, SYN), ToEngine, 0},
		{"AMT's own answer", Transmit, ip(TCP, 16993, 50000, ACK), ToEngine, 0},
		{"somebody else's AMT", Transmit, ip(TCP, 50000, 16992, SYN), Passed, 0},
	} {
		if r := offer(p, noon, tt.d, tt.f); r.Verdict != tt.want || r.By != tt.by {
			t.Errorf("%s: got %v by %d, want %v by %d", tt.name, r.Verdict, r.By, tt.want, tt.by)
		}
	}
	if r := p.OfferAt(noon, Receive, []byte("short")); r.Verdict != Broken || r.Verdict.Through() {
		t.Errorf("a broken frame: %v", r.Verdict)
	}
	want := []Count{{11, 3, true, false}, {12, 2, true, true}, {13, 0, true, false}, {AllSent, 0, true, false}, {AllReceived, 1, true, false}}
	if got := p.Counts(); !equal(got.Filters, want) || got.Policy != 1 || got.Since != noon {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func equal(a, b []Count) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// A rate is per second and per filter, and a drop filter goes before it.
func TestRate(t *testing.T) {
	p := new(Port)
	p.Apply(&Policy{Filters: []Filter{{Handle: 1, Direction: Transmit, Action: RateLimit, Rate: 2, Match: Match{Protocol: new(ICMP)}}}}, noon)
	var got []Verdict
	for i := range 8 {
		got = append(got, offer(p, noon.Add(time.Duration(i)*250*time.Millisecond), Transmit, ip(ICMP, 0, 0, 0)).Verdict)
	}
	for i, want := range []Verdict{Passed, Passed, Limited, Limited, Passed, Passed, Limited, Limited} {
		if got[i] != want {
			t.Errorf("frame %d: got %v, want %v", i, got[i], want)
		}
	}
	if r := offer(p, noon, Transmit, ip(UDP, 1, 2, 0)); r.Verdict != Passed {
		t.Errorf("what the rate is not of: %v", r.Verdict)
	}
	if c := p.Update(true, noon).Filters[0]; c.Frames != 8 {
		t.Errorf("counted %d of 8", c.Frames)
	}
	if c := p.Counts(); c.Filters[0].Frames != 0 || c.Filters[0].Matched || !c.Reset.Equal(noon) {
		t.Errorf("after the reset: %+v", c)
	}
}

// A filter tells once, until its statistics are read.
func TestEventOnce(t *testing.T) {
	p := new(Port)
	p.Apply(&Policy{Default: [2]Default{Receive: {Event: true}}}, noon)
	tells := func() bool { return len(offer(p, noon, Receive, ip(TCP, 1, 2, 0)).Events) > 0 }
	first, second := tells(), tells()
	p.Update(false, noon)
	if third := tells(); !first || second || !third {
		t.Errorf("told %v, %v, %v", first, second, third)
	}
}

func TestAntiSpoofing(t *testing.T) {
	p := new(Port)
	p.SetOwn(here)
	p.Apply(&Policy{AntiSpoofing: true, Filters: []Filter{{Handle: 1, Direction: Transmit, Action: PassCount}}}, noon)
	spoofed, dhcp := ip(UDP, 1, 2, 0), ip(UDP, 68, 67, 0)
	spoofed.From = netip.MustParseAddr("203.0.113.1")
	dhcp.From = netip.IPv4Unspecified()
	if r := offer(p, noon, Transmit, spoofed); r.Verdict != Dropped || r.By != AntiSpoofing || len(r.Events) != 1 {
		t.Errorf("spoofed: %+v", r)
	}
	for _, f := range []Frame{ip(UDP, 1, 2, 0), dhcp, ip6(UDP, 1, 2, 0)} {
		if r := offer(p, noon, Transmit, f); r.Verdict != Passed {
			t.Errorf("%+v: %v", f, r.Verdict)
		}
	}
	if r := offer(p, noon, Receive, back(ip(UDP, 1, 2, 0))); r.Verdict != Passed {
		t.Errorf("received: %v", r.Verdict)
	}
	if c := p.Counts(); c.Filters[0].Frames != 3 || c.Filters[3].Frames != 1 {
		t.Errorf("counts %+v", c.Filters)
	}
}

// The same policy goes on counting; another one begins anew. Counts can be kept and brought back.
func TestApplyAgain(t *testing.T) {
	one := Policy{Handle: 1, Filters: []Filter{{Handle: 5, Direction: Receive, Action: PassCount}}}
	p := new(Port)
	p.Apply(&one, noon)
	offer(p, noon, Receive, ip(TCP, 1, 2, 0))
	changed := one
	changed.Filters = []Filter{{Handle: 5, Direction: Receive, Action: DropCount}}
	p.Apply(&changed, noon.Add(time.Hour))
	if r := offer(p, noon, Receive, ip(TCP, 1, 2, 0)); r.Verdict != Dropped {
		t.Errorf("the changed filter: %v", r.Verdict)
	}
	kept := p.Counts()
	if kept.Filters[0].Frames != 2 || !kept.Since.Equal(noon) {
		t.Errorf("got %+v", kept)
	}
	again := new(Port)
	again.Restore(kept) // without the policy nothing is brought back
	again.Apply(&one, noon)
	again.Restore(kept)
	if got := again.Counts(); !equal(got.Filters, kept.Filters) {
		t.Errorf("restored %+v", got)
	}
	p.Apply(&Policy{Handle: 2}, noon)
	if h, ok := p.Active(); !ok || h != 2 || p.Counts().Filters[0].Frames != 0 {
		t.Errorf("another policy: %d, %v", h, ok)
	}
	p.Apply(nil, noon)
	if _, ok := p.Active(); ok {
		t.Error("a policy is left")
	}
}

func TestHeuristics(t *testing.T) {
	scan := func(p *Port, n int, gap time.Duration) (at int, trigger Trigger) {
		for i := range n {
			f := ip(TCP, 1024, 445, SYN)
			f.To = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			if r := offer(p, noon.Add(time.Duration(i)*gap), Transmit, f); r.Trigger != NoTrigger {
				return i + 1, r.Trigger
			}
		}
		return 0, NoTrigger
	}
	settings := Heuristics{Enabled: true, FastLimit: 8, FastClear: 100 * time.Millisecond, SlowLimit: 20, SlowClear: 10 * time.Second, BlockPort: true, Encounter: time.Minute}
	for _, tt := range []struct {
		name string
		gap  time.Duration
		at   int
		want Trigger
	}{
		{"fast", 10 * time.Millisecond, 8, FastTrigger},
		{"slow", time.Second, 20, SlowTrigger},
		{"quiet", 11 * time.Second, 0, NoTrigger},
	} {
		p := new(Port)
		p.Watch(settings)
		if at, got := scan(p, 40, tt.gap); at != tt.at || got != tt.want {
			t.Errorf("%s: trigger %d at connection %d, want %d at %d", tt.name, got, at, tt.want, tt.at)
		}
	}
	p := new(Port)
	p.Watch(settings)
	scan(p, 8, 0)
	late := noon.Add(59 * time.Second)
	if found, on := p.Encounter(late); !on || found.Port != 445 || found.Protocol != TCP {
		t.Errorf("encounter %+v, %v", found, on)
	}
	if r := offer(p, late, Transmit, ip(TCP, 1, 445, SYN)); r.Verdict != Dropped {
		t.Errorf("the offensive port: %v", r.Verdict)
	}
	if r := offer(p, late, Transmit, ip(TCP, 1, 443, SYN)); r.Verdict != Passed {
		t.Errorf("another port: %v", r.Verdict)
	}
	if r := offer(p, noon.Add(time.Minute), Transmit, ip(TCP, 1, 445, SYN)); r.Verdict != Passed {
		t.Errorf("when it is over: %v", r.Verdict)
	}
	// The same peer again and again is no worm.
	p = new(Port)
	p.Watch(settings)
	for range 100 {
		if r := offer(p, noon, Transmit, ip(TCP, 1, 443, SYN)); r.Trigger != NoTrigger {
			t.Fatal("triggered by one peer")
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, wire := range []string{synWire, dnsTagged, "020000000002 020000000001 86dd 60000000 0008 2c 40"} {
		f.Add(wiretest.Hex(f, wire))
	}
	p := new(Port)
	p.SetOwn(here)
	p.Apply(&Policy{AntiSpoofing: true, Filters: []Filter{{Handle: 1, Action: RateLimit, Rate: 3, Match: Match{Version: 4, On: SYN, Src: &Addresses{First: here, Mask: there}}},
		{Handle: 2, Direction: Receive, Action: DropCount, Match: Match{Src: &Addresses{First: here6, Last: far6}, DstPort: &Ports{1, 2}}}}}, noon)
	p.Watch(Heuristics{Enabled: true, FastLimit: 5, FastClear: time.Second, BlockAll: true, Encounter: time.Second})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseFrame(b)
		for _, d := range []Direction{Transmit, Receive} {
			if r := p.OfferAt(noon, d, b); (r.Verdict == Broken) != (err != nil) {
				t.Errorf("%v: %v", r.Verdict, err)
			}
		}
		if err != nil || got.Type != TypeIPv4 && got.Type != TypeIPv6 || !got.From.IsValid() {
			return
		}
		// What was read can be written, and reads the same; a later fragment has lost that it is one.
		again, err := ParseFrame(got.Append(nil))
		if got.Ports && (err != nil || again != got) && got.Protocol != 0 {
			t.Errorf("wrote %+v, read %+v, %v", got, again, err)
		}
	})
}

func BenchmarkOffer(b *testing.B) {
	policy := Policy{Default: [2]Default{Receive: {Drop: true, Count: true}}}
	for i := range uint16(32) {
		policy.Filters = append(policy.Filters, Filter{Handle: uint32(i) + 1, Direction: Receive, Action: PassCount,
			Match: Match{Version: 4, Protocol: new(TCP), Dst: &Addresses{First: here, Mask: netip.MustParseAddr("255.255.255.0")}, DstPort: &Ports{i * 100, i*100 + 9}}})
	}
	frame := bytes.Clone(new(ip(TCP, 1, 65000, ACK)).Append(nil))
	for _, tt := range []struct {
		name   string
		policy *Policy
	}{{"no policy", nil}, {"32 filters", &policy}} {
		b.Run(tt.name, func(b *testing.B) {
			p := new(Port)
			p.Apply(tt.policy, noon)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				p.OfferAt(noon, Receive, frame)
			}
		})
	}
}
