package pc

import (
	"encoding/json"

	"github.com/outband/outband/virtual/firmware"
)

// What programs of the operating system share with a console: its clipboard, and messages by the data channel of KVM.
// Commands of the terminal show it: copy puts something on the clipboard, paste prints what is there.

// maxClipboard bounds a clipboard.
const maxClipboard = 1 << 16

// SetClipboard takes the console's clipboard, if the operating system shares its own.
func (p *PC) SetClipboard(text []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shares() && len(text) <= maxClipboard {
		p.face.clipboard = string(text)
	}
}

// OnClipboard has f called whenever something is copied on the PC.
func (p *PC) OnClipboard(f func(text []byte)) (cancel func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.face.onCopy = f
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.face.onCopy = nil
	}
}

// shares reports whether the program that does it runs. mu is held.
func (p *PC) shares() bool { return p.o.Programs && p.phase == Running && p.power == firmware.S0 }

// copied puts a text on the clipboard. mu is held.
func (p *PC) copied(text string) {
	p.face.clipboard = text
	if f := p.face.onCopy; f != nil && p.shares() {
		p.call(func() { f([]byte(text)) })
	}
}

// paste prints the clipboard. mu is held.
func (p *PC) paste() {
	if p.face.clipboard == "" {
		p.say("the clipboard is empty")
		return
	}
	p.say("%s", printable(p.face.clipboard))
}

// Message answers a console's message of the data channel as programs for it do: with what it is. Source: spec kvm.md
// section 9.2.
func (p *PC) Message(data []byte) (answer []byte, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.shares() {
		return nil, false
	}
	var m struct {
		Action string `json:"action"`
	}
	if json.Unmarshal(data, &m) != nil || m.Action != "present" {
		return nil, true // what is not understood is not answered
	}
	return []byte(`{"action":"present","ver":1,"platform":"outband virtual PC"}`), true
}

var (
	_ firmware.Clipboard   = (*PC)(nil)
	_ firmware.HostProgram = (*PC)(nil)
	_ firmware.Monitors    = (*PC)(nil)
)
