package firmware

import (
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/wsman"
)

// TestUnprovision: the answer comes, then the network is closed and the realm is new; setting up opens it again.
func TestUnprovision(t *testing.T) {
	m := newMachine(t, Config{Generation: 12})
	address := loopback(2, 0)
	l, err := m.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	realm := m.Identity().Realm
	c := &wsman.Client{Dial: dialTCP(address, PortHTTP), Password: DefaultPassword}
	defer c.Close()
	if _, err := wsmanPut(t, c, "AMT_GeneralSettings", "IdleWakeTimeout", "7"); err != nil {
		t.Fatal(err)
	}
	uri := wsman.ClassURI("AMT_SetupAndConfigurationService")
	for _, step := range []struct{ mode, want string }{{"2", "36"}, {"1", "0"}} {
		out, err := wsman.Invoke(t.Context(), c, uri, "Unprovision", nil, wsman.El(uri, "ProvisioningMode", step.mode))
		if err != nil || out.ChildText("ReturnValue") != step.want {
			t.Fatalf("mode %s: %+v, %v", step.mode, out, err)
		}
	}
	if got := l.Ports(); slices.Contains(got, PortHTTP) || slices.Contains(got, PortHTTPS) {
		t.Errorf("ports %v", got)
	}
	if m.ControlMode() != ModeNone || m.Identity().Realm == realm || m.store.changed != nil {
		t.Errorf("mode %v, realm %s", m.ControlMode(), m.Identity().Realm)
	}
	m.Provision(ModeClient, digest.HA1("admin", m.Identity().Realm, "N3w$ecret"))
	again := &wsman.Client{Dial: dialTCP(address, PortHTTP), Password: "N3w$ecret"}
	defer again.Close()
	e, err := wsman.Get(t.Context(), again, wsman.ClassURI("IPS_HostBasedSetupService"), nil)
	if err != nil || e.ChildText("CurrentControlMode") != "1" {
		t.Errorf("%+v, %v", e, err)
	}
	e, err = wsman.Get(t.Context(), again, uri, nil)
	if err != nil || e.ChildText("ProvisioningState") != "2" || e.ChildText("ProvisioningMode") != "4" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestFactoryState(t *testing.T) {
	m := newMachine(t, Config{Factory: true})
	if got := m.Ports(); slices.Contains(got, PortHTTP) || slices.Contains(got, PortHTTPS) {
		t.Errorf("network ports %v", got)
	}
	if got := m.LocalPorts(); !slices.Contains(got, PortHTTP) {
		t.Errorf("local ports %v", got)
	}
}

func TestQOP(t *testing.T) {
	for _, tt := range []struct {
		version, want, after string
	}{
		{"12.0.67", `qop="auth"`, `qop="auth"`},
		{"15.0.23", `qop="auth-int,auth"`, `qop="auth-int"`},
	} {
		m := newMachine(t, Config{Version: tt.version})
		if got := m.auth.Challenge(false).String(); !strings.Contains(got, tt.want) {
			t.Errorf("%s offers %s", tt.version, got)
		}
		c := client(t, m)
		if _, err := wsmanPut(t, c, "AMT_AuthorizationService", "AllowHttpQopAuthOnly", "0"); err != nil {
			t.Fatal(err)
		}
		if got := m.auth.Challenge(false).String(); !strings.Contains(got, tt.after) {
			t.Errorf("%s offers %s afterwards", tt.version, got)
		}
		if _, err := wsman.Identify(t.Context(), c); err != nil {
			t.Errorf("%s: %v", tt.version, err)
		}
	}
}

// TestTrustedConnection: over TLS a request may do without credentials once one on the connection had them, until the
// access list changes. Without TLS never.
func TestTrustedConnection(t *testing.T) {
	for _, tt := range []struct {
		port int
		want string
	}{{PortHTTPS, "200"}, {PortHTTP, "401"}} {
		m := newMachine(t, Config{Generation: 12, TLS: tt.port == PortHTTPS})
		conn, err := dialer(t, m, tt.port)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		doc := getDocument("CIM_Chassis", "1")
		bare := strings.Replace(signed(m, doc, ""), "Authorization", "X-Nothing", 1)
		ask := func(text string) string {
			t.Helper()
			if _, err := conn.Write([]byte(text)); err != nil {
				return err.Error()
			}
			buf := make([]byte, 1<<16)
			n := 0
			for !strings.Contains(string(buf[:n]), "0\r\n\r\n") && !strings.Contains(string(buf[:n]), "</html>") {
				more, err := conn.Read(buf[n:])
				if err != nil {
					return err.Error()
				}
				n += more
			}
			return string(buf[len("HTTP/1.1 "):len("HTTP/1.1 200")])
		}
		if got := ask(signed(m, doc, "")); got != "200" {
			t.Fatalf("port %d: %s", tt.port, got)
		}
		if got := ask(bare); got != tt.want {
			t.Errorf("port %d: without credentials %s, want %s", tt.port, got, tt.want)
		}
		if tt.port == PortHTTPS {
			m.voidNonces()
			if got := ask(bare); got != "401" {
				t.Errorf("after a change of the access list: %s", got)
			}
		}
	}
}

func TestEmptyResponse(t *testing.T) {
	for _, vulnerable := range []bool{false, true} {
		m := newMachine(t, Config{Generation: 11, AcceptAnyEmptyResponse: vulnerable})
		text := signed(m, getDocument("CIM_Chassis", "1"), "")
		at := strings.Index(text, `response="`) + len(`response="`)
		text = text[:at] + text[at+32:]
		want := "HTTP/1.1 401"
		if vulnerable {
			want = "HTTP/1.1 200"
		}
		if got := talk(t, m, strings.Replace(text, "Host: x", "Host: x\r\nConnection: close", 1)); !strings.HasPrefix(got, want) {
			t.Errorf("vulnerable %v: %.60q", vulnerable, got)
		}
	}
}
