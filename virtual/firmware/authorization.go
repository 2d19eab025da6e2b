package firmware

import (
	"context"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A caller is who asks, for methods that depend on it.
type caller struct {
	user   string
	realms RealmSet
	vnc    bool // on port 5900, which knows no users
}

type callerKey struct{}

// withCaller notes who asks.
func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// administrates reports whether who asks may change any entry. Realm ACL alone lets users see the list and change their
// own password.
func administrates(ctx context.Context) bool {
	c, ok := ctx.Value(callerKey{}).(caller)
	return !ok || c.realms.Has(RealmAdministration)
}

// registerUsers gives AMT_AuthorizationService its methods.
func registerUsers(t *table) {
	class.Handle(&t.methods, amt.AuthorizationServiceAddUserAclEntryEx, addUser)
	class.Handle(&t.methods, amt.AuthorizationServiceUpdateUserAclEntryEx, updateUser)
	class.Handle(&t.methods, amt.AuthorizationServiceRemoveUserAclEntry, removeUser)
	class.Handle(&t.methods, amt.AuthorizationServiceEnumerateUserAclEntries, enumerateUsers)
	class.Handle(&t.methods, amt.AuthorizationServiceGetUserAclEntryEx, getUser)
	class.Handle(&t.methods, amt.AuthorizationServiceSetAclEnabledState, enableUser)
	class.Handle(&t.methods, amt.AuthorizationServiceGetAclEnabledState, userEnabled)
	class.Handle(&t.methods, amt.AuthorizationServiceSetAdminAclEntryEx, setAdmin)
	class.Handle(&t.methods, amt.AuthorizationServiceGetAdminAclEntry, getAdmin)
	class.Handle(&t.methods, amt.AuthorizationServiceGetAdminAclEntryStatus, adminDefault)
	class.Handle(&t.methods, amt.AuthorizationServiceGetAdminNetAclEntryStatus, netDefault)
}

// done voids nonces if something was changed.
func (u *users) done(code status.Status) status.Status {
	if code == status.Success {
		u.changed()
	}
	return code
}

func addUser(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuthorizationServiceAddUserAclEntryExIn) (out amt.AuthorizationServiceAddUserAclEntryExOut, _ status.Status, _ error) {
	if !administrates(ctx) {
		return out, status.NotPermitted, nil
	}
	handle, code := m.users.add(in)
	if code == status.Success {
		out.Handle = &handle
	}
	return out, m.users.done(code), nil
}

func updateUser(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuthorizationServiceUpdateUserAclEntryExIn) (out amt.AuthorizationServiceUpdateUserAclEntryExOut, _ status.Status, _ error) {
	if !administrates(ctx) {
		c, _ := ctx.Value(callerKey{}).(caller)
		own, code := m.users.get(in.Handle)
		want := own
		if code != status.Success || own.Name != c.user ||
			want.fill(in.DigestUsername, in.DigestPassword, in.KerberosUserSid, in.AccessPermission, in.Realms) != status.Success ||
			want.Name != own.Name || want.Realms != own.Realms || want.Access != own.Access {
			return out, status.NotPermitted, nil
		}
	}
	return out, m.users.done(m.users.update(in)), nil
}

func removeUser(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuthorizationServiceRemoveUserAclEntryIn) (out amt.AuthorizationServiceRemoveUserAclEntryOut, _ status.Status, _ error) {
	if !administrates(ctx) {
		return out, status.NotPermitted, nil
	}
	return out, m.users.done(m.users.change(in.Handle, func(*account) bool { return false })), nil
}

func enumerateUsers(_ context.Context, m *Machine, _ wsman.Selectors, in amt.AuthorizationServiceEnumerateUserAclEntriesIn) (out amt.AuthorizationServiceEnumerateUserAclEntriesOut, _ status.Status, _ error) {
	m.users.mu.Lock()
	defer m.users.mu.Unlock()
	list := m.users.acl.List
	start := class.Value(in.StartIndex)
	if start == 0 || start > 1 && int64(start) > int64(len(list)) {
		return out, status.InvalidIndex, nil
	}
	for _, x := range list[start-1:] {
		if len(out.Handles) < handlesPerCall {
			out.Handles = append(out.Handles, x.Handle)
		}
	}
	out.TotalCount, out.HandlesCount = new(uint32(len(list))), new(uint32(len(out.Handles)))
	return out, status.Success, nil
}

func getUser(_ context.Context, m *Machine, _ wsman.Selectors, in amt.AuthorizationServiceGetUserAclEntryExIn) (out amt.AuthorizationServiceGetUserAclEntryExOut, _ status.Status, _ error) {
	x, code := m.users.get(in.Handle)
	if code != status.Success {
		return out, code, nil
	}
	if x.SID != nil {
		out.KerberosUserSid = x.SID
	} else {
		out.DigestUsername = &x.Name // the password is never given back
	}
	out.AccessPermission = &x.Access
	for _, r := range x.Realms.List() {
		out.Realms = append(out.Realms, amt.Realm(r))
	}
	return out, status.Success, nil
}

func enableUser(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuthorizationServiceSetAclEnabledStateIn) (out amt.AuthorizationServiceSetAclEnabledStateOut, _ status.Status, _ error) {
	if !administrates(ctx) {
		return out, status.NotPermitted, nil
	}
	if in.Enabled == nil {
		return out, status.InvalidParameter, nil
	}
	return out, m.users.done(m.users.change(in.Handle, func(x *account) bool {
		x.Enabled = *in.Enabled
		return true
	})), nil
}

func userEnabled(_ context.Context, m *Machine, _ wsman.Selectors, in amt.AuthorizationServiceGetAclEnabledStateIn) (out amt.AuthorizationServiceGetAclEnabledStateOut, _ status.Status, _ error) {
	x, code := m.users.get(in.Handle)
	if code == status.Success {
		out.Enabled = &x.Enabled
	}
	return out, code, nil
}

func setAdmin(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuthorizationServiceSetAdminAclEntryExIn) (out amt.AuthorizationServiceSetAdminAclEntryExOut, _ status.Status, _ error) {
	if !administrates(ctx) {
		return out, status.NotPermitted, nil
	}
	code := m.users.done(m.users.setAdmin(class.Value(in.Username), in.DigestPassword))
	if code == status.Success {
		m.setup.named()
	}
	return out, code, nil
}

func getAdmin(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.AuthorizationServiceGetAdminAclEntryIn) (out amt.AuthorizationServiceGetAdminAclEntryOut, _ status.Status, _ error) {
	m.users.mu.Lock()
	defer m.users.mu.Unlock()
	out.Username = new(m.users.acl.Admin.Name)
	return out, status.Success, nil
}

func adminDefault(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.AuthorizationServiceGetAdminAclEntryStatusIn) (out amt.AuthorizationServiceGetAdminAclEntryStatusOut, _ status.Status, _ error) {
	m.users.mu.Lock()
	defer m.users.mu.Unlock()
	out.IsDefault = new(m.users.acl.AdminDefault)
	return out, status.Success, nil
}

func netDefault(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.AuthorizationServiceGetAdminNetAclEntryStatusIn) (out amt.AuthorizationServiceGetAdminNetAclEntryStatusOut, _ status.Status, _ error) {
	m.users.mu.Lock()
	defer m.users.mu.Unlock()
	out.IsDefault = new(m.users.acl.NetDefault)
	return out, status.Success, nil
}
