// Package oskeyring keeps secrets in the keyring of the operating system: the Secret Service over
// D-Bus on Linux and the BSDs, the Keychain on macOS, the Credential Manager on Windows.
//
// It exists apart from package hosts so that a program without a desktop need not link it. Every
// call is bounded by its context: a D-Bus that does not answer, or a prompt that nobody clicks
// away, is an error. It never starts a D-Bus of its own.
package oskeyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/zalando/go-keyring"
)

// ErrUnavailable is in the chain when there is no keyring to talk to.
var ErrUnavailable = errors.New("no keyring in this session")

// Ring is the keyring of the session. The zero value works.
type Ring struct{}

// Get returns a secret. The error wraps [fs.ErrNotExist] if there is none of that name.
func (Ring) Get(ctx context.Context, service, user string) (string, error) {
	var secret string
	err := within(ctx, func() (err error) {
		secret, err = keyring.Get(service, user)
		return err
	})
	if err != nil {
		return "", err // secret may still be written to
	}
	return secret, nil
}

// Set stores a secret, replacing one of the same name.
func (Ring) Set(ctx context.Context, service, user, secret string) error {
	return within(ctx, func() error { return keyring.Set(service, user, secret) })
}

// Delete removes a secret. The error wraps [fs.ErrNotExist] if there is none of that name.
func (Ring) Delete(ctx context.Context, service, user string) error {
	return within(ctx, func() error { return keyring.Delete(service, user) })
}

// within runs f and waits for it or for the end of ctx. The library below knows no contexts: an f
// that hangs keeps its goroutine until D-Bus answers or the program ends. That goroutine is the
// price of never hanging a command; nothing else can be done about it from outside.
func within(ctx context.Context, f func() error) error {
	if !present() {
		return ErrUnavailable
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if errors.Is(err, keyring.ErrNotFound) {
			return fmt.Errorf("keyring: %w", fs.ErrNotExist)
		}
		if err != nil {
			return fmt.Errorf("keyring: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("keyring does not answer: %w", context.Cause(ctx))
	}
}

// present reports whether trying makes sense. Where the keyring is behind D-Bus, a session bus must
// be there: the library would launch one otherwise.
func present() bool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return true
	}
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
		return true
	}
	for _, name := range []string{"bus", "dbus-session"} { // where godbus looks
		if _, err := os.Stat(fmt.Sprintf("/run/user/%d/%s", os.Getuid(), name)); err == nil {
			return true
		}
	}
	return false
}
