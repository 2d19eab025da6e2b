package fbs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A Player is the connection to a server that says again what was recorded, when it was said. What is written to it goes
// nowhere: give it to [rfb.Connect], with the format of the server. It is for one reader.
type Player struct {
	r     *bufio.Reader
	speed float64

	block bytes.Buffer
	began time.Time
	at    time.Duration // of the block
	err   error

	once sync.Once
	done chan struct{}
}

// NewPlayer reads the head of a recording. speed 1 plays as it was, 2 twice as fast, 0 without any pause. The error wraps
// [ErrFormat].
func NewPlayer(r io.Reader, speed float64) (*Player, error) {
	p := &Player{r: bufio.NewReaderSize(r, 64<<10), speed: speed, done: make(chan struct{})}
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(p.r, head); err != nil || !strings.HasPrefix(string(head), family) || head[len(head)-1] != '\n' {
		return nil, fmt.Errorf("fbs: %w", ErrFormat)
	}
	return p, nil
}

// At returns how far the recording has been read, on its own clock. It belongs to the reader's goroutine.
func (p *Player) At() time.Duration { return p.at }

// Read gives what the server said. It is io.EOF at the end of the recording, and wraps [ErrCut] inside a block.
func (p *Player) Read(b []byte) (int, error) {
	for p.err == nil && p.block.Len() == 0 {
		p.err = p.next()
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.block.Read(b)
}

// next reads a block, and waits for its time.
func (p *Player) next() error {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	var b [7]byte
	if _, err := io.ReadFull(p.r, b[:4]); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return cut(err)
	}
	n := binary.BigEndian.Uint32(b[:4])
	if n > MaxBlock {
		return fmt.Errorf("fbs: a block of %d bytes: %w", n, ErrFormat)
	}
	p.block.Reset()
	if _, err := io.CopyN(&p.block, p.r, int64(n)); err != nil { // memory grows with what is there, not with what is said
		return cut(err)
	}
	pad := padding(int(n))
	if _, err := io.ReadFull(p.r, b[:pad+4]); err != nil {
		return cut(err)
	}
	// Time does not go back, whatever the file says.
	p.at = max(p.at, time.Duration(binary.BigEndian.Uint32(b[pad:]))*time.Millisecond)
	return p.wait()
}

func (p *Player) wait() error {
	var due <-chan time.Time
	if p.speed > 0 {
		pause := time.NewTimer(time.Duration(float64(p.at)/p.speed) - time.Since(p.began))
		defer pause.Stop()
		due = pause.C
	} else {
		now := make(chan time.Time)
		close(now)
		due = now
	}
	select {
	case <-p.done:
		return io.ErrClosedPipe
	default:
	}
	select {
	case <-due:
		return nil
	case <-p.done:
		return io.ErrClosedPipe
	}
}

// cut makes of an end inside a block an [ErrCut].
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("fbs: %w", ErrCut)
	}
	return fmt.Errorf("fbs: %w", err)
}

// Write takes what a viewer says, and forgets it.
func (p *Player) Write(b []byte) (int, error) { return len(b), nil }

// Close ends a Read that waits. It does not close the reader below.
func (p *Player) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}
