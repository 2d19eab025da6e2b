package firmware

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/status"
)

// Limits of the access control list. Source: spec inventory-events-policies.md section 8.
const (
	maxUserName      = 16 // characters
	maxSID           = 28 // octets
	maxDigestUsers   = 16
	maxKerberosUsers = 32
	handlesPerCall   = 50
)

// An account is an entry of the access control list, or the administrator.
type account struct {
	Handle  uint32               // 0 for the administrator
	Name    string               `json:",omitempty"` // of a digest user
	HA1     ha1                  `json:",omitzero"`  // of a digest user
	SID     []byte               `json:",omitempty"` // of a Kerberos user
	Access  amt.AccessPermission // from where
	Realms  RealmSet
	Enabled bool
	BuiltIn bool `json:",omitempty"` // the firmware's own: may not be changed, nor logged in to from outside
}

// An ha1 is MD5(user:realm:password), the form in which firmware keeps a password. It is a secret: it prints as such.
type ha1 [16]byte

func (h ha1) String() string               { return "secret" }
func (h ha1) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }
func (h *ha1) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) {
		return fmt.Errorf("firmware: password hash of %d characters", len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// users is the access control list.
type users struct {
	mu   sync.Mutex // guards what follows
	acl  acl
	void func() // called, without the lock, when an entry was changed: voids nonces
}

// An acl is what is kept of the users.
type acl struct {
	Admin        account
	AdminDefault bool      // the password is still that of the factory
	NetDefault   bool      // no password of its own for the network: the BIOS extension's counts
	List         []account // by handle
	Last         uint32    // handle given last
}

// uns is the account of LMS, the vendor's notification service. It is in every list, recorded.
var uns = account{Handle: 1, Name: "$$uns", Access: amt.AccessPermissionLocal, Realms: Realms(RealmLocalNotification), Enabled: true, BuiltIn: true}

// reset makes the list that of a machine that was just set up: the administrator and nobody else.
func (u *users) reset(realm, name, password string) {
	u.resetHA1(name, digest.HA1(name, realm, password))
}

// resetHA1 is reset for a password that is known by its hash only, as host based setup gives it.
func (u *users) resetHA1(name string, hash [16]byte) {
	u.mu.Lock()
	u.acl = acl{
		Admin: account{Name: name, HA1: hash, Access: amt.AccessPermissionAny, Realms: Realms(RealmAdministration), Enabled: true},
		List:  []account{uns},
		Last:  uns.Handle,
	}
	u.mu.Unlock()
	u.changed()
}

func (u *users) changed() {
	if u.void != nil {
		u.void()
	}
}

// lookup returns what a digest user's name stands for: the administrator among them, built-in ones and disabled ones
// not. network tells from where the user comes.
func (u *users) lookup(name string, network bool) (hash [16]byte, realms RealmSet, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := &u.acl.Admin
	if name != a.Name {
		a = u.acl.digestUser(name)
	}
	switch {
	case a == nil || name == "" || !a.Enabled || a.BuiltIn:
	case network && a.Access == amt.AccessPermissionLocal, !network && a.Access == amt.AccessPermissionNetwork:
	default:
		return a.HA1, a.Realms, true
	}
	return hash, 0, false
}

func (u *users) dump() (json.RawMessage, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return json.Marshal(&u.acl)
}

func (u *users) load(text json.RawMessage) error {
	var a acl
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	slices.SortFunc(a.List, func(x, y account) int { return int(x.Handle) - int(y.Handle) })
	for _, x := range a.List {
		a.Last = max(a.Last, x.Handle)
	}
	u.mu.Lock()
	u.acl = a
	u.mu.Unlock()
	u.changed()
	return nil
}

func (a *acl) digestUser(name string) *account {
	for i := range a.List {
		if a.List[i].Name == name && name != "" {
			return &a.List[i]
		}
	}
	return nil
}

func (a *acl) kerberosUser(sid []byte) *account {
	for i := range a.List {
		if len(sid) > 0 && slices.Equal(a.List[i].SID, sid) {
			return &a.List[i]
		}
	}
	return nil
}

func (a *acl) entry(handle *uint32) *account {
	for i := range a.List {
		if handle != nil && a.List[i].Handle == *handle {
			return &a.List[i]
		}
	}
	return nil
}

// count returns how many entries there are of the kind of x.
func (a *acl) count(x *account) (n, limit int) {
	limit = maxDigestUsers
	if x.SID != nil {
		limit = maxKerberosUsers
	}
	for i := range a.List {
		if (a.List[i].SID != nil) == (x.SID != nil) {
			n++
		}
	}
	return n, limit
}

// goodName reports whether firmware takes a name for a user.
func goodName(name string) bool {
	return name != "" && len(name) <= maxUserName && !strings.HasPrefix(name, "$$") && !strings.ContainsAny(name, ":,\"<>&") &&
		strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// goodSID reports whether these octets are a Windows SID: revision 1, count, authority of 6, count times 4. [MS-DTYP]
// 2.4.2.2.
func goodSID(sid []byte) bool {
	return len(sid) <= maxSID && len(sid) >= 8 && sid[0] == 1 && len(sid) == 8+4*int(sid[1])
}

// passwordHash reads DigestPassword: the 16 octets of the hash, or, as MeshCentral sends it, their 32 hex digits, which
// were taken for base64 on the way here.
func passwordHash(b []byte) (hash ha1, ok bool) {
	if len(b) == len(hash) {
		return ha1(b), true
	}
	if len(b) != base64.StdEncoding.DecodedLen(2*len(hash)) {
		return hash, false
	}
	digits := base64.StdEncoding.EncodeToString(b)
	_, err := hex.Decode(hash[:], []byte(digits))
	return hash, err == nil
}

// fill checks the parameters that Add and Update share, and puts them into the account.
func (x *account) fill(name *string, password, sid []byte, access *amt.AccessPermission, realms []amt.Realm) status.Status {
	if (name == nil) == (sid == nil) || access == nil || *access > amt.AccessPermissionAny || len(realms) == 0 {
		return status.InvalidParameter // neither or both kinds of user; a user without a realm could do nothing
	}
	var set RealmSet
	for _, r := range realms {
		if r < amt.RealmRedirection || r > amt.RealmACL {
			return status.InvalidRealm
		}
		set |= 1 << r
	}
	switch {
	case sid != nil:
		if !goodSID(sid) {
			return status.InvalidParameter
		}
		x.Name, x.HA1, x.SID = "", ha1{}, slices.Clone(sid)
	case !goodName(*name):
		return status.InvalidParameter
	case password == nil && x.Name == *name: // the password stays
	default:
		hash, ok := passwordHash(password)
		if !ok {
			return status.InvalidParameter
		}
		x.Name, x.HA1, x.SID = *name, hash, nil
	}
	x.Access, x.Realms = *access, set
	return status.Success
}

// add makes a new entry.
func (u *users) add(in amt.AuthorizationServiceAddUserAclEntryExIn) (uint32, status.Status) {
	u.mu.Lock()
	defer u.mu.Unlock()
	x := account{Enabled: true}
	if code := x.fill(in.DigestUsername, in.DigestPassword, in.KerberosUserSid, in.AccessPermission, in.Realms); code != status.Success {
		return 0, code
	}
	if u.acl.Admin.Name == x.Name || u.acl.digestUser(x.Name) != nil || u.acl.kerberosUser(x.SID) != nil {
		return 0, status.Duplicate
	}
	if n, limit := u.acl.count(&x); n >= limit {
		return 0, status.MaxLimitReached
	}
	u.acl.Last++
	x.Handle = u.acl.Last
	u.acl.List = append(u.acl.List, x)
	return x.Handle, status.Success
}

// update replaces an entry.
func (u *users) update(in amt.AuthorizationServiceUpdateUserAclEntryExIn) status.Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	old := u.acl.entry(in.Handle)
	switch {
	case old == nil:
		return status.InvalidHandle
	case old.BuiltIn:
		return status.NotPermitted
	}
	x := *old
	if code := x.fill(in.DigestUsername, in.DigestPassword, in.KerberosUserSid, in.AccessPermission, in.Realms); code != status.Success {
		return code
	}
	for _, other := range []*account{u.acl.digestUser(x.Name), u.acl.kerberosUser(x.SID)} {
		if other != nil && other != old {
			return status.Duplicate
		}
	}
	if x.Name != "" && x.Name == u.acl.Admin.Name {
		return status.Duplicate
	}
	if (x.SID != nil) != (old.SID != nil) {
		if n, limit := u.acl.count(&x); n >= limit {
			return status.MaxLimitReached
		}
	}
	*old = x
	return status.Success
}

// change calls f with an entry that may be changed; if f returns false, the entry goes.
func (u *users) change(handle *uint32, f func(*account) (keep bool)) status.Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	x := u.acl.entry(handle)
	switch {
	case x == nil:
		return status.InvalidHandle
	case x.BuiltIn:
		return status.NotPermitted
	}
	if !f(x) {
		gone := x.Handle
		u.acl.List = slices.DeleteFunc(u.acl.List, func(a account) bool { return a.Handle == gone })
	}
	return status.Success
}

// get returns a copy of an entry.
func (u *users) get(handle *uint32) (account, status.Status) {
	u.mu.Lock()
	defer u.mu.Unlock()
	x := u.acl.entry(handle)
	if x == nil {
		return account{}, status.InvalidHandle
	}
	return *x, status.Success
}

// setAdmin changes the administrator's name and password.
func (u *users) setAdmin(name string, password []byte) status.Status {
	hash, ok := passwordHash(password)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case !goodName(name) || u.acl.digestUser(name) != nil:
		return status.InvalidName
	case !ok:
		return status.InvalidPassword
	}
	u.acl.Admin.Name, u.acl.Admin.HA1 = name, hash
	u.acl.AdminDefault, u.acl.NetDefault = false, false
	return status.Success
}
