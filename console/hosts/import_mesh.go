package hosts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFilePassword is in the chain when a list is encrypted and the password is missing or wrong.
var ErrFilePassword = errors.New("the list is encrypted with a file password")

// meshMagic marks an encrypted computer list (MeshCommander index.html).
const meshMagic = "3209ruwpcoinaT4r9w347t0e4ug"

// meshComputer is one entry of a computer list. Text may be escaped as encodeURIComponent does;
// MeshCommander undoes that whenever it reads.
type meshComputer struct {
	Name string          `json:"name"`
	Host string          `json:"host"` // may have a port
	FQDN string          `json:"fqdn"` // instead of host in lists made by hand
	User string          `json:"user"` // "*" for Kerberos
	Pass string          `json:"pass"` // with Kerberos, the service name
	TLS  json.RawMessage `json:"tls"`  // 0 or 1, by hand also true or a string
	Tags string          `json:"tags"` // the group
	Hash string          `json:"tlscerthash"`
}

// ImportMeshCommander reads a computer list as MeshCommander saves it ("Save...", or a file for its
// -list switch): {"computers": [...]} or a bare array, plain or encrypted with a file password.
// Without filePassword an encrypted list is an error that wraps [ErrFilePassword], and so is a
// wrong one. Source: Ylianst/MeshCommander index.html (saveComputerListOk, getEncryptedData).
//
// Pins of MeshCommander are SHA-1 and are not taken over; a SHA-256 one is. Kerberos entries come
// without account.
func ImportMeshCommander(r io.Reader, filePassword string) (Import, error) {
	var im Import
	text, err := readText(r)
	if err != nil {
		return im, err
	}
	list, err := meshList([]byte(text), filePassword)
	if err != nil {
		return im, err
	}
	if len(list) > maxHosts {
		return im, fmt.Errorf("%w: %d computers, at most %d", ErrImport, len(list), maxHosts)
	}
	taken := map[string]bool{}
	for i, raw := range list {
		entry := fmt.Sprintf("computer %d", i+1)
		var c meshComputer
		if err := json.Unmarshal(raw, &c); err != nil {
			im.skip(entry, "%v", err)
			continue
		}
		if c.Name != "" {
			entry = unescape(c.Name)
		} else if c.Host != "" {
			entry = unescape(c.Host)
		}
		h := Host{Name: strings.TrimSpace(unescape(c.Name)), Scheme: "http"}
		if isTrue(c.TLS) {
			h.Scheme = "https"
		}
		address := c.Host
		if address == "" {
			address = c.FQDN
		}
		if err := h.setAddress(unescape(address)); err != nil {
			im.skip(entry, "host: %v", err)
			continue
		}
		if c.User == "*" {
			im.note(entry, "uses Kerberos: set an account")
		} else {
			h.User = unescape(c.User)
			h.SetPassword(unescape(c.Pass))
		}
		if tag := cleanName(unescape(c.Tags)); tag != "" {
			h.Tags = []string{tag}
		}
		if c.Hash != "" {
			if h.Pin, err = ParsePin(c.Hash); err != nil {
				im.note(entry, "its certificate pin is not SHA-256 and is not taken over")
			}
		}
		im.add(entry, h, taken)
	}
	return im, nil
}

// meshList finds the array in either form of a list, decrypting it where needed.
func meshList(b []byte, filePassword string) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if json.Unmarshal(b, &list) == nil {
		return list, nil
	}
	var top struct {
		meshSealed
		Computers []json.RawMessage `json:"computers"`
	}
	if err := json.Unmarshal(b, &top); err != nil {
		return nil, fmt.Errorf("%w: not a computer list: %s", ErrImport, where(b, err))
	}
	if top.Magic == meshMagic {
		plain, err := top.open(filePassword)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrImport, err)
		}
		top.Computers = nil
		if err := json.Unmarshal(plain, &top); err != nil {
			return nil, fmt.Errorf("%w: not a computer list inside the encryption", ErrImport)
		}
	}
	if top.Computers == nil {
		return nil, fmt.Errorf(`%w: not a computer list: no "computers"`, ErrImport)
	}
	return top.Computers, nil
}

// meshSealed is an encrypted list: AES-256-GCM with, as key, the 32 hex digits that spell a 16-byte
// PBKDF2-SHA-512 hash of the password, and, as nonce, the characters of iv as they are.
type meshSealed struct {
	Magic   string `json:"magic"`
	Version int    `json:"version"`
	Salt    string `json:"salt"` // hex
	IV      string `json:"iv"`   // base 36 digits, mostly 12
	Tag     string `json:"tag"`  // hex, 16 bytes
	Data    string `json:"data"` // hex
}

func (s meshSealed) open(password string) ([]byte, error) {
	if password == "" {
		return nil, ErrFilePassword
	}
	if s.Version != 1 {
		return nil, fmt.Errorf("encryption version %d is not known", s.Version)
	}
	salt, errSalt := hex.DecodeString(s.Salt)
	tag, errTag := hex.DecodeString(s.Tag)
	data, errData := hex.DecodeString(s.Data)
	if errSalt != nil || errTag != nil || errData != nil || len(tag) != 16 || len(s.IV) < 1 || len(s.IV) > 64 {
		return nil, errors.New("the encrypted list is damaged")
	}
	hash, err := pbkdf2.Key(sha512.New, password, salt, sealRounds, 16)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher([]byte(hex.EncodeToString(hash)))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(s.IV))
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, []byte(s.IV), append(data, tag...), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not this one, or the list is damaged", ErrFilePassword)
	}
	return plain, nil
}

// sealRounds is how often the file password is hashed.
const sealRounds = 128_000

// isTrue reads a switch as JavaScript would.
func isTrue(raw json.RawMessage) bool {
	switch strings.Trim(string(raw), `"`) {
	case "", "0", "false", "null":
		return false
	}
	return true
}

// ImportMeshCentral reads the devices of a MeshCentral server, as "meshctrl ListDevices --json"
// prints them: an array with name, host, ip, tags, groupname, and intelamt for machines with AMT.
// The server does not give away passwords. Devices without AMT are skipped. Source:
// Ylianst/MeshCentral meshctrl.js.
func ImportMeshCentral(r io.Reader) (Import, error) {
	var im Import
	text, err := readText(r)
	if err != nil {
		return im, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return im, fmt.Errorf("%w: not a device list: %s", ErrImport, where([]byte(text), err))
	}
	if len(list) > maxHosts {
		return im, fmt.Errorf("%w: %d devices, at most %d", ErrImport, len(list), maxHosts)
	}
	taken := map[string]bool{}
	for i, raw := range list {
		entry := fmt.Sprintf("device %d", i+1)
		var d struct {
			Name  string   `json:"name"`
			Host  string   `json:"host"`
			IP    string   `json:"ip"`
			Group string   `json:"groupname"`
			Tags  []string `json:"tags"`
			AMT   *struct {
				Host string          `json:"host"`
				User string          `json:"user"`
				TLS  json.RawMessage `json:"tls"`
			} `json:"intelamt"`
		}
		if err := json.Unmarshal(raw, &d); err != nil {
			im.skip(entry, "%v", err)
			continue
		}
		if d.Name != "" {
			entry = d.Name
		}
		if d.AMT == nil {
			im.skip(entry, "has no Intel AMT")
			continue
		}
		h := Host{Name: strings.TrimSpace(d.Name), User: d.AMT.User, Scheme: "http"}
		if isTrue(d.AMT.TLS) {
			h.Scheme = "https"
		}
		address := d.Host
		for _, other := range []string{d.AMT.Host, d.IP, d.Name} {
			if address == "" {
				address = other
			}
		}
		if err := h.setAddress(address); err != nil {
			im.skip(entry, "host: %v", err)
			continue
		}
		for _, tag := range append([]string{d.Group}, d.Tags...) {
			if tag = cleanName(tag); tag != "" && !h.HasTag(tag) {
				h.Tags = append(h.Tags, tag)
			}
		}
		im.add(entry, h, taken)
	}
	return im, nil
}
