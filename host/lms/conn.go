package lms

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outband/outband/wire/apf"
)

// Times of a connection that ends.
const (
	answerTime = 10 * time.Second // AMT may take so long to begin its answer when a program has said all it wants to say
	quietTime  = 5 * time.Second  // and fall silent for so long in the middle of it,
	scarceTime = time.Second / 4  // or only for so long when others wait for a channel
	drainTime  = time.Second      // a program may go on sending for so long once AMT has closed
)

const (
	copyBuffer  = 16 << 10         // octets; firmware grants windows of 4 to 16 KiB
	fullPause   = time.Second / 50 // before asking the firmware for a channel again
	acceptPause = time.Second / 10 // after a failure of accept, such as too many open files
)

// accept takes the connections to one port until its listener is closed.
func (f *forwarder) accept(ln net.Listener, port int) {
	for {
		conn, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed) || f.ctx.Err() != nil:
			if err == nil {
				abort(conn)
			}
			return
		case err != nil:
			f.s.log().Warn("accept", "port", port, "error", err)
			if !f.pause(acceptPause) {
				return
			}
			continue
		case !local(conn.RemoteAddr()):
			f.s.log().Warn("refused a caller from elsewhere", "port", port, "from", conn.RemoteAddr())
			abort(conn)
			continue
		case !f.enter():
			f.s.log().Warn("refused a caller: too many connections", "port", port)
			abort(conn)
			continue
		}
		f.work.Go(func() {
			defer f.leave()
			f.carry(conn, port)
		})
	}
}

func (f *forwarder) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// local reports whether a caller is a program on this PC.
func local(a net.Addr) bool {
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// enter counts a connection, unless there are as many as there may be.
func (f *forwarder) enter() bool {
	most := f.s.MaxConns
	if most <= 0 {
		most = maxConns
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.conns >= most {
		return false
	}
	f.conns++
	return true
}

func (f *forwarder) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns--
}

// abort closes so that the program sees an error, and not an end.
func abort(conn net.Conn) {
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	conn.Close()
}

// carry gets a channel for a connection and moves bytes both ways until either ends.
func (f *forwarder) carry(conn net.Conn, port int) {
	ch, err := f.open(conn, port)
	if err != nil {
		if f.ctx.Err() == nil {
			f.s.log().Info("connection was not taken", "port", port, "error", err)
		}
		abort(conn)
		return
	}
	clean := f.move(conn, ch, port)
	ch.Close()
	<-f.places
	if !clean {
		abort(conn)
		return
	}
	defer conn.Close()
	// AMT has said all. Closing with octets unread would take from the program what it has not read yet.
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	conn.SetReadDeadline(time.Now().Add(drainTime))
	defer context.AfterFunc(f.ctx, func() { conn.Close() })()
	io.Copy(io.Discard, conn)
}

// open waits for a place among the firmware's channels and opens one.
func (f *forwarder) open(conn net.Conn, port int) (*apf.Channel, error) {
	ctx, cancel := context.WithTimeoutCause(f.ctx, openTime, errors.New("no channel became free in time"))
	defer cancel()
	select {
	case <-f.ready: // a program may be faster than the end of the start-up
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	here, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	from, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	return f.channel(ctx, apf.ChannelOpen{
		Address: here.Addr().Unmap().String(), Port: uint32(port),
		OriginAddress: from.Addr().Unmap().String(), OriginPort: uint32(from.Port()),
	})
}

// channel opens a channel. Its place is to be given back once it is closed.
func (f *forwarder) channel(ctx context.Context, open apf.ChannelOpen) (*apf.Channel, error) {
	if err := f.place(ctx); err != nil {
		return nil, err
	}
	for {
		ch, err := f.session.Open(ctx, open)
		if err == nil {
			return ch, nil
		}
		// The firmware may still be closing the channel whose place this is.
		var no *apf.OpenError
		full := errors.Is(err, apf.ErrChannels) || errors.As(err, &no) && no.Reason == apf.ResourceShortage
		if !full || ctx.Err() != nil || !f.pause(fullPause) {
			<-f.places
			return nil, err
		}
	}
}

// place waits for a place among the firmware's channels.
func (f *forwarder) place(ctx context.Context) error {
	for {
		select {
		case f.places <- struct{}{}:
			return nil
		default:
		}
		f.hurry()
		again := time.NewTimer(fullPause)
		select {
		case f.places <- struct{}{}:
			again.Stop()
			return nil
		case <-ctx.Done():
			again.Stop()
			return context.Cause(ctx)
		case <-again.C:
		}
	}
}

// wane notes that a channel is kept only for what AMT may still have to say.
func (f *forwarder) wane(ch *apf.Channel) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.waning[ch] = now
	ch.SetReadDeadline(now.Add(quietTime))
}

// hurry ends channels that are kept for what AMT has not said for a while.
func (f *forwarder) hurry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for ch, last := range f.waning {
		if now.Sub(last) >= scarceTime {
			ch.SetReadDeadline(now)
		}
	}
}

// gone is the end of a channel.
func (f *forwarder) gone(ch *apf.Channel) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waning, ch)
}

// move moves bytes until the connection is over on both sides. It is clean if the program has been sent
// everything.
//
// A channel has no half: its close ends both directions. When a program has sent its last octet and waits for the answer
// to it, the channel is kept until AMT closes or falls silent. On the redirection ports, where an open channel is a
// session that nobody else can have, and when nothing was ever asked, it is closed at once.
func (f *forwarder) move(conn net.Conn, ch *apf.Channel, port int) (clean bool) {
	defer context.AfterFunc(f.ctx, func() { ch.Close(); abort(conn) })()
	var asked, owed atomic.Bool // the program has sent something; and AMT has not begun to answer it
	var ended, over atomic.Bool // the program has sent all; and wants no more
	var up sync.WaitGroup
	up.Go(func() {
		err := pump(ch, conn, func() { asked.Store(true); owed.Store(true) })
		if err == nil && asked.Load() && port != 16994 && port != 16995 {
			ended.Store(true)
			if owed.Load() {
				ch.SetReadDeadline(time.Now().Add(answerTime))
			} else {
				f.wane(ch)
			}
			return
		}
		over.Store(err == nil)
		ch.Close()
	})
	err := pump(conn, ch, func() {
		owed.Store(false)
		if ended.Load() {
			f.wane(ch)
		}
	})
	said := ended.Load() && !owed.Load() && errors.Is(err, os.ErrDeadlineExceeded)
	clean = (err == nil || said || over.Load()) && f.ctx.Err() == nil
	ch.Close()
	conn.SetReadDeadline(time.Now()) // ends the other direction
	up.Wait()
	f.gone(ch)
	conn.SetReadDeadline(time.Time{})
	return clean
}

// pump copies until the source ends (nil) or either fails. moved is called before each write.
func pump(to io.Writer, from io.Reader, moved func()) error {
	b := make([]byte, copyBuffer)
	for {
		n, err := from.Read(b)
		if n > 0 {
			moved()
			if _, err := to.Write(b[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
