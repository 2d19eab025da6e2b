package hosts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Errors of a [DB]. Each arrives wrapped in a sentence that names the host or the file.
var (
	ErrNotFound = errors.New("no such host")
	ErrPinned   = errors.New("another certificate is pinned")
	ErrLocked   = errors.New("another process is writing the hosts file")
)

// Options of [Open]. The zero value works.
type Options struct {
	IdentityFile string        // where the key file lies; "": identity.txt beside the database
	Keyring      Keyring       // the keyring of the operating system; nil: none, key file only
	NewIdentity  Store         // where the first password puts a new identity; "": StoreFile
	LockWait     time.Duration // how long a change waits for another process; 0: 10 s

	disk disk // tests run out of space here; nil: the real one
}

// DefaultPath is hosts.json in the outband folder of the user's configuration:
// $XDG_CONFIG_HOME/outband or ~/.config/outband on Unix, the platform's own place elsewhere.
func DefaultPath() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // the XDG specification: a relative path is to be ignored
		home, err := homeDir()
		if err != nil {
			return "", fmt.Errorf("where to keep hosts: %w", err)
		}
		dir = filepath.Join(home, ".config")
		if filepath.Separator == '\\' {
			if dir, err = os.UserConfigDir(); err != nil {
				return "", fmt.Errorf("where to keep hosts: %w", err)
			}
		}
	}
	return filepath.Join(dir, "outband", "hosts.json"), nil
}

// homeDir is $HOME, or without it, as in a service of systemd, what the system's list of users says.
func homeDir() (string, error) {
	home, err := os.UserHomeDir()
	if err == nil {
		return home, nil
	}
	if u, e := user.Current(); e == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir, nil
	}
	return "", err
}

// A DB is the hosts file of one person. It is safe for concurrent use, in one process and among
// several: a change reads the file anew under a lock. What the reading methods return is the file
// as of Open or of the last change through this DB.
type DB struct {
	path string
	opt  Options
	keys *keyFile // a pointer, so that printing a DB shows an address at most

	mu   sync.Mutex // guards file, and one change at a time
	file *file
}

// Open reads the database at path, or at [DefaultPath] if path is "". A file that does not exist
// is an empty database; nothing is created until something is stored. An error that wraps
// [ErrDamaged] names the file and the place in it.
func Open(path string, opt Options) (*DB, error) {
	if path == "" {
		var err error
		if path, err = DefaultPath(); err != nil {
			return nil, err
		}
	}
	if opt.IdentityFile == "" {
		opt.IdentityFile = filepath.Join(filepath.Dir(path), "identity.txt")
	}
	if opt.LockWait == 0 {
		opt.LockWait = 10 * time.Second
	}
	if opt.NewIdentity == "" {
		opt.NewIdentity = StoreFile
	}
	if opt.disk == nil {
		opt.disk = realDisk{}
	}
	db := &DB{path: path, opt: opt, keys: new(keyFile)}
	var err error
	if db.file, err = db.read(false); err != nil {
		return nil, err
	}
	return db, nil
}

// Path is the file the database lives in.
func (db *DB) Path() string { return db.path }

// IdentityFile is the key file, whether or not it exists.
func (db *DB) IdentityFile() string { return db.opt.IdentityFile }

// List returns all hosts in the order of the file.
func (db *DB) List() []Host {
	db.mu.Lock()
	defer db.mu.Unlock()
	all := make([]Host, len(db.file.records))
	for i, r := range db.file.records {
		all[i] = r.clone()
	}
	return all
}

// Get returns the host of that name; case does not count. The error wraps [ErrNotFound].
func (db *DB) Get(name string) (Host, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if i := db.file.find(name); i >= 0 {
		return db.file.records[i].clone(), nil
	}
	return Host{}, fmt.Errorf("%q: %w", clip(name), ErrNotFound)
}

func (h Host) clone() Host {
	h.Tags = slices.Clone(h.Tags)
	return h
}

// Put stores hosts, all or none: each replaces the entry of its name or is added at the end. To
// change one field, Get, change, Put; the password then stays as it is stored. A Host without a
// password removes a stored one.
func (db *DB) Put(ctx context.Context, list ...Host) error {
	for _, h := range list {
		if err := h.Validate(); err != nil {
			return err
		}
	}
	return db.change(ctx, func(f *file) error {
		for _, h := range list {
			i := f.find(h.Name)
			if i < 0 {
				if len(f.records) >= maxHosts {
					return fmt.Errorf("host %q: the file holds %d hosts already", h.Name, maxHosts)
				}
				i = f.add(h.Name)
			}
			r := &f.records[i]
			sealed, err := db.sealed(ctx, f, h, r.Sealed)
			if err != nil {
				return fmt.Errorf("password of %q: %w", h.Name, err)
			}
			r.Host, r.Sealed = h.clone(), sealed
			r.password = nil
			if sealed != "" {
				r.password = &secret{sealed: sealed, recipient: f.identity.Recipient}
			}
		}
		return nil
	})
}

// Remove deletes hosts by name, all or none. The error wraps [ErrNotFound].
func (db *DB) Remove(ctx context.Context, names ...string) error {
	return db.change(ctx, func(f *file) error {
		if missing, ok := f.remove(names); !ok {
			return fmt.Errorf("%q: %w", clip(missing), ErrNotFound)
		}
		return nil
	})
}

// SetPin remembers the certificate of a host at first use. If another one is pinned already, it is
// left alone and the error wraps [ErrPinned]; a pin of "" forgets, so that a new certificate is
// always an explicit decision. The pin may have any form that [ParsePin] reads.
func (db *DB) SetPin(ctx context.Context, name, pin string) error {
	if pin != "" {
		var err error
		if pin, err = ParsePin(pin); err != nil {
			return fmt.Errorf("pin %q: %w", clip(name), err)
		}
	}
	return db.change(ctx, func(f *file) error {
		i := f.find(name)
		if i < 0 {
			return fmt.Errorf("pin %q: %w", clip(name), ErrNotFound)
		}
		r := &f.records[i]
		if pin != "" && r.Pin != "" && r.Pin != pin {
			return fmt.Errorf("pin %q: %w: %s", r.Name, ErrPinned, r.Pin)
		}
		r.Pin = pin
		return nil
	})
}

// change edits the file: lock, read anew, edit, write, unlock. If anything fails the file on disk
// and the DB are as before.
func (db *DB) change(ctx context.Context, edit func(*file) error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(db.path), 0o700); err != nil {
		return fmt.Errorf("hosts file: %w", err)
	}
	unlock, err := db.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	f, err := db.read(true)
	if err != nil {
		return err
	}
	if err := edit(f); err != nil {
		return err
	}
	if err := db.write(f); err != nil {
		return err
	}
	db.file = f
	return nil
}

// read loads the file; a missing one is empty, and so is what is no regular file (/dev/null).
func (db *DB) read(keep bool) (*file, error) {
	in, err := os.Open(db.path)
	if errors.Is(err, fs.ErrNotExist) {
		return &file{version: fileVersion}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("hosts file: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, fmt.Errorf("hosts file: %w", err)
	}
	if info.Mode()&fs.ModeDevice != 0 {
		return &file{version: fileVersion}, nil
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("hosts file: %w", err)
	}
	f, err := parseFile(b, keep)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; it is left as it is: repair it, or move it away to start anew", db.path, err)
	}
	return f, nil
}

// write replaces the file.
func (db *DB) write(f *file) error {
	b, err := f.format()
	if err != nil {
		return fmt.Errorf("hosts file: %w", err)
	}
	if err := replace(db.opt.disk, db.path, b); err != nil {
		return fmt.Errorf("hosts file not changed: %w", err)
	}
	return nil
}

// lock takes the lock file beside the database, waiting at most LockWait.
func (db *DB) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, db.opt.LockWait, fmt.Errorf("%w (waited %v)", ErrLocked, db.opt.LockWait))
	defer cancel()
	unlock, err = lockFile(ctx, db.path+".lock")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", db.path, err)
	}
	return unlock, nil
}
