// Package asciicast writes and plays recordings of terminals in the format asciicast v2, which asciinema and its players
// know: a line of JSON about the terminal, and then a line of JSON per event, [seconds, "o", text]. Text is UTF-8; a byte
// that is none is written as U+FFFD.
//
// Source: docs.asciinema.org/manual/asciicast/v2.
//
// The package opens no files and logs nothing. It records what a terminal shows, and never what is typed: passwords are.
package asciicast

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

const version = 2

// maxLine is how many bytes a line of a recording may have.
const maxLine = 1 << 20

// ErrFormat tells that a file is no recording of this kind.
var ErrFormat = errors.New("not a recording of a terminal (asciicast v2)")

// A Header says which terminal it was.
type Header struct {
	Version   int    `json:"version"`
	Width     int    `json:"width"`  // columns
	Height    int    `json:"height"` // rows
	Timestamp int64  `json:"timestamp,omitempty"`
	Title     string `json:"title,omitempty"`
}

// A Writer records what is written to it, with the time since the first call. Each Write is one Write below. It is for
// one goroutine.
type Writer struct {
	w     io.Writer
	start time.Time
	held  []byte // the beginning of a character whose end has not come
	good  int64
}

// NewWriter writes the header. The Version is filled in, and the Timestamp is now if there is none.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	c := &Writer{w: w, start: time.Now()}
	h.Version = version
	if h.Timestamp == 0 {
		h.Timestamp = c.start.Unix()
	}
	return c, c.line(h)
}

func (c *Writer) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("asciicast: %w", err)
	}
	n, err := c.w.Write(append(b, '\n'))
	if err != nil {
		return fmt.Errorf("asciicast: %w", err)
	}
	c.good += int64(n)
	return nil
}

// Size returns how long the recording is up to the last whole line: after a failure it can be cut there.
func (c *Writer) Size() int64 { return c.good }

// Write records p, which the terminal shows now.
func (c *Writer) Write(p []byte) (int, error) {
	text := append(c.held, p...)
	whole := len(text) - unfinished(text)
	c.held = append([]byte(nil), text[whole:]...)
	if whole == 0 {
		return len(p), nil
	}
	at := time.Since(c.start).Seconds()
	if err := c.line([]any{json.Number(fmt.Sprintf("%.6f", at)), "o", string(text[:whole])}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unfinished returns how many bytes at the end of b are the beginning of a character.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// A Reader reads a recording.
type Reader struct {
	Header Header
	lines  *bufio.Scanner
}

// NewReader reads the header. The error wraps [ErrFormat].
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{lines: bufio.NewScanner(r)}
	c.lines.Buffer(nil, maxLine)
	if !c.lines.Scan() || json.Unmarshal(c.lines.Bytes(), &c.Header) != nil || c.Header.Version != version {
		return nil, fmt.Errorf("asciicast: %w", ErrFormat)
	}
	return c, nil
}

// Next returns the next text that was shown, and when. It is io.EOF at the end. Other events are passed over.
func (c *Reader) Next() (at time.Duration, text string, err error) {
	for c.lines.Scan() {
		if len(c.lines.Bytes()) == 0 {
			continue
		}
		var event [3]json.RawMessage
		var seconds float64
		var kind string
		if json.Unmarshal(c.lines.Bytes(), &event) != nil || json.Unmarshal(event[0], &seconds) != nil || json.Unmarshal(event[1], &kind) != nil ||
			json.Unmarshal(event[2], &text) != nil || !(seconds >= 0 && seconds < maxSeconds) {
			return 0, "", fmt.Errorf("asciicast: a line that is no event: %w", ErrFormat)
		}
		if kind == "o" {
			return time.Duration(seconds * float64(time.Second)), text, nil
		}
	}
	if err := c.lines.Err(); err != nil {
		return 0, "", fmt.Errorf("asciicast: %w", err)
	}
	return 0, "", io.EOF
}

// maxSeconds is the latest time of an event: a year.
const maxSeconds = 366 * 24 * 3600

// Play writes a recording to w as it was shown, until its end or that of ctx. speed 2 is twice as fast, 0 without any
// pause. It returns the time of the last event.
func Play(ctx context.Context, c *Reader, w io.Writer, speed float64) (at time.Duration, err error) {
	start := time.Now()
	for {
		next, text, err := c.Next()
		if errors.Is(err, io.EOF) {
			return at, nil
		}
		if err != nil {
			return at, err
		}
		at = max(at, next) // time does not go back
		if speed > 0 {
			pause := time.NewTimer(time.Duration(float64(at)/speed) - time.Since(start))
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		}
		if ctx.Err() != nil {
			return at, context.Cause(ctx)
		}
		if _, err := io.WriteString(w, text); err != nil {
			return at, err
		}
	}
}
