package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
)

// Store says where the identity lies that opens the passwords.
type Store string

const (
	StoreFile    Store = "file"    // the key file, Options.IdentityFile
	StoreKeyring Store = "keyring" // the keyring of the operating system, Options.Keyring
)

// A Keyring is the part of an operating system that keeps secrets for programs. A method returns
// when ctx ends, whatever the keyring does. Get wraps [fs.ErrNotExist] if there is no such secret.
// Package oskeyring has one.
type Keyring interface {
	Get(ctx context.Context, service, user string) (string, error)
	Set(ctx context.Context, service, user, secret string) error
	Delete(ctx context.Context, service, user string) error
}

const (
	keyringService = "outband"       // the user is the recipient, so databases do not collide
	keyringWait    = 5 * time.Second // a keyring that needs longer counts as absent
	maxIdentity    = 1 << 20         // bytes of a key file
)

// identities returns the identity that ref names, first, and others that lie beside it. The error
// wraps [ErrNoIdentity] if ref's is not there, and says which file or keyring was looked at.
func (db *DB) identities(ctx context.Context, ref *identityRef) ([]*age.X25519Identity, error) {
	var ids []*age.X25519Identity
	var place string
	switch ref.Store {
	case StoreFile:
		place = "key file " + db.opt.IdentityFile
		var err error
		if ids, err = db.readKeyFile(); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is no %s: restore it from a backup, "+
				"or forget the stored passwords and set them again", ErrNoIdentity, place)
		} else if err != nil {
			return nil, err
		}
	case StoreKeyring:
		place = "keyring entry " + keyringService + "/" + ref.Recipient
		if db.opt.Keyring == nil {
			return nil, fmt.Errorf("%w: it is in a keyring (%s), and none is in use here", ErrNoIdentity, place)
		}
		ctx, cancel := context.WithTimeout(ctx, keyringWait)
		defer cancel()
		text, err := db.opt.Keyring.Get(ctx, keyringService, ref.Recipient)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is no %s: forget the stored passwords and set them again", ErrNoIdentity, place)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: unlock the keyring and try again", place, err)
		}
		id, err := age.ParseX25519Identity(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%s: not an age identity", place) // the error of age may quote the secret
		}
		ids = append(ids, id)
	default:
		return nil, fmt.Errorf("%w: it is in a %q, which this version does not know", ErrNoIdentity, clip(string(ref.Store)))
	}
	i := slices.IndexFunc(ids, func(id *age.X25519Identity) bool { return id.Recipient().String() == ref.Recipient })
	if i < 0 {
		return nil, fmt.Errorf("%w: the %s holds another one than %s: restore the right one from a backup, "+
			"or forget the stored passwords and set them again", ErrNoIdentity, place, clip(ref.Recipient))
	}
	ids[0], ids[i] = ids[i], ids[0]
	return ids, nil
}

// newIdentity makes an identity and stores it, safely on disk before it is used.
func (db *DB) newIdentity(ctx context.Context, store Store) (*age.X25519Identity, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	switch store {
	case StoreFile:
		old, err := db.readKeyFile()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return id, db.writeKeyFile(append(old, id))
	case StoreKeyring:
		if db.opt.Keyring == nil {
			return nil, errors.New("no keyring is in use here")
		}
		ctx, cancel := context.WithTimeout(ctx, keyringWait)
		defer cancel()
		if err := db.opt.Keyring.Set(ctx, keyringService, id.Recipient().String(), id.String()); err != nil {
			return nil, fmt.Errorf("store the identity in the keyring: %w", err)
		}
		return id, nil
	}
	return nil, fmt.Errorf("no such place for an identity: %q", store)
}

// dropIdentity removes an identity that nothing is encrypted for any more.
func (db *DB) dropIdentity(ctx context.Context, ref *identityRef) error {
	switch ref.Store {
	case StoreFile:
		ids, err := db.readKeyFile()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rest := slices.DeleteFunc(ids, func(id *age.X25519Identity) bool { return id.Recipient().String() == ref.Recipient })
		if len(rest) == 0 {
			return os.Remove(db.opt.IdentityFile)
		}
		return db.writeKeyFile(rest)
	case StoreKeyring:
		if db.opt.Keyring == nil {
			return errors.New("no keyring is in use here")
		}
		ctx, cancel := context.WithTimeout(ctx, keyringWait)
		defer cancel()
		return db.opt.Keyring.Delete(ctx, keyringService, ref.Recipient)
	}
	return nil
}

// keyFile is what the key file held when it was read last. To make an identity of its line is half of the work of opening
// a password, and a command for many machines opens one for each.
type keyFile struct {
	mu   sync.Mutex // guards what follows
	text []byte
	ids  []*age.X25519Identity
}

// readKeyFile reads all identities of the key file, which has the format of age-keygen.
func (db *DB) readKeyFile() ([]*age.X25519Identity, error) {
	path := db.opt.IdentityFile
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	// As ssh does for its keys; a group may read, so that a mounted secret or a service works.
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("key file %s: everybody can read it (mode %04o): take that away with chmod 600", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(in, maxIdentity))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	db.keys.mu.Lock()
	defer db.keys.mu.Unlock()
	if len(db.keys.ids) > 0 && bytes.Equal(text, db.keys.text) {
		return slices.Clone(db.keys.ids), nil
	}
	parsed, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("key file %s: it holds no age identity, or something else besides", path) // the error of age may quote the secret
	}
	var ids []*age.X25519Identity
	for _, p := range parsed {
		if id, ok := p.(*age.X25519Identity); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("key file %s: it holds no X25519 identity", path)
	}
	db.keys.text, db.keys.ids = text, ids
	return slices.Clone(ids), nil
}

func (db *DB) writeKeyFile(ids []*age.X25519Identity) error {
	if err := os.MkdirAll(filepath.Dir(db.opt.IdentityFile), 0o700); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "# opens the passwords in a hosts file of outband; keep a copy in a safe place\n# public key: %s\n%s\n", id.Recipient(), id)
	}
	if err := replace(db.opt.disk, db.opt.IdentityFile, []byte(b.String())); err != nil {
		return fmt.Errorf("key file not written: %w", err)
	}
	return nil
}
