package firmware_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
	heci "github.com/outband/outband/wire/watchdog"
	"github.com/outband/outband/wire/wsman"
)

// A host is what a program on the PC has: the bus, and a machine behind it.
type host struct {
	*firmware.Machine
	bus mei.Bus
}

func newHost(t *testing.T, c firmware.Config) *host {
	t.Helper()
	m, err := firmware.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return hostOf(t, m)
}

func hostOf(t *testing.T, m *firmware.Machine) *host {
	t.Helper()
	bus, stop := m.MEBus()
	t.Cleanup(func() {
		stop()
		m.Close()
	})
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &host{m, bus}
}

func (h *host) amthi(t *testing.T) *amthi.Client {
	t.Helper()
	c, err := amthi.Dial(t.Context(), h.bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (h *host) lme(t *testing.T) *apf.Session {
	t.Helper()
	c, err := h.bus.Connect(t.Context(), mei.LME)
	if err != nil {
		t.Fatal(err)
	}
	s, err := apf.Server(t.Context(), c, apf.Config{LME: true, Direct: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// local returns a client that comes from the PC itself, by LME.
func (h *host) local(t *testing.T, s *apf.Session, user, password string, certs ...tls.Certificate) *wsman.Client {
	t.Helper()
	f, err := s.WaitForward(t.Context(), firmware.PortHTTP, firmware.PortHTTPS)
	if err != nil {
		t.Fatal(err)
	}
	if certs != nil {
		f.Port = firmware.PortHTTPS
	}
	c := &wsman.Client{Username: user, Password: password, MaxConns: 1, Dial: func(ctx context.Context) (net.Conn, error) {
		conn, err := s.Dial(ctx, int(f.Port))
		if err == nil && f.Port == firmware.PortHTTPS {
			return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, Certificates: certs}), nil
		}
		return conn, err
	}}
	t.Cleanup(func() { c.Close() })
	return c
}

func (h *host) osAdmin(t *testing.T) (user, password string) {
	t.Helper()
	a, err := h.amthi(t).LocalSystemAccount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a.User, a.Password
}

// TestAMTHI: what programs on the PC are told is what the machine is.
func TestAMTHI(t *testing.T) {
	for _, tt := range []struct {
		name  string
		c     firmware.Config
		state amthi.ProvisioningState
		mode  amthi.ControlMode
	}{
		{"factory 16", firmware.Config{Generation: 16, Factory: true}, amthi.PreProvisioning, amthi.NotProvisioned},
		{"client 12", firmware.Config{Generation: 12, Client: true}, amthi.PostProvisioning, amthi.ClientControl},
		{"admin 8", firmware.Config{Generation: 8}, amthi.PostProvisioning, amthi.AdminControl},
		{"admin 19", firmware.Config{Generation: 19}, amthi.PostProvisioning, amthi.AdminControl},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, tt.c)
			c, ctx := h.amthi(t), t.Context()
			versions, err := c.CodeVersions(ctx)
			if err != nil || versions.Get(amthi.VersionAMT) != h.Profile().Version || versions.Get(amthi.VersionBuild) != h.Profile().Build {
				t.Errorf("versions %+v, %v", versions, err)
			}
			if sku := versions.Get(amthi.VersionSKU); sku != "16392" {
				t.Errorf("SKU %s", sku)
			}
			if id, err := c.UUID(ctx); err != nil || id != h.Identity().UUID {
				t.Errorf("UUID %v, %v", id, err)
			}
			if got, err := c.ProvisioningState(ctx); err != nil || got != tt.state {
				t.Errorf("state %v, %v", got, err)
			}
			if got, err := c.ControlMode(ctx); err != nil || got != tt.mode {
				t.Errorf("mode %v, %v", got, err)
			}
			hashes, err := c.CertificateHashes(ctx)
			if err != nil || len(hashes) != 1 || hashes[0].Name != "Go Daddy Class 2 CA" || !hashes[0].Active || hashes[0].Algorithm != amthi.SHA256 || len(hashes[0].Hash) != 32 {
				t.Errorf("hashes %+v, %v", hashes, err)
			}
			if _, err := c.CertificateHash(ctx, 99); !refusedWith(err, status.InvalidHandle) {
				t.Errorf("unknown handle: %v", err)
			}
			lan, ok, err := c.LANInterfaceSettings(ctx, amthi.Wired)
			if err != nil || !ok || lan.MAC.String() != colons(h.Identity().MAC) || !lan.LinkUp || !lan.DHCP {
				t.Errorf("LAN %+v, %v, %v", lan, ok, err)
			}
			if _, ok, err := c.LANInterfaceSettings(ctx, amthi.Wireless); ok || err != nil {
				t.Errorf("wireless: %v, %v", ok, err)
			}
			if got, err := c.RemoteAccessConnectionStatus(ctx); err != nil || got != (amthi.RemoteAccess{}) {
				t.Errorf("remote access %+v, %v", got, err)
			}
		})
	}
}

// Every command of the package has an answer that its client understands; none is left to "unsupported".
func TestAMTHIComplete(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 16, Client: true})
	c, ctx := h.amthi(t), t.Context()
	for _, tt := range []struct {
		name string
		err  func() error
		want status.Status
	}{
		{"06", commanded(ctx, c, amthi.GetTCPIPParameters, amthi.None{}), 0},
		{"08", commanded(ctx, c, amthi.GetProvisioningMode, amthi.None{}), 0},
		{"1B", commanded(ctx, c, amthi.GetSecurityParameters, amthi.None{}), 0},
		{"25", commanded(ctx, c, amthi.GetMACAddresses, amthi.None{}), 0},
		{"28", commanded(ctx, c, amthi.GenerateRNGSeed, amthi.None{}), 0},
		{"29", commanded(ctx, c, amthi.StartConfiguration, amthi.None{}), status.InvalidPTMode},
		{"2A", commanded(ctx, c, amthi.SetServerOTP, amthi.Text("0123456789")), status.InvalidPTMode},
		{"2B", commanded(ctx, c, amthi.GetProvisioningTLSMode, amthi.None{}), 0},
		{"2E", commanded(ctx, c, amthi.GetRNGSeedStatus, amthi.None{}), 0},
		{"2F", commanded(ctx, c, amthi.SetDNSSuffix, amthi.Text("example.com")), status.InvalidPTMode},
		{"30", commanded(ctx, c, amthi.GetZeroTouchEnabled, amthi.None{}), 0},
		{"36", commanded(ctx, c, amthi.GetDNSSuffix, amthi.None{}), 0},
		{"3E", commanded(ctx, c, amthi.GetDNSSuffixList, amthi.None{}), 0},
		{"3F", commanded(ctx, c, amthi.SetEnterpriseAccess, amthi.EnterpriseAccess{Access: true}), amthi.AccessGranted},
		{"44", commanded(ctx, c, amthi.OpenUserInitiated, amthi.None{}), status.NotPermitted},
		{"45", commanded(ctx, c, amthi.CloseUserInitiated, amthi.None{}), status.NotPermitted},
		{"46", commanded(ctx, c, amthi.GetRemoteAccessStatus, amthi.None{}), 0},
		{"47", commanded(ctx, c, amthi.GetPowerPolicy, amthi.None{}), 0},
		{"49", commanded(ctx, c, amthi.GetFeaturesState, amthi.FeatureKVM), 0},
		{"4A", commanded(ctx, c, amthi.GetLastHostReset, amthi.None{}), 0},
		{"4D", commanded(ctx, c, amthi.GetUserInitiatedEnabled, amthi.None{}), 0},
		{"4E", commanded(ctx, c, amthi.GetConfigurationServer, amthi.None{}), 0},
		{"50", commanded(ctx, c, amthi.GetAuditRecord, amthi.None{}), status.DataMissing},
		{"52", commanded(ctx, c, amthi.GetIPv6Status, amthi.Wired), 0},
		{"56", commanded(ctx, c, amthi.GetFQDN, amthi.None{}), 0},
		{"58", commanded(ctx, c, amthi.GetRedirectionState, amthi.None{}), 0},
		{"5B", commanded(ctx, c, amthi.SetHostFQDN, amthi.Text("desk-7.example.com")), 0},
		{"5E", commanded(ctx, c, amthi.StopConfiguration, amthi.None{}), status.InvalidPTMode},
		{"62", commanded(ctx, c, amthi.StartConfigurationEx, amthi.Bool(false)), status.InvalidPTMode},
		{"84", commanded(ctx, c, amthi.GetEHBCState, amthi.None{}), 0},
		{"85", commanded(ctx, c, amthi.SetEHBCState, amthi.Bool(true)), status.InvalidPTMode},
		{"88", commanded(ctx, c, amthi.DisableAndClear, amthi.None{}), status.InvalidPTMode},
		{"8B", commanded(ctx, c, amthi.StartConfigurationHBased, amthi.HostBased{}), status.InvalidPTMode},
		{"8E", commanded(ctx, c, amthi.GetCIRALog, amthi.LogVersion(0)), 0},
		{"state", commanded(ctx, c, amthi.GetAMTState, amthi.AMTStateID()), 0},
	} {
		if err := tt.err(); tt.want == 0 && err != nil || tt.want != 0 && !refusedWith(err, tt.want) {
			t.Errorf("%s: %v, want status %v", tt.name, err, tt.want)
		}
	}
	if got, err := amthi.Do(ctx, c, amthi.GetMACAddresses, amthi.None{}); err != nil || got.Host.String() != colons(h.Identity().MAC) {
		t.Errorf("MAC %v, %v", got, err)
	}
	if got, err := amthi.Do(ctx, c, amthi.GetFQDN, amthi.None{}); err != nil || got.Name != h.Identity().HostName+".lab.example" || int(got.HostLen) != len(h.Identity().HostName) {
		t.Errorf("FQDN %+v, %v", got, err)
	}
	if got, err := amthi.Do(ctx, c, amthi.GetRemoteAccessStatus, amthi.None{}); err != nil || got.Network != 1 {
		t.Errorf("after access by VPN: %+v, %v", got, err)
	}
}

func commanded[In, Out amthi.Data](ctx context.Context, c *amthi.Client, command amthi.Command[In, Out], in In) func() error {
	return func() error {
		_, err := amthi.Do(ctx, c, command, in)
		return err
	}
}

func refusedWith(err error, want status.Status) bool {
	var refused *status.Error
	return errors.As(err, &refused) && refused.Code == want
}

func colons(mac string) string {
	b := net.HardwareAddr{}
	for i := 0; i < len(mac); i += 2 {
		var n byte
		for _, c := range []byte(mac[i : i+2]) {
			n <<= 4
			if c >= 'a' {
				n |= c - 'a' + 10
			} else {
				n |= c - '0'
			}
		}
		b = append(b, n)
	}
	return b.String()
}

// TestConnections: LME can be had once, by all links together; AMTHI several times, once on old firmware.
func TestConnections(t *testing.T) {
	for _, tt := range []struct{ generation, amthi int }{{16, 4}, {8, 1}} {
		h := newHost(t, firmware.Config{Generation: tt.generation})
		other := hostOf(t, h.Machine)
		lme, err := h.bus.Connect(t.Context(), mei.LME)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.bus.Connect(t.Context(), mei.LME); !errors.Is(err, mei.ErrBusy) {
			t.Errorf("second LME: %v", err)
		}
		lme.Close()
		again := retry(t, other.bus, mei.LME)
		again.Close()
		for range tt.amthi {
			other.amthi(t)
		}
		if _, err := h.bus.Connect(t.Context(), mei.AMTHI); !errors.Is(err, mei.ErrBusy) {
			t.Errorf("generation %d: AMTHI number %d: %v", tt.generation, tt.amthi+1, err)
		}
	}
}

// retry connects once the firmware has seen that another connection is closed.
func retry(t *testing.T, bus mei.Bus, client [16]byte) mei.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := (&mei.Retry{Bus: bus}).Connect(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLME: programs on the PC reach AMT's local ports, TLS or not as the release has them, with the account of AMTHI;
// the network does not know it.
func TestLME(t *testing.T) {
	for _, tt := range []struct {
		generation int
		ports      []int
	}{
		{12, []int{firmware.PortHTTP, firmware.PortASF, firmware.PortRedir}},
		{19, []int{firmware.PortHTTPS, firmware.PortASFTLS, firmware.PortRedirTLS}},
	} {
		h := newHost(t, firmware.Config{Generation: tt.generation})
		s := h.lme(t)
		for _, port := range tt.ports {
			if _, err := s.WaitForward(t.Context(), port); err != nil {
				t.Fatal(err)
			}
		}
		var got []int
		for _, f := range s.Forwards() {
			got = append(got, int(f.Port))
		}
		if !slices.Equal(got, tt.ports) || !h.LMS() {
			t.Errorf("generation %d forwards %v", tt.generation, got)
		}
		user, password := h.osAdmin(t)
		c := h.local(t, s, user, password)
		e, err := wsman.Get(t.Context(), c, wsman.ClassURI("AMT_GeneralSettings"), nil)
		if err != nil || e.ChildText("HostName") != h.Identity().HostName {
			t.Errorf("generation %d: %+v, %v", tt.generation, e, err)
		}
		uri := wsman.ClassURI("AMT_SetupAndConfigurationService")
		if _, err := wsman.Invoke(t.Context(), c, uri, "Unprovision", nil, wsman.El(uri, "ProvisioningMode", "1")); !errors.Is(err, wsman.ErrAccessDenied) {
			t.Errorf("LocalUser unprovisions: %v", err)
		}
		w := &world{Machine: h.Machine}
		if _, err := wsman.Identify(t.Context(), w.login(t, user, password)); !errors.Is(err, wsman.ErrUnauthorized) {
			t.Errorf("LocalUser from the network: %v", err)
		}
	}
}

// TestResetME: a restart ends connections and channels; the bus comes back, with another password.
func TestResetME(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 12})
	s := h.lme(t)
	user, password := h.osAdmin(t)
	c := h.local(t, s, user, password)
	if _, err := wsman.Identify(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	a := h.amthi(t)
	h.ResetME()
	<-s.Done()
	if _, err := a.UUID(t.Context()); !errors.Is(err, mei.ErrDisconnected) {
		t.Errorf("AMTHI after the reset: %v", err)
	}
	if err := h.bus.(*mei.Host).Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, again := h.osAdmin(t); again == password {
		t.Error("the password is the same")
	}
	if s := h.lme(t); s.Peer().Major != 1 {
		t.Errorf("peer %+v", s.Peer())
	}
}

// TestAMTOff: AMT that is switched off answers with nothing, has no ports, and can be switched on.
func TestAMTOff(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 19, Factory: true})
	w, err := h.bus.Connect(t.Context(), mei.Watchdog)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	flags, err := heci.ChangeEnabled(t.Context(), w)
	if err != nil || !flags.Has(heci.ChangeAllowed) || !flags.Has(heci.Operational) || !flags.Has(heci.TLSEnforced) {
		t.Errorf("flags %08b, %v", flags, err)
	}
	a := h.amthi(t)
	if _, err := amthi.Do(t.Context(), a, amthi.DisableAndClear, amthi.None{}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.UUID(t.Context()); !errors.Is(err, amthi.ErrDisabled) {
		t.Errorf("switched off: %v", err)
	}
	if ports := h.LocalPorts(); len(ports) != 0 {
		t.Errorf("ports %v", ports)
	}
	if err := heci.SetOperational(t.Context(), w, true); err != nil {
		t.Fatal(err)
	}
	if _, err := a.UUID(t.Context()); err != nil {
		t.Errorf("switched on: %v", err)
	}
}

// TestOSWatchdog: an operating system that falls silent is an event, once, even if the program that fed the watchdog
// has gone.
func TestOSWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pc.New(pc.Options{On: true})
		defer p.Close()
		m, err := firmware.New(firmware.Config{Generation: 12, Platform: p})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		bus, stop := m.MEBus()
		defer stop()
		if err := bus.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		c, err := bus.Connect(t.Context(), mei.Watchdog)
		if err != nil {
			t.Fatal(err)
		}
		start := func() heci.StartReply {
			t.Helper()
			b, err := mei.Call(t.Context(), c, heci.Start{Timeout: 120}.Append(nil))
			if err != nil {
				t.Fatal(err)
			}
			reply, err := heci.ParseStartReply(b)
			if err != nil {
				t.Fatal(err)
			}
			return reply
		}
		hung := func() (n int) {
			for _, r := range m.Events() {
				if r.Sensor == eventlog.OSStop {
					n++
				}
			}
			return n
		}
		if start().NotRequired || !m.WatchdogRunning() {
			t.Error("not required on a machine that is set up")
		}
		time.Sleep(100 * time.Second)
		start()
		time.Sleep(100 * time.Second)
		if hung() != 0 {
			t.Error("an event although there were heartbeats")
		}
		c.Close()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if hung() != 1 || m.WatchdogRunning() {
			t.Errorf("%d events after silence", hung())
		}
		time.Sleep(time.Hour)
		if hung() != 1 {
			t.Errorf("%d events after an hour", hung())
		}
	})
}

// TestWatchdogNotRequired: before AMT is set up nobody wants the watchdog; when that changes the host is told.
func TestWatchdogNotRequired(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 12, Factory: true})
	c, err := h.bus.Connect(t.Context(), mei.Watchdog)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := c.(mei.Notifier)
	if err := n.Notify(true); err != nil {
		t.Fatal(err)
	}
	wanted := func() bool {
		b, err := mei.Call(t.Context(), c, heci.Start{Timeout: 120}.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		reply, err := heci.ParseStartReply(b)
		if err != nil {
			t.Fatal(err)
		}
		return !reply.NotRequired
	}
	if wanted() || h.WatchdogRunning() {
		t.Error("wanted before setup")
	}
	h.Provision(firmware.ModeClient, [16]byte{1})
	if err := n.Notified(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !wanted() || !h.WatchdogRunning() {
		t.Error("not wanted after setup")
	}
}

// TestWatchdogAction: a PC whose operating system has fallen silent is reset after the time that was set, once; a sign
// of life or a console stops that.
func TestWatchdogAction(t *testing.T) {
	for _, tt := range []struct {
		name      string
		meanwhile string
		resets    int
	}{{"reset", "", 1}, {"sign of life", "start", 0}, {"console", "cancel", 0}} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{On: true})
			bus, stop := w.MEBus()
			defer stop()
			if err := bus.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			uri := wsman.ClassURI("IPS_WatchDogAction")
			body := wsman.Group(uri, "IPS_WatchDogAction", wsman.El(uri, "AgentPresenceWatchDogExpirationAction", "0"), wsman.El(uri, "HeciWatchDogExpirationAction", "1"),
				wsman.El(uri, "ReArmReset", "true"), wsman.El(uri, "Timeout", "30"))
			if _, err := wsman.Put(t.Context(), w, uri, nil, &body); err != nil {
				t.Fatal(err)
			}
			var boots atomic.Int32
			defer w.pc.Watch(func(e firmware.Event) {
				if e.Kind == firmware.EventBoot {
					boots.Add(1)
				}
			})()
			start := func() {
				t.Helper()
				c, err := bus.Connect(t.Context(), mei.Watchdog)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := mei.Call(t.Context(), c, heci.Start{Timeout: 120}.Append(nil)); err != nil {
					t.Fatal(err)
				}
			}
			start()
			time.Sleep(125 * time.Second)
			synctest.Wait()
			if boots.Load() != 0 {
				t.Error("reset at once")
			}
			switch tt.meanwhile {
			case "start":
				start()
			case "cancel":
				if got := call(t, w, "IPS_WatchDogAction", "CancelRebootAction"); got != "0" {
					t.Error(got)
				}
			}
			time.Sleep(40 * time.Second)
			w.settle()
			if int(boots.Load()) != tt.resets {
				t.Errorf("%d boots, want %d", boots.Load(), tt.resets)
			}
			if got := property(t, w, "IPS_WatchDogAction", "ReArmReset"); got != map[int]string{1: "false", 0: "true"}[tt.resets] {
				t.Errorf("armed: %s", got)
			}
		})
	}
}

// TestAlertsToPC: what the user of the PC is to know, and what the operating system is asked for, comes through LME.
func TestAlertsToPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{On: true, NoAgent: true})
		h := hostOf(t, w.Machine)
		s := h.lme(t)
		if _, err := s.WaitForward(t.Context(), firmware.PortHTTP); err != nil {
			t.Fatal(err)
		}
		if got := call(t, w, "CIM_PowerManagementService", "RequestPowerStateChange", "PowerState", "12"); got != "0" {
			t.Fatalf("soft off: %s", got)
		}
		o, err := s.Accept(t.Context())
		if err != nil || o.Type != apf.TypeDirect || o.Port != 0 {
			t.Fatalf("%+v, %v", o, err)
		}
		c, err := o.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var text []byte
		buf := make([]byte, 4096)
		for !strings.Contains(string(text), ":Envelope>") {
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, buf[:n]...)
		}
		c.Close()
		for _, want := range []string{"POST / HTTP/1.1\r\n", "<g:MessageID>iAMT0067</g:MessageID>", "<g:MessageArguments>0</g:MessageArguments>"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
		if w.pc.Power() != firmware.S0 {
			t.Errorf("the PC is in %v: nobody has done it yet", w.pc.Power())
		}
	})
}

// TestRemoteAccess: AMTHI tells of the tunnel, and closes it.
func TestRemoteAccess(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 16})
	ended := false
	defer h.TunnelOpened(func() { ended = true })()
	c := h.amthi(t)
	if got, err := c.RemoteAccessConnectionStatus(t.Context()); err != nil || got.Status != 2 {
		t.Errorf("open: %+v, %v", got, err)
	}
	if err := c.CloseUserInitiatedConnection(t.Context()); err != nil || !ended {
		t.Errorf("close: %v, ended %v", err, ended)
	}
	if got, err := c.RemoteAccessConnectionStatus(t.Context()); err != nil || got.Status != 0 {
		t.Errorf("closed: %+v, %v", got, err)
	}
}
