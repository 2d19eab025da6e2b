package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
)

// CheckPassword tells what firmware will not like about a password: it wants 8 to 32 characters, among them an
// upper-case and a lower-case letter, a digit and a special character. Colon, comma and the double quote are not taken;
// the underscore counts as a letter. Errors wrap [ErrUsage] and do not hold the password.
func CheckPassword(password string) error {
	var upper, lower, digit, special bool
	for _, r := range password {
		switch {
		case r < ' ' || r > '~':
			return fmt.Errorf("%w: the password has a character that is not printable ASCII", ErrUsage)
		case strings.ContainsRune(":,\"", r):
			return fmt.Errorf("%w: the password has a colon, a comma or a double quote, which AMT does not take", ErrUsage)
		case r >= 'A' && r <= 'Z':
			upper = true
		case r >= 'a' && r <= 'z':
			lower = true
		case r >= '0' && r <= '9':
			digit = true
		case r != '_':
			special = true
		}
	}
	var missing []string
	for _, rule := range []struct {
		ok   bool
		what string
	}{
		{len(password) >= 8, "8 characters"}, {len(password) <= 32, "at most 32 characters"}, {upper, "an upper-case letter"},
		{lower, "a lower-case letter"}, {digit, "a digit"}, {special, "a special character (_ is none)"},
	} {
		if !rule.ok {
			missing = append(missing, rule.what)
		}
	}
	if missing != nil {
		return fmt.Errorf("%w: AMT wants of a password %s", ErrUsage, strings.Join(missing, ", "))
	}
	return nil
}

// checkUserName holds a name against what firmware takes.
func checkUserName(name string) error {
	bad := func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(":,\"<>&", r) }
	switch {
	case name == "" || len(name) > 16:
		return fmt.Errorf("%w: user name %q does not have 1 to 16 characters", ErrUsage, name)
	case strings.HasPrefix(name, "$$"):
		return fmt.Errorf("%w: user name %q: $$ begins the firmware's own", ErrUsage, name)
	case strings.IndexFunc(name, bad) >= 0:
		return fmt.Errorf("%w: user name %q has a colon, comma, quote, <, >, & or something that is not ASCII", ErrUsage, name)
	}
	return nil
}

// AddUser makes an account of u's name and password, or of its SID, with its realms and access ("": any), and disables
// it at once if u says so. The result is the account as the machine has it then. What the firmware would refuse is an
// error that wraps [ErrUsage], and nothing is sent.
func (c *Client) AddUser(ctx context.Context, u User, password string) (User, error) {
	now, err := c.addUser(ctx, u, password)
	if err != nil {
		return now, fmt.Errorf("add user %s: %w", u.ID(), err)
	}
	return now, nil
}

func (c *Client) addUser(ctx context.Context, u User, password string) (User, error) {
	if len(u.Realms) == 0 {
		return User{}, fmt.Errorf("%w: an account without a realm could do nothing", ErrUsage)
	}
	in := amt.AuthorizationServiceAddUserAclEntryExIn{AccessPermission: new(u.Access.permission()), Realms: u.Realms}
	var err error
	if u.SID != "" {
		if in.KerberosUserSid, err = ParseSID(u.SID); err != nil {
			return User{}, err
		}
	} else {
		if err = checkUserName(u.Name); err == nil {
			err = CheckPassword(password)
		}
		if err != nil {
			return User{}, err
		}
		in.DigestUsername = &u.Name
		if in.DigestPassword, err = c.passwordHash(ctx, u.Name, password); err != nil {
			return User{}, err
		}
	}
	out, err := amt.AuthorizationServiceAddUserAclEntryEx.Invoke(ctx, c, in)
	if err != nil {
		return User{}, err
	}
	handle := class.Value(out.Handle)
	if !u.Enabled {
		if err := c.setEnabled(ctx, handle, false); err != nil {
			return User{}, fmt.Errorf("added, but not disabled: %w", err)
		}
	}
	return c.readAgain(ctx, handle, u)
}

// readAgain reads an account and compares it with what it should be.
func (c *Client) readAgain(ctx context.Context, handle uint32, want User) (User, error) {
	now, err := c.user(ctx, handle)
	if err != nil {
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	realms := slices.Clone(want.Realms)
	slices.Sort(realms)
	if now.Name != want.Name || !strings.EqualFold(now.SID, want.SID) || now.Access.permission() != want.Access.permission() ||
		!slices.Equal(now.Realms, realms) || now.Enabled != want.Enabled {
		return now, ErrDiffers
	}
	return now, nil
}

// A UserChange says what to change about an account; what is nil or empty stays.
type UserChange struct {
	Name     string // new name
	Password string // new password
	Access   Access
	Realms   []Realm // all of them, not those to add
}

// ChangeUser changes the account of a name or SID and returns it as the machine has it then. A new name of an account
// needs its password too, as AMT keeps both in one hash: without one it is done only for the account in use, whose
// password is known. When that account is changed the Client goes on under the new name and password. The
// administrator has name and password only. What the firmware would refuse is an error that wraps [ErrUsage].
func (c *Client) ChangeUser(ctx context.Context, id string, change UserChange) (User, error) {
	now, err := c.changeUser(ctx, id, change)
	if errors.Is(err, ErrUnauthorized) && c.changedBefore(ctx, id, change) {
		now, err = c.changeUser(ctx, cmp.Or(change.Name, id), change)
	}
	if err != nil {
		return now, fmt.Errorf("change user %s: %w", id, err)
	}
	return now, nil
}

// changedBefore reports whether the account in use has the new name and password already: an earlier run was cut off
// after the machine had heard it. The Client goes on under them then.
func (c *Client) changedBefore(ctx context.Context, id string, change UserChange) bool {
	if c.over != nil || change.Password == "" || id != c.Username() {
		return false
	}
	username, password, err := c.Credentials(ctx)
	if err != nil || c.relogin(ctx, cmp.Or(change.Name, id), change.Password) != nil {
		return false
	}
	if _, err = c.admin(ctx); err == nil || refused(err) { // a refusal is an answer to somebody who was let in
		return true
	}
	c.relogin(ctx, username, password)
	return false
}

func (c *Client) changeUser(ctx context.Context, id string, change UserChange) (User, error) {
	if err := change.check(); err != nil {
		return User{}, err
	}
	old, err := c.findUser(ctx, id)
	if err == nil {
		err = c.mayEdit(&old, false)
	}
	if err != nil {
		return User{}, err
	}
	want := old
	if change.Name != "" {
		want.Name = change.Name
	}
	if change.Access != "" {
		want.Access = change.Access
	}
	if change.Realms != nil {
		want.Realms = change.Realms
	}
	own := c.over == nil && old.SID == "" && old.Name == c.Username()
	switch {
	case old.SID != "" && (change.Name != "" || change.Password != ""):
		return User{}, fmt.Errorf("%w: a Kerberos account has neither name nor password of its own", ErrUsage)
	case old.Admin && (change.Access != "" || change.Realms != nil):
		return User{}, fmt.Errorf("%w: the administrator may do everything from everywhere", ErrUsage)
	case change.Password == "" && (want.Name != old.Name || old.Admin):
		if !own {
			return User{}, fmt.Errorf("%w: a new name needs the password too", ErrUsage)
		}
		if _, change.Password, err = c.Credentials(ctx); err != nil {
			return User{}, err
		}
	}
	var hash []byte
	if change.Password != "" {
		if hash, err = c.passwordHash(ctx, want.Name, change.Password); err != nil {
			return User{}, err
		}
	}
	if old.Admin {
		in := amt.AuthorizationServiceSetAdminAclEntryExIn{Username: &want.Name, DigestPassword: hash}
		_, err = amt.AuthorizationServiceSetAdminAclEntryEx.Invoke(ctx, c, in)
	} else {
		err = c.updateUser(ctx, want, hash)
	}
	if err != nil {
		return User{}, err
	}
	if own && change.Password != "" {
		if err := c.relogin(ctx, want.Name, change.Password); err != nil {
			return want, err
		}
	}
	if !old.Admin {
		return c.readAgain(ctx, old.Handle, want)
	}
	now, err := c.admin(ctx)
	if err == nil && (now.Name != want.Name || now.Factory) {
		err = ErrDiffers
	}
	return now, err
}

func (c *Client) updateUser(ctx context.Context, want User, hash []byte) error {
	in := amt.AuthorizationServiceUpdateUserAclEntryExIn{Handle: &want.Handle, AccessPermission: new(want.Access.permission()), Realms: want.Realms}
	if want.SID != "" {
		var err error
		if in.KerberosUserSid, err = ParseSID(want.SID); err != nil {
			return err
		}
	} else {
		in.DigestUsername, in.DigestPassword = &want.Name, hash
	}
	_, err := amt.AuthorizationServiceUpdateUserAclEntryEx.Invoke(ctx, c, in)
	return err
}

// check holds a change against what firmware takes.
func (u *UserChange) check() error {
	if u.Name == "" && u.Password == "" && u.Access == "" && u.Realms == nil {
		return fmt.Errorf("%w: nothing to change", ErrUsage)
	}
	if u.Realms != nil && len(u.Realms) == 0 {
		return fmt.Errorf("%w: an account without a realm could do nothing", ErrUsage)
	}
	if u.Name != "" {
		if err := checkUserName(u.Name); err != nil {
			return err
		}
	}
	if u.Password != "" {
		return CheckPassword(u.Password)
	}
	return nil
}

// EnableUser enables or disables the account of a name or SID and returns it as the machine has it then.
func (c *Client) EnableUser(ctx context.Context, id string, enabled bool) (User, error) {
	verb := "disable"
	if enabled {
		verb = "enable"
	}
	want, err := c.findUser(ctx, id)
	if err == nil {
		err = c.mayEdit(&want, true)
	}
	if err == nil {
		err = c.setEnabled(ctx, want.Handle, enabled)
	}
	now := want
	if err == nil {
		want.Enabled = enabled
		now, err = c.readAgain(ctx, want.Handle, want)
	}
	if err != nil {
		return now, fmt.Errorf("%s user %s: %w", verb, id, err)
	}
	return now, nil
}

func (c *Client) setEnabled(ctx context.Context, handle uint32, enabled bool) error {
	in := amt.AuthorizationServiceSetAclEnabledStateIn{Handle: &handle, Enabled: &enabled}
	_, err := amt.AuthorizationServiceSetAclEnabledState.Invoke(ctx, c, in)
	return err
}

// RemoveUser removes the account of a name or SID, and reads the list again to see that it is gone.
func (c *Client) RemoveUser(ctx context.Context, id string) error {
	u, err := c.findUser(ctx, id)
	if err == nil {
		err = c.mayEdit(&u, true)
	}
	if err == nil {
		_, err = amt.AuthorizationServiceRemoveUserAclEntry.Invoke(ctx, c, amt.AuthorizationServiceRemoveUserAclEntryIn{Handle: &u.Handle})
	}
	if err == nil {
		var handles []uint32
		if handles, err = c.userHandles(ctx); err == nil && slices.Contains(handles, u.Handle) {
			err = ErrDiffers
		}
	}
	if err != nil {
		return fmt.Errorf("remove user %s: %w", id, err)
	}
	return nil
}
