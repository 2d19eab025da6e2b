package mei

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/outband/outband/wire/guid"
)

var mkhi = Properties{Client: MKHI, Version: 1, MaxConnections: 5, MaxMsgLen: 2048}

// Bytes marked so were observed on the wire of the unmodified Linux 6.1 driver, spec mei.md section 8.1; the others
// follow its table.
var messages = []struct {
	name, wire string
	want       Message
}{
	{"start, observed", "01 00 02 02", StartRequest{Version{2, 2}}},
	{"start answer, observed", "81 01 02 02", StartReply{true, Version{2, 2}}},
	{"start answer 2.0 only, observed", "81 00 00 02", StartReply{false, Version{2, 0}}},
	{"stop", "02 06 00 00", StopRequest{StopS3}},
	{"stop answer", "82 00 00 00", StopReply{}},
	{"ME stop", "03 00 00 00", MEStopRequest{StopDriver}},
	{"enumerate, observed", "04 03 00 00", EnumerateRequest{AllowAdd: true, Immediate: true}},
	{"enumerate answer", "84 000000 82 00000000 01" + "0000000000000000000000000000000000000000000000000000",
		EnumerateReply{[32]byte{0: 0x82, 5: 1}}},
	{"properties, observed", "05 07 00 00", PropertiesRequest{7}},
	{"properties answer, observed", "85 07 00 00 15676A8E BC9A 4340 88EF9E39C6F63E0F 01 05 00 00 00080000", PropertiesReply{7, 0, mkhi}},
	{"connect, observed", "06 20 01 00", ConnectRequest{32, 1}},
	{"connect answer, observed", "86 20 01 00", ConnectReply{32, 1, StatusSuccess}},
	{"connect refused", "86 20 02 03", ConnectReply{32, 2, StatusRejected}},
	{"disconnect, observed", "07 20 01 00", DisconnectRequest{32, 1}},
	{"disconnect answer, observed", "87 20 01 00", DisconnectReply{32, 1, StatusSuccess}},
	{"credit, observed", "08 20 01 00 00000000", FlowControl{32, 1}},
	{"gate entry", "0a 00 00 00", GateEntryRequest{}},
	{"gate entry answer", "8a 00 00 00", GateEntryReply{}},
	{"gate exit", "0b 00 00 00", GateExitRequest{}},
	{"gate exit answer", "8b 00 00 00", GateExitReply{}},
	{"add client", "0f 09 00 00 15676A8E BC9A 4340 88EF9E39C6F63E0F 01 05 00 00 00080000", AddClientRequest{9, mkhi}},
	{"add client answer", "8f 09 00 00", AddClientReply{9, StatusSuccess}},
	{"events on, observed", "10 20 01 01", NotifyRequest{32, 1, true}},
	{"events answer, observed", "90 20 01 00 01 000000", NotifyReply{32, 1, StatusSuccess, true}},
	{"event", "11 20 01 00", Notification{32, 1}},
	{"DMA rings", "12 000000 01000000 00002000 00000200 01000000 00004000 00000200 00000000 00001000 00100000",
		DMASetupRequest{[3]Ring{{0x1_00200000, 131072}, {0x1_00400000, 131072}, {0x100000, 4096}}}},
	{"DMA refused, observed", "92 01 00 00", DMASetupReply{StatusNotFound}},
	{"capabilities, observed", "13 05 00 00", CapabilitiesRequest{CapTags | CapClientDMA}},
	{"capabilities answer, observed", "93 00 00 00", CapabilitiesReply{}},
	{"client map", "14 02 0000 00001000 01000000 00200000", ClientMapRequest{2, 0x1_00100000, 8192}},
	{"client map answer", "94 05 0000", ClientMapReply{StatusNotAllowed}},
	{"client unmap", "15 00 0000", ClientUnmapRequest{}},
	{"client unmap answer", "95 05 0000", ClientUnmapReply{StatusNotAllowed}},
}

func TestMessages(t *testing.T) {
	for _, tt := range messages {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := Parse(wire)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if again := got.Append(nil); !bytes.Equal(again, wire) {
				t.Errorf("wrote % x, read % x", again, wire)
			}
			for n := range wire {
				if _, err := Parse(wire[:n]); !errors.Is(err, ErrShort) {
					t.Errorf("%d bytes: %v", n, err)
				}
			}
		})
	}
	if _, err := Parse([]byte{0x7f, 0, 0, 0}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("unknown command: %v", err)
	}
}

func TestPackets(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		want       Packet
		err        error
	}{
		{"host bus message", "00000480 01000202", Packet{Complete: true, Payload: []byte{1, 0, 2, 2}}, nil},
		{"padded", "20 01 05 80 0102030405 000000", Packet{ME: 32, Host: 1, Complete: true, Payload: []byte{1, 2, 3, 4, 5}}, nil},
		{"fragment", "20 01 02 00 0102 0000", Packet{ME: 32, Host: 1, Payload: []byte{1, 2}}, nil},
		{"no payload", "20 01 00 80", Packet{ME: 32, Host: 1, Complete: true}, nil},
		{"tag", "20 01 0a 90 01010000 01010700 aabb 0000", Packet{ME: 32, Host: 1, Complete: true,
			Extensions: []Extension{{1, []byte{7, 0}}}, Payload: []byte{0xaa, 0xbb}}, nil},
		{"DMA", "20 01 04 a0 00100000", Packet{ME: 32, Host: 1, Complete: true, DMA: true, Payload: []byte{0, 16, 0, 0}}, nil},
		{"zeros", "00000000", Packet{}, ErrCorrupt},
		{"zeros but for the internal bit", "00000040", Packet{}, ErrCorrupt},
		{"reserved bit", "20 01 00 82", Packet{}, ErrCorrupt},
		{"no room for the extended header", "20 01 02 90 01010000", Packet{}, ErrCorrupt},
		{"extended header too long", "20 01 04 90 01010000", Packet{}, ErrCorrupt},
		{"entry without length", "20 01 08 90 01010000 01000700", Packet{}, ErrCorrupt},
		{"entry too long", "20 01 08 90 01010000 01020700", Packet{}, ErrCorrupt},
		{"more entries than bytes", "20 01 08 90 02010000 01010700", Packet{}, ErrCorrupt},
		{"DMA without length", "20 01 02 a0 00100000", Packet{}, ErrCorrupt},
		{"cut in the header", "20 01 05", Packet{}, ErrShort},
		{"cut in the payload", "20 01 05 80 01020304", Packet{}, ErrShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, rest, err := ParsePacket(append(wire, 0xee)[:len(wire)])
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if len(got.Payload) == 0 {
				got.Payload = nil
			}
			if !reflect.DeepEqual(got, tt.want) || len(rest) != 0 {
				t.Fatalf("got %+v and %d bytes, want %+v", got, len(rest), tt.want)
			}
			if again := got.Append(nil); !bytes.Equal(again, wire) {
				t.Errorf("wrote % x, read % x", again, wire)
			}
		})
	}
}

func TestProperties(t *testing.T) {
	want := Properties{Client: AMTHI, Version: 1, MaxConnections: 3, Fixed: true, SharedBuffer: true, Tags: true, MaxMsgLen: 5120}
	wire := unhex(t, "2800F812 B7B4 2D4B ACA8 46E0FF65814C 01 03 01 03 00140000")
	got, rest, err := ParseProperties(wire)
	if got != want || err != nil || len(rest) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if again := want.Append(nil); !bytes.Equal(again, wire) {
		t.Errorf("wrote % x", again)
	}
	if _, _, err := ParseProperties(wire[:23]); !errors.Is(err, ErrShort) {
		t.Errorf("got %v", err)
	}
}

func TestKnownClients(t *testing.T) {
	for want, g := range map[string]guid.GUID{
		"12f80028-b4b7-4b2d-aca8-46e0ff65814c": AMTHI,
		"6733a4db-0476-4e7b-b3af-bcfc29bee7a7": LME,
		"05b79a6f-4628-4d7f-899d-a91514cb32ab": Watchdog,
		"8e6a6715-9abc-4043-88ef-9e39c6f63e0f": MKHI,
		"55213584-9a29-4916-badf-0fb7ed682aeb": MKHIFixed,
	} {
		if g.String() != want {
			t.Errorf("got %v, want %v", g, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range messages {
		f.Add(unhex(f, m.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		wire := m.Append(nil)
		if len(wire) != size(b[0]) || wire[0] != b[0] {
			t.Fatalf("%T: wrote % x of % x", m, wire, b)
		}
		again, err := Parse(wire)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("got %+v, %v; first %+v", again, err, m)
		}
	})
}

func FuzzParsePacket(f *testing.F) {
	f.Add(unhex(f, "20 01 0a 90 01010000 01010700 aabb 0000"))
	f.Add(unhex(f, "00000480 01000202"))
	f.Add(unhex(f, "20 01 04 a0 00100000"))
	f.Add(unhex(f, "00000040"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, rest, err := ParsePacket(b)
		if err != nil {
			return
		}
		wire := p.Append(nil)
		again, left, err := ParsePacket(wire)
		if err != nil || len(left) != 0 || p.ME != again.ME || p.Host != again.Host || p.Complete != again.Complete ||
			p.DMA != again.DMA || !bytes.Equal(p.Payload, again.Payload) || len(p.Extensions) != len(again.Extensions) {
			t.Fatalf("got %+v, %v; first %+v (rest %d)", again, err, p, len(rest))
		}
	})
}
