package upkeep

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/wsman"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine returns a machine, a client as programs on its PC have it, and one of its administrator.
func machine(t *testing.T, c firmware.Config) (m *firmware.Machine, local, admin *wsman.Client) {
	t.Helper()
	c.Generation = 12
	m, err := firmware.New(c)
	if err != nil {
		t.Fatal(err)
	}
	bus, stop := m.MEBus()
	defer stop()
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	engine, err := amthi.Dial(t.Context(), bus)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	account, err := engine.LocalSystemAccount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	client := func(user, password string) *wsman.Client {
		return &wsman.Client{Username: user, Password: password, Dial: func(context.Context) (net.Conn, error) {
			here, there := net.Pipe()
			work.Go(func() { m.ServeLocalConn(ctx, there, firmware.PortHTTP) })
			return here, nil
		}}
	}
	local, admin = client(account.User, account.Password), client("admin", firmware.DefaultPassword)
	t.Cleanup(func() {
		local.Close()
		admin.Close()
		cancel()
		work.Wait()
		m.Close()
	})
	return m, local, admin
}

// AMT's clock is set when it is far off, with the account of the PC, and never when an administrator has forbidden it.
func TestTime(t *testing.T) {
	for _, tt := range []struct {
		name    string
		off     time.Duration
		forbid  bool
		want    time.Duration
		changed bool
	}{
		{"behind", -time.Hour, false, 0, true},
		{"ahead", 48 * time.Hour, false, 0, true},
		{"a little", 20 * time.Second, false, 20 * time.Second, false},
		{"forbidden", time.Hour, true, time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, local, admin := machine(t, firmware.Config{Clock: func() time.Time { return time.Now().Add(tt.off) }})
			if tt.forbid {
				if _, err := amt.TimeSynchronizationServiceEnableLocalTimeSync.Invoke(t.Context(), admin, amt.TimeSynchronizationServiceEnableLocalTimeSyncIn{Enable: new(false)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := Time(t.Context(), local); err != nil {
				t.Fatal(err)
			}
			_, off, err := clock(t.Context(), admin)
			if slack := 5 * time.Second; err != nil || (off-tt.want).Abs() > slack {
				t.Errorf("AMT's clock is off by %v, %v; want %v", off, err, tt.want)
			}
			service, err := class.Get[amt.TimeSynchronizationService](t.Context(), admin)
			if err != nil || (class.Value(service.TimeSource) == amt.TimeSynchronizationServiceTimeSourceConfigured) != tt.changed {
				t.Errorf("time source %v, %v", service.TimeSource, err)
			}
		})
	}
}

// AMT is told an address that was set by hand, once, and when it changes; nothing if it does not want to be told.
func TestTellAddress(t *testing.T) {
	static := Address{Prefix: netip.MustParsePrefix("192.0.2.7/25"), Gateway: netip.MustParseAddr("192.0.2.1"), DNS: [2]netip.Addr{netip.MustParseAddr("192.0.2.53")}}
	_, local, admin := machine(t, firmware.Config{MAC: "00a1b2c3d4e5"})
	now, failure := static, error(nil)
	var asked []string
	do := TellAddress(func(mac net.HardwareAddr) (Address, error) {
		asked = append(asked, mac.String())
		return now, failure
	})
	told := func(want [6]string) {
		t.Helper()
		if err := do(t.Context(), local); err != nil {
			t.Fatal(err)
		}
		s, err := class.Get[ips.HostIPSettings](t.Context(), admin)
		if err != nil {
			t.Fatal(err)
		}
		dhcp := "static"
		if class.Value(s.DHCPEnabled) {
			dhcp = "dhcp"
		}
		got := [...]string{dhcp, class.Value(s.IpAddress), class.Value(s.SubnetMask), class.Value(s.DefaultGateway), class.Value(s.PrimaryDNS), class.Value(s.SecondaryDNS)}
		if got != want {
			t.Errorf("AMT has %q, want %q", got, want)
		}
	}
	port, err := class.Get[amt.EthernetPortSettings](t.Context(), admin, wsman.Selector{Name: "InstanceID", Value: wiredPort})
	if err != nil {
		t.Fatal(err)
	}
	set := func(sync bool) {
		t.Helper()
		port.IpSyncEnabled = &sync
		if _, err := class.Put(t.Context(), admin, port); err != nil {
			t.Fatal(err)
		}
	}
	set(false)
	told([6]string{"static"})
	if len(asked) != 0 {
		t.Errorf("asked for %v although AMT does not want to know", asked)
	}
	set(true)
	told([6]string{"static", "192.0.2.7", "255.255.255.128", "192.0.2.1", "192.0.2.53"})
	now.Prefix, now.DNS[1] = netip.MustParsePrefix("192.0.2.8/24"), netip.MustParseAddr("192.0.2.54")
	told([6]string{"static", "192.0.2.8", "255.255.255.0", "192.0.2.1", "192.0.2.53", "192.0.2.54"})
	now = Address{DHCP: true}
	told([6]string{"dhcp", "192.0.2.8", "255.255.255.0", "192.0.2.1", "192.0.2.53", "192.0.2.54"}) // kept, without meaning
	now, failure = static, ErrNoInterface
	told([6]string{"dhcp", "192.0.2.8", "255.255.255.0", "192.0.2.1", "192.0.2.53", "192.0.2.54"})
	failure = errors.New("broken")
	if err := do(t.Context(), local); !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
	if !slices.Contains(asked, "00:a1:b2:c3:d4:e5") {
		t.Errorf("asked for %v", asked)
	}
}
