package firmware_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// hash returns what DigestPassword holds.
func (w *world) hash(user, password string) []byte {
	h := digest.HA1(user, w.Identity().Realm, password)
	return h[:]
}

// newUser returns the input for a user who may do anything that the realms allow.
func (w *world) newUser(name, password string, realms ...amt.Realm) amt.AuthorizationServiceAddUserAclEntryExIn {
	return amt.AuthorizationServiceAddUserAclEntryExIn{DigestUsername: &name, DigestPassword: w.hash(name, password),
		AccessPermission: new(amt.AccessPermissionAny), Realms: realms}
}

func (w *world) add(t *testing.T, in amt.AuthorizationServiceAddUserAclEntryExIn) (uint32, status.Status) {
	t.Helper()
	out, err := amt.AuthorizationServiceAddUserAclEntryEx.Invoke(t.Context(), w, in)
	return class.Value(out.Handle), code(t, err)
}

func (w *world) handles(t *testing.T) []uint32 {
	t.Helper()
	out, err := amt.AuthorizationServiceEnumerateUserAclEntries.Invoke(t.Context(), w, amt.AuthorizationServiceEnumerateUserAclEntriesIn{StartIndex: new(uint32(1))})
	if err != nil {
		t.Fatal(err)
	}
	return out.Handles
}

// sid is that of a domain user: S-1-5-21-1-2-3-4.
var sid = []byte{1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0}

func TestAddUser(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	good := func(change func(in *amt.AuthorizationServiceAddUserAclEntryExIn)) amt.AuthorizationServiceAddUserAclEntryExIn {
		in := w.newUser("alice", "S3cret!pass", amt.RealmRemoteControl)
		change(&in)
		return in
	}
	named := func(name string) amt.AuthorizationServiceAddUserAclEntryExIn {
		return w.newUser(name, "x", amt.RealmGeneralInfo)
	}
	for _, tt := range []struct {
		name string
		in   amt.AuthorizationServiceAddUserAclEntryExIn
		want status.Status
	}{
		{"a user", good(func(*amt.AuthorizationServiceAddUserAclEntryExIn) {}), status.Success},
		{"the same again", good(func(*amt.AuthorizationServiceAddUserAclEntryExIn) {}), status.Duplicate},
		{"the administrator", named("admin"), status.Duplicate},
		{"16 characters", named("abcdefghijklmnop"), status.Success},
		{"17 characters", named("abcdefghijklmnopq"), status.InvalidParameter},
		{"no name", named(""), status.InvalidParameter},
		{"a built-in name", named("$$x"), status.InvalidParameter},
		{"a colon", named("a:b"), status.InvalidParameter},
		{"no realm", good(func(in *amt.AuthorizationServiceAddUserAclEntryExIn) { in.Realms = nil }), status.InvalidParameter},
		{"no such realm", good(func(in *amt.AuthorizationServiceAddUserAclEntryExIn) { in.Realms = []amt.Realm{5, 99} }), status.InvalidRealm},
		{"the local system realm", good(func(in *amt.AuthorizationServiceAddUserAclEntryExIn) { in.Realms = []amt.Realm{24} }), status.InvalidRealm},
		{"no password", good(func(in *amt.AuthorizationServiceAddUserAclEntryExIn) { in.DigestPassword = nil }), status.InvalidParameter},
		{"a password of 15 octets", good(func(in *amt.AuthorizationServiceAddUserAclEntryExIn) { in.DigestPassword = in.DigestPassword[:15] }), status.InvalidParameter},
		{"24 octets that are no hex digits", good(func(in *amt.AuthorizationServiceAddUserAclEntryExIn) {
			in.DigestPassword = make([]byte, 24)
			in.DigestPassword[0] = 0xff
		}), status.InvalidParameter},
		{"access 3", good(func(in *amt.AuthorizationServiceAddUserAclEntryExIn) {
			in.AccessPermission = new(amt.AccessPermission(3))
		}), status.InvalidParameter},
		{"name and SID", good(func(in *amt.AuthorizationServiceAddUserAclEntryExIn) { in.KerberosUserSid = sid }), status.InvalidParameter},
		{"neither", amt.AuthorizationServiceAddUserAclEntryExIn{AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{5}}, status.InvalidParameter},
		{"a Kerberos user", amt.AuthorizationServiceAddUserAclEntryExIn{KerberosUserSid: sid, AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{5}}, status.Success},
		{"the same SID", amt.AuthorizationServiceAddUserAclEntryExIn{KerberosUserSid: sid, AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{5}}, status.Duplicate},
		{"no SID at all", amt.AuthorizationServiceAddUserAclEntryExIn{KerberosUserSid: []byte("nonsense"), AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{5}}, status.InvalidParameter},
	} {
		handle, got := w.add(t, tt.in)
		if got != tt.want || (handle != 0) != (tt.want == status.Success) {
			t.Errorf("%s: handle %d, %v; want %v", tt.name, handle, got, tt.want)
		}
	}
	if got, want := w.handles(t), []uint32{1, 2, 3, 4}; !slices.Equal(got, want) { // 1 is built in
		t.Errorf("handles %d, want %d", got, want)
	}
}

func TestUserLimits(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	for i := range 40 {
		_, got := w.add(t, w.newUser(fmt.Sprintf("user%d", i), "x", amt.RealmGeneralInfo))
		want := status.Success
		if i >= 15 { // and one is built in
			want = status.MaxLimitReached
		}
		if got != want {
			t.Fatalf("digest user %d: %v, want %v", i, got, want)
		}
		id := slices.Clone(sid)
		id[27] = byte(i)
		_, got = w.add(t, amt.AuthorizationServiceAddUserAclEntryExIn{KerberosUserSid: id, AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{5}})
		want = status.Success
		if i >= 32 {
			want = status.MaxLimitReached
		}
		if got != want {
			t.Fatalf("Kerberos user %d: %v, want %v", i, got, want)
		}
	}
	out, err := amt.AuthorizationServiceEnumerateUserAclEntries.Invoke(t.Context(), w, amt.AuthorizationServiceEnumerateUserAclEntriesIn{StartIndex: new(uint32(47))})
	if err != nil || *out.TotalCount != 48 || *out.HandlesCount != 2 || !slices.Equal(out.Handles, []uint32{47, 48}) {
		t.Errorf("from 47 on: %v of %d, %v", out.Handles, class.Value(out.TotalCount), err)
	}
	for _, start := range []uint32{0, 49} {
		_, err := amt.AuthorizationServiceEnumerateUserAclEntries.Invoke(t.Context(), w, amt.AuthorizationServiceEnumerateUserAclEntriesIn{StartIndex: &start})
		if got := code(t, err); got != status.InvalidIndex {
			t.Errorf("from %d on: %v, want %v", start, got, status.InvalidIndex)
		}
	}
}

// What a user is, is what the list says, from the next request on.
func TestUserLogsOn(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{On: true})
	handle, got := w.add(t, w.newUser("bob", "B0b's!pass", amt.RealmRemoteControl))
	if got != status.Success {
		t.Fatal(got)
	}
	bob := w.login(t, "bob", "B0b's!pass")
	get := func() error {
		_, err := class.Get[cim.AssociatedPowerManagementService](t.Context(), bob)
		return err
	}
	if err := get(); err != nil {
		t.Fatalf("new user: %v", err)
	}
	if _, err := class.Get[amt.TLSSettingData](t.Context(), bob, wsman.Selector{Name: "InstanceID", Value: "Intel(r) AMT 802.3 TLS Settings"}); !errors.Is(err, wsman.ErrAccessDenied) {
		t.Errorf("class of another realm: %v, want %v", err, wsman.ErrAccessDenied)
	}
	enable := func(on bool) {
		_, err := amt.AuthorizationServiceSetAclEnabledState.Invoke(t.Context(), w, amt.AuthorizationServiceSetAclEnabledStateIn{Handle: &handle, Enabled: &on})
		if err != nil {
			t.Fatal(err)
		}
		out, err := amt.AuthorizationServiceGetAclEnabledState.Invoke(t.Context(), w, amt.AuthorizationServiceGetAclEnabledStateIn{Handle: &handle})
		if err != nil || *out.Enabled != on {
			t.Errorf("enabled %v, %v; want %v", *out.Enabled, err, on)
		}
	}
	enable(false)
	if err := get(); !errors.Is(err, wsman.ErrUnauthorized) {
		t.Errorf("disabled: %v, want %v", err, wsman.ErrUnauthorized)
	}
	enable(true)
	if err := get(); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	update := amt.AuthorizationServiceUpdateUserAclEntryExIn{Handle: &handle, DigestUsername: new("bob"), DigestPassword: w.hash("bob", "other"),
		AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{amt.RealmGeneralInfo, amt.RealmRemoteControl}}
	if _, err := amt.AuthorizationServiceUpdateUserAclEntryEx.Invoke(t.Context(), w, update); err != nil {
		t.Fatal(err)
	}
	if err := get(); !errors.Is(err, wsman.ErrUnauthorized) {
		t.Errorf("old password: %v, want %v", err, wsman.ErrUnauthorized)
	}
	bob = w.login(t, "bob", "other")
	if err := get(); err != nil {
		t.Errorf("new password: %v", err)
	}
	update.AccessPermission, update.DigestPassword = new(amt.AccessPermissionLocal), nil // the password stays
	if _, err := amt.AuthorizationServiceUpdateUserAclEntryEx.Invoke(t.Context(), w, update); err != nil {
		t.Fatal(err)
	}
	if err := get(); !errors.Is(err, wsman.ErrUnauthorized) {
		t.Errorf("local only: %v, want %v", err, wsman.ErrUnauthorized)
	}
	if _, err := amt.AuthorizationServiceRemoveUserAclEntry.Invoke(t.Context(), w, amt.AuthorizationServiceRemoveUserAclEntryIn{Handle: &handle}); err != nil {
		t.Fatal(err)
	}
	if _, err := amt.AuthorizationServiceGetUserAclEntryEx.Invoke(t.Context(), w, amt.AuthorizationServiceGetUserAclEntryExIn{Handle: &handle}); code(t, err) != status.InvalidHandle {
		t.Errorf("removed: %v, want %v", err, status.InvalidHandle)
	}
}

// A change of the list voids nonces: a client finds out by a 401 and goes on.
func TestUserChangeVoidsNonces(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	w.power(t)
	before := w.RoundTrips()
	w.power(t)
	if n := w.RoundTrips() - before; n != 1 {
		t.Errorf("%d exchanges with a nonce at hand, want 1", n)
	}
	w.add(t, w.newUser("carol", "x", amt.RealmGeneralInfo))
	before = w.RoundTrips()
	w.power(t)
	if n := w.RoundTrips() - before; n != 2 {
		t.Errorf("%d exchanges after a change of the list, want 2", n)
	}
}

func TestGetUser(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	handle, _ := w.add(t, w.newUser("dave", "x", 7, 5))
	for _, tt := range []struct {
		handle uint32
		want   amt.AuthorizationServiceGetUserAclEntryExOut
	}{
		{1, amt.AuthorizationServiceGetUserAclEntryExOut{DigestUsername: new("$$uns"), AccessPermission: new(amt.AccessPermissionLocal), Realms: []amt.Realm{16}}}, // recorded
		{handle, amt.AuthorizationServiceGetUserAclEntryExOut{DigestUsername: new("dave"), AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{5, 7}}},
	} {
		got, err := amt.AuthorizationServiceGetUserAclEntryEx.Invoke(t.Context(), w, amt.AuthorizationServiceGetUserAclEntryExIn{Handle: &tt.handle})
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("handle %d: %v\n%s", tt.handle, err, diff)
		}
	}
	if _, err := amt.AuthorizationServiceRemoveUserAclEntry.Invoke(t.Context(), w, amt.AuthorizationServiceRemoveUserAclEntryIn{Handle: new(uint32(1))}); code(t, err) != status.NotPermitted {
		t.Errorf("built-in entry removed: %v, want %v", err, status.NotPermitted)
	}
}

func TestUpdateUser(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	w.add(t, w.newUser("erin", "x", 5))
	handle, _ := w.add(t, w.newUser("frank", "x", 5))
	update := func(change func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn)) status.Status {
		in := amt.AuthorizationServiceUpdateUserAclEntryExIn{Handle: &handle, DigestUsername: new("frank"), AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{5}}
		change(&in)
		_, err := amt.AuthorizationServiceUpdateUserAclEntryEx.Invoke(t.Context(), w, in)
		return code(t, err)
	}
	for name, tt := range map[string]struct {
		change func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn)
		want   status.Status
	}{
		"no such handle": {func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn) { in.Handle = new(uint32(77)) }, status.InvalidHandle},
		"built in":       {func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn) { in.Handle = new(uint32(1)) }, status.NotPermitted},
		"another's name": {func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn) {
			in.DigestUsername, in.DigestPassword = new("erin"), w.hash("erin", "x")
		}, status.Duplicate},
		"the administrator's": {func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn) {
			in.DigestUsername, in.DigestPassword = new("admin"), w.hash("admin", "x")
		}, status.Duplicate},
		"a new name without its password":  {func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn) { in.DigestUsername = new("fred") }, status.InvalidParameter},
		"no realm":                         {func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn) { in.Realms = nil }, status.InvalidParameter},
		"realms alone, the password stays": {func(in *amt.AuthorizationServiceUpdateUserAclEntryExIn) { in.Realms = []amt.Realm{13} }, status.Success},
	} {
		if got := update(tt.change); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestAdmin(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	set := func(name string, password []byte) status.Status {
		_, err := amt.AuthorizationServiceSetAdminAclEntryEx.Invoke(t.Context(), w, amt.AuthorizationServiceSetAdminAclEntryExIn{Username: &name, DigestPassword: password})
		return code(t, err)
	}
	w.add(t, w.newUser("grace", "x", 5))
	if got := set("grace", w.hash("grace", "x")); got != status.InvalidName {
		t.Errorf("a user's name: %v, want %v", got, status.InvalidName)
	}
	if got := set("admin", []byte("short")); got != status.InvalidPassword {
		t.Errorf("no hash: %v, want %v", got, status.InvalidPassword)
	}
	for method, get := range map[string]func() (*bool, error){
		"GetAdminAclEntryStatus": func() (*bool, error) {
			out, err := amt.AuthorizationServiceGetAdminAclEntryStatus.Invoke(t.Context(), w, amt.AuthorizationServiceGetAdminAclEntryStatusIn{})
			return out.IsDefault, err
		},
		"GetAdminNetAclEntryStatus": func() (*bool, error) {
			out, err := amt.AuthorizationServiceGetAdminNetAclEntryStatus.Invoke(t.Context(), w, amt.AuthorizationServiceGetAdminNetAclEntryStatusIn{})
			return out.IsDefault, err
		},
	} {
		if got, err := get(); err != nil || got == nil || *got {
			t.Errorf("%s: %v, %v; want false", method, got, err)
		}
	}
	if got := set("root", w.hash("root", "N3w!passw0rd")); got != status.Success {
		t.Fatalf("new name: %v", got)
	}
	root := w.login(t, "root", "N3w!passw0rd")
	out, err := amt.AuthorizationServiceGetAdminAclEntry.Invoke(t.Context(), root, amt.AuthorizationServiceGetAdminAclEntryIn{})
	if err != nil || *out.Username != "root" {
		t.Errorf("got %v, %v; want root", out.Username, err)
	}
	if _, err := class.Get[amt.GeneralSettings](t.Context(), w.login(t, "admin", firmware.DefaultPassword)); !errors.Is(err, wsman.ErrUnauthorized) {
		t.Errorf("old name: %v, want %v", err, wsman.ErrUnauthorized)
	}
}

// MeshCentral sends the hash as 32 hex digits where base64 is due.
func TestAdminPasswordAsHexDigits(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	uri := wsman.ClassURI("AMT_AuthorizationService")
	out, err := wsman.Invoke(t.Context(), w, uri, "SetAdminAclEntryEx", nil,
		wsman.El(uri, "Username", "admin"), wsman.El(uri, "DigestPassword", fmt.Sprintf("%x", w.hash("admin", "N3w!passw0rd"))))
	if err != nil || out.ChildText("ReturnValue") != "0" {
		t.Fatalf("got %+v, %v", out, err)
	}
	if _, err := class.Get[amt.GeneralSettings](t.Context(), w.login(t, "admin", "N3w!passw0rd")); err != nil {
		t.Errorf("log on with it: %v", err)
	}
}

// Realm ACL lets users change their own password and nothing else.
func TestUserOfRealmACL(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	handle, _ := w.add(t, w.newUser("heidi", "x", amt.RealmACL))
	other, _ := w.add(t, w.newUser("ivan", "x", 5))
	heidi := &world{Machine: w.Machine, Client: w.login(t, "heidi", "x")}
	if _, got := heidi.add(t, w.newUser("judy", "x", amt.RealmPTAdministration)); got != status.NotPermitted {
		t.Errorf("add: %v, want %v", got, status.NotPermitted)
	}
	update := func(handle uint32, name string, realms ...amt.Realm) status.Status {
		_, err := amt.AuthorizationServiceUpdateUserAclEntryEx.Invoke(t.Context(), heidi, amt.AuthorizationServiceUpdateUserAclEntryExIn{
			Handle: &handle, DigestUsername: &name, DigestPassword: w.hash(name, "y"), AccessPermission: new(amt.AccessPermissionAny), Realms: realms})
		return code(t, err)
	}
	if got := update(other, "ivan", 5); got != status.NotPermitted {
		t.Errorf("another's password: %v, want %v", got, status.NotPermitted)
	}
	if got := update(handle, "heidi", amt.RealmACL, amt.RealmPTAdministration); got != status.NotPermitted {
		t.Errorf("more realms: %v, want %v", got, status.NotPermitted)
	}
	if got := update(handle, "heidi", amt.RealmACL); got != status.Success {
		t.Errorf("own password: %v", got)
	}
}

func TestUsersAreKept(t *testing.T) {
	c := firmware.Config{Seed: "twin"} // the same realm, so that the same hashes are good
	w, other := newWorld(t, c, pc.Options{}), newWorld(t, c, pc.Options{})
	w.add(t, w.newUser("kim", "x", amt.RealmGeneralInfo))
	if err := w.Parts(other.Machine); err != nil {
		t.Fatal(err)
	}
	if _, err := class.Get[amt.GeneralSettings](t.Context(), other.login(t, "kim", "x")); err != nil {
		t.Errorf("log on at the other machine: %v", err)
	}
	if handle, _ := other.add(t, other.newUser("leo", "x", 5)); handle != 3 {
		t.Errorf("next handle %d, want 3", handle)
	}
}
