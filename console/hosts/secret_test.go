package hosts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeRing is a keyring in memory. A stuck one answers nothing until ctx ends.
type fakeRing struct {
	mu      sync.Mutex
	secrets map[string]string
	calls   int
	stuck   bool
}

func (r *fakeRing) enter(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (r *fakeRing) Get(ctx context.Context, service, user string) (string, error) {
	if err := r.enter(ctx); err != nil {
		return "", err
	}
	if s, ok := r.secrets[service+"/"+user]; ok {
		return s, nil
	}
	return "", fmt.Errorf("fake: %w", fs.ErrNotExist)
}

func (r *fakeRing) Set(ctx context.Context, service, user, secret string) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	if r.secrets == nil {
		r.secrets = map[string]string{}
	}
	r.secrets[service+"/"+user] = secret
	return nil
}

func (r *fakeRing) Delete(ctx context.Context, service, user string) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	delete(r.secrets, service+"/"+user)
	return nil
}

func password(t *testing.T, db *DB, name string) string {
	t.Helper()
	h, err := db.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.Password(t.Context(), h)
	if err != nil {
		t.Fatalf("password of %s: %v", name, err)
	}
	return got
}

func TestIdentityMissingOrWrong(t *testing.T) {
	ctx := t.Context()
	fresh := func(t *testing.T) *DB {
		db := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{})
		put(t, db, withPassword(full, "x"), Host{Name: "other", Address: "o"})
		h, _ := db.Get("desk-7")
		if got, err := db.Password(ctx, h); got != "x" || err != nil { // what was read once counts no more
			t.Fatalf("before: %q, %v", got, err)
		}
		return db
	}
	other := fresh(t)
	for name, tt := range map[string]struct {
		spoil func(path string) error
		is    error
		says  string
	}{
		"missing":  {os.Remove, ErrNoIdentity, "restore it"},
		"another":  {func(p string) error { return os.Rename(other.IdentityFile(), p) }, ErrNoIdentity, "another one"},
		"rubbish":  {func(p string) error { return os.WriteFile(p, []byte("AGE-SECRET-KEY-1RUBBISH\n"), 0o600) }, nil, "no age identity"},
		"readable": {func(p string) error { return os.Chmod(p, 0o644) }, nil, "chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			db := fresh(t)
			if err := tt.spoil(db.IdentityFile()); err != nil {
				t.Fatal(err)
			}
			before := read(t, db.Path())
			h, _ := db.Get("desk-7")
			_, get := db.Password(ctx, h)
			set := db.Put(ctx, withPassword(Host{Name: "third", Address: "t"}, "y"))
			for what, err := range map[string]error{"get": get, "set": set, "rekey": db.Rekey(ctx, StoreFile)} {
				if err == nil || tt.is != nil && !errors.Is(err, tt.is) ||
					!strings.Contains(err.Error(), db.IdentityFile()) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: got %v; want the path of the key file and %q", what, err, tt.says)
				}
				if err != nil && strings.Contains(err.Error(), "RUBBISH") {
					t.Errorf("%s: quotes the key file: %v", what, err)
				}
			}
			if read(t, db.Path()) != before {
				t.Error("the database changed")
			}
			// What needs no password works, and there is a way on.
			put(t, db, Host{Name: "fourth", Address: "f"})
			if err := db.ForgetPasswords(ctx); err != nil {
				t.Fatal(err)
			}
			if h, _ := db.Get("desk-7"); h.HasPassword() {
				t.Error("the password is not forgotten")
			}
			if name == "missing" {
				put(t, db, withPassword(full, "anew"))
				if got := password(t, db, "desk-7"); got != "anew" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
}

func TestRekey(t *testing.T) {
	ctx := t.Context()
	ring := &fakeRing{}
	db := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{Keyring: ring})
	put(t, db, withPassword(full, "one"), withPassword(Host{Name: "b", Address: "b"}, "two"), Host{Name: "c", Address: "c"})
	stale, _ := db.Get("b") // as another process would hold it
	key, text := read(t, db.IdentityFile()), read(t, db.Path())
	for _, store := range []Store{StoreFile, StoreKeyring, StoreKeyring, StoreFile} {
		if err := db.Rekey(ctx, store); err != nil {
			t.Fatalf("to %s: %v", store, err)
		}
		again := open(t, db.Path(), Options{Keyring: ring})
		for name, want := range map[string]string{"desk-7": "one", "b": "two"} {
			if got := password(t, again, name); got != want {
				t.Errorf("in %s: password of %s is %q, want %q", store, name, got, want)
			}
		}
		_, err := os.Stat(db.IdentityFile())
		if inFile := err == nil; inFile != (store == StoreFile) || (len(ring.secrets) == 1) != (store == StoreKeyring) {
			t.Errorf("in %s: key file exists: %v; keyring has %d", store, inFile, len(ring.secrets))
		}
	}
	for line := range strings.Lines(key) {
		if strings.HasPrefix(line, "AGE-SECRET") && strings.Contains(read(t, db.IdentityFile()), line) {
			t.Error("the old identity is still in the key file")
		}
	}
	if strings.Contains(text, "password_age") && text == read(t, db.Path()) {
		t.Error("nothing was encrypted anew")
	}
	stale.Note = "put after rekey"
	put(t, db, stale)
	if got := password(t, db, "b"); got != "two" {
		t.Errorf("after a stale Put: got %q", got)
	}
}

func TestForeignSealedPassword(t *testing.T) {
	a := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{})
	b := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{})
	put(t, a, withPassword(full, "x"))
	h, _ := a.Get("desk-7")
	if err := b.Put(t.Context(), h); err == nil {
		t.Error("a password that b cannot open was stored in b")
	}
}

func TestKeyringIsTouchedOnlyForPasswords(t *testing.T) {
	ring := &fakeRing{}
	opt := Options{Keyring: ring, NewIdentity: StoreKeyring}
	path := filepath.Join(t.TempDir(), "hosts.json")
	db := open(t, path, opt)
	put(t, db, full)
	if ring.calls != 0 {
		t.Errorf("%d calls before there is a password", ring.calls)
	}
	put(t, db, withPassword(full, "x"))
	ring.calls = 0
	db = open(t, path, opt)
	h, _ := db.Get("desk-7")
	_ = db.List()
	h.Note = "n"
	put(t, db, h)
	if ring.calls != 0 {
		t.Errorf("%d calls for reading and for changing a note", ring.calls)
	}
	if got := password(t, db, "desk-7"); got != "x" || ring.calls != 1 {
		t.Errorf("got %q after %d calls, want one", got, ring.calls)
	}
	if _, err := os.Stat(db.IdentityFile()); err == nil {
		t.Error("a key file was written although the identity is in the keyring")
	}

	none := open(t, path, Options{})
	if _, err := none.Password(t.Context(), h); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("without a keyring: got %v, want ErrNoIdentity", err)
	}
	ring.secrets = nil
	if _, err := db.Password(t.Context(), h); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("with an empty keyring: got %v, want ErrNoIdentity", err)
	}
}

func TestStuckKeyringIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.json")
	ring := &fakeRing{}
	opt := Options{Keyring: ring, NewIdentity: StoreKeyring}
	put(t, open(t, path, opt), withPassword(full, "x"))
	synctest.Test(t, func(t *testing.T) {
		stuck := &fakeRing{stuck: true, secrets: ring.secrets}
		db := open(t, path, Options{Keyring: stuck, NewIdentity: StoreKeyring})
		h, _ := db.Get("desk-7")
		start := time.Now()
		if _, err := db.Password(t.Context(), h); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		if waited := time.Since(start); waited != keyringWait {
			t.Errorf("waited %v, want %v", waited, keyringWait)
		}
	})
}

func TestSealedDiffersEachTime(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{})
	put(t, db, withPassword(Host{Name: "a", Address: "a"}, "same"), withPassword(Host{Name: "b", Address: "b"}, "same"))
	if a, b := db.file.records[0].Sealed, db.file.records[1].Sealed; a == b {
		t.Error("equal passwords are stored equal")
	}
}

func BenchmarkPassword(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "hosts.json"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Put(context.Background(), withPassword(full, "x")); err != nil {
		b.Fatal(err)
	}
	h, _ := db.Get("desk-7")
	for b.Loop() {
		if _, err := db.Password(context.Background(), h); err != nil {
			b.Fatal(err)
		}
	}
}
