package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type userCmd struct {
	List    userListCmd    `cmd:"" help:"List the accounts of a machine, and what they may do."`
	Add     userAddCmd     `cmd:"" help:"Add an account with a password, or one of a Windows domain."`
	Set     userSetCmd     `cmd:"" help:"Change name, password, realms or access of an account, the administrator's included."`
	Enable  userEnableCmd  `cmd:"" help:"Let an account in again."`
	Disable userDisableCmd `cmd:"" help:"Keep an account, but do not let it in."`
	Remove  userRemoveCmd  `cmd:"" aliases:"delete" help:"Remove an account."`
}

// A userRecord is one account of one machine.
type userRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	Name    string   `json:"name,omitempty"`
	SID     string   `json:"sid,omitempty"`    // of a Kerberos account
	Handle  uint32   `json:"handle,omitempty"` // the machine's number of it
	Access  string   `json:"access,omitempty"` // local, remote, any
	Enabled *bool    `json:"enabled,omitempty"`
	Realms  []string `json:"realms,omitempty"`
	Admin   bool     `json:"admin,omitempty"`
	BuiltIn bool     `json:"built_in,omitempty"` // the firmware's own
	Factory bool     `json:"factory_password,omitempty"`
	Removed bool     `json:"removed,omitempty"`
	Error   *problem `json:"error,omitempty"`
}

func newUserRecord(host string, u console.User) userRecord {
	r := userRecord{Host: host, OK: true, Name: u.Name, SID: u.SID, Handle: u.Handle, Access: string(u.Access), Enabled: &u.Enabled,
		Admin: u.Admin, BuiltIn: u.BuiltIn, Factory: u.Factory}
	for _, realm := range u.Realms {
		r.Realms = append(r.Realms, console.RealmName(realm))
	}
	return r
}

func userColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"USER", 16}, {"ACCESS", 6}, {"STATE", 8}, {"REALMS", 0}}
}

func (r *userRecord) cells() []cell {
	state := cell{"enabled", toneGood}
	if !*r.Enabled {
		state = cell{"disabled", toneBad}
	}
	realms := strings.Join(r.Realms, " ")
	switch {
	case r.Factory:
		realms += " (factory password)"
	case r.BuiltIn:
		realms += " (the firmware's own)"
	}
	return []cell{plain(r.Host), plain(r.Name + r.SID), plain(r.Access), state, plain(realms)}
}

type userListCmd struct{ Many }

func (userListCmd) Help() string {
	return example("outband user list nuc1", "outband user list @lab -o json")
}

func (c *userListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(userColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.User, error) {
		return client.Users(ctx)
	}, func(h hosts.Host, users []console.User, bad *failure) error {
		if bad != nil {
			return out.failed(userRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, u := range users {
			r := newUserRecord(h.Name, u)
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		return nil
	})
}

// NewPassword is where the password of an account comes from: never an argument, which others could see.
type NewPassword struct {
	NewPasswordFile string `placeholder:"FILE" help:"First line of FILE is the account's new password; default is AMT_NEW_PASSWORD, or to ask."`
}

// read finds the password and holds it against AMT's rules.
func (p *NewPassword) read(a *app, name string) (string, error) {
	password, err := p.find(a, name)
	if err != nil {
		return "", err
	}
	return password, console.CheckPassword(password)
}

func (p *NewPassword) find(a *app, name string) (string, error) {
	if p.NewPasswordFile != "" {
		password, err := readPasswordFile(p.NewPasswordFile)
		if err != nil {
			return "", usage("", "--new-password-file: %w", err)
		}
		return password, nil
	}
	if password := a.env("AMT_NEW_PASSWORD"); password != "" {
		return password, nil
	}
	password, ok, err := a.askPassword("New password of " + name)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", &failure{exitUsage, errors.New("no password for " + name), "set AMT_NEW_PASSWORD or use --new-password-file"}
	}
	if err := console.CheckPassword(password); err != nil {
		return "", err
	}
	again, _, err := a.askPassword("Again")
	if err == nil && again != password {
		err = usage("", "the two passwords differ")
	}
	return password, err
}

// account is which account of which machines.
type account struct {
	Name string `arg:"" help:"Name of the account, or its SID (S-1-5-21-...)."`
	Many
}

// do changes an account on every machine and shows it as it was read again. then, if any, is told of each that worked.
func (c *account) do(a *app, change func(ctx context.Context, client *console.Client) (console.User, error), then ...func(h hosts.Host, u console.User)) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(userColumns(list)...)
	return eachHost(a, list, c.Many, change, func(h hosts.Host, u console.User, bad *failure) error {
		if bad != nil {
			return out.failed(userRecord{Host: h.Name, Name: c.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, f := range then {
			f(h, u)
		}
		r := newUserRecord(h.Name, u)
		return out.record(r, r.cells()...)
	})
}

const realmHelp = "Areas that an account may use: redirection (SOL, IDE-R, KVM), admin (everything), hardware, remote-control (power, boot), " +
	"storage, event-manager, storage-admin, agent-local, agent-remote, circuit-breaker (System Defense), time, info, firmware-update, eit, " +
	"user-notification, endpoint-access, endpoint-access-admin, event-reader, audit-log, access-control; or all. The vendor's names and numbers do too.\n\n"

const passwordHelp = "The password is asked for, or AMT_NEW_PASSWORD, or the first line of --new-password-file. AMT wants 8 to 32 characters, among " +
	"them an upper-case and a lower-case letter, a digit and a special character.\n\n"

type userAddCmd struct {
	account
	Realm    []string `required:"" placeholder:"REALM" help:"What the account may do; see above."`
	Access   string   `default:"any" placeholder:"FROM" help:"From where it may log in: local, remote or any."`
	Disabled bool     `help:"Do not let it in yet."`
	NewPassword
}

func (userAddCmd) Help() string {
	return realmHelp + passwordHelp + example("outband user add ops nuc1 --realm remote-control,redirection",
		"outband user add S-1-5-21-397955417-626881126-188441444-1104 nuc1 --realm admin")
}

func (c *userAddCmd) Run(a *app) error {
	u := console.User{Name: c.Name, Enabled: !c.Disabled}
	var err error
	if u.Realms, err = console.ParseRealms(c.Realm); err != nil {
		return err
	}
	if u.Access, err = console.ParseAccess(c.Access); err != nil {
		return err
	}
	password := ""
	if _, err := console.ParseSID(c.Name); err == nil {
		u.Name, u.SID = "", c.Name
	} else if password, err = c.read(a, c.Name); err != nil {
		return err
	}
	return c.do(a, func(ctx context.Context, client *console.Client) (console.User, error) {
		return client.AddUser(ctx, u, password)
	})
}

type userSetCmd struct {
	account
	Rename         string   `placeholder:"NAME" help:"New name of the account. It needs the password, too: that of the account in use is known."`
	ChangePassword bool     `help:"Change the password. It is asked for, never an argument; see above."`
	Realm          []string `placeholder:"REALM" help:"What the account may do from now on."`
	Access         string   `placeholder:"FROM" help:"From where it may log in: local, remote or any."`
	NewPassword
}

func (userSetCmd) Help() string {
	return realmHelp + passwordHelp + "If it is the account under which the machine is in the hosts database, the entry gets the new name and password too.\n\n" +
		example("outband user set ops nuc1 --realm info,remote-control", "outband user set admin nuc1 --change-password",
			"outband user set admin nuc1 --rename root")
}

func (c *userSetCmd) Run(a *app) error {
	change := console.UserChange{Name: c.Rename}
	var err error
	if c.Access != "" {
		if change.Access, err = console.ParseAccess(c.Access); err != nil {
			return err
		}
	}
	if c.Realm != nil {
		if change.Realms, err = console.ParseRealms(c.Realm); err != nil {
			return err
		}
	}
	if c.ChangePassword || c.NewPasswordFile != "" {
		if change.Password, err = c.read(a, c.Name); err != nil {
			return err
		}
	}
	return c.do(a, func(ctx context.Context, client *console.Client) (console.User, error) {
		return client.ChangeUser(ctx, c.Name, change)
	}, func(h hosts.Host, u console.User) { a.keepUp(h, c.Name, u.Name, change.Password) })
}

type (
	userEnableCmd  struct{ account }
	userDisableCmd struct{ account }
)

func (userEnableCmd) Help() string  { return example("outband user enable ops nuc1") }
func (userDisableCmd) Help() string { return example("outband user disable ops @lab") }

func (c *userEnableCmd) Run(a *app) error  { return c.enable(a, true) }
func (c *userDisableCmd) Run(a *app) error { return c.enable(a, false) }

func (c *account) enable(a *app, enabled bool) error {
	return c.do(a, func(ctx context.Context, client *console.Client) (console.User, error) {
		return client.EnableUser(ctx, c.Name, enabled)
	})
}

type userRemoveCmd struct {
	account
	Yes bool `short:"y" help:"Do not ask before removing it from several machines."`
}

func (userRemoveCmd) Help() string { return example("outband user remove ops nuc1") }

func (c *userRemoveCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(c.Yes, len(list), "remove user "+c.Name); err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"USER", 16}, column{"STATE", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (struct{}, error) {
		return struct{}{}, client.RemoveUser(ctx, c.Name)
	}, func(h hosts.Host, _ struct{}, bad *failure) error {
		if bad != nil {
			return out.failed(userRecord{Host: h.Name, Name: c.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.record(userRecord{Host: h.Name, OK: true, Name: c.Name, Removed: true}, plain(h.Name), plain(c.Name), cell{"removed", toneWarn})
	})
}
