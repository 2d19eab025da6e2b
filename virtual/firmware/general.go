package firmware

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// registerGeneral gives the classes that say who the machine is their values, and the clock its methods.
func registerGeneral(t *table) {
	general := t.class("AMT_GeneralSettings")
	general.patch = func(m *Machine, e *wsman.Element) {
		id := m.Identity()
		set(e, "DigestRealm", id.Realm)
		set(e, "HostName", id.HostName)
		set(e, "DomainName", id.Domain)
		set(e, "HostOSFQDN", cmp.Or(m.hostName(), id.FQDN()))
		if e.ChildText("SharedFQDN") != "true" {
			set(e, "HostOSFQDN", "")
		}
	}
	text := func(class string, values func(id *Identity, m *Machine, e *wsman.Element)) {
		t.class(class).patch = func(m *Machine, e *wsman.Element) {
			id := m.Identity()
			values(&id, m, e)
		}
	}
	// What a dump brought is not painted over.
	factory := func(class string, values func(id *Identity, m *Machine, e *wsman.Element)) {
		text(class, func(id *Identity, m *Machine, e *wsman.Element) {
			if m.store.untouched(class) {
				values(id, m, e)
			}
		})
	}
	text("CIM_ComputerSystemPackage", func(id *Identity, _ *Machine, e *wsman.Element) {
		set(e, "PlatformGUID", id.UUID.SMBIOSHex())
	})
	factory("CIM_Chassis", func(id *Identity, _ *Machine, e *wsman.Element) { set(e, "SerialNumber", id.Serial) })
	factory("CIM_Card", func(id *Identity, _ *Machine, e *wsman.Element) { set(e, "SerialNumber", id.Serial+"B") })
	text("CIM_EthernetPort", func(id *Identity, _ *Machine, e *wsman.Element) { set(e, "NetworkAddresses", id.MAC) })
	text("IPS_LANEndpoint", func(id *Identity, _ *Machine, e *wsman.Element) { set(e, "MACAddress", id.MAC) })
	factory("CIM_PhysicalPackage", func(id *Identity, _ *Machine, e *wsman.Element) {
		set(e, "SerialNumber", padded(id.Serial+"D"+lastDigit(e.ChildText("Tag"))))
	})
	factory("CIM_SoftwareIdentity", func(_ *Identity, m *Machine, e *wsman.Element) {
		switch e.ChildText("InstanceID") {
		case "AMTApps", "Flash", "Netstack", "AMT", "Recovery Version", "AMT FW Core Version":
			set(e, "VersionString", m.profile.Version)
		case "Build Number", "Recovery Build Num":
			set(e, "VersionString", m.profile.Build)
		}
	})
	registerClock(t)
}

// padded fills a text with blanks to 20 characters, as disks do.
func padded(s string) string { return s + strings.Repeat(" ", max(0, 20-len(s))) }

func lastDigit(s string) string {
	if s == "" {
		return "0"
	}
	return s[len(s)-1:]
}

// A clock is how far a machine's clock is from the one it counts by.
type clock struct {
	mu        sync.Mutex // guards what follows
	ahead     time.Duration
	byConsole bool // by a client, not by the BIOS
	local     int  // LocalTimeSyncEnabled: 0 default (on), 1 on, 2 off
}

func (c *clock) offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead
}

type clockState struct {
	Ahead string `json:",omitempty"` // 1h2m3s
	Set   bool   `json:",omitempty"`
	Local int    `json:",omitempty"`
}

func (c *clock) dump() (json.RawMessage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead == 0 && !c.byConsole && c.local == 0 {
		return nil, nil
	}
	return json.Marshal(clockState{c.ahead.String(), c.byConsole, c.local})
}

func (c *clock) load(text json.RawMessage) error {
	var s clockState
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	var ahead time.Duration
	if s.Ahead != "" {
		var err error
		if ahead, err = time.ParseDuration(s.Ahead); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.byConsole, c.local = ahead, s.Set, s.Local
	return nil
}

// registerClock gives AMT_TimeSynchronizationService its life. Source: spec inventory-events-policies.md section 9.
func registerClock(t *table) {
	t.class("AMT_TimeSynchronizationService").patch = func(m *Machine, e *wsman.Element) {
		m.clock.mu.Lock()
		defer m.clock.mu.Unlock()
		if m.clock.byConsole {
			set(e, "TimeSource", "1")
		}
		set(e, "LocalTimeSyncEnabled", itoa(uint8(m.clock.local)))
	}
	class.Handle(&t.methods, amt.TimeSynchronizationServiceGetLowAccuracyTimeSynch, getTime)
	class.Handle(&t.methods, amt.TimeSynchronizationServiceSetHighAccuracyTimeSynch, setTime)
	class.Handle(&t.methods, amt.TimeSynchronizationServiceEnableLocalTimeSync, enableLocalTime)
}

func getTime(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.TimeSynchronizationServiceGetLowAccuracyTimeSynchIn) (out amt.TimeSynchronizationServiceGetLowAccuracyTimeSynchOut, _ status.Status, _ error) {
	out.Ta0 = new(uint32(m.now().Unix()))
	return out, status.Success, nil
}

// setTime sets the clock ahead by what the console's was ahead when it had read Ta0. Tm2 - Tm1, how long the console has
// thought since, has gone by on this clock too and needs no correction. A time before 2004 is refused, as the firmware
// did not exist then.
func setTime(_ context.Context, m *Machine, _ wsman.Selectors, in amt.TimeSynchronizationServiceSetHighAccuracyTimeSynchIn) (out amt.TimeSynchronizationServiceSetHighAccuracyTimeSynchOut, _ status.Status, _ error) {
	ta0, tm1, tm2 := class.Value(in.Ta0), class.Value(in.Tm1), class.Value(in.Tm2)
	if tm2 < tm1 || tm1 < earliestTime {
		return out, status.InvalidTime, nil
	}
	m.clock.mu.Lock()
	m.clock.ahead += time.Duration(int64(tm1)-int64(ta0)) * time.Second
	m.clock.byConsole = true
	m.clock.mu.Unlock()
	m.armAlarms()
	return out, status.Success, nil
}

var earliestTime = uint32(time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC).Unix())

func enableLocalTime(_ context.Context, m *Machine, _ wsman.Selectors, in amt.TimeSynchronizationServiceEnableLocalTimeSyncIn) (out amt.TimeSynchronizationServiceEnableLocalTimeSyncOut, _ status.Status, _ error) {
	m.clock.mu.Lock()
	defer m.clock.mu.Unlock()
	m.clock.local = 2
	if class.Value(in.Enable) {
		m.clock.local = 1
	}
	return out, status.Success, nil
}
