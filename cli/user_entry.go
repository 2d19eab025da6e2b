package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/outband/outband/console/hosts"
)

// storeTime is for writing the hosts file after the machine has changed, after an interrupt too.
const storeTime = 10 * time.Second

// keepUp has the entry of a machine follow its account: name and password that the database has of it become what the
// machine has now. A password that was not stored is not stored now either. password is "" if it has not changed.
func (a *app) keepUp(h hosts.Host, before, now, password string) {
	if entryName(h) == "" || before != h.Username() {
		return
	}
	entry, err := a.entry(h.Name)
	if err != nil || before != entry.Username() {
		return // somebody else has changed or removed it
	}
	stored := entry.HasPassword() && password != ""
	if !stored && now == before {
		return
	}
	entry.User = now
	if stored {
		entry.SetPassword(password)
	}
	if err := a.putEntry(entry); err != nil {
		a.note("warning: %s has changed, its entry in the hosts database has not: %v", h.Name, err)
		a.note("hint: with the new password in AMT_PASSWORD: outband --user %s host add %s %s --replace", now, h.Name, h.Address)
		return
	}
	what := "the password"
	switch {
	case stored && now != before:
		what = "the name and the password"
	case now != before:
		what = "the name"
	}
	a.note("%s: %s of the account in the hosts database is the new one too", h.Name, what)
}

func (a *app) entry(name string) (hosts.Host, error) {
	db, err := a.database()
	if err != nil {
		return hosts.Host{}, err
	}
	return db.Get(name)
}

func (a *app) putEntry(h hosts.Host) error {
	db, err := a.database()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), storeTime)
	defer cancel()
	if err := db.Put(ctx, h); err != nil {
		return fmt.Errorf("hosts database: %w", err)
	}
	return nil
}
