package rfb

import "testing"

// Whatever key of the US keyboard AMT's keysyms name, its scan code names the same key again.
func TestScan(t *testing.T) {
	for _, tt := range []struct {
		in   KeyEvent
		code uint32
	}{
		{KeyEvent{Keysym: 'a'}, 0x1E}, {KeyEvent{Keysym: 'A'}, 0x1E}, {KeyEvent{Keysym: '!'}, 0x02}, {KeyEvent{Keysym: '-'}, 0x0C},
		{KeyEvent{Keysym: '~'}, 0x29}, {KeyEvent{Keysym: '\\'}, 0x2B}, {KeyEvent{Keysym: ' '}, 0x39}, {KeyEvent{Keysym: KeyEnter}, 0x1C},
		{KeyEvent{Keysym: KeyF1}, 0x3B}, {KeyEvent{Keysym: KeyF1 + 9}, 0x44}, {KeyEvent{Keysym: KeyF1 + 11}, 0x58},
		{KeyEvent{Keysym: KeyDelete}, 0xD3}, {KeyEvent{Keysym: KeyMeta}, 0xDB}, {KeyEvent{Keysym: KeySuper + 1}, 0xDC},
		{KeyEvent{Keysym: KeyAlt + 1}, 0xB8}, {KeyEvent{Keysym: 0x20AC}, 0}, {KeyEvent{Keysym: 'a', Code: 0x10}, 0x10},
	} {
		if got := tt.in.Scan(); got.Code != tt.code || got.Keysym != tt.in.Keysym {
			t.Errorf("%x: got %x, code %x; want code %x", tt.in.Keysym, got.Keysym, got.Code, tt.code)
		}
	}
	for r := rune(' '); r <= '~'; r++ {
		key, _, _ := TypeRune(r)
		if got := (KeyEvent{Keysym: key}).Scan(); got.Position().Keysym != key {
			t.Errorf("%q: key %x, code %x, which is %x", r, key, got.Code, got.Position().Keysym)
		}
	}
}
