package hosts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// exported is an entry of a computer list as it is written.
type exported struct {
	Name string `json:"name"`
	Host string `json:"host"`
	User string `json:"user,omitempty"`
	Pass string `json:"pass,omitempty"`
	TLS  int    `json:"tls"`
	Tags string `json:"tags,omitempty"`
}

// ExportMeshCommander writes a computer list that MeshCommander and [ImportMeshCommander] read. password gives the
// password of an entry, "" for none; nil leaves all of them out. With a file password the list is encrypted; passwords in
// a list that is not are an error.
//
// A list has one tag per entry, which is MeshCommander's group: the first. Pins are left out, as MeshCommander has others.
func ExportMeshCommander(w io.Writer, list []Host, password func(Host) (string, error), filePassword string) error {
	if password != nil && filePassword == "" {
		return errors.New("export: passwords are written into encrypted lists only")
	}
	top := struct {
		Computers []exported `json:"computers"`
	}{[]exported{}}
	for _, h := range list {
		c := exported{Name: escapeText(h.Name), Host: escapeText(h.Address), User: escapeText(h.Username())}
		if h.Port != 0 {
			c.Host = escapeText(net.JoinHostPort(h.Address, strconv.Itoa(h.Port)))
		}
		if h.Scheme == "https" || h.Scheme == "" && (h.Pin != "" || h.CAFile != "") {
			c.TLS = 1
		}
		if len(h.Tags) > 0 {
			c.Tags = escapeText(h.Tags[0])
		}
		if password != nil {
			text, err := password(h)
			if err != nil {
				return fmt.Errorf("export: %w", err)
			}
			c.Pass = escapeText(text)
		}
		top.Computers = append(top.Computers, c)
	}
	text, err := json.Marshal(top)
	if err == nil && filePassword != "" {
		text, err = sealList(text, filePassword)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// escapeText writes text as encodeURIComponent does, which every reader of lists undoes.
func escapeText(s string) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	for _, c := range "!'()*~" { // QueryEscape escapes more than JavaScript does
		s = strings.ReplaceAll(s, fmt.Sprintf("%%%02X", c), string(c))
	}
	return s
}

// sealList encrypts a list as [meshSealed] says.
func sealList(plain []byte, password string) ([]byte, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	hash, err := pbkdf2.Key(sha512.New, password, salt, sealRounds, 16)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher([]byte(hex.EncodeToString(hash)))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	iv := strings.ToLower(rand.Text()[:12]) // A to Z and 2 to 7
	sealed := gcm.Seal(nil, []byte(iv), plain, nil)
	data, tag := sealed[:len(sealed)-gcm.Overhead()], sealed[len(sealed)-gcm.Overhead():]
	return json.Marshal(meshSealed{Magic: meshMagic, Version: 1, Salt: hex.EncodeToString(salt), IV: iv, Tag: hex.EncodeToString(tag), Data: hex.EncodeToString(data)})
}
