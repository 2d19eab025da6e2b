package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/digest"
)

// ErrDiffers is an error of changes that the machine accepted and does not show when it is read again.
var ErrDiffers = errors.New("accepted, but the machine reads otherwise")

// Access is from where an account may be used.
type Access string

// From where.
const (
	AccessLocal  Access = "local"  // the machine's own operating system
	AccessRemote Access = "remote" // the network
	AccessAny    Access = "any"
)

// ParseAccess takes an Access, or the vendor's "network" for remote. Errors wrap [ErrUsage].
func ParseAccess(word string) (Access, error) {
	switch a := Access(strings.ToLower(word)); a {
	case AccessLocal, AccessRemote, AccessAny:
		return a, nil
	case "network":
		return AccessRemote, nil
	}
	return "", fmt.Errorf("%w: access %q is none of local, remote, any", ErrUsage, word)
}

func (a Access) permission() amt.AccessPermission {
	switch a {
	case AccessLocal:
		return amt.AccessPermissionLocal
	case AccessRemote:
		return amt.AccessPermissionNetwork
	}
	return amt.AccessPermissionAny
}

func accessOf(p *amt.AccessPermission) Access {
	switch {
	case p == nil:
		return ""
	case *p == amt.AccessPermissionLocal:
		return AccessLocal
	case *p == amt.AccessPermissionNetwork:
		return AccessRemote
	case *p == amt.AccessPermissionAny:
		return AccessAny
	}
	return Access(p.String())
}

// A User is an account: the administrator, a digest user with a password kept by AMT, or a user or group of a Windows
// domain, which Kerberos vouches for. Source: AMT_AuthorizationService; spec inventory-events-policies.md section 8.
type User struct {
	Handle  uint32  // of the machine; 0 for the administrator
	Name    string  // of a digest user; "" for Kerberos
	SID     string  // of a Kerberos user: "S-1-5-21-..."
	Access  Access  // "": not told
	Realms  []Realm // rising; the administrator has every one
	Enabled bool

	Admin   bool // the one account that cannot be removed
	BuiltIn bool // the firmware's own, "$$uns": cannot be changed
	Factory bool // the administrator's password is still that of the factory
}

// ID returns name or SID.
func (u *User) ID() string {
	if u.SID != "" {
		return u.SID
	}
	return u.Name
}

// Users reads all accounts, the administrator first.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	users, err := c.users(ctx)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	return users, nil
}

func (c *Client) users(ctx context.Context) ([]User, error) {
	admin, err := c.admin(ctx)
	if err != nil {
		return nil, err
	}
	users := []User{admin}
	handles, err := c.userHandles(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range handles {
		u, err := c.user(ctx, h)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}

// admin reads the administrator's account.
func (c *Client) admin(ctx context.Context) (User, error) {
	out, err := amt.AuthorizationServiceGetAdminAclEntry.Invoke(ctx, c, amt.AuthorizationServiceGetAdminAclEntryIn{})
	if err != nil {
		return User{}, err
	}
	factory, err := amt.AuthorizationServiceGetAdminAclEntryStatus.Invoke(ctx, c, amt.AuthorizationServiceGetAdminAclEntryStatusIn{})
	if err := lenient(err); err != nil {
		return User{}, err
	}
	return User{Name: class.Value(out.Username), Access: AccessAny, Realms: []Realm{amt.RealmPTAdministration}, Enabled: true, Admin: true,
		Factory: class.Value(factory.IsDefault)}, nil
}

// maxUsers is how many handles are read. Firmware holds some 48 accounts.
const maxUsers = 1024

// userHandles reads the list of accounts, which comes in pieces: StartIndex counts from 1.
func (c *Client) userHandles(ctx context.Context) ([]uint32, error) {
	var handles []uint32
	for {
		in := amt.AuthorizationServiceEnumerateUserAclEntriesIn{StartIndex: new(uint32(len(handles) + 1))}
		out, err := amt.AuthorizationServiceEnumerateUserAclEntries.Invoke(ctx, c, in)
		if err != nil {
			return nil, err
		}
		handles = append(handles, out.Handles...)
		if len(out.Handles) == 0 || len(handles) >= int(class.Value(out.TotalCount)) {
			return handles, nil
		}
		if len(handles) > maxUsers {
			return nil, fmt.Errorf("more than %d accounts", maxUsers)
		}
	}
}

// user reads one account.
func (c *Client) user(ctx context.Context, handle uint32) (User, error) {
	out, err := amt.AuthorizationServiceGetUserAclEntryEx.Invoke(ctx, c, amt.AuthorizationServiceGetUserAclEntryExIn{Handle: &handle})
	if err != nil {
		return User{}, err
	}
	u := User{Handle: handle, Name: class.Value(out.DigestUsername), Access: accessOf(out.AccessPermission), Realms: slices.Clone(out.Realms), Enabled: true}
	slices.Sort(u.Realms)
	u.BuiltIn = strings.HasPrefix(u.Name, "$$")
	if len(out.KerberosUserSid) > 0 {
		u.SID = FormatSID(out.KerberosUserSid)
	}
	state, err := amt.AuthorizationServiceGetAclEnabledState.Invoke(ctx, c, amt.AuthorizationServiceGetAclEnabledStateIn{Handle: &handle})
	if err := lenient(err); err != nil {
		return User{}, err
	}
	if state.Enabled != nil { // older firmware cannot disable
		u.Enabled = *state.Enabled
	}
	return u, nil
}

// findUser returns the account of a name or SID. Errors wrap [ErrUsage] if there is none.
func (c *Client) findUser(ctx context.Context, id string) (User, error) {
	users, err := c.users(ctx)
	if err != nil {
		return User{}, err
	}
	for _, u := range users {
		if u.Name == id && u.SID == "" || u.SID != "" && strings.EqualFold(u.SID, id) {
			return u, nil
		}
	}
	return User{}, fmt.Errorf("%w: no account %q", ErrUsage, id)
}

// passwordHash returns what AMT keeps of a password: MD5 of name, digest realm and password.
func (c *Client) passwordHash(ctx context.Context, name, password string) ([]byte, error) {
	general, err := class.Get[amt.GeneralSettings](ctx, c)
	if err != nil {
		return nil, err
	}
	realm := class.Value(general.DigestRealm)
	if realm == "" {
		return nil, errors.New("the machine does not tell its digest realm, and without it no password can be set")
	}
	hash := digest.HA1(name, realm, password)
	return hash[:], nil
}

// mayEdit refuses what cannot be done to an account, before anything is sent.
func (c *Client) mayEdit(u *User, lockOut bool) error {
	switch {
	case u.BuiltIn:
		return fmt.Errorf("%w: %s is the firmware's own account", ErrUsage, u.Name)
	case u.Admin && lockOut:
		return fmt.Errorf("%w: the administrator's account is always there and enabled", ErrUsage)
	case lockOut && u.SID == "" && u.Name == c.Username() && c.over == nil:
		return fmt.Errorf("%w: %s is the account in use; do it as another user", ErrUsage, u.Name)
	}
	return nil
}
