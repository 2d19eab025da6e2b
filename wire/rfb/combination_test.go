package rfb

import (
	"fmt"
	"slices"
	"testing"
)

// The combinations that consoles of AMT offer by name (spec kvm.md section 7), and what a keyboard sends for them: XT scan
// codes, those behind E0h with 80h more. They go through a session; what is looked at is the machine's end. Source of the
// codes: IBM PC/AT Technical Reference, keyboard scan code set 1; those of the Windows keys: Microsoft's Keyboard Scan Code
// Specification.
func TestCombinations(t *testing.T) {
	keys := make(chan KeyEvent, 10)
	c, _, _ := session(t, picture(t, 64, 64, 1), ClientOptions{}, DeviceOptions{Key: func(m KeyEvent) { keys <- m }})
	for _, tt := range []struct {
		name  string
		codes []uint32
	}{
		{"ctrl-alt-del", []uint32{0x1D, 0x38, 0xD3}},
		{"win", []uint32{0xDB}},
		{"win-l", []uint32{0xDB, 0x26}},
		{"win-r", []uint32{0xDB, 0x13}},
		{"win-m", []uint32{0xDB, 0x32}},
		{"shift-win-m", []uint32{0x2A, 0xDB, 0x32}},
		{"win-left", []uint32{0xDB, 0xCB}},
		{"win-right", []uint32{0xDB, 0xCD}},
		{"win-up", []uint32{0xDB, 0xC8}},
		{"win-down", []uint32{0xDB, 0xD0}},
		{"alt-tab", []uint32{0x38, 0x0F}},
		{"alt-f4", []uint32{0x38, 0x3E}},
		{"ctrl-w", []uint32{0x1D, 0x11}},
		{"f1", []uint32{0x3B}}, {"f2", []uint32{0x3C}}, {"f3", []uint32{0x3D}}, {"f4", []uint32{0x3E}},
		{"f5", []uint32{0x3F}}, {"f6", []uint32{0x40}}, {"f7", []uint32{0x41}}, {"f8", []uint32{0x42}},
		{"f9", []uint32{0x43}}, {"f10", []uint32{0x44}}, {"f11", []uint32{0x57}}, {"f12", []uint32{0x58}},
		{"enter", []uint32{0x1C}},
		// Not in their lists, but of use on the line of a Linux kernel, in a browser, and where a character needs Shift.
		{"alt-print-b", []uint32{0x38, 0xB7, 0x30}},
		{"ctrl-plus", []uint32{0x1D, 0x2A, 0x0D}},
		{"shift-plus", []uint32{0x2A, 0x0D}},
		{"ctrl-minus", []uint32{0x1D, 0x0C}},
		{"ctrl-alt-f2", []uint32{0x1D, 0x38, 0x3C}},
		{"ctrl-shift-esc", []uint32{0x1D, 0x2A, 0x01}},
		{"altgr-menu", []uint32{0xB8, 0xDD}},
	} {
		combination, err := ParseKeys(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range combination {
			c.Key(k, true)
		}
		for _, k := range slices.Backward(combination) {
			c.Key(k, false)
		}
		var got, want []string
		for range 2 * len(combination) {
			k := (<-keys).Scan()
			got = append(got, fmt.Sprintf("%02X %v", k.Code, k.Down))
		}
		for _, code := range tt.codes {
			want = append(want, fmt.Sprintf("%02X true", code))
		}
		for _, code := range slices.Backward(tt.codes) {
			want = append(want, fmt.Sprintf("%02X false", code))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, want)
		}
	}
}

// A key that a viewer names by its scan code goes to AMT as a keysym, and is the same key at the other end.
func TestEveryKeyThroughAMT(t *testing.T) {
	var codes []uint32
	for code := uint32(1); code <= 0x58; code++ {
		if code != 0x54 && code != 0x55 { // no keys
			codes = append(codes, code)
		}
	}
	codes = append(codes, 0x9C, 0x9D, 0xB5, 0xB7, 0xB8, 0xC6, 0xC7, 0xC8, 0xC9, 0xCB, 0xCD, 0xCF, 0xD0, 0xD1, 0xD2, 0xD3, 0xDB, 0xDC, 0xDD)
	for _, code := range codes {
		sent := KeyEvent{Down: true, Code: code}.Position()
		if got := sent.Scan().Code; got != code {
			t.Errorf("scan code %02X is keysym %X to AMT, which is %02X", code, sent.Keysym, got)
		}
	}
}
