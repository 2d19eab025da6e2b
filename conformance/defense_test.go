package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/pcap"
	"github.com/outband/outband/wire/wsman"
)

// traffic is a capture of frames that the PC receives: of several protocols, addresses, ports and flags, over IPv4 and
// IPv6, with VLAN tags and without.
func traffic(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file)
	check(t, err)
	at := time.Unix(1_700_000_000, 0)
	add := func(f nic.Frame) {
		f.Src, f.Dst = [6]byte{2, 0, 0, 0, 0, 9}, [6]byte{2, 0, 0, 0, 0, 1}
		check(t, w.Write(f.Append(nil), at))
		at = at.Add(time.Millisecond)
	}
	four := []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("10.1.2.3")}
	six := []netip.Addr{netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("2001:db8:1::7"), netip.MustParseAddr("fe80::1")}
	for _, vlan := range []uint16{0, 12} {
		for _, list := range [][]netip.Addr{four, six} {
			for i, from := range list {
				to := list[(i+1)%len(list)]
				base := nic.Frame{Type: nic.TypeIPv4, From: from, To: to, Tagged: vlan > 0, VLAN: vlan, DSCP: uint8(i) * 10}
				icmp := nic.ICMP
				if from.Is6() {
					base.Type, icmp = nic.TypeIPv6, nic.ICMPv6
				} else {
					arp := base
					arp.Type = nic.TypeARP
					add(arp)
				}
				for _, protocol := range []uint8{nic.TCP, nic.UDP, icmp, 89} {
					f := base
					if f.Protocol = protocol; protocol != nic.TCP && protocol != nic.UDP {
						add(f)
						continue
					}
					for _, port := range []uint16{22, 53, 80, 8000, 8050, 8099, 8100} {
						f.SrcPort, f.DstPort = 50000+port, port
						for _, flags := range []uint8{nic.SYN, nic.SYN | nic.ACK, nic.ACK, nic.FIN | nic.ACK} {
							if f.Flags = flags; protocol == nic.TCP || flags == nic.SYN {
								add(f)
							}
						}
					}
				}
			}
		}
	}
	return file.Bytes()
}

// frames reads a capture.
func frames(t *testing.T, capture []byte) (out []string) {
	t.Helper()
	r, err := pcap.NewReader(bytes.NewReader(capture))
	check(t, err)
	for {
		frame, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		check(t, err)
		out = append(out, string(frame))
	}
}

// tcpdump reads a capture, and writes one of the frames that an expression is for.
func tcpdump(t *testing.T, capture []byte, expression string) []byte {
	t.Helper()
	got := run(t, nil, string(capture), tool(t, "tcpdump", "tcpdump"), "-r", "-", "-w", "-", expression)
	if got.code != 0 {
		t.Fatalf("tcpdump %q: exit code %d, %s", expression, got.code, got.err)
	}
	return []byte(got.out)
}

// What our filters are for is what tcpdump selects by the same words: the same frames get through, and as many are
// counted. tcpdump reads our captures, and what it writes we read.
func TestTcpdumpJudgesFilters(t *testing.T) {
	all := traffic(t)
	if n := len(frames(t, tcpdump(t, all, ""))); n != len(frames(t, all)) || n < 300 {
		t.Fatalf("tcpdump reads %d of %d frames", n, len(frames(t, all)))
	}
	w := machine(t, lab.Machine{Profile: 12, Power: "on"})
	c := manager(t, w)
	addresses := func(text string) console.DefenseAddresses {
		a, err := console.ParseDefenseAddresses(text)
		check(t, err)
		return a
	}
	// tcpdump looks for plain frames unless told to look behind a tag; AMT's filters look behind it always.
	either := func(expression string) string { return fmt.Sprintf("(%s) or (vlan and (%s))", expression, expression) }
	for i, tt := range []struct {
		expression string
		filter     console.DefenseFilter
	}{
		{either("arp"), console.DefenseFilter{EtherType: nic.TypeARP}},
		{either("ip6"), console.DefenseFilter{EtherType: nic.TypeIPv6}},
		{"vlan 12 and arp", console.DefenseFilter{EtherType: nic.TypeARP, VLAN: new(uint16(12))}},
		{either("ip"), console.DefenseFilter{Version: 4}},
		{either("ip and tcp"), console.DefenseFilter{Version: 4, Protocol: new(nic.TCP)}},
		{either("ip6 and udp"), console.DefenseFilter{Version: 6, Protocol: new(nic.UDP)}},
		{either("icmp"), console.DefenseFilter{Version: 4, Protocol: new(nic.ICMP)}},
		{either("icmp6"), console.DefenseFilter{Version: 6, Protocol: new(nic.ICMPv6)}},
		{either("ip proto 89"), console.DefenseFilter{Version: 4, Protocol: new(uint8(89))}},
		{either("ip and tcp dst port 22"), console.DefenseFilter{Version: 4, Protocol: new(nic.TCP), DstPorts: &[2]uint16{22, 22}}},
		{either("ip and udp src port 50053"), console.DefenseFilter{Version: 4, Protocol: new(nic.UDP), SrcPorts: &[2]uint16{50053, 50053}}},
		{either("ip6 and tcp dst portrange 8000-8099"), console.DefenseFilter{Version: 6, Protocol: new(nic.TCP), DstPorts: &[2]uint16{8000, 8099}}},
		{either("ip src host 192.0.2.77"), console.DefenseFilter{Version: 4, Source: addresses("192.0.2.77")}},
		{either("ip dst net 192.0.2.0/26"), console.DefenseFilter{Version: 4, Dest: addresses("192.0.2.0/26")}},
		{either("ip and src net 192.0.2.0/24 and dst host 198.51.100.7 and tcp"),
			console.DefenseFilter{Version: 4, Source: addresses("192.0.2.0/24"), Dest: addresses("198.51.100.7"), Protocol: new(nic.TCP)}},
		{either("ip6 src net 2001:db8::/32"), console.DefenseFilter{Version: 6, Source: addresses("2001:db8::/32")}},
		{either("ip and tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"), console.DefenseFilter{Version: 4, Protocol: new(nic.TCP), FlagsOn: nic.SYN, FlagsOff: nic.ACK}},
		{either("ip and tcp[tcpflags] & (tcp-fin) != 0"), console.DefenseFilter{Version: 4, Protocol: new(nic.TCP), FlagsOn: nic.FIN}},
		{either("ip and ip[1] & 0xfc == 80"), console.DefenseFilter{Version: 4, DSCP: []uint8{20}}},
	} {
		f := tt.filter
		f.Name, f.In, f.Action, f.Count = fmt.Sprintf("f%d", i), true, console.DefensePass, true
		_, err := c.AddDefenseFilter(t.Context(), f)
		check(t, err)
		_, err = c.AddDefensePolicy(t.Context(), console.DefensePolicy{Name: "judged", In: console.DefenseDefault{Drop: true}}, f.Name)
		check(t, err)
		_, err = c.BindDefense(t.Context(), "judged", console.OwnerConsole, "wired", false)
		check(t, err)
		var passed bytes.Buffer
		_, err = w.Firmware.Replay(t.Context(), firmware.Wired, bytes.NewReader(all), &passed)
		check(t, err)
		got, want := frames(t, passed.Bytes()), frames(t, tcpdump(t, all, tt.expression))
		if len(want) == 0 || strings.Join(got, "") != strings.Join(want, "") {
			t.Errorf("%s: %d frames get through, tcpdump selects %d", tt.expression, len(got), len(want))
		}
		counts, err := c.DefenseStatistics(t.Context(), false)
		check(t, err)
		for _, n := range counts {
			if n.Filter == f.Name && int(n.Frames) != len(want) {
				t.Errorf("%s: %d frames counted, tcpdump selects %d", tt.expression, n.Frames, len(want))
			}
		}
		_, err = c.UnbindDefense(t.Context(), console.OwnerConsole, "")
		check(t, err)
		_, err = c.RemoveDefensePolicies(t.Context(), "judged")
		check(t, err)
	}
}

// The library lists our Ethernet filters. It knows their names and directions only.
func TestGoWsmanReadsFilters(t *testing.T) {
	for _, generation := range readable {
		w := machine(t, lab.Machine{Profile: generation, Power: "on"})
		_, err := manager(t, w).AddDefenseFilter(t.Context(), console.DefenseFilter{Name: "arp in", In: true, Action: console.DefenseDrop, EtherType: nic.TypeARP})
		check(t, err)
		theirs := gowsman(t, w)
		begun, err := theirs.AMT.Hdr8021Filter.Enumerate()
		check(t, err)
		list, err := theirs.AMT.Hdr8021Filter.Pull(begun.Body.EnumerateResponse.EnumerationContext)
		check(t, err)
		items := list.Body.PullResponse.Hdr8021FilterItems
		if len(items) != 1 || items[0].Name != "arp in" || items[0].FilterDirection != 1 || items[0].CreationClassName != "AMT_Hdr8021Filter" {
			t.Errorf("%d: got %+v", generation, items)
		}
	}
}

// meshRequest is one as MeshCommander writes it: keys that say 0, element names with a blank, references without an address.
func meshRequest(class, action, selectors, body string) string {
	uri := "http://intel.com/wbem/wscim/1/amt-schema/1/" + class
	if !strings.Contains(action, "/") {
		action = uri + "/" + action
	}
	return `<?xml version="1.0" encoding="utf-8"?><Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ` +
		`xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns="http://www.w3.org/2003/05/soap-envelope">` +
		`<Header><a:Action>` + action + `</a:Action><a:To>/wsman</a:To><w:ResourceURI>` + uri + `</w:ResourceURI><a:MessageID>3</a:MessageID><a:ReplyTo>` +
		`<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo><w:OperationTimeout>PT60.000S</w:OperationTimeout>` +
		selectors + `</Header><Body>` + strings.ReplaceAll(body, `"URI"`, `"`+uri+`"`) + `</Body></Envelope>`
}

// bareReference is one to a port or a policy.
func bareReference(uri, name, value string) string {
	return `<a:Address></a:Address><a:ReferenceParameters><w:ResourceURI>` + uri + `</w:ResourceURI><w:SelectorSet><w:Selector Name="` + name + `">` + value +
		`</w:Selector></w:SelectorSet></a:ReferenceParameters>`
}

// What another console writes by hand is carried out, frame by frame; our console reads it.
func TestForeignDefense(t *testing.T) {
	const (
		create   = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"
		remove   = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete"
		portURI  = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_EthernetPort"
		policyAt = "http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SystemDefensePolicy"
	)
	w := machine(t, lab.Machine{Profile: 11, Power: "on"})
	handle := func(answer *wsman.Element) string {
		var found string
		var walk func(e *wsman.Element)
		walk = func(e *wsman.Element) {
			if name, _ := e.Attr("Name"); e.Local == "Selector" && name == "InstanceID" {
				found = e.TrimText()
			}
			for i := range e.Children {
				walk(&e.Children[i])
			}
		}
		walk(answer)
		return found
	}
	filter := handle(ask(t, w, meshRequest("AMT_IPHeadersFilter", create, "", `<r:AMT_IPHeadersFilter xmlns:r="URI"><r:ActionEventOnMatch>1</r:ActionEventOnMatch>`+
		`<r:CreationClassName>0</r:CreationClassName><r:FilterDirection>1</r:FilterDirection><r:FilterProfile>1</r:FilterProfile><r:HdrDestPortEnd>22</r:HdrDestPortEnd>`+
		`<r:HdrDestPortStart>22</r:HdrDestPortStart><r:HdrIPVersion>4</r:HdrIPVersion><r:HdrProtocolID>6</r:HdrProtocolID><r:HdrSrcAddress>C6336400</r:HdrSrcAddress>`+
		`<r:HdrSrcMask>FFFFFF00</r:HdrSrcMask><r:InstanceID >0</r:InstanceID ><r:Name>ssh</r:Name><r:SystemCreationClassName>0</r:SystemCreationClassName>`+
		`<r:SystemName>0</r:SystemName></r:AMT_IPHeadersFilter>`)))
	equal(t, "handle", filter, "1")
	id := handle(ask(t, w, meshRequest("AMT_SystemDefensePolicy", create, "", `<r:AMT_SystemDefensePolicy xmlns:r="URI"><r:AntiSpoofingSupport>0</r:AntiSpoofingSupport>`+
		`<r:FilterCreationHandles>`+filter+`</r:FilterCreationHandles><r:InstanceID>0</r:InstanceID><r:PolicyName>foreign</r:PolicyName><r:PolicyPrecedence>1</r:PolicyPrecedence>`+
		`<r:RxDefaultCount>true</r:RxDefaultCount><r:RxDefaultDrop>false</r:RxDefaultDrop><r:RxDefaultMatchEvent>false</r:RxDefaultMatchEvent>`+
		`<r:TxDefaultCount>false</r:TxDefaultCount><r:TxDefaultDrop>true</r:TxDefaultDrop><r:TxDefaultMatchEvent>false</r:TxDefaultMatchEvent></r:AMT_SystemDefensePolicy>`)))
	port, policy := bareReference(portURI, "DeviceID", "Intel(r) AMT Ethernet Port 0"), bareReference(policyAt, "InstanceID", id)
	binding := ask(t, w, meshRequest("AMT_NetworkPortSystemDefensePolicy", create, "", `<r:AMT_NetworkPortSystemDefensePolicy xmlns:r="URI"><r:Antecedent>`+port+
		`</r:Antecedent><r:Dependent>`+policy+`</r:Dependent></r:AMT_NetworkPortSystemDefensePolicy>`))
	equal(t, "answer", binding.Local, "ResourceCreated")

	offer := func(d nic.Direction, from string, port uint16) bool {
		f := nic.Frame{Type: nic.TypeIPv4, From: netip.MustParseAddr(from), To: netip.MustParseAddr("192.0.2.10"), Protocol: nic.TCP, SrcPort: 50000, DstPort: port, Ports: true}
		return w.Firmware.OfferFrame(firmware.Wired, d, f.Append(nil)).Verdict.Through()
	}
	for _, tt := range []struct {
		d    nic.Direction
		from string
		port uint16
		want bool
	}{{nic.Receive, "198.51.100.7", 22, false}, {nic.Receive, "203.0.113.7", 22, true}, {nic.Receive, "198.51.100.7", 80, true}, {nic.Transmit, "192.0.2.10", 80, false}} {
		if got := offer(tt.d, tt.from, tt.port); got != tt.want {
			t.Errorf("%v from %s to port %d: through %v", tt.d, tt.from, tt.port, got)
		}
	}
	updated := ask(t, w, meshRequest("AMT_SystemDefensePolicy", "UpdateStatistics", `<w:SelectorSet><w:Selector Name="InstanceID">`+id+`</w:Selector></w:SelectorSet>`,
		`<r:UpdateStatistics_INPUT xmlns:r="URI"><r:NetworkInterface>`+port+`</r:NetworkInterface><r:ResetOnRead>false</r:ResetOnRead></r:UpdateStatistics_INPUT>`))
	equal(t, "UpdateStatistics", updated.ChildText("ReturnValue"), "0")
	equal(t, "filters of the machine", len(w.instances(t, "AMT_IPHeadersFilter")), 1)

	c := manager(t, w)
	d, err := c.Defense(t.Context())
	check(t, err)
	if len(d.Filters) != 1 || d.Filters[0].Match() != "IPv4 tcp from 198.51.100.0/24 to port 22" || len(d.Bindings) != 1 || !d.Bindings[0].Active || d.Bindings[0].Name != "foreign" {
		t.Errorf("our console reads %+v", d)
	}
	counts, err := c.DefenseStatistics(t.Context(), false)
	check(t, err)
	if len(counts) == 0 || counts[0].Filter != "ssh" || counts[0].Frames != 1 {
		t.Errorf("our console reads %+v", counts)
	}
	gone := meshRequest("AMT_NetworkPortSystemDefensePolicy", remove, `<w:SelectorSet><w:Selector Name="Antecedent"><a:EndpointReference>`+port+`</a:EndpointReference></w:Selector>`+
		`<w:Selector Name="Dependent"><a:EndpointReference>`+policy+`</a:EndpointReference></w:Selector></w:SelectorSet>`, "")
	if got := curl(t, w, "/wsman", password, gone); !strings.Contains(got, "DeleteResponse") {
		t.Errorf("the answer to Delete is %s", got)
	}
	if !offer(nic.Receive, "198.51.100.7", 22) || len(w.instances(t, "AMT_NetworkPortSystemDefensePolicy")) != 0 {
		t.Error("it still filters")
	}
}
