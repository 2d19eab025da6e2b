package firmware

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/pcap"
)

// A Replayed counts what became of the frames of a capture.
type Replayed struct {
	Frames   int                 // offered
	Verdicts map[nic.Verdict]int // of them
	Sent     int                 // by the PC; the others were for it
}

// Replay has the frames of a capture (classic pcap, Ethernet) pass a network port, and writes those that get through to
// another capture, as they come; passed may be nil. A frame is sent by the PC if it comes from its hardware address, else
// it is received. Time runs as in the capture, whole seconds later: it begins in the present second, or after the last
// replay, so that rates are the same each time. Errors are those of package pcap, of writing, and the
// context's.
func (m *Machine) Replay(ctx context.Context, port NetworkPort, capture io.Reader, passed io.Writer) (Replayed, error) {
	done := Replayed{Verdicts: make(map[nic.Verdict]int)}
	r, err := pcap.NewReader(capture)
	if err != nil {
		return done, fmt.Errorf("replay: %w", err)
	}
	var w *pcap.Writer
	if passed != nil {
		if w, err = pcap.NewWriter(passed); err != nil {
			return done, fmt.Errorf("replay: %w", err)
		}
	}
	own := m.portMAC(port)
	var shift time.Duration
	var last time.Time
	defer func() { m.replayedUntil(last) }()
	for ctx.Err() == nil {
		frame, at, err := r.Next()
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return done, fmt.Errorf("replay: frame %d: %w", done.Frames+1, err)
		}
		if done.Frames == 0 {
			shift = m.replayFrom().Sub(at.Truncate(time.Second))
		}
		direction := nic.Receive
		if len(frame) >= 12 && [6]byte(frame[6:12]) == own {
			direction = nic.Transmit
			done.Sent++
		}
		last = at.Add(shift)
		verdict := m.OfferFrameAt(port, last, direction, frame).Verdict
		done.Frames++
		done.Verdicts[verdict]++
		if w != nil && verdict.Through() {
			if err := w.Write(frame, at); err != nil {
				return done, fmt.Errorf("replay: %w", err)
			}
		}
	}
	return done, context.Cause(ctx)
}

// replayFrom returns the second in which a replay begins.
func (m *Machine) replayFrom() time.Time {
	m.defense.mu.Lock()
	defer m.defense.mu.Unlock()
	now := m.hostTime().Truncate(time.Second)
	if m.defense.replayed.After(now) {
		return m.defense.replayed
	}
	return now
}

// replayedUntil notes when the last frame of a replay was, so that the next one begins later.
func (m *Machine) replayedUntil(last time.Time) {
	m.defense.mu.Lock()
	defer m.defense.mu.Unlock()
	if next := last.Truncate(time.Second).Add(time.Second); next.After(m.defense.replayed) {
		m.defense.replayed = next
	}
}

// portMAC returns the hardware address of a port.
func (m *Machine) portMAC(port NetworkPort) (out [6]byte) {
	text := m.Identity().MAC
	if w := m.wireless(); port == WiFi && w != nil {
		text = m.wirelessMAC(w)
	}
	b, err := hex.DecodeString(text)
	if err == nil && len(b) == len(out) {
		copy(out[:], b)
	}
	return out
}
