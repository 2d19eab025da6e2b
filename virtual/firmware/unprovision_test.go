package firmware

import (
	"slices"
	"testing"

	"github.com/outband/outband/wire/wsman"
)

// A partial unprovision closes the network and forgets settings, but not the administrator, his realm and the setup
// server.
func TestPartialUnprovision(t *testing.T) {
	m := newMachine(t, Config{Generation: 12})
	address := loopback(2, 7)
	l, err := m.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	before := m.Identity()
	c := &wsman.Client{Dial: dialTCP(address, PortHTTP), Password: DefaultPassword}
	defer c.Close()
	if _, err := wsmanPut(t, c, "AMT_GeneralSettings", "IdleWakeTimeout", "7"); err != nil {
		t.Fatal(err)
	}
	m.changeOne("AMT_SetupAndConfigurationService", func(e *wsman.Element) { set(e, "ConfigurationServerFQDN", "setup.example") })
	uri := wsman.ClassURI("AMT_SetupAndConfigurationService")
	out, err := wsman.Invoke(t.Context(), c, uri, "PartialUnprovision", nil)
	if err != nil || out.ChildText("ReturnValue") != "0" {
		t.Fatalf("%+v, %v", out, err)
	}
	if got := l.Ports(); slices.Contains(got, PortHTTP) || slices.Contains(got, PortHTTPS) {
		t.Errorf("ports %v", got)
	}
	after := m.Identity()
	if after.Realm != before.Realm || after.HostName != before.HostName || m.ControlMode() != ModeNone {
		t.Errorf("mode %v, identity %+v, before %+v", m.ControlMode(), after, before)
	}
	if e := m.one("AMT_SetupAndConfigurationService"); e.ChildText("ProvisioningState") != "1" || e.ChildText("ConfigurationServerFQDN") != "setup.example" {
		t.Errorf("service %+v", e)
	}
	if got := m.one("AMT_GeneralSettings").ChildText("IdleWakeTimeout"); got == "7" {
		t.Error("a setting outlived it")
	}
	if _, _, ok := m.users.lookup("admin", true); !ok {
		t.Error("the administrator is gone")
	}
}

// In client control mode there is no setup server that it could wait for.
func TestPartialUnprovisionInClientMode(t *testing.T) {
	m := newMachine(t, Config{Generation: 12, Client: true})
	address := loopback(2, 8)
	if _, err := m.Listen(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	c := &wsman.Client{Dial: dialTCP(address, PortHTTP), Password: DefaultPassword}
	defer c.Close()
	out, err := wsman.Invoke(t.Context(), c, wsman.ClassURI("AMT_SetupAndConfigurationService"), "PartialUnprovision", nil)
	if err != nil || out.ChildText("ReturnValue") != "16" || m.ControlMode() != ModeClient {
		t.Fatalf("%+v, %v, %v", out, err, m.ControlMode())
	}
}
