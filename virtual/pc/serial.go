package pc

import (
	"io"
	"strings"
	"sync"

	"github.com/outband/outband/wire/rfb"
)

// OpenSerial joins a terminal to the serial port until close, or until the line fails. The BIOS shows its screens there
// if the boot was asked to, and takes keys; the operating system has a console there.
func (p *PC) OpenSerial(line io.ReadWriter) (close func()) {
	changed, done := p.attend()
	stop := make(chan struct{})
	s := &serialView{sent: p.printed()} // what was printed before is lost
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-changed:
			case <-stop:
				return
			}
			if text := s.next(p.view(true)); text != "" {
				if _, err := io.WriteString(line, text); err != nil {
					return
				}
			}
		}
	})
	wg.Go(func() {
		k := &serialKeys{}
		b := make([]byte, 256)
		for {
			n, err := line.Read(b)
			p.strokes(k.take(b[:n]))
			if err != nil {
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		done()
		stopAndWait(stop, &wg)
	})
}

func (p *PC) printed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.face.printed
}

// strokes are keys that came in by the serial line.
func (p *PC) strokes(keys []uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sym := range keys {
		if p.power == 0 && !p.closed {
			key, shift := sym, false
			if sym < 0x80 {
				if k, s, ok := rfb.TypeRune(rune(sym)); ok {
					key, shift = k, s
				}
			}
			p.stroke(key, shift)
		}
	}
	p.look()
}

// A serialView is what a terminal has been sent.
type serialView struct {
	last  *text  // the screen of the BIOS, if that was sent last
	sent  int    // lines of the operating system
	input string // as it stands on the terminal
}

// next returns what makes the terminal show the view.
func (s *serialView) next(v view) string {
	if v.stream == nil && v.text != nil { // the BIOS
		text := v.text.terminal(s.last)
		s.last, s.input = v.text, ""
		return text
	}
	var b strings.Builder
	if s.last != nil {
		b.WriteString("\x1b[0m\x1b[2J\x1b[H")
		s.last, s.input = nil, ""
	}
	if v.sent < s.sent { // another boot
		s.sent = 0
	}
	if fresh := min(v.sent-s.sent, len(v.stream)); fresh > 0 {
		s.erase(&b)
		for _, line := range v.stream[len(v.stream)-fresh:] {
			b.WriteString(line + "\r\n")
		}
		s.sent = v.sent
	}
	switch {
	case strings.HasPrefix(v.input, s.input):
		b.WriteString(v.input[len(s.input):])
	case strings.HasPrefix(s.input, v.input):
		b.WriteString(strings.Repeat("\b \b", len(s.input)-len(v.input)))
	default:
		s.erase(&b)
		b.WriteString(v.input)
	}
	s.input = v.input
	return b.String()
}

// erase takes the line that is being typed off the terminal.
func (s *serialView) erase(b *strings.Builder) {
	if s.input != "" {
		b.WriteString("\r\x1b[K")
		s.input = ""
	}
}

// serialKeys makes keys of what a terminal sends. Escape sequences may come in pieces; an escape that is not followed by
// anything in the same piece is the key.
type serialKeys struct{ rest []byte }

// sequences are what terminals send for keys without a character. Source: spec sol.md section 9.3; xterm's ctlseqs.
var sequences = map[string]uint32{
	"[A": rfb.KeyUp, "[B": rfb.KeyDown, "[C": rfb.KeyRight, "[D": rfb.KeyLeft, "OA": rfb.KeyUp, "OB": rfb.KeyDown,
	"[3~": rfb.KeyDelete, "[12~": rfb.KeyF1 + 1, "OQ": rfb.KeyF1 + 1, "[OQ": rfb.KeyF1 + 1, "2": rfb.KeyF1 + 1,
	"[21~": rfb.KeyF1 + 9, "OY": rfb.KeyF1 + 9, "[OM": rfb.KeyF1 + 9, "0": rfb.KeyF1 + 9,
	"[24~": rfb.KeyF1 + 11, "O[": rfb.KeyF1 + 11, "@": rfb.KeyF1 + 11,
}

func (k *serialKeys) take(b []byte) (keys []uint32) {
	b = append(k.rest, b...)
	k.rest = nil
	for len(b) > 0 {
		c := b[0]
		switch {
		case c == 0x1B && len(b) == 1:
			return append(keys, rfb.KeyEscape)
		case c == 0x1B:
			n, sym, whole := sequence(b[1:])
			if !whole {
				k.rest = append([]byte(nil), b...)
				return keys
			}
			if sym != 0 {
				keys = append(keys, sym)
			}
			b = b[1+n:]
			continue
		case c == '\r' || c == '\n':
			keys = append(keys, rfb.KeyEnter)
		case c == 0x08 || c == 0x7F:
			keys = append(keys, rfb.KeyBackspace)
		case c == '\t':
			keys = append(keys, rfb.KeyTab)
		case c >= ' ' && c <= '~':
			keys = append(keys, uint32(c))
		}
		b = b[1:]
	}
	return keys
}

// sequence reads what follows an escape: how long it is, and which key it is, if any that is known.
func sequence(b []byte) (n int, sym uint32, whole bool) {
	const longest = 6
	for n = 1; n <= min(len(b), longest); n++ {
		if sym, ok := sequences[string(b[:n])]; ok {
			return n, sym, true
		}
		if c := b[n-1]; n > 1 && (c >= 'A' && c <= 'Z' && !(n == 2 && c == 'O') || c == '~') {
			return n, 0, true // a sequence that nobody here knows
		}
	}
	if b[0] != '[' && b[0] != 'O' || len(b) >= longest {
		return 1, 0, true
	}
	return 0, 0, false
}
