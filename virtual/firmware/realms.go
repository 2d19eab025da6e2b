package firmware

// A Realm is a permission area of AMT. A user holds some; each class asks for one of a few.
type Realm uint8

// The realms. Source: AMT_AuthorizationService.AddUserAclEntryEx, parameter Realms; spec inventory-events-policies.md
// section 8.
const (
	RealmRedirection       Realm = 2
	RealmAdministration    Realm = 3 // PT administration: everything
	RealmHardwareAsset     Realm = 4
	RealmRemoteControl     Realm = 5
	RealmStorage           Realm = 6
	RealmEventManager      Realm = 7
	RealmStorageAdmin      Realm = 8
	RealmAgentLocal        Realm = 9
	RealmAgentRemote       Realm = 10
	RealmCircuitBreaker    Realm = 11
	RealmNetworkTime       Realm = 12
	RealmGeneralInfo       Realm = 13
	RealmFirmwareUpdate    Realm = 14
	RealmEIT               Realm = 15
	RealmLocalNotification Realm = 16
	RealmEndpointAccess    Realm = 17
	RealmEndpointAdmin     Realm = 18
	RealmEventLogReader    Realm = 19
	RealmAuditLog          Realm = 20
	RealmAccessControl     Realm = 21 // a user's own entry
	RealmLocalSystem       Realm = 24
)

// A RealmSet is a set of realms: bit n is realm n.
type RealmSet uint32

// Realms returns the set of those realms.
func Realms(realms ...Realm) RealmSet {
	var s RealmSet
	for _, r := range realms {
		s |= 1 << r
	}
	return s
}

// Has reports whether the set holds r.
func (s RealmSet) Has(r Realm) bool { return s&(1<<r) != 0 }

// Allows reports whether a user with these realms may do what any realm of need allows. Administration allows all.
func (s RealmSet) Allows(need RealmSet) bool {
	return s.Has(RealmAdministration) || s&need != 0
}

// List returns the realms in rising order.
func (s RealmSet) List() []Realm {
	var out []Realm
	for r := Realm(0); r < 32; r++ {
		if s.Has(r) {
			out = append(out, r)
		}
	}
	return out
}
