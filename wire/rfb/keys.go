package rfb

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrKey is a name that no key has.
var ErrKey = errors.New("no such key")

// Keysyms of keys that are no characters. Source: X11 keysymdef.h; spec kvm.md section 7.
const (
	KeyBackspace = 0xFF08
	KeyTab       = 0xFF09
	KeyEnter     = 0xFF0D
	KeyPause     = 0xFF13
	KeyScroll    = 0xFF14
	KeyEscape    = 0xFF1B
	KeyHome      = 0xFF50
	KeyLeft      = 0xFF51
	KeyUp        = 0xFF52
	KeyRight     = 0xFF53
	KeyDown      = 0xFF54
	KeyPageUp    = 0xFF55
	KeyPageDown  = 0xFF56
	KeyEnd       = 0xFF57
	KeyPrint     = 0xFF61
	KeyInsert    = 0xFF63
	KeyMenu      = 0xFF67
	KeyNumLock   = 0xFF7F
	KeyF1        = 0xFFBE // F2 and so on follow
	KeyShift     = 0xFFE1 // left, as all of these; the right one follows
	KeyControl   = 0xFFE3
	KeyCapsLock  = 0xFFE5
	KeyMeta      = 0xFFE7 // what AMT takes for the Windows key
	KeyAlt       = 0xFFE9
	KeySuper     = 0xFFEB // what viewers send for the Windows key
	KeyDelete    = 0xFFFF
)

var keyNames = map[string]uint32{
	"backspace": KeyBackspace, "tab": KeyTab, "enter": KeyEnter, "return": KeyEnter, "pause": KeyPause, "scrolllock": KeyScroll,
	"esc": KeyEscape, "escape": KeyEscape, "home": KeyHome, "left": KeyLeft, "up": KeyUp, "right": KeyRight, "down": KeyDown,
	"pageup": KeyPageUp, "pgup": KeyPageUp, "pagedown": KeyPageDown, "pgdn": KeyPageDown, "end": KeyEnd, "print": KeyPrint,
	"insert": KeyInsert, "ins": KeyInsert, "menu": KeyMenu, "numlock": KeyNumLock, "shift": KeyShift, "ctrl": KeyControl,
	"control": KeyControl, "capslock": KeyCapsLock, "win": KeyMeta, "super": KeyMeta, "meta": KeyMeta, "alt": KeyAlt,
	"altgr": KeyAlt + 1, "del": KeyDelete, "delete": KeyDelete, "space": ' ', "minus": '-', "plus": '+',
}

// ParseKeys reads a combination such as "ctrl-alt-del", "win-l", "F11" or "a": the keysyms to press in this order and to
// release in the opposite one. A character that needs Shift, such as plus, gets it. The error wraps [ErrKey].
func ParseKeys(text string) ([]uint32, error) {
	var keys []uint32
	for _, name := range strings.Split(text, "-") {
		lower := strings.ToLower(name)
		var n uint32
		sym, known := keyNames[lower]
		if !known && len(lower) == 1 && lower[0] > ' ' && lower[0] <= '~' {
			sym, known = uint32(lower[0]), true
		}
		switch {
		case known:
			key, shift, ok := TypeRune(rune(sym))
			if ok && shift {
				if sym = key; !slices.Contains(keys, KeyShift) {
					keys = append(keys, KeyShift)
				}
			}
			keys = append(keys, sym)
		case scanF(lower, &n):
			keys = append(keys, KeyF1+n-1)
		default:
			return nil, fmt.Errorf("%w: %q in %q", ErrKey, name, text)
		}
	}
	return keys, nil
}

// scanF reads "f1" to "f12".
func scanF(name string, n *uint32) bool {
	_, err := fmt.Sscanf(name, "f%d", n)
	return err == nil && *n >= 1 && *n <= 12 && name == fmt.Sprintf("f%d", *n)
}

// shifted are the characters of the US keyboard that need Shift, and the keys they are on.
var shifted = func() map[rune]rune {
	m := map[rune]rune{}
	above, below := []rune(`~!@#$%^&*()_+{}|:"<>?`), []rune("`1234567890-=[]\\;',./")
	for i, r := range above {
		m[r] = below[i]
	}
	for r := 'a'; r <= 'z'; r++ {
		m[r-'a'+'A'] = r
	}
	return m
}()

// TypeRune returns the key of the US keyboard that gives a character, and whether with Shift. ok is false for characters
// that this keyboard does not have. Line ends are the Enter key.
func TypeRune(r rune) (keysym uint32, shift, ok bool) {
	switch {
	case r == '\n' || r == '\r':
		return KeyEnter, false, true
	case r == '\t':
		return KeyTab, false, true
	case r < ' ' || r > '~':
		return 0, false, false
	}
	if key, found := shifted[r]; found {
		return uint32(key), true, true
	}
	return uint32(r), false, true
}

// scanCodes are the keys of XT scan codes 00h to 7Fh, as keysyms of the US keyboard; those behind E0h follow.
var scanCodes = map[uint32]uint32{
	0x01: KeyEscape, 0x0C: '-', 0x0D: '=', 0x0E: KeyBackspace, 0x0F: KeyTab, 0x1C: KeyEnter, 0x1D: KeyControl, 0x2A: KeyShift,
	0x36: KeyShift + 1, 0x37: 0xFFAA, 0x38: KeyAlt, 0x39: ' ', 0x3A: KeyCapsLock, 0x45: KeyNumLock, 0x46: KeyScroll,
	0x47: 0xFFB7, 0x48: 0xFFB8, 0x49: 0xFFB9, 0x4A: 0xFFAD, 0x4B: 0xFFB4, 0x4C: 0xFFB5, 0x4D: 0xFFB6, 0x4E: 0xFFAB,
	0x4F: 0xFFB1, 0x50: 0xFFB2, 0x51: 0xFFB3, 0x52: 0xFFB0, 0x53: 0xFFAE, 0x57: KeyF1 + 10, 0x58: KeyF1 + 11,
	0x56: 0x17170056, 0x70: 0x17170070, 0x73: 0x17170073, 0x79: 0x17170079, 0x7B: 0x1717007B, 0x7D: 0x1717007D,
	0x9C: 0xFF8D, 0x9D: KeyControl + 1, 0xB5: 0xFFAF, 0xB7: KeyPrint, 0xB8: KeyAlt + 1, 0xC6: KeyPause, 0xC7: KeyHome,
	0xC8: KeyUp, 0xC9: KeyPageUp, 0xCB: KeyLeft, 0xCD: KeyRight, 0xCF: KeyEnd, 0xD0: KeyDown, 0xD1: KeyPageDown,
	0xD2: KeyInsert, 0xD3: KeyDelete, 0xDB: KeyMeta, 0xDC: KeyMeta + 1, 0xDD: KeyMenu,
}

// scanRows are the rows of characters, by the scan code of the first.
var scanRows = map[uint32]string{0x02: "1234567890", 0x10: "qwertyuiop[]", 0x1E: "asdfghjkl;'`", 0x2B: `\zxcvbnm,./`}

// Scan returns the event with the scan code of the key of the US keyboard that has its keysym, if it has none yet and there
// is such a key: what an emulator wants, whatever the layout of its guest.
func (m KeyEvent) Scan() KeyEvent {
	if m.Code != 0 {
		return m
	}
	sym := m.Keysym
	if r := rune(sym); sym < 0x80 {
		if key, found := shifted[r]; found {
			sym = uint32(key)
		}
	}
	if sym >= KeyF1 && sym < KeyF1+10 {
		m.Code = 0x3B + sym - KeyF1
	}
	for first, row := range scanRows {
		for i := range len(row) {
			if uint32(row[i]) == sym {
				m.Code = first + uint32(i)
			}
		}
	}
	for code, known := range scanCodes {
		if known == sym || known == KeyMeta && sym == KeySuper || known == KeyMeta+1 && sym == KeySuper+1 {
			m.Code = code
		}
	}
	return m
}

// Position returns the event as AMT wants it: the keysym of the US keyboard at the key's place. That is known when the
// viewer told a scan code; otherwise its keysym must do, with the Windows key as AMT knows it.
func (m KeyEvent) Position() KeyEvent {
	code := m.Code
	m.Code = 0
	if sym, ok := scanCodes[code]; ok {
		m.Keysym = sym
		return m
	}
	if code >= 0x3B && code <= 0x44 {
		m.Keysym = KeyF1 + code - 0x3B
		return m
	}
	for first, row := range scanRows {
		if code >= first && code < first+uint32(len(row)) {
			m.Keysym = uint32(row[code-first])
			return m
		}
	}
	if m.Keysym == KeySuper || m.Keysym == KeySuper+1 {
		m.Keysym -= KeySuper - KeyMeta
	}
	return m
}
