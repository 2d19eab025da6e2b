package hosts

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Limits of what an importer reads.
const maxImport = 16 << 20 // bytes

// ErrImport is in the chain when a file is not what the importer reads.
var ErrImport = errors.New("cannot import")

// Import is what an importer made of a file. Hosts are valid and have different names; store them
// with [DB.Put].
type Import struct {
	Hosts []Host
	Notes []Note
}

// A Note says what could not be taken over as it was.
type Note struct {
	Entry   string // the entry as the file calls it: its name, or its number
	Skipped bool   // the entry is not among Hosts
	Reason  string
}

func (n Note) String() string {
	if n.Skipped {
		return n.Entry + ": skipped: " + n.Reason
	}
	return n.Entry + ": " + n.Reason
}

// maxNotes bounds the talk about a file that is wrong throughout.
const maxNotes = 1000

func (im *Import) note(entry, format string, args ...any) {
	if len(im.Notes) < maxNotes {
		im.Notes = append(im.Notes, Note{Entry: clip(entry), Reason: fmt.Sprintf(format, args...)})
	}
}

func (im *Import) skip(entry, format string, args ...any) {
	if len(im.Notes) < maxNotes {
		im.Notes = append(im.Notes, Note{Entry: clip(entry), Skipped: true, Reason: fmt.Sprintf(format, args...)})
	}
}

// add takes h in under a name that is valid and not yet taken.
func (im *Import) add(entry string, h Host, taken map[string]bool) {
	if len(im.Hosts) == maxHosts {
		im.skip(entry, "more than %d hosts", maxHosts)
		return
	}
	wanted := h.Name
	if wanted == "" {
		wanted = h.Address
	}
	h.Name = cleanName(wanted)
	for n := 2; taken[foldName(h.Name)] && n < maxHosts; n++ {
		h.Name = fmt.Sprintf("%s-%d", cleanName(wanted), n)
	}
	if err := h.Validate(); err != nil {
		im.skip(entry, "%v", err)
		return
	}
	taken[foldName(h.Name)] = true
	if h.Name != wanted {
		im.note(entry, "is called %s here", h.Name)
	}
	im.Hosts = append(im.Hosts, h)
}

// cleanName makes a name of ours from what other tools allow.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(nameReserved, r) {
			return '-'
		}
		return r
	}, strings.TrimSpace(s))
	s = strings.TrimLeft(s, "-")
	if len(s) > maxName-8 { // leaves room for a number
		s = strings.ToValidUTF8(s[:maxName-8], "")
	}
	return s
}

// setAddress fills Address, and Port and Scheme where s has them.
func (h *Host) setAddress(s string) error {
	a, err := parseAddress(strings.TrimSpace(s))
	if err != nil {
		return err
	}
	h.Address = a.Address
	if a.Port != 0 {
		h.Port = a.Port
	}
	if a.Scheme != "" {
		h.Scheme = a.Scheme
	}
	return nil
}

// readText reads a whole file as UTF-8. Editors on Windows write a byte order mark, or UTF-16.
func readText(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxImport+1))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrImport, err)
	}
	if len(b) > maxImport {
		return "", fmt.Errorf("%w: larger than %d bytes", ErrImport, maxImport)
	}
	text := string(b)
	if rest, ok := strings.CutPrefix(text, "\xff\xfe"); ok { // UTF-16, little end first
		units := make([]uint16, len(rest)/2)
		for i := range units {
			units[i] = uint16(rest[2*i]) | uint16(rest[2*i+1])<<8
		}
		text = string(utf16.Decode(units))
	}
	return strings.TrimPrefix(text, "\ufeff"), nil
}

// unescape undoes encodeURIComponent; what is no escape stays as it is.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}
