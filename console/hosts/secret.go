package hosts

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Errors about passwords. Each arrives wrapped in a sentence that names the host or the file.
var (
	ErrNoPassword = errors.New("no password is stored")
	ErrNoIdentity = errors.New("the identity that opens the stored passwords is missing")
)

// secret is a password on its way in (plain) or as stored (sealed for recipient).
type secret struct{ plain, sealed, recipient string }

// Password decrypts the password of h, a Host that came from db (or had SetPassword called). This
// is the only reading method that touches the key file or the keyring. Errors wrap
// [ErrNoPassword] or [ErrNoIdentity] where those are the reason.
func (db *DB) Password(ctx context.Context, h Host) (string, error) {
	if h.password == nil {
		return "", fmt.Errorf("%s: %w", h, ErrNoPassword)
	}
	if h.password.sealed == "" {
		return h.password.plain, nil
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	password, err := db.open(ctx, db.file, h.password)
	if err != nil {
		return "", fmt.Errorf("password of %q: %w", h.Name, err)
	}
	return password, nil
}

func (db *DB) open(ctx context.Context, f *file, s *secret) (string, error) {
	ids, err := db.identities(ctx, f.identity)
	if err != nil {
		return "", err
	}
	return unseal(s.sealed, ids, maxPassword)
}

// sealed returns what to store for h in f, whose entry of that name has current.
func (db *DB) sealed(ctx context.Context, f *file, h Host, current string) (string, error) {
	switch s := h.password; {
	case s == nil:
		return "", nil
	case s.sealed == "":
		recipient, err := db.recipient(ctx, f)
		if err != nil {
			return "", err
		}
		return seal(s.plain, recipient)
	case f.identity != nil && s.recipient == f.identity.Recipient:
		return s.sealed, nil
	case current != "":
		return current, nil // the caller left the password alone while another process changed the identity
	}
	return "", errors.New("it is encrypted for another database: set it again")
}

// recipient returns whom to encrypt for: the identity of the file, or a new one. It makes sure
// first that the identity is there: a password that cannot be read back must not be stored.
func (db *DB) recipient(ctx context.Context, f *file) (age.Recipient, error) {
	if f.identity != nil {
		ids, err := db.identities(ctx, f.identity)
		if err == nil {
			return ids[0].Recipient(), nil
		}
		if !errors.Is(err, ErrNoIdentity) || f.passwords() > 0 || len(f.secrets) > 0 {
			return nil, err
		}
		// The identity is gone, but so is everything that it could open.
	}
	id, err := db.newIdentity(ctx, db.opt.NewIdentity)
	if err != nil {
		return nil, err
	}
	f.identity = &identityRef{Store: db.opt.NewIdentity, Recipient: id.Recipient().String()}
	return id.Recipient(), nil
}

// passwords counts the entries with a stored password.
func (f *file) passwords() (n int) {
	for _, r := range f.records {
		if r.Sealed != "" {
			n++
		}
	}
	return n
}

// Rekey makes a new identity in the given store, encrypts every stored password and secret for it, and
// discards the old one. Broken off at any point it leaves a database whose identity exists.
// Another database that shares the key file loses its identity: rekey it first.
func (db *DB) Rekey(ctx context.Context, store Store) error {
	var old *identityRef
	err := db.change(ctx, func(f *file) error {
		old = f.identity
		var ids []*age.X25519Identity
		if f.passwords() > 0 || len(f.secrets) > 0 {
			var err error
			if ids, err = db.identities(ctx, f.identity); err != nil {
				return fmt.Errorf("rekey: %w", err)
			}
		}
		id, err := db.newIdentity(ctx, store)
		if err != nil {
			return fmt.Errorf("rekey: %w", err)
		}
		f.identity = &identityRef{Store: store, Recipient: id.Recipient().String()}
		for i := range f.records {
			r := &f.records[i]
			if r.Sealed == "" {
				continue
			}
			password, err := unseal(r.Sealed, ids, maxPassword)
			if err != nil {
				return fmt.Errorf("rekey: password of %q: %w", r.Name, err)
			}
			if r.Sealed, err = seal(password, id.Recipient()); err != nil {
				return fmt.Errorf("rekey: password of %q: %w", r.Name, err)
			}
			r.password = &secret{sealed: r.Sealed, recipient: f.identity.Recipient}
		}
		return f.reseal(ids, id.Recipient())
	})
	if err != nil || old == nil {
		return err
	}
	unlock, err := db.lock(ctx) // the key file is rewritten as well
	if err == nil {
		defer unlock()
		err = db.dropIdentity(ctx, old)
	}
	if err != nil {
		return fmt.Errorf("rekey: done, but the old identity is still there: %w", err)
	}
	return nil
}

// ForgetPasswords removes every stored password and secret: the way on when their identity is lost.
func (db *DB) ForgetPasswords(ctx context.Context) error {
	return db.change(ctx, func(f *file) error {
		for i := range f.records {
			f.records[i].Sealed, f.records[i].password = "", nil
		}
		f.identity, f.secrets = nil, nil
		return nil
	})
}

// seal encrypts a password: an age file, base64 on one line.
func seal(password string, to age.Recipient) (string, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(w, password); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

// unseal decrypts what seal has made; limit is in bytes.
func unseal(sealed string, ids []*age.X25519Identity, limit int) (string, error) {
	keys := make([]age.Identity, len(ids))
	for i, id := range ids {
		keys[i] = id
	}
	r, err := age.Decrypt(base64.NewDecoder(base64.StdEncoding, strings.NewReader(sealed)), keys...)
	if err != nil {
		return "", fmt.Errorf("decrypt: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return "", fmt.Errorf("decrypt: %w", err)
	}
	if len(plain) > limit {
		return "", fmt.Errorf("decrypt: longer than %d bytes", limit)
	}
	return string(plain), nil
}
