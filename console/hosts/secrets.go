package hosts

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"filippo.io/age"
)

// maxSecret is the longest secret beside the passwords, in bytes: a private key has some 2500.
const maxSecret = 64 << 10

// Secret decrypts what [DB.SetSecret] stored under a name, such as the key of an authority. The error wraps
// [ErrNotFound] if there is nothing, and [ErrNoIdentity] if what opens it is missing.
func (db *DB) Secret(ctx context.Context, name string) (string, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	sealed, ok := db.file.secrets[name]
	if !ok {
		return "", fmt.Errorf("secret %q: %w", clip(name), ErrNotFound)
	}
	if db.file.identity == nil {
		return "", fmt.Errorf("secret %q: %w", clip(name), ErrNoIdentity)
	}
	ids, err := db.identities(ctx, db.file.identity)
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", clip(name), err)
	}
	plain, err := unseal(sealed, ids, maxSecret)
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", clip(name), err)
	}
	return plain, nil
}

// SetSecret stores a secret under a name, encrypted like the passwords; "" removes it. What stands there already is
// replaced.
func (db *DB) SetSecret(ctx context.Context, name, value string) error {
	return db.setSecret(ctx, name, value, false)
}

func (db *DB) setSecret(ctx context.Context, name, value string, keep bool) error {
	if why := nameFault(name); why != "" {
		return fmt.Errorf("secret %q: the name %s", clip(name), why)
	}
	if len(value) > maxSecret {
		return fmt.Errorf("secret %q is longer than %d bytes", clip(name), maxSecret)
	}
	return db.change(ctx, func(f *file) error {
		if _, ok := f.secrets[name]; ok && keep {
			return nil
		}
		changed := maps.Clone(f.secrets)
		if value == "" {
			delete(changed, name)
			f.secrets = changed
			return nil
		}
		recipient, err := db.recipient(ctx, f)
		if err != nil {
			return fmt.Errorf("secret %q: %w", clip(name), err)
		}
		sealed, err := seal(value, recipient)
		if err != nil {
			return fmt.Errorf("secret %q: %w", clip(name), err)
		}
		if changed == nil {
			changed = make(map[string]string)
		}
		if changed[name] = sealed; len(changed) > maxSecrets {
			return fmt.Errorf("secret %q: the file holds %d already", clip(name), maxSecrets)
		}
		f.secrets = changed
		return nil
	})
}

// SecretOr is [DB.Secret], but what is missing is made by make and stored, once even if several processes ask.
func (db *DB) SecretOr(ctx context.Context, name string, make func() (string, error)) (string, error) {
	value, err := db.Secret(ctx, name)
	if !errors.Is(err, ErrNotFound) {
		return value, err
	}
	made, err := make()
	if err != nil {
		return "", err
	}
	if err := db.setSecret(ctx, name, made, true); err != nil {
		return "", err
	}
	return db.Secret(ctx, name)
}

// reseal encrypts all secrets for somebody else.
func (f *file) reseal(ids []*age.X25519Identity, to age.Recipient) error {
	changed := make(map[string]string, len(f.secrets))
	for name, sealed := range f.secrets {
		plain, err := unseal(sealed, ids, maxSecret)
		if err == nil {
			changed[name], err = seal(plain, to)
		}
		if err != nil {
			return fmt.Errorf("rekey: secret %q: %w", clip(name), err)
		}
	}
	f.secrets = changed
	return nil
}
