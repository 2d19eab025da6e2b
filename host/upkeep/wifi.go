package upkeep

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// WiFiEvery is how often the PC's wireless networks are looked at.
const WiFiEvery = 5 * time.Minute

// A Network is a wireless network that the operating system knows.
type Network struct {
	SSID           string
	Authentication cim.WiFiEndpointSettingsAuthenticationMethod
	Encryption     cim.WiFiEndpointSettingsEncryptionMethod
	Key            string // passphrase of 8 to 63 characters; "" for networks without
	Used           uint64 // when last, seconds since 1970; 0: never
}

// ErrNoNetworks is what a source of networks says where nobody keeps any: what AMT has is left as it is.
var ErrNoNetworks = errors.New("nobody keeps wireless networks")

// What profiles of the operating system are called, and how many of them AMT is given: as many as all releases take.
// Source: spec wireless.md sections 7.3 and 7.6.
const (
	userProfile  = "Intel(r) AMT:WiFi Endpoint User Settings "
	syncName     = "INTEL_SYNC_"
	maxNetworks  = 8
	wifiEndpoint = "WiFi Endpoint 0"
)

// TellWiFi returns what gives AMT the wireless networks of this PC, as source has them, if AMT has a wireless port and
// wants them (localProfileSynchronizationEnabled): those used last first, at most 8. Profiles that AMT has from the
// operating system and that are no longer among them are deleted; those of administrators are not touched. AMT does not
// tell keys, so a profile is written at the first time, and then when it has changed. One that AMT refuses (WPA3 before
// release 15) is left out. The result is for one goroutine at a time.
func TellWiFi(source func(context.Context) ([]Network, error)) func(ctx context.Context, c *wsman.Client) error {
	w := wifi{source: source, told: make(map[string]telling)}
	return w.tell
}

type wifi struct {
	source func(context.Context) ([]Network, error)
	told   map[string]telling // by network
}

// A telling is what AMT was told of a network.
type telling struct {
	sum     [sha256.Size]byte // of all of it
	refused bool
}

// id tells networks apart.
func (n *Network) id() string { return fmt.Sprintf("%d %s", n.Authentication, n.SSID) }

func (n *Network) sum() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %d %q %q", n.Authentication, n.Encryption, n.SSID, n.Key))
}

func (w *wifi) tell(ctx context.Context, c *wsman.Client) error {
	if wants, err := wantsWiFi(ctx, c); !wants {
		return err
	}
	all, err := w.source(ctx)
	switch {
	case errors.Is(err, ErrNoNetworks):
		return nil
	case err != nil:
		return fmt.Errorf("wireless networks of this PC: %w", err)
	}
	all = chosen(all)
	have, err := hostProfiles(ctx, c)
	if err != nil {
		return err
	}
	for id, name := range have {
		if slices.ContainsFunc(all, func(n Network) bool { return n.id() == id }) {
			continue
		}
		if err := class.Delete[cim.WiFiEndpointSettings](ctx, c, wsman.Selector{Name: "InstanceID", Value: userProfile + name}); err != nil {
			return err
		}
		delete(have, id)
		clear(w.told) // what had no room may have some now
	}
	var want []string
	for _, n := range all {
		name, there := have[n.id()]
		if told := w.told[n.id()]; told.sum == n.sum() && (there || told.refused) {
			continue
		}
		if !there {
			name = freeName(have)
		}
		err := write(ctx, c, n, name, there)
		var no *status.Error
		if err != nil && !errors.As(err, &no) {
			return err
		}
		w.told[n.id()] = telling{n.sum(), err != nil}
		if err == nil {
			have[n.id()] = name
			want = append(want, n.id())
		}
	}
	if have, err = hostProfiles(ctx, c); err != nil {
		return err
	}
	for _, id := range want {
		if _, ok := have[id]; !ok {
			delete(w.told, id)
			err = errors.New("AMT did not keep a wireless profile that it took")
		}
	}
	return err
}

// wantsWiFi reports whether AMT has a wireless port and wants the networks of its PC.
func wantsWiFi(ctx context.Context, c *wsman.Client) (bool, error) {
	ports, err := class.All[cim.WiFiPort](ctx, c)
	if err != nil || len(ports) == 0 {
		return false, err
	}
	service, err := class.Get[amt.WiFiPortConfigurationService](ctx, c)
	if err != nil {
		return false, err
	}
	switch class.Value(service.LocalProfileSynchronizationEnabled) {
	case amt.WiFiPortConfigurationServiceLocalProfileSynchronizationEnabledUserProfileSync, amt.WiFiPortConfigurationServiceLocalProfileSynchronizationEnabledUnrestricted:
		return true, nil
	}
	return false, nil
}

// chosen returns what AMT is given: one of each, those used last, as many as there is room for.
func chosen(all []Network) []Network {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Network) int { return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.id(), b.id())) })
	seen := make(map[string]bool)
	all = slices.DeleteFunc(all, func(n Network) bool {
		again := seen[n.id()]
		seen[n.id()] = true
		return again
	})
	return all[:min(len(all), maxNetworks)]
}

// hostProfiles returns the names of the profiles that AMT has from the operating system, by network.
func hostProfiles(ctx context.Context, c *wsman.Client) (map[string]string, error) {
	all, err := class.All[cim.WiFiEndpointSettings](ctx, c)
	if err != nil {
		return nil, err
	}
	have := make(map[string]string)
	for _, v := range all {
		if name, ok := strings.CutPrefix(class.Value(v.InstanceID), userProfile); ok {
			n := Network{SSID: class.Value(v.SSID), Authentication: class.Value(v.AuthenticationMethod)}
			have[n.id()] = name
		}
	}
	return have, nil
}

// freeName returns a name that no profile of the operating system has.
func freeName(have map[string]string) string {
	used := make(map[string]bool)
	for _, name := range have {
		used[name] = true
	}
	for n := 1; ; n += 2 { // Intel's service keeps the even ones for second entries of a network
		if name := fmt.Sprintf("%s%d", syncName, n); !used[name] {
			return name
		}
	}
}

// write adds or replaces a profile.
func write(ctx context.Context, c *wsman.Client, n Network, name string, there bool) error {
	v := &cim.WiFiEndpointSettings{ElementName: &name, InstanceID: new(userProfile + name), SSID: &n.SSID, Priority: new(n.priority()),
		BSSType: new(cim.WiFiEndpointSettingsBSSTypeInfrastructure), AuthenticationMethod: &n.Authentication, EncryptionMethod: &n.Encryption}
	if n.Key != "" {
		v.PSKPassPhrase = &n.Key
	}
	e := v.Element()
	if there {
		_, err := amt.WiFiPortConfigurationServiceUpdateWiFiSettings.Invoke(ctx, c, amt.WiFiPortConfigurationServiceUpdateWiFiSettingsIn{
			WiFiEndpointSettings: new(wsman.Ref("CIM_WiFiEndpointSettings", "InstanceID", userProfile+name)), WiFiEndpointSettingsInput: &e})
		return err
	}
	_, err := amt.WiFiPortConfigurationServiceAddWiFiSettings.Invoke(ctx, c, amt.WiFiPortConfigurationServiceAddWiFiSettingsIn{
		WiFiEndpoint: new(wsman.Ref("CIM_WiFiEndpoint", "Name", wifiEndpoint)), WiFiEndpointSettingsInput: &e})
	return err
}

// priority is by encryption. Source: spec wireless.md section 7.6.
func (n *Network) priority() uint8 {
	switch n.Encryption {
	case cim.WiFiEndpointSettingsEncryptionMethodTKIP:
		return 4
	case cim.WiFiEndpointSettingsEncryptionMethodCCMP:
		return 6
	}
	return 8
}
