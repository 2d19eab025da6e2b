package conformance

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
)

// nmNetwork is a profile of the NetworkManager that stands in for it on the bus.
type nmNetwork struct {
	settings map[string]map[string]dbus.Variant
	psk      string
}

func (n *nmNetwork) GetSettings() (map[string]map[string]dbus.Variant, *dbus.Error) {
	return n.settings, nil
}

func (n *nmNetwork) GetSecrets(setting string) (map[string]map[string]dbus.Variant, *dbus.Error) {
	return map[string]map[string]dbus.Variant{setting: {"psk": dbus.MakeVariant(n.psk)}}, nil
}

type nmSettings struct{ paths []dbus.ObjectPath }

func (s *nmSettings) ListConnections() ([]dbus.ObjectPath, *dbus.Error) { return s.paths, nil }

// TestNetworkManager: the networks of a NetworkManager on a real bus come to AMT.
func TestNetworkManager(t *testing.T) {
	address := startBus(t)
	conn, err := dbus.Connect(address)
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	const name, path = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager/Settings"
	list := &nmSettings{}
	for i, n := range []*nmNetwork{
		{map[string]map[string]dbus.Variant{
			"connection":               {"type": dbus.MakeVariant("802-11-wireless"), "timestamp": dbus.MakeVariant(uint64(2))},
			"802-11-wireless":          {"ssid": dbus.MakeVariant([]byte("Office"))},
			"802-11-wireless-security": {"key-mgmt": dbus.MakeVariant("wpa-psk")},
		}, "correct horse"},
		{map[string]map[string]dbus.Variant{
			"connection":      {"type": dbus.MakeVariant("802-11-wireless"), "timestamp": dbus.MakeVariant(uint64(1))},
			"802-11-wireless": {"ssid": dbus.MakeVariant([]byte("Cafe"))},
		}, ""},
		{map[string]map[string]dbus.Variant{"connection": {"type": dbus.MakeVariant("802-3-ethernet")}}, ""},
	} {
		p := dbus.ObjectPath(fmt.Sprintf("%s/%d", path, i+1))
		check(t, conn.Export(n, p, name+".Settings.Connection"))
		list.paths = append(list.paths, p)
	}
	check(t, conn.Export(list, path, name+".Settings"))
	reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue)
	check(t, err)
	equal(t, "name", fmt.Sprint(reply), fmt.Sprint(dbus.RequestNameReplyPrimaryOwner))

	socket := filepath.Join(t.TempDir(), "me")
	w := machine(t, lab.Machine{Profile: 16, Power: "on", NoAgent: true, ME: socket, Password: password, Wireless: radio()})
	_, err = manager(t, w).SetWiFiSync(t.Context(), console.WiFiSync{Sync: "user"})
	check(t, err)
	service(t, []string{"DBUS_SYSTEM_BUS_ADDRESS=" + address}, "agent", "--bus", "unix:"+socket, "--listen", "127.94.3.2", "--sync-wifi", "on", "--no-watchdog")
	got := ""
	for late := time.Now().Add(patience); got != "Office wpa2 true, Cafe open true"; time.Sleep(50 * time.Millisecond) {
		all, err := manager(t, w).WiFiProfiles(t.Context())
		check(t, err)
		var text []string
		for _, p := range all {
			text = append(text, fmt.Sprint(p.SSID, " ", p.Security, " ", p.Host))
		}
		if got = strings.Join(text, ", "); time.Now().After(late) {
			t.Fatalf("AMT has %s", got)
		}
	}
}
