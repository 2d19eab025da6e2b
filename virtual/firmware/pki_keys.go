package firmware

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"sync"
)

// privateKeys are the halves of the key pairs that nobody can read, by InstanceID. What a dump of a real machine shows
// as a key pair has none here, and cannot sign.
type privateKeys struct {
	mu   sync.Mutex
	keys map[string]*rsa.PrivateKey
}

func (p *privateKeys) get(id string) *rsa.PrivateKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[id]
}

func (p *privateKeys) set(id string, key *rsa.PrivateKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil {
		p.keys = make(map[string]*rsa.PrivateKey)
	}
	p.keys[id] = key
}

func (p *privateKeys) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keys, id)
}

func (p *privateKeys) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = nil
}

// of returns the key that belongs to a certificate, or nil.
func (p *privateKeys) of(cert *x509.Certificate) *rsa.PrivateKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range p.keys {
		if key.PublicKey.Equal(cert.PublicKey) {
			return key
		}
	}
	return nil
}

// dump writes the keys as PKCS #1: a state file is a secret.
func (p *privateKeys) dump() (json.RawMessage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.keys) == 0 {
		return nil, nil
	}
	out := make(map[string][]byte, len(p.keys))
	for id, key := range p.keys {
		out[id] = x509.MarshalPKCS1PrivateKey(key)
	}
	return json.Marshal(out)
}

func (p *privateKeys) load(text json.RawMessage) error {
	var in map[string][]byte
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	keys := make(map[string]*rsa.PrivateKey, len(in))
	for id, der := range in {
		key, err := x509.ParsePKCS1PrivateKey(der)
		if err != nil {
			return errors.New("a key that is none") // the error of x509 may quote it
		}
		keys[id] = key
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
	return nil
}
