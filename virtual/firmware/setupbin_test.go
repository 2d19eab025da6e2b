package firmware_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/fat"
	"github.com/outband/outband/wire/rmcp"
	"github.com/outband/outband/wire/setupbin"
	"github.com/outband/outband/wire/wsman"
)

const keySize = 8 << 20

// A key is the image of a USB key in memory.
type key struct {
	b      []byte
	locked bool // write-protected
	writes int
}

var errLocked = errors.New("write-protected")

func (k *key) KeySize() int64 { return int64(len(k.b)) }

func (k *key) ReadAt(b []byte, at int64) (int, error) { return bytes.NewReader(k.b).ReadAt(b, at) }

func (k *key) WriteAt(b []byte, at int64) (int, error) {
	switch {
	case k.locked:
		return 0, errLocked
	case at+int64(len(b)) > int64(len(k.b)):
		return 0, io.ErrShortWrite
	}
	k.writes++
	return copy(k.b[at:], b), nil
}

// keyWith makes a key with a Setup.bin of one record for each string of settings.
func keyWith(t testing.TB, version setupbin.Version, use setupbin.FileFlags, records ...string) *key {
	t.Helper()
	f, err := setupbin.New(version, use)
	if err != nil {
		t.Fatal(err)
	}
	for _, settings := range records {
		r := setupbin.NewRecord(0)
		for _, s := range strings.Fields(settings) {
			name, value, _ := strings.Cut(s, "=")
			v, err := setupbin.Make(name, value)
			if err != nil {
				t.Fatal(err)
			}
			r.Add(v)
		}
		f.Records = append(f.Records, r)
	}
	f.Index()
	content, err := f.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return keyOf(t, content)
}

func keyOf(t testing.TB, content []byte) *key {
	t.Helper()
	k := &key{b: make([]byte, keySize)}
	if err := fat.Write(k, fat.Options{Size: keySize}, fat.File{Name: "SETUP.BIN", Content: content}); err != nil {
		t.Fatal(err)
	}
	k.writes = 0
	return k
}

// file reads Setup.bin from a key.
func (k *key) file(t testing.TB) *setupbin.File {
	t.Helper()
	v, err := fat.Open(k, k.KeySize())
	if err != nil {
		t.Fatal(err)
	}
	e, err := v.Find("setup.bin")
	if err != nil {
		t.Fatal(err)
	}
	content, err := v.Read(e, setupbin.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	f, err := setupbin.Parse(content)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// bootWith has a machine boot with a key.
func bootWith(w *world, k firmware.Key) {
	w.pc.PlugIn(k)
	if w.pc.Power() == firmware.S0 {
		w.pc.Person().Reset()
	} else {
		w.pc.Person().Press()
	}
	w.settle()
}

const (
	newPassword  = "N3w$ecret"
	keyPasswords = "current-password=admin new-password=" + newPassword + " "
	keyManual    = keyPasswords + "manual-setup=manual "
	rootHash     = "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f"
)

// What stands on the key is read back over WS-Management, with the new password.
func TestKeySetsUp(t *testing.T) {
	const hash = " user-hashes=on add-hash=sha256:" + rootHash + ":root"
	for _, tt := range []struct {
		name, settings string
		generation     int
		class, select_ string // what is read, and what it must contain
		want           []string
	}{
		{"names", "host-name=desk-7 domain=example.com fqdn=dedicated dynamic-dns=on", 12, "AMT_GeneralSettings", "",
			[]string{"HostName=desk-7", "DomainName=example.com", "SharedFQDN=false", "DDNSUpdateEnabled=true"}},
		{"server", "dns-suffix=example.com server-name=setup.example.com remote-configuration=off", 12, "AMT_SetupAndConfigurationService", "",
			[]string{"TrustedDNSSuffix=example.com", "ConfigurationServerFQDN=setup.example.com", "ZeroTouchConfigurationEnabled=false", "ProvisioningState=2"}},
		{"only SOL", "redirection=sol", 12, "AMT_RedirectionService", "", []string{"EnabledState=32770"}},
		{"only IDE-R", "redirection=ider+password", 12, "AMT_RedirectionService", "", []string{"EnabledState=32769"}},
		{"no redirection", "redirection=none", 12, "AMT_RedirectionService", "", []string{"EnabledState=32768"}},
		{"no KVM", "kvm=off", 12, "CIM_KVMRedirectionSAP", "", []string{"EnabledState=3"}},
		{"KVM", "kvm=on", 11, "CIM_KVMRedirectionSAP", "", []string{"EnabledState=6"}},
		{"consent for all", "user-consent=all remote-consent-policy=off", 12, "IPS_OptInService", "", []string{"OptInRequired=4294967295", "CanModifyOptInPolicy=0"}},
		{"consent for KVM", "user-consent=kvm", 8, "IPS_OptInService", "", []string{"OptInRequired=1"}},
		{"DHCP", "dhcp=on", 12, "AMT_EthernetPortSettings", "Intel(r) AMT Ethernet Port Settings 0", []string{"DHCPEnabled=true"}},
		{"static address", "dhcp=off static-ipv4=hex:0702000a00ffffff0102000a0302000a00000000", 12, "AMT_EthernetPortSettings", "Intel(r) AMT Ethernet Port Settings 0",
			[]string{"DHCPEnabled=false", "IPAddress=10.0.2.7", "SubnetMask=255.255.255.0", "DefaultGateway=10.0.2.1", "PrimaryDNS=10.0.2.3", "SecondaryDNS="}},
		{"hash", hash, 12, "AMT_ProvisioningCertificateHash", "Intel(r) AMT: Certificate Hash 1",
			[]string{"HashType=2", "HashData=yzzLt2Ax5eATj43TmiP53kf/w15DwRRM6ifUalqxy18=", "IsDefault=false", "Enabled=true", "Description=root"}},
		{"built-in hashes off", "builtin-hashes=off", 12, "AMT_ProvisioningCertificateHash", "Intel(r) AMT: Certificate Hash 0", []string{"IsDefault=true", "Enabled=false"}},
		{"mode", "", 16, "IPS_HostBasedSetupService", "", []string{"CurrentControlMode=2"}},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: tt.generation, Factory: true}, pc.Options{})
			if got := w.Ports(); slices.Contains(got, firmware.PortHTTP) || slices.Contains(got, firmware.PortHTTPS) {
				t.Fatalf("ports before: %v", got)
			}
			k := keyWith(t, setupbin.V3, 0, keyManual+tt.settings)
			bootWith(w, k)
			result, ok := w.KeySetup()
			if !ok || result.Err != nil || result.Record != 1 || !result.Active || result.Ignored != nil {
				t.Fatalf("got %+v, %v; screen %q", result, ok, w.pc.Lines())
			}
			if n := len(strings.Fields(keyManual+tt.settings)) - 1; len(result.Applied) != n {
				t.Errorf("%d settings applied, want %d: %q", len(result.Applied), n, result.Applied)
			}
			var sel wsman.Selectors
			if tt.select_ != "" {
				sel = wsman.Selectors{{Name: "InstanceID", Value: tt.select_}}
			}
			e, err := wsman.Get(t.Context(), w.login(t, "admin", newPassword), wsman.ClassURI(tt.class), sel)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				name, value, _ := strings.Cut(want, "=")
				if got := e.ChildText(name); got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
			if _, err := wsman.Get(t.Context(), w.login(t, "admin", firmware.DefaultPassword), wsman.ClassURI(tt.class), sel); err == nil {
				t.Error("the password of before does, too")
			}
			if f := k.file(t); f.Consumed != 1 || f.Records[0].Usable() || f.Records[0].Variables != nil || bytes.Contains(k.b, []byte(newPassword)) {
				t.Errorf("the record was not marked and emptied: %d consumed", f.Consumed)
			}
		})
	}
}

// What is refused changes nothing: neither machine nor key.
func TestKeyRefused(t *testing.T) {
	garbage := bytes.Repeat([]byte{7}, 1024)
	scrambled := keyWith(t, setupbin.V4, 0, keyManual)
	spoilt := keyWith(t, setupbin.V3, 0, keyManual)
	i := bytes.Index(spoilt.b, []byte(newPassword))
	spoilt.b[i-3] = 0xff // length of the variable, high octet
	locked := keyWith(t, setupbin.V3, 0, keyManual)
	locked.locked = true
	for _, tt := range []struct {
		name string
		k    *key
		c    firmware.Config
		o    pc.Options
		err  error
	}{
		{"wrong password", keyWith(t, setupbin.V3, 0, "current-password=Adm1n$x new-password="+newPassword+" manual-setup=manual"), firmware.Config{}, pc.Options{}, setupbin.ErrPassword},
		{"declined", keyWith(t, setupbin.V3, 0, keyManual), firmware.Config{}, pc.Options{Decline: true}, firmware.ErrDeclined},
		{"newer than the release", scrambled, firmware.Config{Version: "7.0.0"}, pc.Options{}, firmware.ErrTooNew},
		{"not such a file", keyOf(t, garbage), firmware.Config{}, pc.Options{}, setupbin.ErrOther},
		{"empty", keyOf(t, nil), firmware.Config{}, pc.Options{}, setupbin.ErrOther},
		{"damaged record", spoilt, firmware.Config{}, pc.Options{}, setupbin.ErrMalformed},
		{"breaks the rules", keyWith(t, setupbin.V3, 0, "current-password=admin manual-setup=manual"), firmware.Config{}, pc.Options{}, firmware.ErrBadFile},
		{"weak password", keyWith(t, setupbin.V3, 0, "current-password=admin new-password=passwords"), firmware.Config{}, pc.Options{}, firmware.ErrBadFile},
		{"write-protected", locked, firmware.Config{}, pc.Options{}, firmware.ErrProtected},
		{"no record", keyWith(t, setupbin.V3, 0), firmware.Config{}, pc.Options{}, setupbin.ErrNoRecord},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			tt.c.Factory = true
			if tt.c.Version == "" {
				tt.c.Generation = 12
			}
			w := newWorld(t, tt.c, tt.o)
			before, image := stateOf(t, w), bytes.Clone(tt.k.b)
			bootWith(w, tt.k)
			result, ok := w.KeySetup()
			if !ok || !errors.Is(result.Err, tt.err) || result.Applied != nil || result.Active {
				t.Errorf("got %+v, %v; want %v", result, ok, tt.err)
			}
			if w.ControlMode() != firmware.ModeNone || !bytes.Equal(image, tt.k.b) {
				t.Errorf("%v; key changed: %v", w.ControlMode(), !bytes.Equal(image, tt.k.b))
			}
			if after := stateOf(t, w); after != before {
				t.Errorf("the machine was\n%s\nand is\n%s", before, after)
			}
			lines := w.pc.Lines()
			if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], "Set-up from the USB key failed: ") {
				t.Errorf("screen: %q", lines)
			}
		})
	}
}

// stateOf returns what a boot with a key may change of a machine.
func stateOf(t *testing.T, w *world) string {
	t.Helper()
	s, err := w.Machine.State()
	if err != nil {
		t.Fatal(err)
	}
	var touched []string
	for _, c := range s.Instances {
		if c.Name != "AMT_BootSettingData" { // a boot touches it
			touched = append(touched, c.Name)
		}
	}
	return fmt.Sprintf("%s %s %s %s %v", s.Parts["mebx"], s.Parts["setup"], s.Parts["users"], *s.Identity.HostName, touched)
}

// A variable that is refused ends the record: what came before stays, the machine is not set up, the record not used up.
func TestKeyRefusedVariable(t *testing.T) {
	psk := "pid=ABCDEFGH pps=ABCDEFGHABCDEFGHABCDEFGHABCDEFGH "
	for _, tt := range []struct {
		name, settings string
		c              firmware.Config
		applied        []string
	}{
		{"pre-shared keys since 11", psk + "host-name=desk-7", firmware.Config{Generation: 11}, []string{"new-password"}},
		{"unknown variable", "host-name=desk-7 2/99=hex:01", firmware.Config{Generation: 12}, []string{"new-password", "host-name", "manual-setup"}},
		{"SHA-1 since 16", "add-hash=sha1:" + rootHash[:40] + ":old host-name=x", firmware.Config{Generation: 16}, []string{"new-password"}},
		{"static address of another length", "dhcp=off static-ipv4=hex:00", firmware.Config{Generation: 12}, []string{"new-password", "dhcp"}},
		{"too many hashes", strings.Repeat("add-hash=sha1:"+rootHash[:40]+" ", 11), firmware.Config{Generation: 12},
			append([]string{"new-password"}, slices.Repeat([]string{"add-hash"}, 10)...)},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			tt.c.Factory = true
			w := newWorld(t, tt.c, pc.Options{})
			k := keyWith(t, setupbin.V3, 0, keyManual+tt.settings)
			bootWith(w, k)
			result, _ := w.KeySetup()
			if !errors.Is(result.Err, firmware.ErrRefused) || !slices.Equal(result.Applied, tt.applied) {
				t.Errorf("got %+v, want %q applied", result, tt.applied)
			}
			if w.ControlMode() != firmware.ModeNone || k.file(t).Consumed != 0 {
				t.Errorf("%v, %d consumed", w.ControlMode(), k.file(t).Consumed)
			}
		})
	}
}

// Pre-shared keys and the server's address are kept where there is no class for them; prepared machines stay closed.
func TestKeyPrepares(t *testing.T) {
	inBubble(t, "prepared", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 8, Factory: true}, pc.Options{})
		bootWith(w, keyWith(t, setupbin.V3, 0, keyPasswords+"pid=ABCDEFGH pps=ABCDEFGHABCDEFGHABCDEFGHABCDEFGH server-address=192.0.2.7 server-port=9971 provisioning=start"))
		if result, _ := w.KeySetup(); result.Err != nil || result.Active {
			t.Errorf("got %+v", result)
		}
		for id, want := range map[setupbin.ID]string{setupbin.PID: "ABCDEFGH", setupbin.ServerAddress: "\x07\x02\x00\xc0", setupbin.ServerPort: "\xf3\x26", setupbin.KVM: ""} {
			if got := w.Setting(id); string(got) != want {
				t.Errorf("%v is %q, want %q", id, got, want)
			}
		}
		if p, _ := w.Presence(); p.State != rmcp.In || len(w.Ports()) != 0 {
			t.Errorf("state %v, ports %v", p.State, w.Ports())
		}
		again, err := firmware.New(firmware.Config{Generation: 8, Factory: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Machine.Parts(again); err != nil {
			t.Fatal(err)
		}
		if got := string(again.Setting(setupbin.PID)); got != "ABCDEFGH" {
			t.Errorf("after dump and load PID is %q", got)
		}
	})
}

// Records serve one machine after the other; a reusable one serves all, and no machine twice.
func TestKeyForManyMachines(t *testing.T) {
	inBubble(t, "records", func(t *testing.T) {
		k := keyWith(t, setupbin.V3, 0, keyManual+"host-name=one", keyManual+"host-name=two")
		for i, want := range []string{"one", "two", ""} {
			w := newWorld(t, firmware.Config{Factory: true, Seed: want}, pc.Options{})
			bootWith(w, k)
			result, _ := w.KeySetup()
			if want == "" {
				if !errors.Is(result.Err, setupbin.ErrNoRecord) {
					t.Errorf("third machine: %+v", result)
				}
				continue
			}
			if result.Record != i+1 || result.Err != nil || w.Identity().HostName != want {
				t.Errorf("%+v, host name %s; want %s", result, w.Identity().HostName, want)
			}
		}
	})
	inBubble(t, "reusable", func(t *testing.T) {
		k := keyWith(t, setupbin.V3, setupbin.Reusable, keyManual)
		k.locked = true // nobody needs to write it
		w := newWorld(t, firmware.Config{Factory: true}, pc.Options{})
		bootWith(w, k)
		if result, _ := w.KeySetup(); result.Err != nil || !result.Active {
			t.Fatalf("got %+v", result)
		}
		bootWith(w, k)
		if result, _ := w.KeySetup(); !errors.Is(result.Err, firmware.ErrSetUp) {
			t.Errorf("second boot: %+v", result)
		}
		w.Unprovision() // as in the factory again, password included
		bootWith(w, k)
		if result, _ := w.KeySetup(); result.Err != nil || w.ControlMode() != firmware.ModeAdmin {
			t.Errorf("after unprovision: %+v, %v", result, w.ControlMode())
		}
		bootWith(w, nil)
		if result, ok := w.KeySetup(); ok {
			t.Errorf("without a key: %+v", result)
		}
	})
}

// A key that was prepared only has changed the password of the BIOS extension: the next one must know it.
func TestKeyKnowsThePassword(t *testing.T) {
	inBubble(t, "password", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Factory: true}, pc.Options{})
		bootWith(w, keyWith(t, setupbin.V3, 0, keyPasswords))
		bootWith(w, keyWith(t, setupbin.V3, 0, keyManual))
		if result, _ := w.KeySetup(); !errors.Is(result.Err, setupbin.ErrPassword) {
			t.Errorf("factory password: %+v", result)
		}
		bootWith(w, keyWith(t, setupbin.V3, 0, "current-password="+newPassword+" new-password=Th1rd$ecret manual-setup=manual"))
		if result, _ := w.KeySetup(); result.Err != nil {
			t.Errorf("right password: %+v", result)
		}
		if _, err := wsman.Identify(t.Context(), w.login(t, "admin", "Th1rd$ecret")); err != nil {
			t.Error(err)
		}
	})
}

// Keys with other things on them do not disturb a boot.
func TestKeyWithoutSetupBin(t *testing.T) {
	inBubble(t, "other", func(t *testing.T) {
		other := &key{b: make([]byte, keySize)}
		if err := fat.Write(other, fat.Options{Size: keySize}, fat.File{Name: "README.TXT", Content: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		for name, k := range map[string]*key{"other file": other, "no file system": {b: make([]byte, 512)}, "nothing": {}} {
			w := newWorld(t, firmware.Config{Factory: true}, pc.Options{})
			bootWith(w, k)
			if result, ok := w.KeySetup(); ok || len(w.pc.Lines()) != 0 || w.pc.Phase() != pc.Running {
				t.Errorf("%s: %+v, %q, %v", name, result, w.pc.Lines(), w.pc.Phase())
			}
			synctest.Wait()
		}
	})
}
