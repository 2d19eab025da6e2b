package sol

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/outband/outband/wire/redir"
)

// Pacing that the set-up screens of BIOSes can follow: their UART holds 16 bytes and is read slowly.
const (
	BIOSChunk = 16
	BIOSPace  = 20 * time.Millisecond
)

const (
	defaultChunk = 1024 // bytes to the host in one message
	rxConsole    = 64 << 10
	minSilence   = time.Second // before a machine counts as dead: it cannot send heartbeats as fast as they can be asked for
)

// Options are a console's settings for [Open]. The zero value works.
type Options struct {
	Settings Settings // what the machine is asked for; default DefaultSettings

	// OnLine, if set, is told each state of the host's port as it comes. It must neither block nor call Close.
	OnLine func(Line)

	Chunk   int           // bytes to the host in one message; default 1024
	Pace    time.Duration // least time from one such message to the next; default none. See BIOSPace
	Timeout time.Duration // for the answer to the start; default 10 s
}

// A Session is the console's end: Read gives what the host sends, Write sends to it. One goroutine may read while others
// write. The machine holds the host back while nobody reads, then drops.
type Session struct {
	port
	o        Options
	protocol console // of the reading goroutine
	pongs    chan uint32

	pacing sync.Mutex // guards what follows; held for a whole Write
	next   time.Time  // when the next data may go
}

// Open opens the serial line on a connection that has logged in for [redir.SOL]. The connection belongs to the Session
// from now on and is closed on an error. The session ends when ctx does.
//
// The error wraps [ErrRefused], [redir.ErrTimeout], [redir.ErrCut], [redir.ErrOpcode], or is the connection's.
func Open(ctx context.Context, conn Conn, o Options) (*Session, error) {
	s := &Session{o: o, protocol: console{state: startSent}, pongs: make(chan uint32, 1)}
	if s.o.Settings == (Settings{}) {
		s.o.Settings = DefaultSettings()
	}
	s.o.Chunk = min(cmp.Or(max(o.Chunk, 0), defaultChunk), MaxData)
	if err := s.start(ctx, conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("serial-over-LAN: %w", err)
	}
	s.port.init(ctx, conn, rxConsole)
	s.seq = 2
	s.wg.Go(s.receive)
	s.wg.Go(s.keep)
	return s, nil
}

func (s *Session) start(ctx context.Context, conn Conn) error {
	if _, err := conn.Write(Start{Sequence: 1, Settings: s.o.Settings}.Append(nil)); err != nil {
		return err
	}
	m, err := first(ctx, conn, cmp.Or(s.o.Timeout, 10*time.Second))
	if err != nil {
		return err
	}
	_, err = s.protocol.step(m)
	return err
}

// Read reads what the host has sent. After the end of the session it gives what is left and then the reason: io.EOF if
// the machine ended the session, [ErrClosed], or an error that wraps [ErrSilent], [redir.ErrCut] or [redir.ErrOpcode].
func (s *Session) Read(p []byte) (int, error) { return s.read(p) }

// Write sends p to the host, in pieces and at the pace of the options. Nothing tells whether the host takes it; see
// [Flushed].
func (s *Session) Write(p []byte) (n int, err error) {
	s.pacing.Lock()
	defer s.pacing.Unlock()
	for n < len(p) {
		if err := s.pause(); err != nil {
			return n, err
		}
		piece := p[n:min(len(p), n+s.o.Chunk)]
		if err := s.writeData(false, piece); err != nil {
			return n, s.failed(err)
		}
		n += len(piece)
	}
	return n, s.ended()
}

// pause waits until the next data may go.
func (s *Session) pause() error {
	if s.o.Pace <= 0 {
		return nil
	}
	if wait := time.Until(s.next); wait > 0 {
		select {
		case <-time.After(wait):
		case <-s.closing:
			return ErrClosed
		case <-s.over:
			return s.failed(s.err)
		}
	}
	s.next = time.Now().Add(s.o.Pace)
	return nil
}

// Close ends the session in order: it waits for the machine's answer, for a second at most. The error tells how the
// session had ended before, if not by the machine's wish.
func (s *Session) Close() error {
	s.closed.Do(func() {
		close(s.closing)
		late := time.AfterFunc(goodbye, func() { s.finish(ErrClosed) })
		if s.write(header(opEnd)) != nil {
			s.finish(ErrClosed)
		}
		<-s.over // the answer has come, or the second has gone
		late.Stop()
	})
	s.wg.Wait()
	if errors.Is(s.err, ErrClosed) || s.err == io.EOF {
		return nil
	}
	return s.err
}

// receive reads until the end.
func (s *Session) receive() {
	silence, most := s.newSilence(), 4*milliseconds(s.o.Settings.Heartbeat)
	if most > 0 {
		most = max(most, minSilence)
	}
	for {
		m, err := s.port.next(silence, most)
		if err == nil {
			var got received
			if got, err = s.protocol.step(m); err == nil {
				s.act(got)
				continue
			}
			if err == errEnded { // as Close has asked
				late := time.AfterFunc(goodbye, func() { s.finish(io.EOF) })
				s.conn.Write(redir.AppendEnd(nil)) // there is no answer, and nothing depends on it
				late.Stop()
				err = io.EOF
			}
		}
		select {
		case <-s.closing:
			err = ErrClosed
		default:
		}
		s.finish(err)
		return
	}
}

func (s *Session) act(got received) {
	if got.line != nil && s.o.OnLine != nil {
		s.o.OnLine(*got.line)
	}
	if got.ping {
		select {
		case s.pongs <- got.sequence:
		default: // so many are not worth an answer
		}
	}
	s.deliver(got.data)
}

// keep keeps the session alive: the machine ends it after RxTimeout without a word from the console.
func (s *Session) keep() {
	every := 2 * time.Second
	if rx := milliseconds(s.o.Settings.RxTimeout) / 4; rx > 0 {
		every = min(every, rx)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-tick.C:
			err = s.write(header(opHeartbeat))
		case ping := <-s.pongs:
			err = s.write(func(b []byte, _ uint32) []byte { return appendHeader(b, opPong, ping) })
		case <-s.over:
			return
		}
		if err != nil {
			s.finish(fmt.Errorf("serial-over-LAN: %w", err))
			return
		}
	}
}

func milliseconds(n uint16) time.Duration { return time.Duration(n) * time.Millisecond }

// The states of either end.
type state string

const (
	startSent state = "start sent"
	wantStart state = "want start"
	open      state = "open"
	ending    state = "ending"
)

// A console is the protocol at the console's end.
type console struct{ state state }

// received is what a message means for a console.
type received struct {
	data     []byte
	line     *Line
	ping     bool
	sequence uint32 // of the ping
}

// step is the whole protocol: what arrived in which state, and what it means. It does no I/O.
func (c *console) step(m []byte) (got received, err error) {
	switch {
	case m[0] == opRecorded:
		return got, nil
	case c.state == startSent && m[0] == opStartReply:
		r, _, err := ParseStartReply(m)
		if err == nil && r.Status != redir.StatusSuccess {
			err = fmt.Errorf("%w: %v", ErrRefused, r.Status)
		}
		c.state = open
		return got, err
	case c.state == open:
		switch m[0] {
		case opDataFromHost:
			d, _, err := ParseData(m)
			return received{data: d.Bytes}, err
		case opLine:
			line, _, err := ParseLine(m)
			return received{line: &line}, err
		case opPing:
			ping, _, err := ParseMessage(m)
			return received{ping: true, sequence: ping.Sequence}, err
		case opHeartbeat, opPong:
			return got, nil
		case opEndReply: // to our end; or the machine's own wish
			return got, errEnded
		}
	}
	return got, fmt.Errorf("serial-over-LAN: %w %02xh while %s", redir.ErrOpcode, m[0], c.state)
}
