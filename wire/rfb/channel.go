package rfb

import (
	"fmt"
	"sync"
	"time"
)

// The data channel of AMT 12 and later: messages between a console and a program on the host, which fetches and leaves
// them in the firmware, one at a time. The firmware gives a credit for each message that it can take: when the channel is
// there, and whenever the host has fetched one. Source: spec kvm.md section 9.2.
const (
	// MaxData is how long a message may be. Firmware's own limit is not known; JSON of a few hundred bytes is what was
	// seen.
	MaxData = 16 << 10

	maxUnsent = 64              // messages that wait for credit
	channelUp = 5 * time.Second // between two signs of life
)

// A channel is the console's end.
type channel struct {
	client *Client

	mu      sync.Mutex // guards what follows
	there   bool       // the machine has one
	credit  int
	unsent  [][]byte
	living  *time.Timer
	stopped bool
}

// SendData sends a message to the program on the host, once the machine can take it: after those that wait already. The
// error wraps [ErrTooLong] if it is too long or too many wait.
func (c *Client) SendData(message []byte) error {
	ch := &c.channel
	ch.mu.Lock()
	defer ch.mu.Unlock()
	switch {
	case len(message) == 0 || len(message) > MaxData:
		return fmt.Errorf("rfb: data of %d bytes: %w", len(message), ErrTooLong)
	case len(ch.unsent) == maxUnsent:
		return fmt.Errorf("rfb: data: %d messages wait for the host already: %w", maxUnsent, ErrTooLong)
	}
	ch.unsent = append(ch.unsent, append([]byte(nil), message...))
	return ch.flush()
}

// flush sends what there is credit for. mu is held.
func (ch *channel) flush() error {
	for ch.credit > 0 && len(ch.unsent) > 0 {
		m := ch.unsent[0]
		ch.unsent = ch.unsent[1:]
		ch.credit--
		if err := ch.client.Extend(Extension{Values: m}); err != nil {
			return err
		}
	}
	return nil
}

// take does what an extension of the machine means for the channel.
func (ch *channel) take(x Extension) error {
	if x.Command != 0 {
		return nil
	}
	if x.Ack {
		ch.mu.Lock()
		ch.credit = 1 // more than one message is never kept
		first := !ch.there
		if ch.there = true; first && !ch.stopped {
			ch.living = time.AfterFunc(channelUp, ch.live)
		}
		err := ch.flush()
		ch.mu.Unlock()
		if err != nil {
			return err
		}
		if first && ch.client.o.Channel != nil {
			ch.client.o.Channel()
		}
	}
	if len(x.Values) > 0 && ch.client.o.Data != nil {
		ch.client.o.Data(x.Values)
	}
	return nil
}

// live tells the machine that the console is still there.
func (ch *channel) live() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.stopped || ch.client.Extend(Extension{}) != nil { // a failure ends the session, and is told there
		return
	}
	ch.living.Reset(channelUp)
}

func (ch *channel) stop() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.stopped = true
	if ch.living != nil {
		ch.living.Stop()
	}
}
