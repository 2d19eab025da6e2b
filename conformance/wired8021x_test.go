package conformance

import (
	"strings"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/ips/ieee8021x"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
)

// certified is a machine whose store has a root certificate, handle 0, and one of the client, handle 1.
const certified = `{"version":"12.0.67.1579","instances":{"AMT_PublicKeyCertificate":[
{"ElementName":"Intel(r) AMT Certificate","InstanceID":"Intel(r) AMT Certificate: Handle: 0","TrustedRootCertficate":"true","X509Certificate":"AAAA"},
{"ElementName":"Intel(r) AMT Certificate","InstanceID":"Intel(r) AMT Certificate: Handle: 1","TrustedRootCertficate":"false","X509Certificate":"AAAA"}]}}`

// What our console sets, the library reads.
func TestGoWsmanReadsWired8021x(t *testing.T) {
	w := machine(t, lab.Machine{Dump: []byte(certified), Power: "on"})
	ours, theirs := manager(t, w), gowsman(t, w)
	tls := &console.EAP{Protocol: "tls", Username: "amt", ClientCertificate: "1", CACertificate: "0"}
	_, err := ours.SetWired8021x(t.Context(), console.Wired8021x{EAP: tls, ActiveInS0: new(true), PXETimeout: new(uint32(90))})
	check(t, err)
	got, err := theirs.IPS.IEEE8021xSettings.Get()
	check(t, err)
	settings := got.Body.IEEE8021xSettingsResponse
	equal(t, "state", int(settings.Enabled), 2)
	equal(t, "PXE timeout", settings.PxeTimeout, 90)
	equal(t, "in S0", settings.AvailableInS0, true)
	context, err := theirs.IPS.IEEE8021xCredentialContext.Enumerate()
	check(t, err)
	list, err := theirs.IPS.IEEE8021xCredentialContext.Pull(context.Body.EnumerateResponse.EnumerationContext)
	check(t, err)
	equal(t, "certificates", len(list.Body.PullResponse.CredentialContextItems), 2)
	_, err = ours.DisableWired8021x(t.Context())
	check(t, err)
	got, err = theirs.IPS.IEEE8021xSettings.Get()
	check(t, err)
	equal(t, "state after disable", int(got.Body.IEEE8021xSettingsResponse.Enabled), 3)
	if list := w.instances(t, "IPS_IEEE8021xSettings"); len(list) != 1 || list[0].ChildText("Enabled") != "3" {
		t.Errorf("the machine has %+v", list)
	}
}

// What the library writes is so in the machine, and our console reads it.
func TestGoWsmanWritesWired8021x(t *testing.T) {
	w := machine(t, lab.Machine{Dump: []byte(certified), Power: "on"})
	theirs := gowsman(t, w)
	request := ieee8021x.IEEE8021xSettingsRequest{ElementName: "Intel(r) AMT: 8021X Settings", InstanceID: "Intel(r) AMT: 8021X Settings", AuthenticationProtocol: 2,
		Username: "amt", Password: "s3cret", Enabled: 2, PxeTimeout: 45, AvailableInS0: true}
	_, err := theirs.IPS.IEEE8021xSettings.Put(&request)
	check(t, err)
	set, err := theirs.IPS.IEEE8021xSettings.SetCertificates("Intel(r) AMT Certificate: Handle: 0", "Intel(r) AMT Certificate: Handle: 1")
	check(t, err)
	equal(t, "SetCertificates", int(set.Body.SetCertificatesResponse.ReturnValue), 0)
	set, err = theirs.IPS.IEEE8021xSettings.SetCertificates("Intel(r) AMT Certificate: Handle: 1", "Intel(r) AMT Certificate: Handle: 0")
	check(t, err)
	equal(t, "SetCertificates the other way round", int(set.Body.SetCertificatesResponse.ReturnValue), 1)
	if list := w.instances(t, "IPS_IEEE8021xSettings"); len(list) != 1 || list[0].ChildText("Enabled") != "2" || list[0].ChildText("PxeTimeout") != "45" {
		t.Errorf("the machine has %+v", list)
	}
	if !strings.Contains(w.dump(t), "s3cret") {
		t.Error("the machine does not keep the password")
	}
	now, err := manager(t, w).Wired8021x(t.Context())
	check(t, err)
	want := console.EAP{Protocol: "peap-mschapv2", Username: "amt", ClientCertificate: "Intel(r) AMT Certificate: Handle: 1", CACertificate: "Intel(r) AMT Certificate: Handle: 0"}
	if !now.Enabled || now.EAP == nil || *now.EAP != want || !*now.ActiveInS0 || *now.PXETimeout != 45 {
		t.Errorf("our console reads %+v with %+v", now, now.EAP)
	}
	request.PxeTimeout = 86401
	if _, err := theirs.IPS.IEEE8021xSettings.Put(&request); err == nil {
		t.Error("a PXE timeout of more than a day is taken")
	}
}
