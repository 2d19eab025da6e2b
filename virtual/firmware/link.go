package firmware

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// maxPreference is the longest time that AMT can be preferred, in seconds. Source: spec wireless.md section 7.4.
const maxPreference = 65535

// setLinkPreference takes the wireless link for AMT, for a time, or gives it back to the host.
func setLinkPreference(_ context.Context, m *Machine, sel wsman.Selectors, in amt.EthernetPortSettingsSetLinkPreferenceIn) (out amt.EthernetPortSettingsSetLinkPreferenceOut, _ status.Status, _ error) {
	if sel.Value("InstanceID") != wirelessPort || m.wireless() == nil {
		return out, status.NotPermitted, nil
	}
	var until time.Time
	switch seconds := class.Value(in.Timeout); class.Value(in.LinkPreference) {
	case amt.EthernetPortSettingsLinkPreferenceME:
		if seconds == 0 || seconds > maxPreference {
			return out, status.InvalidParameter, nil
		}
		until = m.hostTime().Add(time.Duration(seconds) * time.Second)
	case amt.EthernetPortSettingsLinkPreferenceHost:
	default:
		return out, status.InvalidParameter, nil
	}
	m.network.mu.Lock()
	m.network.me = until
	m.network.mu.Unlock()
	return out, status.Success, nil
}

// cancelLinkProtection drops a preference.
func cancelLinkProtection(_ context.Context, m *Machine, sel wsman.Selectors, _ amt.EthernetPortSettingsCancelLinkProtectionIn) (out amt.EthernetPortSettingsCancelLinkProtectionOut, _ status.Status, _ error) {
	if sel.Value("InstanceID") != wirelessPort || m.wireless() == nil {
		return out, status.NotPermitted, nil
	}
	m.network.mu.Lock()
	m.network.me = time.Time{}
	m.network.mu.Unlock()
	return out, status.Success, nil
}

// restoreLinkProtection has nothing to restore: redirection sessions protect the link by themselves.
func restoreLinkProtection(_ context.Context, m *Machine, sel wsman.Selectors, _ amt.EthernetPortSettingsRestoreLinkProtectionIn) (out amt.EthernetPortSettingsRestoreLinkProtectionOut, _ status.Status, _ error) {
	if sel.Value("InstanceID") != wirelessPort || m.wireless() == nil {
		return out, status.NotPermitted, nil
	}
	return out, status.Success, nil
}

// address returns the IP address that the machine listens on, or "" if none or all.
func (m *Machine) address() string {
	m.listeners.mu.Lock()
	defer m.listeners.mu.Unlock()
	for _, l := range m.listeners.all {
		l.mu.Lock()
		address := l.address
		l.mu.Unlock()
		if address != "" && address != "0.0.0.0" && address != "::" {
			return address
		}
	}
	return ""
}

// readdress moves the machine's listener to the address that new settings of the wired port give it, or home, to the
// address that [Machine.Listen] was given, which stands for the lease of a DHCP server. The virtual network is the
// loopback network: a machine with one listener on it moves to any other address of it. Elsewhere the settings are kept
// and shown, and nothing moves. Connections end after the answer under way.
func (m *Machine) readdress(port *wsman.Element) {
	m.listeners.mu.Lock()
	all := slices.Clone(m.listeners.all)
	m.listeners.mu.Unlock()
	if len(all) != 1 {
		return
	}
	to := ""
	if ownAddress(port) {
		to = port.ChildText("IPAddress")
	}
	moved, err := all[0].move(to)
	if err != nil {
		m.log.Warn("the machine stays at its old address", "error", err)
	} else if moved {
		m.epoch.Add(1)
	}
}

// move opens the listener's ports on another address, "" for home, and closes those on the old one. An error means that
// nothing has changed.
func (l *Listener) move(to string) (moved bool, err error) {
	l.mu.Lock()
	from, home := l.address, l.home
	l.mu.Unlock()
	if to == "" {
		to = home
	}
	if a, err := netip.ParseAddr(to); to == from || err != nil || !a.IsLoopback() || !isLoopbackText(from) {
		return false, nil
	}
	want := l.m.Ports()
	var config net.ListenConfig
	open := make(map[int]net.Listener)
	for _, port := range want {
		ln, err := config.Listen(l.ctx, "tcp", net.JoinHostPort(to, strconv.Itoa(port)))
		if err == nil {
			open[port] = ln
		} else if port != PortASF && port != PortASFTLS {
			for _, ln := range open {
				ln.Close()
			}
			return false, fmt.Errorf("firmware: %w", err)
		}
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		for _, ln := range open {
			ln.Close()
		}
		return false, nil
	}
	old, rmcp := l.open, l.rmcp
	l.address, l.open, l.rmcp = to, open, nil
	for port, ln := range open {
		l.wg.Go(func() { l.accept(ln, port) })
	}
	l.mu.Unlock()
	for _, ln := range old {
		ln.Close()
	}
	if rmcp != nil {
		rmcp.Close()
		l.listenRMCP()
	}
	return true, nil
}

func isLoopbackText(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.IsLoopback()
}
