package console

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/class/amt"
)

// A Realm is an area of permission of an account.
type Realm = amt.Realm

// realmNames are our short names, and other names that are taken for them beside those of the vendor's definition.
// Source: AMT_AuthorizationService.AddUserAclEntryEx; spec inventory-events-policies.md section 8.
var realmNames = []struct {
	realm Realm
	name  string
	other []string
}{
	{amt.RealmRedirection, "redirection", nil},
	{amt.RealmPTAdministration, "admin", []string{"administration", "administrator"}},
	{amt.RealmHardwareAsset, "hardware", []string{"asset"}},
	{amt.RealmRemoteControl, "remote-control", []string{"power"}},
	{amt.RealmStorage, "storage", nil},
	{amt.RealmEventManager, "event-manager", nil},
	{amt.RealmStorageAdmin, "storage-admin", []string{"storage-administration"}},
	{amt.RealmAgentPresenceLocal, "agent-local", nil},
	{amt.RealmAgentPresenceRemote, "agent-remote", nil},
	{amt.RealmCircuitBreaker, "circuit-breaker", []string{"system-defense"}},
	{amt.RealmNetworkTime, "time", nil},
	{amt.RealmGeneralInfo, "info", []string{"general-information", "general"}},
	{amt.RealmFirmwareUpdate, "firmware-update", nil},
	{amt.RealmEIT, "eit", nil},
	{amt.RealmLocalUN, "user-notification", []string{"local-user-notification"}},
	{amt.RealmEndpointAccessControl, "endpoint-access", nil},
	{amt.RealmEndpointAccessControlAdmin, "endpoint-access-admin", []string{"endpoint-access-control-administration"}},
	{amt.RealmEventLogReader, "event-reader", nil},
	{amt.RealmAuditLog, "audit-log", []string{"audit", "auditor"}},
	{amt.RealmACL, "access-control", nil},
	{amt.RealmLocalSystem, "local-system", nil},
}

// RealmName returns the short name of a realm, "remote-control", or its number.
func RealmName(r Realm) string {
	for _, n := range realmNames {
		if n.realm == r {
			return n.name
		}
	}
	return strconv.FormatUint(uint64(r), 10)
}

// RealmNames returns the short names of all realms that an account can be given, by number.
func RealmNames() []string {
	var out []string
	for _, n := range realmNames {
		if n.realm != amt.RealmLocalSystem { // the firmware's own
			out = append(out, n.name)
		}
	}
	return out
}

// ParseRealm takes a short name, the vendor's name ("PT administration", "AGENT_PRESENCE_LOCAL") or a number. Errors
// wrap [ErrUsage].
func ParseRealm(word string) (Realm, error) {
	plain := strings.NewReplacer(" ", "-", "_", "-").Replace(strings.ToLower(strings.TrimSpace(word)))
	for _, n := range realmNames {
		vendor := strings.ReplaceAll(strings.ToLower(n.realm.String()), " ", "-")
		if plain == n.name || plain == vendor || slices.Contains(n.other, plain) || plain == strconv.FormatUint(uint64(n.realm), 10) {
			return n.realm, nil
		}
	}
	return 0, fmt.Errorf("%w: no realm %q; there are %s", ErrUsage, word, strings.Join(RealmNames(), ", "))
}

// ParseRealms takes a list of names, and "all" for every realm that an account can be given. The result is in order of
// number, each realm once. Errors wrap [ErrUsage].
func ParseRealms(words []string) ([]Realm, error) {
	var out []Realm
	for _, word := range words {
		if strings.EqualFold(strings.TrimSpace(word), "all") {
			for _, name := range RealmNames() {
				r, _ := ParseRealm(name)
				out = append(out, r)
			}
			continue
		}
		r, err := ParseRealm(word)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
