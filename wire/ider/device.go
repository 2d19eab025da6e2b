package ider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outband/outband/wire/redir"
)

// DeviceOptions are a machine's settings for [Accept]. The zero value works.
type DeviceOptions struct {
	Firmware [2]uint8 // version, major and minor, for the reply to the open

	// Allow, if set, is asked when the console wants to enable or disable the drives; false refuses.
	Allow func(enable bool, when Moment) bool

	// OnEnable, if set, is told when the drives are enabled or disabled, after the console has its answer. To let the
	// host see it is the caller's part: at once, or for OnReboot at the host's next reset. Neither of the two may block
	// or call methods of the Device; a goroutine that they start may.
	OnEnable func(enabled bool, when Moment)

	DMA bool // commands say that the host wants DMA

	// Settle is the pause after an answer to the console, before anything else is sent; default 50 ms. amtider throws
	// away what comes with it in one read.
	Settle time.Duration

	CommandTimeout time.Duration // for the console to end a command; default 30 s
	Timeout        time.Duration // for the console's open; default 30 s
}

const (
	defaultRxTimeout = 30 * time.Second
	minRxTimeout     = 10 * time.Second
	defaultHeartbeat = 5 * time.Second
	minHeartbeat     = 100 * time.Millisecond
	resetTimeout     = 5 * time.Second
)

// A Device is the machine's end: it hands commands of a host to the console, one at a time. Safe for concurrent use.
type Device struct {
	link
	o         DeviceOptions
	rxTimeout time.Duration
	heartbeat time.Duration
	enabled   atomic.Bool
	settled   atomic.Int64 // time after start from which on the console can take anything
	pinged    atomic.Bool  // a ping of ours is not answered yet
	replies   chan reply
	bus       chan struct{} // holds a token while nobody uses the bus
	results   chan result   // capacity 1: of the running command
	wasReset  chan struct{} // capacity 1: the console has answered a reset

	// Of who holds the bus.
	dirty bool        // a command was given up: the console must forget it first
	timer *time.Timer // of the running command

	mu      sync.Mutex // guards what follows
	active  bool       // a command is running
	in      []byte     // where its data goes
	n       int        // how much has come
	aborted bool
}

// A result is what a message of the console means for the running command.
type result struct {
	op    uint8 // opCommandEnd, opDataToHost, opGetData, opReset
	sense Sense
	want  int // of opGetData
}

// A reply is an answer to the console.
type reply struct {
	op       uint8
	features Features
}

// Accept waits for the console to open the session, on a connection that has logged in for [redir.IDER]. The connection
// belongs to the Device from now on and is closed on an error. The session ends when ctx does.
//
// The error wraps [redir.ErrTimeout], [redir.ErrCut], [redir.ErrOpcode], or is the connection's.
func Accept(ctx context.Context, conn Conn, o DeviceOptions) (*Device, error) {
	d := &Device{o: o}
	d.o.Settle = cmp.Or(o.Settle, 50*time.Millisecond)
	d.o.CommandTimeout = cmp.Or(o.CommandTimeout, 30*time.Second)
	d.replies, d.bus = make(chan reply, 4), make(chan struct{}, 1)
	d.results, d.wasReset = make(chan result, 1), make(chan struct{}, 1)
	d.timer = time.NewTimer(time.Hour)
	d.timer.Stop()
	d.bus <- struct{}{}
	d.init(ctx, conn, 64<<10)
	if err := d.open(); err != nil {
		d.finish(err)
		d.wg.Wait()
		return nil, fmt.Errorf("storage redirection: %w", d.err)
	}
	d.wg.Go(d.receive)
	d.wg.Go(d.keep)
	return d, nil
}

// open takes the first message and answers it.
func (d *Device) open() error {
	late := time.AfterFunc(cmp.Or(d.o.Timeout, 30*time.Second), func() { d.finish(redir.ErrTimeout) })
	defer late.Stop()
	m, err := d.conn.Next(Length)
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", redir.ErrCut, io.ErrUnexpectedEOF)
	case err != nil:
		return err
	}
	open, _, err := ParseOpenRequest(m)
	if err != nil {
		return err
	}
	d.rxTimeout = max(cmp.Or(milliseconds(open.RxTimeout), defaultRxTimeout), minRxTimeout)
	d.heartbeat = max(cmp.Or(milliseconds(open.Heartbeat), defaultHeartbeat), minHeartbeat)
	d.settled.Store(int64(time.Since(d.start) + d.o.Settle))
	return d.write(func(seq uint32) message {
		return OpenReply{
			Sequence: seq, Major: 1, Firmware: d.o.Firmware,
			ReadBuffer: MaxBuffer, WriteBuffer: MaxBuffer, Enterprise: redir.EnterpriseIntel,
		}
	})
}

// Enabled tells whether the console has enabled the drives.
func (d *Device) Enabled() bool { return d.enabled.Load() }

// Close tells the console that the session ends and closes the connection. The error tells how the session had ended
// before, if not by the console's wish.
func (d *Device) Close() error {
	d.closed.Do(func() {
		close(d.closing)
		late := time.AfterFunc(goodbye, func() { d.finish(ErrClosed) })
		d.write(header(opCloseReply)) // a console that hears it no more sees the connection closed
		late.Stop()
		d.finish(ErrClosed)
	})
	d.wg.Wait()
	return d.result()
}

// Command runs one packet command. out is the data of a write; in takes the data of a read, and n says how much came:
// what is beyond its end is dropped. A command that the console refuses gives its [Sense] as the error. Other errors wrap
// [ErrDetached], [ErrReset], [redir.ErrTimeout], are ctx's, or the reason why the session has ended.
//
// A command that is given up, because ctx ends or the console takes too long, is followed by a bus reset before the next.
func (d *Device) Command(ctx context.Context, drive Drive, cdb [12]byte, out, in []byte) (n int, err error) {
	if err := d.seize(ctx); err != nil {
		return 0, err
	}
	defer func() { d.bus <- struct{}{} }()
	if d.Err() != nil {
		return 0, d.gone()
	}
	if d.dirty {
		if err := d.resetBus(); err != nil {
			return 0, err
		}
	}
	if !d.enabled.Load() {
		return 0, fmt.Errorf("storage redirection: %w", ErrDetached)
	}
	if err := d.settle(ctx); err != nil {
		return 0, err
	}
	d.begin(in)
	if err := d.sendCommand(drive, cdb); err != nil {
		d.finish(err)
		return 0, err
	}
	return d.await(ctx, out)
}

// seize takes the bus.
func (d *Device) seize(ctx context.Context) error {
	select {
	case <-d.bus:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.over:
		return d.gone()
	}
}

// gone is the error of who finds the session ended.
func (d *Device) gone() error { return fmt.Errorf("storage redirection: session has ended: %w", d.err) }

// settle waits until the console can take anything.
func (d *Device) settle(ctx context.Context) error {
	wait := time.Duration(d.settled.Load()) - time.Since(d.start)
	if wait <= 0 {
		return nil
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.over:
		return d.gone()
	}
}

// begin makes the reader take data for in.
func (d *Device) begin(in []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.results: // of a command that was given up
	default:
	}
	d.active, d.aborted, d.in, d.n = true, false, in, 0
}

// end tells how much has come. Whatever comes later is not for this command.
func (d *Device) end() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active, d.in = false, nil
	return d.n
}

func (d *Device) sendCommand(drive Drive, cdb [12]byte) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	m := Command{Sequence: d.seq, DriveSelect: uint8(drive), ATA: ataPacket, CDB: cdb}
	if d.o.DMA {
		m.Features = 1
	}
	d.out = m.Append(d.out[:0])
	return d.send()
}

// await waits for the end of the command and serves its writes.
func (d *Device) await(ctx context.Context, out []byte) (n int, err error) {
	d.timer.Reset(d.o.CommandTimeout)
	defer d.timer.Stop()
	for {
		select {
		case r := <-d.results:
			switch r.op {
			case opGetData:
				if out, err = d.give(out, r.want); err != nil {
					d.finish(err)
					return d.end(), err
				}
				continue
			case opReset:
				return d.end(), fmt.Errorf("storage redirection: %w", ErrReset)
			}
			n = d.end()
			if r.sense != senseNone {
				return n, r.sense
			}
			return n, nil
		case <-d.timer.C:
			d.dirty = true
			return d.end(), fmt.Errorf("storage redirection: %w", redir.ErrTimeout)
		case <-ctx.Done():
			d.dirty = true
			return d.end(), context.Cause(ctx)
		case <-d.over:
			return d.end(), d.gone()
		}
	}
}

// give sends the next want bytes of a write, filled up with zeros, and returns the rest.
func (d *Device) give(out []byte, want int) (rest []byte, err error) {
	for want > 0 {
		piece := make([]byte, min(want, MaxBuffer))
		out = out[copy(piece, out):]
		want -= len(piece)
		if err := d.write(func(seq uint32) message { return DataFromHost{seq, piece} }); err != nil {
			return out, err
		}
	}
	return out, nil
}

// Reset is the host's reset of the bus: it ends a running command and waits until the console has taken note.
func (d *Device) Reset(ctx context.Context) error {
	d.mu.Lock()
	if d.active && !d.aborted {
		d.aborted = true
		d.post(result{op: opReset})
	}
	d.mu.Unlock()
	if err := d.seize(ctx); err != nil {
		return err
	}
	defer func() { d.bus <- struct{}{} }()
	if err := d.settle(ctx); err != nil {
		return err
	}
	return d.resetBus()
}

// resetBus sends the reset and waits for its answer; without one the session ends. The bus is held.
func (d *Device) resetBus() error {
	select {
	case <-d.wasReset: // nobody had asked
	default:
	}
	err := d.write(func(seq uint32) message { return Reset{Sequence: seq, Mask: 1} })
	if err != nil {
		d.finish(err)
		return err
	}
	d.timer.Reset(resetTimeout)
	defer d.timer.Stop()
	select {
	case <-d.wasReset:
		d.dirty = false
		return nil
	case <-d.timer.C:
		d.finish(fmt.Errorf("storage redirection: bus reset: %w", redir.ErrTimeout))
	case <-d.over:
	}
	return d.gone()
}

// post hands a result to the running command; an abort overtakes what is there. mu is held.
func (d *Device) post(r result) {
	select {
	case d.results <- r:
		return
	default:
	}
	if r.op == opReset {
		select {
		case <-d.results:
		default:
		}
		select {
		case d.results <- r:
		default:
		}
	}
}
