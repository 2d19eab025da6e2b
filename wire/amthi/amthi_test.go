package amthi

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zeros is n zeros in hex.
func zeros(n int) string { return strings.Repeat("00", n) }

// text is s in hex, and padded in hex with zeros to n bytes.
func ascii(s string) string         { return hex.EncodeToString([]byte(s)) }
func padded(s string, n int) string { return ascii(s) + zeros(n-len(s)) }
func short(s string) string {
	return hex.EncodeToString([]byte{byte(len(s)), 0}) + padded(s, 20)
}

func TestHeader(t *testing.T) {
	// As rpc-go and the kernel's sample send them. Spec amthi.md section 1, peers' system calls.
	for wire, number := range map[string]Number{
		"01 01 00 00 1A 00 00 04 00 00 00 00": GetCodeVersions.Number,
		"01 01 00 00 6B 00 00 04 00 00 00 00": GetControlMode.Number,
	} {
		got, err := ParseRequest(wiretest.Hex(t, wire))
		if err != nil || got.Number != number || len(got.Data) != 0 {
			t.Errorf("got %+v, %v", got, err)
		}
		if again := (Request{Number: number}).Append(nil); !bytes.Equal(again, wiretest.Hex(t, wire)) {
			t.Errorf("wrote % x", again)
		}
	}
	answer := wiretest.Hex(t, "01 01 00 00 6B 00 80 04 08 00 00 00 00000000 02000000")
	got, err := ParseResponse(answer)
	if err != nil || got.Number != GetControlMode.Number || got.Status != 0 || !bytes.Equal(got.Data, []byte{2, 0, 0, 0}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if again := got.Append(nil); !bytes.Equal(again, answer) {
		t.Errorf("wrote % x", again)
	}
	for _, tt := range []struct {
		name, wire string
		want       error
	}{
		{"empty", "", ErrDisabled},
		{"cut", "01 01 00 00 6B 00 80 04 08 00 00", ErrShort},
		{"no status", "01 01 00 00 6B 00 80 04 00 00 00 00", ErrShort},
		{"half a status", "01 01 00 00 6B 00 80 04 02 00 00 00 0000", ErrShort},
		{"length too small", "01 01 00 00 6B 00 80 04 04 00 00 00 00000000 02000000", ErrLength},
		{"length too big", "01 01 00 00 6B 00 80 04 ff ff ff ff 00000000", ErrLength},
		{"version", "01 02 00 00 6B 00 80 04 04 00 00 00 00000000", ErrProtocol},
		{"a request", "01 01 00 00 6B 00 00 04 04 00 00 00 00000000", ErrProtocol},
	} {
		if _, err := ParseResponse(wiretest.Hex(t, tt.wire)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// one is a row of the table of data: a command's request or answer, and its bytes.
type one struct {
	name, wire string
	parse      func([]byte) (any, error)
	want       Data
}

func requestOf[In, Out Data](c Command[In, Out], wire string, want In) one {
	return one{c.Name + " request", wire, func(b []byte) (any, error) { return c.ParseRequest(b) }, want}
}

func answerOf[In, Out Data](c Command[In, Out], wire string, want Out) one {
	return one{c.Name + " answer", wire, func(b []byte) (any, error) { return c.ParseResponse(b) }, want}
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// table is written out by the layouts in spec amthi.md section 3, field by field.
func table() []one {
	sha256 := strings.Repeat("5a", 32)
	hash := bytes.Repeat([]byte{0x5a}, 32)
	mac := "00e04c680102"
	return []one{
		answerOf(GetTCPIPParameters, "01000000 04030201 00ffffff 01030201 08080808 00000000 0b00"+ascii("example.com"),
			TCPIP{1, ip("1.2.3.4"), ip("255.255.255.0"), ip("1.2.3.1"), [2]netip.Addr{ip("8.8.8.8"), ip("0.0.0.0")}, "example.com"}),
		answerOf(GetProvisioningMode, "01000000 00000000", ProvisioningMode{Mode: 1}),
		requestOf(Unprovision, "00000000", Word(0)),
		answerOf(GetProvisioningState, "02000000", PostProvisioning),
		answerOf(GetCodeVersions, padded("QNCFLX70.0054", 65)+"03000000"+short("AMT")+short("12.0.67")+short("Sku")+short("16392")+short("Build Number")+short("1579"),
			CodeVersions{"QNCFLX70.0054", []CodeVersion{{"AMT", "12.0.67"}, {"Sku", "16392"}, {"Build Number", "1579"}}}),
		answerOf(GetSecurityParameters, "01000000 00000000 01000000 02000000 01000000 01000000 00000000 01000000 01000000 01000000"+zeros(28),
			Security{Enterprise: true, HardwareCrypto: true, State: PostProvisioning, NetworkInterface: true, SOL: true, FirmwareUpdate: true, LinkUp: true, KVM: true}),
		answerOf(GetMACAddresses, mac+"00e04c680103", MACs{MAC{0, 0xe0, 0x4c, 0x68, 1, 2}, MAC{0, 0xe0, 0x4c, 0x68, 1, 3}}),
		requestOf(SetServerOTP, "0800"+ascii("P@ssw0rd"), Text("P@ssw0rd")),
		answerOf(GetProvisioningTLSMode, "02000000", TLSPKI),
		answerOf(EnumerateHashHandles, "03000000 00000000 01000000 07000000", Handles{0, 1, 7}),
		requestOf(GetCertificateHash, "07000000", Word(7)),
		answerOf(GetCertificateHash, "01000000 01000000"+sha256+zeros(32)+"02 1000"+ascii("Go Daddy Root CA"),
			CertificateHash{true, true, hash, SHA256, "Go Daddy Root CA"}),
		answerOf(GetRNGSeedStatus, "01000000", RNGInProgress),
		answerOf(GetZeroTouchEnabled, "01000000", Bool(true)),
		answerOf(GetDNSSuffix, "0b00"+ascii("example.com"), Text("example.com")),
		answerOf(GetDNSSuffix, "0000", Text("")),
		answerOf(GetDNSSuffixList, "1800"+ascii("example.com\x00example.net\x00"), Suffixes{"example.com", "example.net"}),
		requestOf(SetEnterpriseAccess, "00 0a000007"+zeros(12)+"01", EnterpriseAccess{Address: [16]byte{10, 0, 0, 7}, Access: true}),
		answerOf(GetRemoteAccessStatus, "02000000 02000000 03000000 0f00"+ascii("mps.example.com"), RemoteAccess{2, 2, 3, "mps.example.com"}),
		answerOf(GetPowerPolicy, "0200"+ascii("S0"), Text("S0")),
		requestOf(GetLANSettings, "01000000", Wireless),
		answerOf(GetLANSettings, "01000000 0700000a 01000000 02 01"+mac, LAN{true, ip("10.0.0.7"), true, DHCPPassive, true, MAC{0, 0xe0, 0x4c, 0x68, 1, 2}}),
		requestOf(GetFeaturesState, "04000000", FeatureKVM),
		answerOf(GetFeaturesState, "00000000 01000000 00000000 00000000", FeatureState{Feature: FeatureRedirection, IDER: true}),
		answerOf(GetFeaturesState, "02000000 01000000", FeatureState{Feature: FeatureWebUI, Active: true}),
		answerOf(GetFeaturesState, "04000000 02000000", FeatureState{Feature: FeatureKVM, KVM: 2}),
		answerOf(GetLastHostReset, "01000000 80436d38", HostReset{1, 0x386d4380}),
		answerOf(GetUserInitiatedEnabled, "03000000", UserInitiatedBIOS|UserInitiatedOS),
		answerOf(GetConfigurationServer, "f326"+padded("10.0.0.1", 46)+"0500"+ascii("setup"), ConfigurationServer{9971, "10.0.0.1", "setup"}),
		answerOf(GetAuditRecord, "02 01000000 00000000 02000000"+sha256+zeros(32)+strings.Repeat("11", 16)+strings.Repeat("22", 16)+zeros(16)+
			"00000000 01000000 01000000"+padded("10.0.0.1", 46)+"e907 0600 0500 0d00 0c00 2200 3800"+"0500"+ascii("setup"),
			AuditRecord{2, true, false, SHA256, hash, [3][16]byte{[16]byte(bytes.Repeat([]byte{0x11}, 16)), [16]byte(bytes.Repeat([]byte{0x22}, 16))},
				false, true, true, "10.0.0.1", [7]uint16{2025, 6, 5, 13, 12, 34, 56}, "setup"}),
		requestOf(GetIPv6Status, "00000000", Wired),
		answerOf(GetIPv6Status, padded("fe80::1", 46)+zeros(92)+"01000000"+padded("fe80::2", 46)+"00000000 01000000",
			IPv6{Router: "fe80::1", Addresses: []IPv6Address{{"fe80::2", 0, 1}}}),
		answerOf(GetFQDN, "01000000 00000000 a0050000 84030000 06000000 1200"+ascii("desk-7.example.com"), FQDN{true, false, 1440, 900, 6, "desk-7.example.com"}),
		answerOf(GetRedirectionState, "05000000", RedirectSOL|RedirectKVM),
		requestOf(SetHostFQDN, "0600"+ascii("desk-7"), Text("desk-7")),
		answerOf(GetUUID, "13AEE355 D2BF BB61 17A0 88AEDD7037EA", UUID(unhexGUID("55e3ae13-bfd2-61bb-17a0-88aedd7037ea"))),
		requestOf(StartConfigurationEx, "01000000", Bool(true)),
		requestOf(GetLocalSystemAccount, zeros(40), Reserved40{}),
		answerOf(GetLocalSystemAccount, padded("$$OsAdmin", 33)+padded("secret", 33)+"0000", LocalAccount{"$$OsAdmin", "secret"}),
		answerOf(GetControlMode, "02000000", AdminControl),
		answerOf(GetEHBCState, "00000000", Bool(false)),
		requestOf(SetEHBCState, "01000000", Bool(true)),
		requestOf(StartConfigurationHBased, "02"+sha256+zeros(32)+"01 18000000"+ascii("example.com\x00example.net\x00")+zeros(320-24),
			HostBased{SHA256, hash, true, []string{"example.com", "example.net"}}),
		answerOf(StartConfigurationHBased, "02"+sha256+zeros(32), HostBasedReply{SHA256, hash}),
		requestOf(GetCIRALog, "00", LogVersion(0)),
		requestOf(GetAMTState, zeros(15)+"01", AMTStateID()),
		answerOf(GetAMTState, zeros(15)+"01 05000000 01 00 02 03 01", AMTState{AMTStateID(), true, 2, 3, 1}),
	}
}

func unhexGUID(s string) guid.GUID {
	var g guid.GUID
	g.UnmarshalText([]byte(s))
	return g
}

func TestData(t *testing.T) {
	for _, tt := range table() {
		t.Run(tt.name, func(t *testing.T) {
			wire := wiretest.Hex(t, tt.wire)
			got, err := tt.parse(wire)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if again := got.(Data).Append(nil); !bytes.Equal(again, wire) {
				t.Errorf("wrote % x, want % x", again, wire)
			}
			for n := range wire {
				switch {
				case n == hostBasedMesh && len(wire) == hostBasedLen, n >= 66 && len(wire) == 68: // MeshCentral's form; padding
					continue
				}
				if _, err := tt.parse(wire[:n]); err == nil {
					t.Errorf("%d of %d bytes: no error", n, len(wire))
				}
			}
			longer := append(wire, 0)
			if _, err := tt.parse(longer); (err != nil) != strings.HasSuffix(tt.name, "request") {
				t.Errorf("a byte too many: %v", err) // requests are exact, answers may be padded
			}
		})
	}
}

func TestCIRALog(t *testing.T) {
	v := CIRALog{
		Summary: CIRASummary{Open: true, State: 2, LastKeepAlive: 100, KeepAliveInterval: 30, LastConnection: 5, LastConnectionAt: 99, LastTunnel: 1, Opened: 7, Closed: 6},
		Tunnel: CIRATunnel{Valid: true, Opened: 50, Trigger: 2, MPS: "mps", ProxyUsed: true, Proxy: "proxy", Auth: 1, Interface: 1, LastKeepAlive: 60,
			KeepAliveInterval: 30, Closure: CIRAClosure{70, true, 11, 3}},
		Attempt: CIRAAttempt{Valid: true, Time: 80, MPS: "mps", Auth: 2, Profile: "wifi", HostControl: true, Result8021X: 1, ConnectedBy: 2,
			Connections: [2]CIRAConnection{{Status: 3, TCPError: 2, TLSAlert: -1}}, Closure: CIRAClosure{Reason: 255}},
	}
	none, none6 := ip("0.0.0.0"), ip("::")
	for i := range v.Attempt.Interfaces {
		f := &v.Attempt.Interfaces[i]
		*f = CIRAInterface{Address: none, Gateway: none, DNS: [2]netip.Addr{none, none}, Router6: none6, DNS6: [2]netip.Addr{none6, none6}}
		for j := range f.Addresses6 {
			f.Addresses6[j].Address = none6
		}
	}
	v.Attempt.Interfaces[0].Address = ip("10.0.0.7")
	v.Attempt.Interfaces[0].Domain = "example.com"
	v.Attempt.Interfaces[1].Addresses6[5] = CIRAAddress{ip("fe80::7"), 1, 1}
	b := v.Append(nil)
	if len(b) != 1+27+545+2208 {
		t.Fatalf("%d bytes", len(b))
	}
	// Where things are, by the layouts' own sums.
	attempt := b[1+27+545:]
	for at, want := range map[int][]byte{
		9:               []byte("mps\x00"),
		265:             {2},
		266 + 6:         {10, 0, 0, 7}, // network order
		266 + 22:        []byte("example.com\x00"),
		266 + 2*676:     []byte("wifi\x00"),
		1660:            {3, 0, 0, 0},
		1660 + 261:      {2, 0, 0, 0, 255, 255, 255, 255},
		2198 + 4 + 2:    {255},
		266 + 676 + 352: {0xfe, 0x80},
	} {
		if !bytes.HasPrefix(attempt[at:], want) {
			t.Errorf("at %d: % x, want % x", at, attempt[at:at+len(want)], want)
		}
	}
	got, err := GetCIRALog.ParseResponse(b)
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := GetCIRALog.ParseResponse(b[:len(b)-1]); !errors.Is(err, ErrShort) {
		t.Errorf("got %v", err)
	}
}

// What other programs and real firmware write otherwise than we do.
func TestOtherForms(t *testing.T) {
	for _, wire := range []string{"0c00" + ascii("example.com\x00"), "0b00" + ascii("example.com")} { // LMS counts a NUL
		if got, err := SetHostFQDN.ParseRequest(wiretest.Hex(t, wire)); got != "example.com" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	// Handles are padded to 33.
	if got, err := EnumerateHashHandles.ParseResponse(wiretest.Hex(t, "01000000 05000000"+zeros(4*32))); !reflect.DeepEqual(got, Handles{5}) || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	// MeshCentral's forms of StartConfigurationHBased.
	hash := strings.Repeat("5a", 48) + zeros(16)
	for _, tt := range []struct {
		wire string
		want HostBased
	}{
		{"03" + hash + "01000000 00000000", HostBased{SHA384, bytes.Repeat([]byte{0x5a}, 48), true, nil}},
		{"03" + hash + "00000000 01000000" + padded("example.com", 320), HostBased{SHA384, bytes.Repeat([]byte{0x5a}, 48), false, []string{"example.com"}}},
	} {
		got, err := StartConfigurationHBased.ParseRequest(wiretest.Hex(t, tt.wire))
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
		}
	}
	// Unprovision may answer with a state, which nobody needs.
	if _, err := Unprovision.ParseResponse(wiretest.Hex(t, "00000000")); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		parse func([]byte) error
		wire  string
	}{
		{"handles", func(b []byte) error { _, err := EnumerateHashHandles.ParseResponse(b); return err }, "ffffffff"},
		{"versions", func(b []byte) error { _, err := GetCodeVersions.ParseResponse(b); return err }, zeros(65) + "ffffffff"},
		{"version's length", func(b []byte) error { _, err := GetCodeVersions.ParseResponse(b); return err }, zeros(65) + "01000000 1500" + zeros(42)},
		{"addresses", func(b []byte) error { _, err := GetIPv6Status.ParseResponse(b); return err }, zeros(138) + "ffffffff"},
		{"host based", func(b []byte) error { _, err := StartConfigurationHBased.ParseRequest(b); return err }, zeros(74)},
	} {
		if err := tt.parse(wiretest.Hex(t, tt.wire)); !errors.Is(err, ErrLength) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	long := strings.Repeat("x", 1<<17)
	if got, err := GetDNSSuffix.ParseResponse(Text(long).Append(nil)); len(got) != 1<<16-1 || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if v, err := GetCodeVersions.ParseResponse(CodeVersions{long, []CodeVersion{{long, long}}}.Append(nil)); err != nil || len(v.BIOS) != 64 || len(v.Versions[0].Value) != 19 {
		t.Errorf("got %v", err)
	}
}

func TestLocalAccountKeepsItsSecret(t *testing.T) {
	v := LocalAccount{"$$OsAdmin", "secret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, v); strings.Contains(got, "secret") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		AdminControl.String():                  "admin control",
		ControlMode(9).String():                "unknown (9)",
		InProvisioning.String():                "in provisioning",
		TLSPSK.String():                        "PSK",
		RNGNone.String():                       "none",
		SHA384.String():                        "SHA-384",
		HashAlgorithm(9).String():              "unknown (9)",
		DHCPPassive.String():                   "passive",
		NetworkStatus(2).String():              "outside enterprise",
		RemoteStatus(1).String():               "connecting",
		RemoteTrigger(3).String():              "periodic",
		IPv6Type(2).String():                   "DHCPv6",
		IPv6State(5).String():                  "collision",
		(MAC{0, 0xe0, 0x4c, 1, 2, 3}).String(): "00:e0:4c:01:02:03",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	v := CodeVersions{Versions: []CodeVersion{{VersionSKU, "16392"}}}
	if sku, ok := v.SKU(); !ok || sku != SKUAMT|SKUCorporate {
		t.Errorf("got %x, %t", sku, ok)
	}
	if _, ok := (CodeVersions{}).SKU(); ok {
		t.Error("a SKU out of nothing")
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range table() {
		f.Add(wiretest.Hex(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ParseRequest(b)
		if r, err := ParseResponse(b); err == nil && !bytes.Equal(r.Append(nil)[8:], b[8:]) {
			t.Fatalf("wrote % x, read % x", r.Append(nil), b)
		}
		for _, tt := range table() {
			v, err := tt.parse(b)
			if err != nil {
				continue
			}
			again, err := tt.parse(v.(Data).Append(nil))
			if err != nil {
				t.Fatalf("%s: %+v: %v", tt.name, v, err)
			}
			if third := again.(Data).Append(nil); !bytes.Equal(third, v.(Data).Append(nil)) {
				t.Fatalf("%s: %+v became %+v", tt.name, v, again)
			}
		}
		(&Mux{}).Answer(context.Background(), b)
	})
}

// firmware is a Mux on a virtual ME, and a client to it.
func firmware(t *testing.T, m *Mux) *Client {
	t.Helper()
	host, me := mei.Pipe()
	h, e := mei.NewHost(), mei.NewEngine()
	err := e.Add(mei.Client{Properties: mei.Properties{Client: mei.AMTHI, Version: 1, MaxConnections: 3, MaxMsgLen: 5120},
		Serve: func(ctx context.Context, c mei.Conn) { m.Serve(ctx, c) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { e.Run(ctx, me) })
	group.Go(func() { h.Run(ctx, host) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClientAndMux(t *testing.T) {
	m := &Mux{}
	mode, started := ClientControl, false
	var fqdn Text
	Handle(m, GetControlMode, func(context.Context, None) (ControlMode, status.Status) { return mode, 0 })
	Handle(m, GetUUID, func(context.Context, None) (UUID, status.Status) { return UUID(guid.FromSeed("x")), 0 })
	Handle(m, GetProvisioningState, func(context.Context, None) (ProvisioningState, status.Status) { return PostProvisioning, 0 })
	Handle(m, GetCodeVersions, func(context.Context, None) (CodeVersions, status.Status) {
		return CodeVersions{"BIOS", []CodeVersion{{VersionAMT, "16.1.27"}}}, 0
	})
	Handle(m, GetDNSSuffix, func(context.Context, None) (Text, status.Status) { return "example.com", 0 })
	Handle(m, EnumerateHashHandles, func(context.Context, None) (Handles, status.Status) { return Handles{1, 4}, 0 })
	Handle(m, GetCertificateHash, func(_ context.Context, h Word) (CertificateHash, status.Status) {
		if h != 1 && h != 4 {
			return CertificateHash{}, status.InvalidHandle
		}
		return CertificateHash{Active: true, Hash: bytes.Repeat([]byte{byte(h)}, 32), Algorithm: SHA256, Name: "root"}, 0
	})
	Handle(m, GetLANSettings, func(_ context.Context, i Interface) (LAN, status.Status) {
		if i != Wired {
			return LAN{}, status.InvalidParameter
		}
		return LAN{Enabled: true, Address: ip("10.0.0.7"), MAC: MAC{1}}, 0
	})
	Handle(m, GetLocalSystemAccount, func(context.Context, Reserved40) (LocalAccount, status.Status) {
		return LocalAccount{"$$OsAdmin", "p"}, 0
	})
	Handle(m, GetRemoteAccessStatus, func(context.Context, None) (RemoteAccess, status.Status) { return RemoteAccess{MPS: "mps"}, 0 })
	Handle(m, StartConfigurationHBased, func(_ context.Context, r HostBased) (HostBasedReply, status.Status) {
		started = true
		return HostBasedReply{r.Algorithm, r.Hash}, 0
	})
	Handle(m, StopConfiguration, func(context.Context, None) (None, status.Status) {
		if !started {
			return None{}, status.InvalidPTMode
		}
		return None{}, 0
	})
	Handle(m, Unprovision, func(context.Context, Word) (None, status.Status) { mode = NotProvisioned; return None{}, 0 })
	Handle(m, SetHostFQDN, func(_ context.Context, name Text) (None, status.Status) { fqdn = name; return None{}, 0 })
	Handle(m, SetEnterpriseAccess, func(context.Context, EnterpriseAccess) (None, status.Status) { return None{}, AccessGranted })
	disabled := false
	m.Disabled = func() bool { return disabled }
	c := firmware(t, m)
	ctx := t.Context()

	check := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v; want %+v", what, got, err, want)
		}
	}
	v, err := c.CodeVersions(ctx)
	check("versions", v.Get(VersionAMT), err, "16.1.27")
	id, err := c.UUID(ctx)
	check("UUID", id, err, guid.FromSeed("x"))
	state, err := c.ProvisioningState(ctx)
	check("state", state, err, PostProvisioning)
	suffix, err := c.DNSSuffix(ctx)
	check("suffix", suffix, err, "example.com")
	hashes, err := c.CertificateHashes(ctx)
	check("hashes", len(hashes), err, 2)
	check("hash", hashes[1].Hash, nil, bytes.Repeat([]byte{4}, 32))
	_, err = c.CertificateHash(ctx, 9)
	var refused *status.Error
	if !errors.As(err, &refused) || refused.Code != status.InvalidHandle || refused.Op != "AMTHI get certificate hash entry" {
		t.Errorf("got %v", err)
	}
	lan, ok, err := c.LANInterfaceSettings(ctx, Wired)
	check("wired", lan.Address, err, ip("10.0.0.7"))
	check("wired is there", ok, err, true)
	_, ok, err = c.LANInterfaceSettings(ctx, Wireless)
	check("wireless is not", ok, err, false)
	account, err := c.LocalSystemAccount(ctx)
	check("account", account, err, LocalAccount{"$$OsAdmin", "p"})
	remote, err := c.RemoteAccessConnectionStatus(ctx)
	check("remote", remote.MPS, err, "mps")
	if err := c.StopConfiguration(ctx); !errors.As(err, &refused) || refused.Code != status.InvalidPTMode {
		t.Errorf("stop: %v", err)
	}
	reply, err := c.StartConfigurationHBased(ctx, HostBased{Algorithm: SHA384, Hash: bytes.Repeat([]byte{7}, 48)})
	check("start", reply, err, HostBasedReply{SHA384, bytes.Repeat([]byte{7}, 48)})
	check("stop", nil, c.StopConfiguration(ctx), nil)
	check("unprovision", nil, c.Unprovision(ctx), nil)
	got, err := c.ControlMode(ctx)
	check("mode", got, err, NotProvisioned)
	check("set FQDN", nil, c.SetHostFQDN(ctx, "desk-7.example.com"), nil)
	check("FQDN", fqdn, nil, Text("desk-7.example.com"))
	access, err := c.SetEnterpriseAccess(ctx, EnterpriseAccess{Access: true})
	check("access", access, err, status.Status(AccessGranted))
	if err := c.OpenUserInitiatedConnection(ctx); !errors.Is(err, status.ErrUnsupported) {
		t.Errorf("a command without handler: %v", err)
	}
	if err := c.CloseUserInitiatedConnection(ctx); !errors.Is(err, status.ErrUnsupported) {
		t.Errorf("a command without handler: %v", err)
	}
	if err := c.SetHostFQDN(ctx, strings.Repeat("x", 6000)); !errors.Is(err, mei.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	disabled = true
	if _, err := c.UUID(ctx); !errors.Is(err, ErrDisabled) {
		t.Errorf("disabled: %v", err)
	}
	disabled = false
	id, err = c.UUID(ctx)
	check("UUID again", id, err, guid.FromSeed("x"))
}

func TestMuxRefuses(t *testing.T) {
	m := &Mux{}
	Handle(m, GetCertificateHash, func(context.Context, Word) (CertificateHash, status.Status) { return CertificateHash{}, 0 })
	for _, tt := range []struct{ name, wire, want string }{
		{"unknown command", "01010000 77000004 00000000", "01010000 77008004 04000000 12080000"},
		{"data too short", "01010000 2d000004 02000000 0100", "01010000 2d008004 04000000 04000000"},
		{"data too long", "01010000 2d000004 05000000 0100000000", "01010000 2d008004 04000000 04000000"},
		{"wrong length", "01010000 2d000004 09000000 01000000", "01010000 2d008004 04000000 04000000"},
		{"wrong version", "01020000 2d000004 04000000 01000000", "01010000 2d008004 04000000 1d000000"},
		{"cut header", "01010000", "01010000 00008000 04000000 04000000"},
		{"empty", "", "01010000 00008000 04000000 04000000"},
	} {
		if got := m.Answer(t.Context(), wiretest.Hex(t, tt.wire)); !bytes.Equal(got, wiretest.Hex(t, tt.want)) {
			t.Errorf("%s: got % x, want %s", tt.name, got, tt.want)
		}
	}
}

// After an answer that did not come in time the next answer could be the wrong one: the client refuses to go on.
func TestClientGivenUp(t *testing.T) {
	m := &Mux{}
	asked, hold := make(chan struct{}), make(chan struct{})
	Handle(m, GetUUID, func(context.Context, None) (UUID, status.Status) {
		close(asked)
		<-hold
		return UUID{}, 0
	})
	c := firmware(t, m)
	defer close(hold)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.UUID(ctx)
		done <- err
	}()
	<-asked
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if _, err := c.UUID(t.Context()); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
