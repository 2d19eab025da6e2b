package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/outband/outband/console/hosts"
)

var errNoPassword = &failure{exitUsage, errors.New("no password"),
	"set AMT_PASSWORD, use --password-file or --password-stdin, or store it with outband host add"}

// passwordOf finds the password of a machine: named by a flag, in the environment, in the database, or typed.
func (a *app) passwordOf(ctx context.Context, h hosts.Host) (string, error) {
	password, err := a.givenPassword()
	if err != nil || password != "" {
		return password, err
	}
	if h.HasPassword() {
		db, err := a.database()
		if err != nil {
			return "", err
		}
		return db.Password(ctx, h)
	}
	a.session.mu.Lock()
	defer a.session.mu.Unlock()
	if a.session.asked {
		return a.session.password, nil
	}
	password, ok, err := a.askPassword(fmt.Sprintf("Password of %s", h))
	if err != nil {
		return "", err
	}
	if !ok {
		return "", errNoPassword
	}
	a.session.asked, a.session.password = true, password
	return password, nil
}

// givenPassword returns the password that flags or environment give, "" if they give none.
func (a *app) givenPassword() (string, error) {
	a.session.mu.Lock()
	defer a.session.mu.Unlock()
	switch {
	case a.PasswordFile != "":
		password, err := readPasswordFile(a.PasswordFile)
		if err != nil {
			return "", usage("", "--password-file: %w", err)
		}
		return password, nil
	case a.PasswordStdin:
		if !a.session.asked {
			line, err := readLine(a.in)
			if err != nil {
				return "", usage("", "--password-stdin: %w", err)
			}
			a.session.asked, a.session.password = true, line
		}
		return a.session.password, nil
	}
	return a.env("AMT_PASSWORD"), nil
}
