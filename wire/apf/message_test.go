package apf

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/guid"
)

var unhex = wiretest.Hex

// parse calls the parser of a kind.
func parse(kind Kind, b []byte, hasPort bool) (m message, rest []byte, err error) {
	switch kind {
	case KindDisconnect:
		return erase(ParseDisconnect(b))
	case KindServiceRequest:
		return erase(ParseServiceRequest(b))
	case KindServiceAccept:
		return erase(ParseServiceAccept(b))
	case KindUserAuthRequest:
		return erase(ParseUserAuthRequest(b))
	case KindUserAuthFailure:
		return erase(ParseUserAuthFailure(b))
	case KindUserAuthSuccess:
		return erase(ParseUserAuthSuccess(b))
	case KindGlobalRequest:
		return erase(ParseGlobalRequest(b))
	case KindRequestSuccess:
		return erase(ParseRequestSuccess(b, hasPort))
	case KindRequestFailure:
		return erase(ParseRequestFailure(b))
	case KindChannelOpen:
		return erase(ParseChannelOpen(b))
	case KindChannelOpenConfirmation:
		return erase(ParseChannelOpenConfirmation(b))
	case KindChannelOpenFailure:
		return erase(ParseChannelOpenFailure(b))
	case KindWindowAdjust:
		return erase(ParseWindowAdjust(b))
	case KindData:
		return erase(ParseData(b))
	case KindChannelClose:
		return erase(ParseChannelClose(b))
	case KindProtocolVersion:
		return erase(ParseProtocolVersion(b))
	case KindKeepAliveRequest:
		return erase(ParseKeepAliveRequest(b))
	case KindKeepAliveReply:
		return erase(ParseKeepAliveReply(b))
	case KindKeepAliveOptionsRequest:
		return erase(ParseKeepAliveOptionsRequest(b))
	case KindKeepAliveOptionsReply:
		return erase(ParseKeepAliveOptionsReply(b))
	}
	return nil, b, ErrUnknown
}

func erase[M message](m M, rest []byte, err error) (message, []byte, error) { return m, rest, err }

const (
	pfwdHex     = "00000012 7066776440616d742e696e74656c2e636f6d"
	authHex     = "00000012 6175746840616d742e696e74656c2e636f6d"
	passwordHex = "00000008 70617373776f7264"
	forwardHex  = "0000000d 74637069702d666f7277617264"
	loopbackHex = "00000009 3132372e302e302e31"
	zeros64     = "00000000000000000000000000000000 00000000000000000000000000000000 00000000000000000000000000000000 00000000000000000000000000000000"
)

// The bytes that other implementations write, put together by hand from their sources: MPS and its simulated machine
// (APFProcessor.ts, ciraclient.js), the MeshCentral host program (amt-lme.js), go-wsman-messages (pkg/apf). The service
// names and the forward request to port 4260h are in the latter's tests as bytes.
var wires = []struct {
	name, wire string
	want       message
}{
	{"disconnect, protocol error", "01 00000002 0000", Disconnect{ProtocolError}},
	{"service request, auth", "05 " + authHex, ServiceRequest{ServiceAuth}},
	{"service request, forward", "05 " + pfwdHex, ServiceRequest{ServiceForward}},
	{"service accept, forward", "06 " + pfwdHex, ServiceAccept{ServiceForward}},
	{"user auth, password", "32 00000005 61646d696e " + pfwdHex + passwordHex + "00 00000008 5040737377307264",
		UserAuthRequest{"admin", ServiceForward, MethodPassword, "P@ssw0rd"}},
	{"user auth, none", "32 00000000 " + pfwdHex + "00000004 6e6f6e65", UserAuthRequest{"", ServiceForward, MethodNone, ""}},
	{"user auth failure", "33 " + passwordHex + "00", UserAuthFailure{MethodPassword, false}},
	{"user auth success", "34", UserAuthSuccess{}},
	{"forward 16992 for the machine's name", "50 " + forwardHex + "01 00000003 616d74 00004260",
		GlobalRequest{Name: RequestForward, WantReply: true, Address: "amt", Port: 16992}},
	{"forward 16993 for all", "50 " + forwardHex + "01 00000007 302e302e302e30 00004261",
		GlobalRequest{Name: RequestForward, WantReply: true, Address: "0.0.0.0", Port: 16993}},
	{"cancel 5900", "50 00000014 63616e63656c2d74637069702d666f7277617264 01 00000000 0000170c",
		GlobalRequest{Name: RequestCancel, WantReply: true, Port: 5900}},
	{"a datagram", "50 00000019 7564702d73656e642d746f40616d742e696e74656c2e636f6d 00" +
		"00000008 31302e302e302e31 000000a2" + "00000008 31302e302e302e32 000000a1" + "00000003 30020100"[:15],
		GlobalRequest{Name: RequestUDP, Address: "10.0.0.1", Port: 162, OriginAddress: "10.0.0.2", OriginPort: 161, Payload: []byte{0x30, 0x02, 0x01}}},
	{"success to forward", "51 00004260", RequestSuccess{true, 16992}},
	{"success to others", "51", RequestSuccess{}},
	{"failure", "52", RequestFailure{}},
	{"open as the MeshCentral host program", "5a 0000000f 666f727761726465642d7463706970 00000007 00001000 ffffffff" +
		loopbackHex + "00004260" + loopbackHex + "00004260",
		ChannelOpen{TypeForwarded, 7, 4096, "127.0.0.1", 16992, "127.0.0.1", 16992}},
	{"open as rpc-go", "5a 0000000f 666f727761726465642d7463706970 00000001 00001000 ffffffff" +
		"00000003 3a3a31 00004260" + "00000003 3a3a31 0000007b",
		ChannelOpen{TypeForwarded, 1, 4096, "::1", 16992, "::1", 123}},
	{"a local alert", "5a 0000000c 6469726563742d7463706970 00000000 00001000 ffffffff" +
		"00000009 6c6f63616c686f7374 00000000" + loopbackHex + "00000000",
		ChannelOpen{TypeDirect, 0, 4096, "localhost", 0, "127.0.0.1", 0}},
	{"confirmation", "5b 00000007 00000001 00004000 ffffffff", ChannelOpenConfirmation{7, 1, 16384}},
	{"refusal, unknown type", "5c 00000001 00000003 00000000 00000000", ChannelOpenFailure{1, UnknownChannelType}},
	{"refusal, new reason", "5c 00000001 00000011 00000000 00000000", ChannelOpenFailure{1, 17}},
	{"4096 more on channel 1", "5d 00000001 00001000", WindowAdjust{1, 4096}},
	{"data", "5e 00000001 00000004 474554 20", Data{1, []byte("GET ")}},
	{"no data", "5e 00000001 00000000", Data{1, []byte{}}},
	{"close", "61 00000001", ChannelClose{1}},
	{"version of a machine", "c0 00000001 00000000 00000004 13aee355d2bfbb6117a088aedd7037ea" + zeros64,
		ProtocolVersion{1, 0, TriggerPeriodic, guid.GUID{0x13, 0xae, 0xe3, 0x55, 0xd2, 0xbf, 0xbb, 0x61, 0x17, 0xa0, 0x88, 0xae, 0xdd, 0x70, 0x37, 0xea}}},
	{"version of rpc-go", "c0 00000001 00000000 00000009 00000000000000000000000000000000" + zeros64,
		ProtocolVersion{1, 0, 9, guid.GUID{}}},
	{"keepalive", "d0 000000ff", KeepAliveRequest{255}},
	{"keepalive reply", "d1 000000ff", KeepAliveReply{255}},
	{"keepalive options of MPS", "d2 0000001e 00000000", KeepAliveOptionsRequest{30, 0}},
	{"keepalive options reply", "d3 0000001e 0000000a", KeepAliveOptionsReply{30, 10}},
}

func TestMessages(t *testing.T) {
	for _, tt := range wires {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			kind := Kind(wire[0])
			hasPort := len(wire) > 1 // matters to request success only
			got, rest, err := parse(kind, wire, hasPort)
			if !reflect.DeepEqual(got, tt.want) || len(rest) != 0 || err != nil {
				t.Fatalf("got %+v, rest %x, %v; want %+v", got, rest, err, tt.want)
			}
			if again := got.Append([]byte{7}); !bytes.Equal(again[1:], wire) || again[0] != 7 {
				t.Errorf("wrote %x, read %x", again[1:], wire)
			}
			if _, rest, err := parse(kind, append(wire, 9), hasPort); err != nil || !bytes.Equal(rest, []byte{9}) {
				if kind != KindGlobalRequest {
					t.Errorf("with a byte behind: rest %x, %v", rest, err)
				}
			}
			for n := range wire {
				if _, rest, err := parse(kind, wire[:n], hasPort); !errors.Is(err, ErrShort) || len(rest) != n {
					t.Errorf("first %d bytes: rest %x, %v", n, rest, err)
				}
			}
			other := append([]byte{0}, wire[1:]...)
			if _, _, err := parse(kind, other, hasPort); !errors.Is(err, ErrKind) {
				t.Errorf("as type 0: %v", err)
			}
		})
	}
}

func TestKindsHaveNames(t *testing.T) {
	seen := make(map[string]Kind)
	for _, tt := range wires {
		kind := Kind(unhex(t, tt.wire)[0])
		name := kind.String()
		if before, ok := seen[name]; strings.HasPrefix(name, "unknown") || ok && before != kind {
			t.Errorf("%d is called %q", kind, name)
		}
		seen[name] = kind
	}
	if len(seen) != 20 {
		t.Errorf("%d kinds tested, want 20", len(seen))
	}
	for _, tt := range []struct {
		got  fmt.Stringer
		want string
	}{
		{Kind(250), "unknown (250)"},
		{DisconnectReason(19), "unknown (19)"},
		{OpenReason(5), "unknown (5)"},
		{Trigger(9), "unknown (9)"},
		{TriggerLME, "LME"},
		{ResourceShortage, "resource shortage"},
		{TemporarilyUnavailable, "temporarily unavailable"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	for r := HostNotAllowed; r <= TemporarilyUnavailable; r++ {
		if strings.HasPrefix(r.String(), "unknown") {
			t.Errorf("reason %d has no name", r)
		}
	}
}

func TestLengthsOverTheLimit(t *testing.T) {
	for _, tt := range []struct{ name, wire string }{
		{"service of 4 GiB", "05 ffffffff 00"},
		{"service of 2049 bytes", "05 00000801 00"},
		{"user of 4 GiB", "32 ffffffff 00"},
		{"password of 4 GiB", "32 00000000 " + pfwdHex + passwordHex + "00 ffffffff"},
		{"methods of 4 GiB", "33 ffffffff"},
		{"request of 4 GiB", "50 ffffffff"},
		{"address of 4 GiB", "50 " + forwardHex + "01 ffffffff"},
		{"datagram of 65536 bytes", "50 00000019 7564702d73656e642d746f40616d742e696e74656c2e636f6d 00 00000000 00000000 00000000 00000000 00010000"},
		{"type of 4 GiB", "5a ffffffff"},
		{"data of 4 GiB", "5e 00000000 ffffffff"},
		{"data of 1 MiB and a byte", "5e 00000000 00100001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			if _, _, err := parse(Kind(wire[0]), wire, false); !errors.Is(err, ErrTooLong) {
				t.Errorf("parser: %v", err)
			}
			if _, err := NewReader(bytes.NewReader(wire), nil).Next(); !errors.Is(err, ErrTooLong) {
				t.Errorf("reader: %v", err)
			}
		})
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	m := UserAuthRequest{"admin", ServiceForward, MethodPassword, "hunter22"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(format, m); strings.Contains(got, "hunter22") || !strings.Contains(got, "admin") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range wires {
		f.Add(unhex(f, tt.wire), true)
	}
	f.Add([]byte{byte(KindRequestSuccess)}, false)
	f.Add([]byte("GET / HTTP/1.1\r\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, hasPort bool) {
		if len(b) == 0 {
			return
		}
		kind := Kind(b[0])
		m, rest, err := parse(kind, b, hasPort)
		r := Reader{maxData: MaxData, port: func() bool { return hasPort }}
		n, sizeErr := r.size(b)
		if err != nil {
			// The reader must not take for whole what the parser cannot read.
			if sizeErr == nil && n <= len(b) {
				t.Fatalf("%v of %d bytes by the reader; parser: %v", kind, n, err)
			}
			return
		}
		if sizeErr == nil && n != len(b)-len(rest) && kind != KindGlobalRequest {
			t.Fatalf("%v: %d bytes by the reader, %d by the parser", kind, n, len(b)-len(rest))
		}
		again, rest, err := parse(kind, m.Append(nil), hasPort)
		if !reflect.DeepEqual(again, m) || len(rest) != 0 || err != nil {
			t.Fatalf("%+v came back as %+v, rest %x, %v", m, again, rest, err)
		}
	})
}
