package console

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/dump"
	"github.com/outband/outband/wire/wsman"
)

func TestDump(t *testing.T) {
	f := newFake()
	f.put(&amt.SetupAndConfigurationService{Name: new("second"), ProvisioningServerOTP: []byte("one-time secret")})
	edit(t, f, func(v *amt.BootSettingData) { v.RSEPassword, v.UserPasswordBypass = new("hidden"), new(true) })
	f.fail = func(req *wsman.Request) error {
		if wsman.ClassName(req.ResourceURI) == "AMT_AuditLog" {
			return wsman.ErrAccessDenied
		}
		return nil
	}
	var b bytes.Buffer
	steps := 0
	report, err := Over(f, "desk-7").Dump(t.Context(), &b, &DumpOptions{Progress: func(s DumpStep) {
		if steps++; s.At != steps || s.Of < 200 {
			t.Fatalf("step %+v after %d", s, steps-1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if report.Classes < 15 || report.Instances < 20 || len(report.Absent) < 100 || !errors.Is(report.Refused["AMT_AuditLog"], wsman.ErrAccessDenied) {
		t.Errorf("got %d classes, %d instances, %d absent, refused %v", report.Classes, report.Instances, len(report.Absent), report.Refused)
	}
	file, err := dump.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if file.Version != "16.1.27" || file.Host != "desk-7" || file.Taken.IsZero() {
		t.Errorf("got %s of %s at %v", file.Version, file.Host, file.Taken)
	}
	if n := len(file.Class("CIM_SoftwareIdentity")); n != 4 {
		t.Errorf("%d instances of CIM_SoftwareIdentity", n)
	}
	options := file.Class("AMT_BootSettingData")[0]
	if options.Child("RSEPassword") != nil || options.ChildText("UserPasswordBypass") != "true" {
		t.Error("a password is in the dump, or a switch with password in its name is not")
	}
	if file.Class("AMT_SetupAndConfigurationService")[0].Child("ProvisioningServerOTP") != nil {
		t.Error("a one-time password is in the dump")
	}
}

// A base class yields its own instances only; those of its subclasses come with their own class.
func TestDumpKeepsClassesApart(t *testing.T) {
	f := newFake()
	chip := &cim.Chip{CreationClassName: new("CIM_Chip"), Tag: new("CPU 0")}
	memory := &cim.PhysicalMemory{CreationClassName: new("CIM_PhysicalMemory"), Tag: new("9876543210")}
	f.instances["CIM_Chip"] = []wsman.Element{chip.Element(), memory.Element()}
	f.instances["CIM_PhysicalMemory"] = []wsman.Element{memory.Element()}
	file, _, err := Over(f, "x").Snapshot(t.Context(), &DumpOptions{Classes: []string{"CIM_Chip", "CIM_PhysicalMemory"}})
	if err != nil || len(file.Class("CIM_Chip")) != 1 || len(file.Class("CIM_PhysicalMemory")) != 1 {
		t.Errorf("got %+v, %v", file, err)
	}
}

func TestDumpEndsWithTheConnection(t *testing.T) {
	f := newFake()
	f.fail = func(*wsman.Request) error { return ErrCut }
	if _, _, err := Over(f, "x").Snapshot(t.Context(), nil); !errors.Is(err, ErrCut) || f.called("") != 1 {
		t.Errorf("got %v after %d requests", err, f.called(""))
	}
}

func TestRedact(t *testing.T) {
	f := newFake()
	f.put(&cim.ComputerSystem{CreationClassName: new("CIM_ComputerSystem"), Name: new("ManagedSystem"), ElementName: new("PC desk-7"), Caption: new("S/N S12345678")})
	edit(t, f, func(v *cim.Chassis) { v.SerialNumber = new("S12345678") })
	edit(t, f, func(v *amt.EthernetPortSettings) { v.MACAddress = new("c8-d9-d2-7a-1e-33") })
	edit(t, f, func(v *amt.GeneralSettings) { v.DigestRealm = new(testRealm) })
	f.put(&amt.PublicKeyCertificate{InstanceID: new("cert"), X509Certificate: []byte("certificate"), Subject: new("CN=desk-7.example.org")})
	file, _, err := Over(f, "desk-7").Snapshot(t.Context(), &DumpOptions{Redact: true})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := file.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, told := range []string{"desk-7", "example.org", "S12345678", "c8-d9-d2", "13AEE355", "10.1.2.3", testRealm, "X509Certificate"} {
		if strings.Contains(b.String(), told) {
			t.Errorf("%s is still in it", told)
		}
	}
	port := file.Class("AMT_EthernetPortSettings")[0]
	if mac := port.ChildText("MACAddress"); len(mac) != 17 || mac[2] != '-' || strings.Trim(mac, "-0123456789abcdef") != "" {
		t.Errorf("MAC address became %q", mac)
	}
	if a, err := netip.ParseAddr(port.ChildText("IPAddress")); err != nil || !a.Is4() {
		t.Errorf("address became %v, %v", a, err)
	}
	if realm := file.Class("AMT_GeneralSettings")[0].ChildText("DigestRealm"); !strings.HasPrefix(realm, "Digest:") || len(realm) != len(testRealm) {
		t.Errorf("realm became %q", realm)
	}
	serial := file.Class("CIM_Chassis")[0].ChildText("SerialNumber")
	if caption := file.Class("CIM_ComputerSystem")[0].ChildText("Caption"); caption != "S/N "+serial {
		t.Errorf("serial number became %q, and %q elsewhere", serial, caption)
	}
	if file.Host != file.Class("AMT_GeneralSettings")[0].ChildText("HostName") {
		t.Error("equal names became different ones")
	}
}
