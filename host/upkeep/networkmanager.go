package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/outband/outband/class/cim"
)

// NetworkManager is the service of that name, on the system bus.
type NetworkManager struct {
	Address string // of the bus; default is that of the system bus
}

// What NetworkManager is called on the bus. Source: its D-Bus API reference, nm-settings-dbus(5).
const (
	nmName       = "org.freedesktop.NetworkManager"
	nmSettings   = "/org/freedesktop/NetworkManager/Settings"
	nmList       = "org.freedesktop.NetworkManager.Settings.ListConnections"
	nmConnection = "org.freedesktop.NetworkManager.Settings.Connection."
)

// A profile of NetworkManager: properties by setting and name.
type nmProfile map[string]map[string]dbus.Variant

// maxProfiles bounds how many of its profiles are looked at.
const maxProfiles = 1000

// Networks returns the wireless networks of NetworkManager that AMT could join: those for all users of this PC, without
// 802.1X and WEP, with the keys that NetworkManager keeps. Where it does not run the error wraps [ErrNoNetworks].
func (s *NetworkManager) Networks(ctx context.Context) ([]Network, error) {
	connect := func() (*dbus.Conn, error) { return dbus.ConnectSystemBus(dbus.WithContext(ctx)) }
	if s.Address != "" {
		connect = func() (*dbus.Conn, error) { return dbus.Connect(s.Address, dbus.WithContext(ctx)) }
	}
	conn, err := connect()
	if err != nil {
		return nil, fmt.Errorf("%w: D-Bus: %w", ErrNoNetworks, err)
	}
	defer conn.Close()
	var paths []dbus.ObjectPath
	err = conn.Object(nmName, nmSettings).CallWithContext(ctx, nmList, dbus.FlagNoAutoStart).Store(&paths)
	if isNobody(err) {
		return nil, fmt.Errorf("%w: NetworkManager: %w", ErrNoNetworks, err)
	}
	if err != nil {
		return nil, fmt.Errorf("NetworkManager: %w", err)
	}
	var all []Network
	for _, path := range paths[:min(len(paths), maxProfiles)] {
		o := conn.Object(nmName, path)
		var p nmProfile
		if err := o.CallWithContext(ctx, nmConnection+"GetSettings", dbus.FlagNoAutoStart).Store(&p); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			continue // deleted in between
		}
		n, secret, ok := p.network()
		if ok && secret {
			var secrets nmProfile
			if err := o.CallWithContext(ctx, nmConnection+"GetSecrets", dbus.FlagNoAutoStart, nmSecurity).Store(&secrets); err != nil && ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			n.Key = get[string](secrets, nmSecurity, "psk")
			ok = goodKey(n.Key)
		}
		if ok {
			all = append(all, n)
		}
	}
	return all, nil
}

// isNobody reports whether the name on the bus is nobody's.
func isNobody(err error) bool {
	var no dbus.Error
	return errors.As(err, &no) && (no.Name == "org.freedesktop.DBus.Error.ServiceUnknown" || no.Name == "org.freedesktop.DBus.Error.NameHasNoOwner")
}

// Settings of a profile.
const (
	nmCommon   = "connection"
	nmWireless = "802-11-wireless"
	nmSecurity = "802-11-wireless-security"
)

// get returns a property, or the zero value if it is not there or of another type.
func get[T any](p nmProfile, setting, name string) T {
	v, _ := p[setting][name].Value().(T)
	return v
}

// network returns what a profile is to AMT, and whether there is a secret to be asked for. ok is false if it is not for
// AMT. Source: spec wireless.md section 7.6.
func (p nmProfile) network() (n Network, secret, ok bool) {
	mode := get[string](p, nmWireless, "mode")
	n = Network{SSID: string(get[[]byte](p, nmWireless, "ssid")), Used: get[uint64](p, nmCommon, "timestamp")}
	bad := func(r rune) bool { return r < ' ' || r > '~' }
	switch {
	case get[string](p, nmCommon, "type") != nmWireless, mode != "" && mode != "infrastructure":
		return n, false, false
	case len(get[[]string](p, nmCommon, "permissions")) > 0: // it is one user's own
		return n, false, false
	case n.SSID == "" || len(n.SSID) > 32 || strings.IndexFunc(n.SSID, bad) >= 0:
		return n, false, false
	}
	n.Encryption = cim.WiFiEndpointSettingsEncryptionMethodCCMP
	switch get[string](p, nmSecurity, "key-mgmt") {
	case "":
		n.Authentication, n.Encryption = cim.WiFiEndpointSettingsAuthenticationMethodOpenSystem, cim.WiFiEndpointSettingsEncryptionMethodNone
		return n, false, len(p[nmSecurity]) == 0
	case "wpa-psk":
		n.Authentication = cim.WiFiEndpointSettingsAuthenticationMethodWPA2PSK
		if slices.Equal(get[[]string](p, nmSecurity, "proto"), []string{"wpa"}) {
			n.Authentication = cim.WiFiEndpointSettingsAuthenticationMethodWPAPSK
		}
		if slices.Equal(get[[]string](p, nmSecurity, "pairwise"), []string{"tkip"}) {
			n.Encryption = cim.WiFiEndpointSettingsEncryptionMethodTKIP
		}
	case "sae":
		n.Authentication = cim.WiFiEndpointSettingsAuthenticationMethodWPA3SAE
	case "owe":
		n.Authentication = cim.WiFiEndpointSettingsAuthenticationMethodWPA3OWE
		return n, false, true
	default: // 802.1X is the administrator's; WEP
		return n, false, false
	}
	return n, get[uint32](p, nmSecurity, "psk-flags") == 0, get[uint32](p, nmSecurity, "psk-flags") == 0
}

// goodKey reports whether AMT takes a key: the 64 hex digits of a key without its passphrase are none.
func goodKey(key string) bool {
	return len(key) >= 8 && len(key) <= 63 && strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
