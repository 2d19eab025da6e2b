package auditlog

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/outband/outband/internal/wiretest"
)

// One row at least for each layout, and for each branch in one.
var samples = []struct {
	id   EventID
	data string
	want string
}{
	{ProvisioningStarted, "", "provisioning started"},
	{ProvisioningCompleted, "03", "provisioning completed: method MEBx"},
	// Recorded, it seems: device-management-toolkit/go-wsman-messages auditlog decoder_test.go.
	{ProvisioningCompleted, "05 02 cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f 02 0c8ee0c90d6a89158804061ee241f9af 033af1e6a711a9a0bb2864b11d09fae5 00 12 496e74656c2e7670726f64656d6f2e636f6d",
		"provisioning completed: method host based, admin mode, hash SHA-256, root cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f, certificates 2, " +
			"serial numbers 0c8ee0c90d6a89158804061ee241f9af033af1e6a711a9a0bb2864b11d09fae5, further CAs 0, server \"Intel.vprodemo.com\""},
	{ProvisioningCompleted, "02 00 00 00 01 61", `provisioning completed: method remote configuration, hash none, certificates 0, further CAs 0, server "a"`},
	{ProvisioningCompleted, "02 01 0102030405060708090a0b0c0d0e0f1011121314", "provisioning completed: method remote configuration, hash SHA-1, root 0102030405060708090a0b0c0d0e0f1011121314"},
	{ProvisioningCompleted, "02 03 " + "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f", "provisioning completed: method remote configuration, hash SHA-384, root 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f"},
	{UserAdded, "00 04 74657374", `user added: type 0, name "test"`},
	{UserAdded, "01 00 00000455 03 64 6f 6d", `user added: type 1, name "", SID 1109, domain "dom"`},
	{UserModified, "31 00 04 74657374", `user modified: changed name+Kerberos domain+SID, type 0, name "test"`},
	{UserModified, "00 00 04 74657374", `user modified: changed none, type 0, name "test"`},
	{UserRemoved, "00 01 61 ff", `user removed: type 0, name "a", more ff`},
	{WrongCredentials, "01", "access with wrong credentials: to MEBx"},
	{WrongCredentials, "07", "access with wrong credentials: to unknown (7)"},
	{UserStateChanged, "01 00 01 61", `user switched: state on, type 0, name "a"`},
	{TLSChanged, "01 02", "TLS changed: remote server, local mutual"},
	{CertificateSet, "4df5a060", "TLS certificate set: serial number 4df5a060"},
	{CertificateRemoved, "01", "TLS certificate removed: serial number 01"},
	{RootAdded, "01", "trusted root added: serial number 01"},
	{RootRemoved, "", "trusted root removed"},
	{PSKSet, "", "TLS pre-shared key set"},
	{KerberosSet, "0000012c", "Kerberos settings changed: tolerance 0000012c"},
	{PowerPackageSet, "01", "power package set: policy 01"},
	{RealmAuthenticationSet, "00000003 01", "realm authentication set: realm administration, authentication required"},
	{RealmAuthenticationSet, "00000017 02", "realm authentication set: realm unknown (23), authentication disabled"},
	{UnprovisioningStarted, "04", "unprovisioning started: by remote WS-Man"},
	{PoweredUp, "01 00 00 0000 0000", "power up: command PXE, device 0, options none, boot option mask 0, OEM parameter 0"},
	{BootOptionsSet, "c2 00 22 0102 0304", "boot options set: command HTTPS boot, device 0, options secure boot+KVM, boot option mask 258, OEM parameter 772"},
	{PowerCycled, "c1 00 c0 0000 0000", "power cycle: command vendor's, device CD, options secure erase+platform erase, boot option mask 0, OEM parameter 0"},
	{GracefulReset, "00", "graceful reset: command none"},
	{FirmwareUpdateFailed, "01 02", "firmware update failed: type 1, reason 2"},
	{LogRecovered, "02", "audit log recovered: reason initialisation failed"},
	{TimeSet, "65984e5f", "time set: to 2024-01-05T18:45:51Z"},
	{IPv4Set, "00000000 01 c0a80002 ffffff00 c0a80001 04040404 01020202",
		"IPv4 parameters set: interface 0, DHCP on, address 192.168.0.2, mask 255.255.255.0, gateway 192.168.0.1, DNS 4.4.4.4, second DNS 1.2.2.2"},
	{HostNameSet, "04 74657374", `host name set: to "test"`},
	{DomainNameSet, "00", `domain name set: to ""`},
	{VLANSet, "00000000 0f00", "VLAN set: interface 0, tag 3840"},
	{LinkPolicySet, "00000001 0000000e", "link policy set: interface 1, policy 14"},
	{IPv6Set, "00000000 01 01 20010db885a3000000008a2e03707334 20010db885a3000000008a2e03707335 20010db885a3000000008a2e03707336 20010db885a3000000008a2e03707337",
		"IPv6 parameters set: interface 0, state on, identifier type 1, address 2001:db8:85a3::8a2e:370:7334, gateway 2001:db8:85a3::8a2e:370:7335, DNS 2001:db8:85a3::8a2e:370:7336, second DNS 2001:db8:85a3::8a2e:370:7337"},
	{IPv6Set, "00000000 00 02 021a2bfffe3c4d5e", "IPv6 parameters set: interface 0, state off, identifier type 2, identifier 021a2bfffe3c4d5e"},
	{StorageAttributesSet, "00010000 0000c000", "storage attributes set: partner storage 65536, non-partner storage 49152"},
	{AlertSubscribed, "01 01 00 c0a80001", "alert subscribed: policy 1, type SNMP, address type IPv4, address 192.168.0.1"},
	{AlertUnsubscribed, "01 02 01 20010db885a3000000008a2e03707334", "alert unsubscribed: policy 1, type unknown (2), address type IPv6, address 2001:db8:85a3::8a2e:370:7334"},
	{EventLogFrozen, "01", "event log frozen: state on"},
	{FilterRemoved, "00000007", "filter removed: handle 7"},
	{DefensePolicyRemoved, "00000007", "policy removed: handle 7"},
	{DefaultPolicySet, "00000000 00000007", "default policy set: interface 0, policy 7"},
	{HeuristicsSet, "00000001 01 00 00000007", "heuristics set: interface 1, block all on, block offensive port off, policy 7"},
	{HeuristicsCleared, "00000001", "heuristics cleared: interface 1"},
	{AgentAdded, "706cd43b8598b6459fe2622f1497387e 003c 0e10", "agent watchdog added: agent 3bd46c70-9885-45b6-9fe2-622f1497387e, heartbeat 60, startup 3600"},
	{AgentRemoved, "706cd43b8598b6459fe2622f1497387e", "agent watchdog removed: agent 3bd46c70-9885-45b6-9fe2-622f1497387e"},
	{AgentActionsSet, "706cd43b8598b6459fe2622f1497387e", "agent watchdog actions set: agent 3bd46c70-9885-45b6-9fe2-622f1497387e"},
	{WirelessProfileAdded, "74657374 00000000 0000000000000000 0000000000000000 0000000000000000 01 04 686f6d65", `wireless profile added: SSID "test", priority 1, profile "home"`},
	{WirelessProfileRemoved, "04 686f6d65", `wireless profile removed: profile "home"`},
	{WirelessSyncChanged, "00000003", "wireless profile synchronisation changed: to unrestricted"},
	{WirelessLinkChanged, "00000003 00000002", "wireless link preference changed: timeout 3, preference host"},
	{WirelessSharingChanged, "01", "sharing of wireless profiles with UEFI changed: state on"},
	{EACOptionsSet, "00001f96", "endpoint access control options set: vendors 8086"},
	{ConsentPolicyChanged, "01 ff", "consent policy changed: from KVM, to all"},
	{ConsentPolicyChanged, "00 02", "consent policy changed: from none, to all"},
	{ConsentCodeSent, "01", "consent code sent: code wrong three times"},
	{WatchdogPairingChanged, "00", "pairing of watchdog and action changed: result 0"},
	{ID(34, 5), "0102", "unknown (34): event 5: more 0102"},
	{ID(16, 99), "", "security administration: event 99"},
}

func TestSamples(t *testing.T) {
	covered := map[EventID]bool{}
	for _, tt := range samples {
		data := wiretest.Hex(t, tt.data)
		covered[tt.id] = true
		if got := (Record{ID: tt.id, Data: data}).Text(); got != tt.want {
			t.Errorf("%06x %s:\ngot  %s\nwant %s", uint32(tt.id), tt.data, got, tt.want)
		}
		fields, err := Fields(tt.id, data)
		if err != nil {
			t.Error(err)
			continue
		}
		if again, err := Encode(tt.id, fields...); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%v: wrote %x, %v; read %x", tt.id, again, err, data)
		}
	}
	for _, e := range events { // power up and reset share their layout, and so on
		if e.layout != nil && !covered[e.id] && e.id != WasReset && e.id != FirmwareUpdated && e.id != WirelessProfileUpdated {
			t.Errorf("%v: no sample", e.id)
		}
	}
}

func TestEncode(t *testing.T) {
	got, err := Encode(ConsentPolicyChanged, Num(1), Num(255))
	if err != nil || !bytes.Equal(got, []byte{1, 255}) {
		t.Errorf("%x, %v", got, err)
	}
	got, err = Encode(UserAdded, Num(0), Str("admin"))
	if err != nil || string(got) != "\x00\x05admin" {
		t.Errorf("%x, %v", got, err)
	}
	got, err = Encode(AlertSubscribed, Num(1), Num(1), Num(0), Bytes([]byte{192, 168, 0, 1}))
	if err != nil || !bytes.Equal(got, []byte{1, 1, 0, 192, 168, 0, 1}) {
		t.Errorf("%x, %v", got, err)
	}
	for _, tt := range []struct {
		id     EventID
		fields []Field
		want   error
	}{
		{ConsentCodeSent, []Field{Num(256)}, ErrData},
		{VLANSet, []Field{Num(0), Num(65536)}, ErrData},
		{ConsentCodeSent, []Field{Num(1), Num(1)}, ErrData},
		{HostNameSet, []Field{Str(strings.Repeat("x", 256))}, ErrData},
		{HostNameSet, []Field{Str(strings.Repeat("x", 255))}, ErrTooLong},
		{WirelessProfileAdded, []Field{Str(strings.Repeat("x", 33))}, ErrData},
		{AlertSubscribed, []Field{Num(1), Num(1), Num(1), Bytes([]byte{192, 168, 0, 1})}, ErrData},
		{AgentRemoved, []Field{Num(1)}, ErrData},
		{PSKSet, []Field{Num(1)}, ErrData},
	} {
		if b, err := Encode(tt.id, tt.fields...); !errors.Is(err, tt.want) || b != nil {
			t.Errorf("%v: %x, %v; want %v", tt.id, b, err, tt.want)
		}
	}
}

func TestDataRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := events[rapid.IntRange(0, len(events)-1).Draw(t, "event")].id
		data := rapid.SliceOfN(rapid.Byte(), 0, 120).Draw(t, "data")
		fields, err := Fields(id, data)
		if err != nil {
			if !errors.Is(err, ErrData) || fields != nil {
				t.Fatalf("%v %x: %v, %v", id, data, fields, err)
			}
			return
		}
		if again, err := Encode(id, fields...); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%v: wrote %x, %v; read %x", id, again, err, data)
		}
	})
}

func FuzzFields(f *testing.F) {
	for _, tt := range samples {
		f.Add(uint32(tt.id), wiretest.Hex(f, tt.data))
	}
	f.Fuzz(func(t *testing.T, id uint32, data []byte) {
		fields, err := Fields(EventID(id), data)
		if err != nil || len(data) > 255 {
			return
		}
		if again, err := Encode(EventID(id), fields...); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%v: wrote %x, %v; read %x", EventID(id), again, err, data)
		}
	})
}

func TestEvents(t *testing.T) {
	names := map[string]EventID{}
	for i, e := range events {
		if i > 0 && events[i-1].id >= e.id {
			t.Errorf("%s: out of order", e.name)
		}
		if have, again := names[e.name]; again || e.name == "" || strings.HasPrefix(e.id.App().String(), "unknown") {
			t.Errorf("%06x and %06x: %q of %v", uint32(have), uint32(e.id), e.name, e.id.App())
		}
		names[e.name] = e.id
		if !e.id.Known() || ID(e.id.App(), e.id.Number()) != e.id {
			t.Errorf("%v: %v, %d", e.id, e.id.App(), e.id.Number())
		}
	}
	if len(events) != 97 {
		t.Errorf("%d events", len(events))
	}
	if ID(Wireless, 77).Known() || !SOLOpened.SuperCritical() || SOLClosed.SuperCritical() {
		t.Error("Known, SuperCritical")
	}
	// 16*65536 + 2, as a policy rule has it.
	if UserAdded != 1048578 {
		t.Errorf("%d", UserAdded)
	}
	for got, want := range map[string]string{
		PolicyNone.String(): "none", PolicyCritical.String(): "critical", Policy(2).String(): "unknown (2)", InitiatorType(9).String(): "unknown (9)",
		App(99).String(): "unknown (99)", ScreenBlanking.String(): "screen blanking",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
