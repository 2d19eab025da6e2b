package firmware

// A Clipboard is a [Screen] whose operating system shares its clipboard with the console, by a program of its own:
// firmware alone ignores what consoles say of theirs.
type Clipboard interface {
	SetClipboard(text []byte)                        // the console has copied something
	OnClipboard(f func(text []byte)) (cancel func()) // the host has
}

// A HostProgram is a [Platform] with a program at the host's end of KVM's data channel.
type HostProgram interface {
	// Message hands a message of the console over. ok tells that the program runs and has taken it; answer, if it is not
	// empty, goes back.
	Message(data []byte) (answer []byte, ok bool)
}

// message gets what the console has sent by the data channel to the program that is there for it. Otherwise it is kept
// until somebody fetches it by DataChannelRead.
func (m *Machine) message(data []byte) {
	r := &m.redirection
	r.setMessage(data)
	p, ok := m.platform.(HostProgram)
	if !ok {
		return
	}
	answer, ok := p.Message(data)
	if !ok {
		return
	}
	r.mu.Lock()
	r.message = nil
	screen := r.screen
	r.mu.Unlock()
	if screen != nil {
		screen.Credit()
		if len(answer) > 0 {
			screen.SendData(answer)
		}
	}
}
