package rfb

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// A viewer whose window changes asks for another size, as TigerVNC and noVNC do when they are told the size in the extended
// way. The answer is no, in the next update; the session goes on, and has the size it had.
func TestWishForAnotherSize(t *testing.T) {
	a, b := net.Pipe()
	var served sync.WaitGroup
	served.Go(func() {
		if v, err := View(t.Context(), b, picture(t, 64, 32, 1), ViewerOptions{Name: "nuc1"}); err != nil {
			t.Error(err)
		} else if err := v.Err(); err == nil || !strings.Contains(err.Error(), "cut") {
			t.Error(err)
		}
	})
	defer served.Wait()
	defer a.Close()
	r := bufio.NewReader(a)
	read := func(n int) []byte {
		t.Helper()
		got := make([]byte, n)
		if _, err := io.ReadFull(r, got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	say := func(b []byte) {
		t.Helper()
		if _, err := a.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dial(r, a, "", true); err != nil {
		t.Fatal(err)
	}
	say(SetEncodings{[]Encoding{EncodingRaw, EncodingDesktopSet}}.Append(nil))
	for _, tt := range []struct {
		name        string
		wish        []byte
		incremental bool
		want        string // hex
		pixels      int    // bytes behind it
	}{
		{"the first update tells the size", nil, false,
			"00 00 0002  0000 0000 0040 0020 fffffecc 01 000000  00000000 0000 0000 0040 0020 00000000  0000 0000 0040 0020 00000000", 64 * 32 * 4},
		{"a wish", SetDesktopSize{W: 800, H: 600, Screens: []Screen{{7, 0, 0, 800, 600, 0}}}.Append(nil), true,
			"00 00 0001  0001 0001 0040 0020 fffffecc 01 000000  00000000 0000 0000 0040 0020 00000000", 0},
		{"a wish of no monitor", SetDesktopSize{W: 1, H: 1}.Append(nil), false,
			"00 00 0002  0001 0001 0040 0020 fffffecc 01 000000  00000000 0000 0000 0040 0020 00000000  0000 0000 0040 0020 00000000", 64 * 32 * 4},
	} {
		say(tt.wish)
		say(UpdateRequest{tt.incremental, 0, 0, 64, 32}.Append(nil))
		want, err := hex.DecodeString(strings.ReplaceAll(tt.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: got  %x,\nwant %x", tt.name, got, want)
		}
		read(tt.pixels)
	}
}
