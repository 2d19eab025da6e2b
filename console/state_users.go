package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A StateUser is an account other than the administrator's and the firmware's own.
type StateUser struct {
	Name    string   `json:"name,omitempty"`
	SID     string   `json:"sid,omitempty"` // of Kerberos, instead of a name
	Access  string   `json:"access,omitempty"`
	Realms  []string `json:"realms"`
	Enabled *bool    `json:"enabled,omitempty"`

	// PasswordFrom says where the password of a new account is: "env:NAME" or the path of a file. It is not compared with
	// that of an account that is there.
	PasswordFrom string `json:"password_from,omitempty"`
}

func (u *StateUser) id() string { return cmp.Or(u.SID, u.Name) }

func (u *StateUser) words() string {
	text := u.Access + ", " + strings.Join(u.Realms, " ")
	if u.Enabled != nil && !*u.Enabled {
		text += ", disabled"
	}
	return text
}

func readStateUsers(ctx context.Context, c *Client, s *State) error {
	users, err := c.Users(ctx)
	if err != nil {
		return err
	}
	list := []StateUser{}
	for _, u := range users {
		if u.Admin || u.BuiltIn {
			continue
		}
		r := StateUser{Name: u.Name, SID: u.SID, Access: string(u.Access), Enabled: new(u.Enabled)}
		for _, realm := range u.Realms {
			r.Realms = append(r.Realms, RealmName(realm))
		}
		list = append(list, r)
	}
	s.Users = &list
	return nil
}

func planUsers(c *Client, now, want *State, help *StateHelp) (out []Change, err error) {
	err = compared(*now.Users, *want.Users, (*StateUser).id, func(n, w *StateUser) error {
		if w == nil {
			id := n.id()
			out = append(out, Change{Subject: id, From: n.words(), do: func(ctx context.Context) error { return c.RemoveUser(ctx, id) }})
			return nil
		}
		access, err := ParseAccess(cmp.Or(w.Access, string(AccessAny)))
		if err != nil {
			return err
		}
		var realms []Realm
		for _, name := range w.Realms {
			r, err := ParseRealm(name)
			if err != nil {
				return err
			}
			realms = append(realms, r)
		}
		slices.Sort(realms)
		whole := StateUser{Name: w.Name, SID: w.SID, Access: string(access), Enabled: new(w.Enabled == nil || *w.Enabled)}
		for _, r := range slices.Compact(realms) {
			whole.Realms = append(whole.Realms, RealmName(r))
		}
		if n == nil {
			password := ""
			if w.SID == "" {
				if w.PasswordFrom == "" {
					return fmt.Errorf("%w: account %s is new, and password_from does not say where its password is", ErrUsage, w.Name)
				}
				if password, err = help.secret(w.PasswordFrom); err != nil {
					return fmt.Errorf("%w: password of %s: %w", ErrUsage, w.Name, err)
				}
				if err := CheckPassword(password); err != nil {
					return err
				}
			}
			out = append(out, Change{Subject: w.id(), To: whole.words(), do: func(ctx context.Context) error {
				_, err := c.AddUser(ctx, User{Name: w.Name, SID: w.SID, Access: access, Realms: slices.Compact(realms), Enabled: *whole.Enabled}, password)
				return err
			}})
			return nil
		}
		if n.words() == whole.words() {
			return nil
		}
		out = append(out, Change{Subject: w.id(), From: n.words(), To: whole.words(), do: func(ctx context.Context) error {
			if n.Access != whole.Access || !slices.Equal(n.Realms, whole.Realms) {
				if _, err := c.ChangeUser(ctx, w.id(), UserChange{Access: access, Realms: slices.Compact(realms)}); err != nil {
					return err
				}
			}
			if *n.Enabled != *whole.Enabled {
				_, err := c.EnableUser(ctx, w.id(), *whole.Enabled)
				return err
			}
			return nil
		}})
		return nil
	})
	return out, err
}

// A StateAlarm is an alarm of the alarm clock.
type StateAlarm struct {
	Name  string    `json:"name"`
	Start time.Time `json:"start"`           // UTC, whole minutes
	Every string    `json:"every,omitempty"` // "24h"; "": once
	Once  bool      `json:"delete_after,omitempty"`
}

func (a *StateAlarm) words() string {
	text := a.Start.UTC().Format(time.RFC3339)
	if a.Every != "" {
		text += ", every " + a.Every
	}
	if a.Once {
		text += ", then deleted"
	}
	return text
}

func readStateAlarms(ctx context.Context, c *Client, s *State) error {
	alarms, err := c.Alarms(ctx)
	if err != nil {
		return err
	}
	list := []StateAlarm{}
	for _, a := range alarms {
		e := StateAlarm{Name: a.ID, Start: a.Start.UTC(), Once: a.Once}
		if a.Every > 0 {
			e.Every = a.Every.String()
		}
		list = append(list, e)
	}
	s.Alarms = &list
	return nil
}

func planAlarms(c *Client, now, want *State, _ *StateHelp) (out []Change, err error) {
	err = compared(*now.Alarms, *want.Alarms, func(a *StateAlarm) string { return a.Name }, func(n, w *StateAlarm) error {
		remove := func(ctx context.Context) error {
			_, err := c.RemoveAlarms(ctx, n.Name)
			return err
		}
		if w == nil {
			out = append(out, Change{Subject: n.Name, From: n.words(), do: remove})
			return nil
		}
		a := Alarm{ID: w.Name, Name: w.Name, Start: w.Start.UTC(), Once: w.Once}
		if w.Every != "" {
			if a.Every, err = time.ParseDuration(w.Every); err != nil {
				return fmt.Errorf("%w: alarm %s: %w", ErrUsage, w.Name, err)
			}
			w.Every = a.Every.String()
		}
		change := Change{Subject: w.Name, To: w.words()}
		if n != nil {
			if change.From = n.words(); change.From == change.To || periodic(n, w, a.Every) {
				return nil
			}
		}
		change.do = func(ctx context.Context) error {
			if n != nil {
				if err := remove(ctx); err != nil {
					return err
				}
			}
			_, err := c.AddAlarm(ctx, a)
			return err
		}
		out = append(out, change)
		return nil
	})
	return out, err
}

// periodic tells that two alarms ring at the same times, though one of them has begun earlier: the machine moves the start
// on when an alarm has rung.
func periodic(n, w *StateAlarm, every time.Duration) bool {
	return every > 0 && n.Every == w.Every && n.Once == w.Once && n.Start.Sub(w.Start)%every == 0
}
