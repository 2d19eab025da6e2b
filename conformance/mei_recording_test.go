package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// meiClients are the names that recordings have for clients of the management engine.
var meiClients = map[string]guid.GUID{"amthi": mei.AMTHI, "lme": mei.LME, "watchdog": mei.Watchdog}

// A meiRecorder is a bus that notes what is said on it, as testdata/mei/README.md has it.
type meiRecorder struct {
	bus mei.Bus

	mu    sync.Mutex // guards what follows
	lines []string
	conns int
}

func (r *meiRecorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *meiRecorder) Connect(ctx context.Context, client guid.GUID) (mei.Conn, error) {
	conn, err := r.bus.Connect(ctx, client)
	if err != nil {
		return nil, err
	}
	name := client.String()
	for n, id := range meiClients {
		if id == client {
			name = n
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns++
	r.lines = append(r.lines, fmt.Sprintf("@ %d %s", r.conns, name))
	return &meiRecorded{Conn: conn, r: r, n: r.conns, lme: client == mei.LME}, nil
}

type meiRecorded struct {
	mei.Conn
	r    *meiRecorder
	n    int
	lme  bool
	once sync.Once
}

func (c *meiRecorded) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil {
		c.r.note("< %d %s", c.n, spell(c.lme, p[:n]))
	}
	return n, err
}

func (c *meiRecorded) Write(p []byte) (int, error) {
	c.r.note("> %d %s", c.n, spell(c.lme, p)) // before the answer can be there
	return c.Conn.Write(p)
}

func (c *meiRecorded) Close() error {
	c.once.Do(func() { c.r.note(". %d", c.n) })
	return c.Conn.Close()
}

// spell writes a message as recordings have it.
func spell(lme bool, message []byte) string {
	if d, rest, err := apf.ParseData(message); lme && len(message) > 0 && apf.Kind(message[0]) == apf.KindData && err == nil && len(rest) == 0 {
		return fmt.Sprintf("data %d %q", d.Recipient, d.Payload)
	}
	return hex.EncodeToString(message)
}

// unspell is the reverse of spell.
func unspell(text string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, "data ")
	if !ok {
		return hex.DecodeString(text)
	}
	channel, quoted, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(channel, 10, 32)
	if err != nil {
		return nil, err
	}
	data, err := strconv.Unquote(quoted)
	return apf.Data{Recipient: uint32(n), Payload: []byte(data)}.Append(nil), err
}

// What a machine has said on a connection to LME, apart from when: where data is cut, how large windows are and when
// they are returned is up to it.
type meiSaid struct {
	control []string          // all but data and window adjusts, without the windows of new channels
	data    map[uint32][]byte // by channel
	windows map[uint32]uint32 // returned, by channel
}

func (s *meiSaid) add(lme bool, message []byte) {
	if s.data == nil {
		s.data, s.windows = make(map[uint32][]byte), make(map[uint32]uint32)
	}
	if lme && len(message) > 0 {
		switch apf.Kind(message[0]) {
		case apf.KindChannelOpenConfirmation:
			if m, rest, err := apf.ParseChannelOpenConfirmation(message); err == nil && len(rest) == 0 {
				m.Window = 0
				message = m.Append(nil)
			}
		case apf.KindData:
			if d, _, err := apf.ParseData(message); err == nil {
				s.data[d.Recipient] = append(s.data[d.Recipient], d.Payload...)
				return
			}
		case apf.KindWindowAdjust:
			if len(message) == 9 {
				s.windows[binary.BigEndian.Uint32(message[1:])] += binary.BigEndian.Uint32(message[5:])
				return
			}
		}
	}
	s.control = append(s.control, hex.EncodeToString(message))
}

// covers reports whether as much was said as in another.
func (s *meiSaid) covers(want *meiSaid) bool {
	for channel, data := range want.data {
		if len(s.data[channel]) < len(data) {
			return false
		}
	}
	return len(s.control) >= len(want.control)
}

// varying is what may differ in two answers that are the same: the time, and nonces, in which it is.
var varying = regexp.MustCompile(`(?m)^Date: .*$|nonce="[^"]*"`)

func (s *meiSaid) compare(t *testing.T, want *meiSaid) {
	t.Helper()
	equal(t, "messages", strings.Join(s.control, "\n"), strings.Join(want.control, "\n"))
	equal(t, "channels with data", len(s.data), len(want.data))
	for channel, data := range want.data {
		got := varying.ReplaceAllString(string(s.data[channel]), "")
		equal(t, fmt.Sprintf("data on channel %d", channel), got, varying.ReplaceAllString(string(data), ""))
	}
}

// A meiReplay says again what a program has said.
type meiReplay struct {
	bus   mei.Bus
	conns map[string]*meiReplayed
}

type meiReplayed struct {
	mei.Conn
	lme  bool
	want meiSaid // so far
	got  meiSaid
}

// do carries out one line.
func (r *meiReplay) do(t *testing.T, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	words := strings.SplitN(line, " ", 3)
	if words[0] == "@" {
		conn, err := r.bus.Connect(ctx, meiClients[words[2]])
		check(t, err)
		if r.conns == nil {
			r.conns = make(map[string]*meiReplayed)
		}
		r.conns[words[1]] = &meiReplayed{Conn: conn, lme: words[2] == "lme"}
		return
	}
	c := r.conns[words[1]]
	if c == nil {
		t.Fatalf("no connection %s", words[1])
	}
	if words[0] == "<" {
		message, err := unspell(words[2])
		check(t, err)
		c.want.add(c.lme, message)
		return
	}
	for !c.got.covers(&c.want) {
		message, err := mei.Receive(ctx, c.Conn)
		if err != nil {
			t.Fatalf("connection %s: %v; got %q, want %q", words[1], err, c.got.control, c.want.control)
		}
		c.got.add(c.lme, message)
	}
	switch words[0] {
	case ">":
		message, err := unspell(words[2])
		check(t, err)
		check(t, mei.Send(ctx, c.Conn, message))
	case ".":
		c.got.compare(t, &c.want)
		c.Conn.Close()
		delete(r.conns, words[1])
	default:
		t.Fatalf("unknown line %.40q", line)
	}
}

// finish compares what was not closed.
func (r *meiReplay) finish(t *testing.T) {
	t.Helper()
	for n := range r.conns {
		r.do(t, ". "+n)
	}
}

// A message is the same after it was written down and read.
func TestMEISpelling(t *testing.T) {
	for _, message := range [][]byte{{}, {1, 1, 0, 0}, apf.Data{Recipient: 7, Payload: []byte("POST \"\\\r\n\x00\xff")}.Append(nil), apf.ChannelClose{Recipient: 2}.Append(nil), {94, 0}} {
		again, err := unspell(spell(true, message))
		check(t, err)
		if !bytes.Equal(again, message) {
			t.Errorf("%x became %x", message, again)
		}
	}
}

// rewrite replaces a recording.
func rewrite(t *testing.T, path, head string, lines []string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(head+strings.Join(lines, "\n")+"\n"), 0o644))
}
