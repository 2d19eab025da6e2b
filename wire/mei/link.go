package mei

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// A Link moves bus messages between a Host and an Engine, in order. On it also travel the two signals that the PCI
// function has registers for; they are headers that no message can have:
//
//	00 00 00 00   reset: from the host a demand; from the ME word that it is down
//	00 00 00 0e   ready: the ME is up. Only after that do messages count
//
// One goroutine may Send while another Receives. Close may be called at any time, and ends both.
type Link interface {
	Send(packet []byte) error // whole, padded; not kept
	Receive() ([]byte, error) // valid until the next Receive
	Close() error
}

const (
	signalReset = 0
	signalReady = bitsRsvd
)

// ResetSignal returns the signal reset, for those who make links of their own.
func ResetSignal() []byte { return signal(signalReset) }

// ReadySignal returns the signal ready.
func ReadySignal() []byte { return signal(signalReady) }

// IsResetSignal reports whether b is the signal reset.
func IsResetSignal(b []byte) bool { return isSignal(b, signalReset) }

// IsReadySignal reports whether b is the signal ready.
func IsReadySignal(b []byte) bool { return isSignal(b, signalReady) }

func signal(word uint32) []byte { return binary.LittleEndian.AppendUint32(nil, word) }

func isSignal(b []byte, word uint32) bool {
	return len(b) == slot && binary.LittleEndian.Uint32(b) == word
}

// NewLink sends bus messages over a byte stream: a socket, a serial port of a virtual machine. Their headers tell where
// they end.
func NewLink(rw io.ReadWriteCloser) Link {
	return &stream{rw: rw, in: bufio.NewReaderSize(rw, 4096)}
}

type stream struct {
	rw  io.ReadWriteCloser
	in  *bufio.Reader
	buf [maxPacket]byte
}

func (s *stream) Send(packet []byte) error {
	if _, err := s.rw.Write(packet); err != nil {
		return fmt.Errorf("mei: link: %w", err)
	}
	return nil
}

func (s *stream) Receive() ([]byte, error) {
	if _, err := io.ReadFull(s.in, s.buf[:headerLen]); err != nil {
		return nil, fmt.Errorf("mei: link: %w", err)
	}
	length := pad(int(binary.LittleEndian.Uint32(s.buf[:]) >> 16 & maxLength))
	if _, err := io.ReadFull(s.in, s.buf[headerLen:headerLen+length]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("mei: link: %w", err)
	}
	return s.buf[:headerLen+length], nil
}

func (s *stream) Close() error { return s.rw.Close() }
