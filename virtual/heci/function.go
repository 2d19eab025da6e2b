package heci

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/outband/outband/wire/mei"
)

// A Function is the PCI function. [New] makes it. The PC uses its registers, the ME what Link returns. All methods may be
// called at any time, from any goroutine; those of the registers never block.
type Function struct {
	model Model
	line  func(level bool) // the interrupt line INTA
	log   *slog.Logger

	mu       sync.Mutex // guards what follows
	wake     sync.Cond  // something for the ME's side to look at
	config   [configSize]byte
	host     uint32 // H_CSR: the bits that are kept, and IS
	ready    bool   // ME_CSR_HA: the ME is up
	down, up ring   // the host's buffer, and the ME's
	rung     uint8  // the host's write pointer when it last rang: the ME sees slots up to there
	level    bool   // of the line
	closed   bool   // the ME is gone
	broken   bool   // down until the host resets
	resets   int    // resets that the ME has not yet answered with ready
	tell     bool   // the next that the ME receives is a reset
}

// New returns a function as it is after power-up: the ME is there, and waits for the host to reset the link. line is
// called when the level of the interrupt line changes, with the function locked: it must not block or call back. log may
// be nil.
func New(model Model, line func(level bool), log *slog.Logger) *Function {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &Function{model: model, line: line, log: log, config: model.config(), ready: true}
	f.wake.L = &f.mu
	return f
}

// Reset is the PC's reset: configuration and registers are as after power-up, and the ME is told that the host is gone.
// Firmware status stays.
func (f *Function) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.config = f.model.config()
	f.host = 0
	f.restart()
	f.signal()
}

// Read reads a register: four bytes at a multiple of four. Others, and those that are not there, read as 0.
func (f *Function) Read(offset uint64, size int) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if size != slotLen {
		return 0
	}
	switch offset {
	case regHostCSR:
		return uint64(f.host | f.down.csr())
	case regMEBuffer:
		slot := f.up.take()
		f.wake.Broadcast()
		return uint64(slot)
	case regMECSR:
		return uint64(f.meCSR())
	case regTrace:
		return uint64(f.model.Trace)
	case regHostBuffer, regPowerGate, regD0i3:
	}
	return 0
}

// meCSR is ME_CSR_HA. IE and RST are of the ME's own side, and 0.
func (f *Function) meCSR() uint32 {
	csr := f.up.csr()
	if f.ready {
		csr |= csrReady
	}
	return csr
}

// Write writes a register: four bytes at a multiple of four. Others, and those that are not there, are left alone.
func (f *Function) Write(offset uint64, size int, value uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if size != slotLen {
		return
	}
	switch offset {
	case regHostBuffer:
		f.fill(uint32(value))
	case regHostCSR:
		f.control(uint32(value))
	case regMEBuffer, regMECSR, regPowerGate, regTrace, regD0i3:
	}
	f.signal()
}

// fill puts a slot into the host's buffer.
func (f *Function) fill(slot uint32) {
	if f.host&csrReset != 0 || !f.ready {
		return // nobody is there to take it
	}
	if !f.down.put(slot) {
		f.fail("the host's buffer overflows")
	}
}

// control takes what the host writes to H_CSR.
func (f *Function) control(value uint32) {
	was := f.host
	f.host = value&csrHostKeeps | was&csrStatus&^value
	if value&csrReset != 0 {
		f.host &^= csrReady // the function does so by itself; the driver looks
		if was&csrReset == 0 {
			f.restart()
		}
		return
	}
	if value&csrGenerate != 0 {
		f.rung = f.down.write
		f.wake.Broadcast()
	}
}

// restart empties the buffers and has the ME begin anew. It is ready when it says so.
func (f *Function) restart() {
	f.down.clear()
	f.up.clear()
	f.rung = 0
	f.ready, f.broken, f.tell = false, false, true
	f.wake.Broadcast()
}

// fail takes the ME down after what no driver does; the host sees that and resets the link. Source: spec mei.md section
// 11.4.
func (f *Function) fail(why string) {
	if f.broken {
		return
	}
	f.log.Warn("heci: link reset", "reason", why)
	f.restart()
	f.broken = true
	f.interrupt()
}

// interrupt marks that there is something to see for the host.
func (f *Function) interrupt() {
	f.host |= csrStatus
	f.signal()
}

// pending reports whether the host wants an interrupt and there is one.
func (f *Function) pending() bool { return f.host&csrStatus != 0 && f.host&csrEnable != 0 }

// signal sets the interrupt line.
func (f *Function) signal() {
	level := f.pending() && f.command()&commandNoINTx == 0
	if level != f.level {
		f.level = level
		f.line(level)
	}
}

// Link returns the ME's end: what mei.Engine's Run takes. There is one; closing it takes the ME away for good, as a
// PC sees a ME that has crashed.
func (f *Function) Link() mei.Link { return (*link)(f) }

type link Function

// Send puts a message into the ME's buffer and interrupts the host. It waits until there is room. What is sent while the
// host resets the link is lost.
func (l *link) Send(packet []byte) error {
	f := (*Function)(l)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return fmt.Errorf("heci: link: %w", io.ErrClosedPipe)
	case mei.IsResetSignal(packet):
		f.ready = false
		f.up.clear()
		f.interrupt()
		return nil
	case mei.IsReadySignal(packet):
		if f.resets > 0 {
			f.resets--
		}
		if f.resets == 0 && !f.tell && !f.broken {
			f.ready = true
			f.interrupt()
		}
		return nil
	case len(packet)%slotLen != 0 || len(packet) > Depth*slotLen:
		return fmt.Errorf("heci: link: %w: a message of %d bytes", mei.ErrInvalid, len(packet))
	}
	for f.ready && !f.closed && f.up.free() < len(packet)/slotLen {
		f.wake.Wait()
	}
	switch {
	case f.closed:
		return fmt.Errorf("heci: link: %w", io.ErrClosedPipe)
	case !f.ready:
		return nil
	}
	for ; len(packet) > 0; packet = packet[slotLen:] {
		f.up.put(binary.LittleEndian.Uint32(packet))
	}
	f.interrupt()
	return nil
}

// Receive returns the next message that the host has sent, or a reset.
func (l *link) Receive() ([]byte, error) {
	f := (*Function)(l)
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.closed:
			return nil, fmt.Errorf("heci: link: %w", io.EOF)
		case f.tell:
			f.tell = false
			f.resets++
			return mei.ResetSignal(), nil
		}
		if packet := f.message(); packet != nil {
			return packet, nil
		}
		if !f.tell {
			f.wake.Wait()
		}
	}
}

// message takes one whole message out of the host's buffer; nil if there is none. When the buffer is empty the host is
// told.
func (f *Function) message() []byte {
	visible := int(f.rung - f.down.read)
	if visible == 0 {
		return nil
	}
	header := f.down.first()
	if header == 0 || header&reservedBits != 0 {
		f.fail(fmt.Sprintf("corrupt header %08x", header))
		return nil
	}
	slots := 1 + (int(header>>16&maxLength)+slotLen-1)/slotLen
	if slots > Depth {
		f.fail(fmt.Sprintf("a message of %d slots", slots))
		return nil
	}
	if slots > visible {
		return nil
	}
	packet := make([]byte, 0, slots*slotLen)
	for range slots {
		packet = binary.LittleEndian.AppendUint32(packet, f.down.take())
	}
	if f.down.filled() == 0 {
		f.interrupt()
	}
	return packet
}

// Of a message's header; see [mei.Packet]. Those with reserved bits would look like signals on a link.
const (
	reservedBits = 7 << 25
	maxLength    = 511
)

// Close takes the ME away.
func (l *link) Close() error {
	f := (*Function)(l)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed, f.ready = true, false
	f.up.clear()
	f.interrupt()
	f.wake.Broadcast()
	return nil
}
