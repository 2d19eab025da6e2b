package hosts

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A secret is encrypted in the file, survives a change of the identity, and goes with the passwords.
func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.json")
	open := func() *DB {
		t.Helper()
		db, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	if _, err := db.Secret(t.Context(), "ca-key"); !errors.Is(err, ErrNotFound) {
		t.Errorf("without one: got %v, want %v", err, ErrNotFound)
	}
	want := strings.Repeat("a private key ", 300) // longer than any password
	if err := db.SetSecret(t.Context(), "ca-key", want); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "private key") {
		t.Errorf("the file shows the secret, or: %v", err)
	}
	check := func(when string) {
		t.Helper()
		if got, err := open().Secret(t.Context(), "ca-key"); got != want || err != nil {
			t.Errorf("%s: got %.20q, %v", when, got, err)
		}
	}
	check("read again")
	if err := open().Rekey(t.Context(), StoreFile); err != nil {
		t.Fatal(err)
	}
	check("after rekey")

	// Without its identity it is not quietly given another one.
	key := db.IdentityFile()
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := open().Secret(t.Context(), "ca-key"); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("without identity: got %v, want %v", err, ErrNoIdentity)
	}
	if err := open().SetSecret(t.Context(), "other", "x"); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("store without identity: got %v, want %v", err, ErrNoIdentity)
	}
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	check("with the identity back")

	// What another process has made meanwhile is kept.
	late := open()
	if err := open().SetSecret(t.Context(), "once", "first"); err != nil {
		t.Fatal(err)
	}
	if got, err := late.SecretOr(t.Context(), "once", func() (string, error) { return "second", nil }); got != "first" || err != nil {
		t.Errorf("made twice: got %q, %v", got, err)
	}
	if got, err := late.SecretOr(t.Context(), "new", func() (string, error) { return "made", nil }); got != "made" || err != nil {
		t.Errorf("made: got %q, %v", got, err)
	}

	if err := open().SetSecret(t.Context(), "ca-key", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := open().Secret(t.Context(), "ca-key"); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed: got %v, want %v", err, ErrNotFound)
	}
	for _, bad := range []struct{ name, value string }{{"", "x"}, {"a b", "x"}, {"big", strings.Repeat("x", maxSecret+1)}} {
		if err := open().SetSecret(t.Context(), bad.name, bad.value); err == nil {
			t.Errorf("name %q with %d bytes was stored", bad.name, len(bad.value))
		}
	}
}
