package pc

import "github.com/outband/outband/virtual/firmware"

// maxLines bounds what the BIOS has written on the screen.
const maxLines = 50

// PlugIn plugs a USB key in, or, if key is nil, pulls it out. The BIOS looks at it at the next boot.
func (p *PC) PlugIn(key firmware.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = key
}

// Key returns the USB key that is plugged in, or nil.
func (p *PC) Key() firmware.Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.key
}

// Print writes a line on the screen.
func (p *PC) Print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) < maxLines {
		p.lines = append(p.lines, line)
		p.look()
	}
}

// Confirm asks the person, who says yes at once unless [Options].Decline is set.
func (p *PC) Confirm(question string) bool {
	answer := " Y"
	if p.o.Decline {
		answer = " N"
	}
	p.Print(question + answer)
	return !p.o.Decline
}

// Lines returns what the BIOS has written on the screen since the last boot began.
func (p *PC) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

var _ firmware.KeySlot = (*PC)(nil)
