package firmware

import (
	"context"

	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// profileFields tells a wireless profile: network, priority, name.
func profileFields(e *wsman.Element) []auditlog.Field {
	if e == nil {
		e = &wsman.Element{}
	}
	return []auditlog.Field{auditlog.Str(e.ChildText("SSID")), auditlog.Num(number(e.ChildText("Priority")) & 0xff), auditlog.Str(e.ChildText("ElementName"))}
}

// toldProfile is the look of a method whose input is a profile.
func toldProfile(id auditlog.EventID) func(context.Context, *Machine, *wsman.Element) func(status.Status) []act {
	return told(id, func(in *wsman.Element) []auditlog.Field { return profileFields(in.Child("WiFiEndpointSettingsInput")) })
}

// lookAllProfiles is the look of a method that removes all profiles of the administrator, or of the host.
func lookAllProfiles(user bool) func(context.Context, *Machine, *wsman.Element) func(status.Status) []act {
	return func(_ context.Context, m *Machine, _ *wsman.Element) func(status.Status) []act {
		var acts []act
		for _, i := range m.store.of(m.catalogue.classes["CIM_WiFiEndpointSettings"]) {
			if userProfile(&i.element) == user {
				acts = append(acts, act{auditlog.WirelessProfileRemoved, []auditlog.Field{auditlog.Str(i.element.ChildText("ElementName"))}})
			}
		}
		return func(code status.Status) []act {
			if code != status.Success {
				return nil
			}
			return acts
		}
	}
}

// profileActs tells of a profile that was put or deleted.
func profileActs(_ *Machine, old, now *wsman.Element) []act {
	if now == nil {
		return acted(auditlog.WirelessProfileRemoved, auditlog.Str(old.ChildText("ElementName")))
	}
	return acted(auditlog.WirelessProfileUpdated, profileFields(now)...)
}

// wifiServiceActs tells of the switches of the service.
func wifiServiceActs(_ *Machine, old, now *wsman.Element) (out []act) {
	const sync, share = "localProfileSynchronizationEnabled", "UEFIWiFiProfileShareEnabled"
	if was, is := old.ChildText(sync), now.ChildText(sync); was != is {
		out = append(out, act{auditlog.WirelessSyncChanged, []auditlog.Field{auditlog.Num(number(is))}})
	}
	if was, is := number(old.ChildText(share)), number(now.ChildText(share)); was != is {
		out = append(out, act{auditlog.WirelessSharingChanged, []auditlog.Field{auditlog.Num(is)}})
	}
	return out
}
