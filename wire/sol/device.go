package sol

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

const (
	txLimit  = 4096 // most data in one message to the console
	txDevice = 2 * txLimit
	rxDevice = 4096

	minHeartbeat = 100 * time.Millisecond
	minRxTimeout = 10 * time.Second
)

// DeviceOptions are a machine's settings for [Accept]. The zero value works.
type DeviceOptions struct {
	Control  Control    // lines of the host at the start
	Status   LineStatus // likewise; Powered if the host is on
	Firmware [2]uint8   // version, major and minor, for the reply to the start

	// Collect is how long bytes of the host wait for more; the first after a pause goes at once. Default 10 ms. It is
	// never longer than the console's TxBufferTimeout; if that is 0, bytes wait until the buffer is full.
	Collect time.Duration

	// TxOverflow takes the place of the console's TxOverflowTimeout, if set: how long Write waits while the console does
	// not read, before it drops. Where a guest's kernel writes its log, 100 ms is long enough.
	TxOverflow time.Duration

	// Settle is the pause after the answer to the start and after each line state; default 50 ms. amtterm throws away
	// what comes with them in one read.
	Settle time.Duration

	Timeout time.Duration // for the console's start; default 30 s
}

// A Device is the machine's end: Read gives what the console sends to the host, Write sends what the host has written to
// its port. One goroutine may read while others write.
type Device struct {
	port
	o        DeviceOptions
	settings Settings
	protocol device // of the receiving goroutine
	tx       *fifo
	replies  chan []byte
	changed  chan struct{} // capacity 1: the line state is to be sent
	stale    *time.Timer   // flushes rx; nil if the console does not want that

	fromHost, toHost atomic.Int64 // bytes lost

	lineMu sync.Mutex // guards what follows
	line   Line
	events LineStatus // what has happened since line was sent

	hosting  sync.Mutex // guards what follows; held for a whole Write
	dropping bool       // the time to wait has been waited, and there is still no room
}

// Accept waits for the console to open the serial line, on a connection that has logged in for [redir.SOL]. The
// connection belongs to the Device from now on and is closed on an error. The session ends when ctx does.
//
// The error wraps [redir.ErrTimeout], [redir.ErrCut], [redir.ErrOpcode], or is the connection's.
func Accept(ctx context.Context, conn Conn, o DeviceOptions) (*Device, error) {
	d := &Device{o: o, protocol: device{state: wantStart}}
	d.o.Collect = cmp.Or(o.Collect, 10*time.Millisecond)
	d.o.Settle = cmp.Or(o.Settle, 50*time.Millisecond)
	if err := d.start(ctx, conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("serial-over-LAN: %w", err)
	}
	d.port.init(ctx, conn, rxDevice)
	d.tx = newFIFO(txDevice)
	d.replies, d.changed = make(chan []byte, 4), make(chan struct{}, 1)
	d.line = Line{Control: o.Control, Status: o.Status}
	if t := milliseconds(d.settings.FifoRxFlushTimeout); t > 0 {
		d.stale = time.AfterFunc(t, d.flushRx)
		d.stale.Stop()
	}
	d.wg.Go(d.receive)
	d.wg.Go(d.send)
	return d, nil
}

func (d *Device) start(ctx context.Context, conn Conn) error {
	m, err := first(ctx, conn, cmp.Or(d.o.Timeout, 30*time.Second))
	if err != nil {
		return err
	}
	if _, err := d.protocol.step(m); err != nil {
		return err
	}
	start, _, err := ParseStart(m)
	if err != nil {
		return err
	}
	d.settings = start.Settings
	_, err = conn.Write(StartReply{
		Sequence: start.Sequence, Major: 1, Firmware: d.o.Firmware,
		MaxTxBuffer: d.settings.MaxTxBuffer, Enterprise: redir.EnterpriseIntel,
	}.Append(nil))
	return err
}

// Settings returns what the console has asked for.
func (d *Device) Settings() Settings { return d.settings }

// Lost returns how many bytes have been dropped so far: those of the host that the console did not take, and those of
// the console that the host did not fetch.
func (d *Device) Lost() (fromHost, toHost int64) { return d.fromHost.Load(), d.toHost.Load() }

// SetLine tells the console a new state of the host's port. States that follow fast may be told as one.
func (d *Device) SetLine(c Control, s LineStatus) {
	d.lineMu.Lock()
	same := d.line.Control == c && d.line.Status == s
	d.line = Line{Control: c, Status: s}
	d.lineMu.Unlock()
	if !same {
		leave(d.changed)
	}
}

// happened tells the console of something that is no state, once.
func (d *Device) happened(s LineStatus) {
	d.lineMu.Lock()
	d.events |= s
	d.lineMu.Unlock()
	leave(d.changed)
}

// Read reads what the console has sent. After the end of the session it gives what is left and then the reason: io.EOF
// if the console ended the session, [ErrClosed], or an error that wraps [ErrSilent], [redir.ErrCut] or [redir.ErrOpcode].
func (d *Device) Read(p []byte) (n int, err error) {
	n, err = d.read(p)
	if d.stale != nil && n > 0 {
		if d.rx.len() > 0 {
			d.stale.Reset(milliseconds(d.settings.FifoRxFlushTimeout))
		} else {
			d.stale.Stop()
		}
	}
	return n, err
}

// flushRx drops what the host has not fetched in time.
func (d *Device) flushRx() {
	if n := d.rx.flush(); n > 0 {
		d.toHost.Add(int64(n))
		d.happened(Flushed)
	}
}

// Write sends what the host has written to its port. While the console does not take it, Write waits as long as the
// console said, then drops and says that all was written, as a UART does: see [Device.Lost]. It fails only when the
// session has ended.
func (d *Device) Write(p []byte) (int, error) {
	d.hosting.Lock()
	defer d.hosting.Unlock()
	rest := p[d.tx.put(p):]
	if len(rest) < len(p) {
		d.dropping = false
	}
	for len(rest) > 0 && !d.dropping {
		if err := d.waitRoom(); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[d.tx.put(rest):]
	}
	if len(rest) > 0 {
		d.fromHost.Add(int64(len(rest)))
		d.happened(Overflow)
	}
	return len(p), d.failed(nil)
}

// waitRoom waits until tx may have room. hosting is held.
func (d *Device) waitRoom() error {
	var expired <-chan time.Time
	if t := cmp.Or(d.o.TxOverflow, milliseconds(d.settings.TxOverflowTimeout)); t > 0 {
		timer := time.NewTimer(t)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-d.tx.room:
	case <-expired:
		d.dropping = true
	case <-d.closing:
		return ErrClosed
	case <-d.over:
		return d.failed(nil)
	}
	return nil
}

// Close sends what Write has taken, for a second at most, and closes the connection, which is how machines end a session.
// The error tells how the session had ended before, if not by the console's wish.
func (d *Device) Close() error {
	d.closed.Do(func() {
		close(d.closing)
		late := time.AfterFunc(goodbye, func() { d.finish(ErrClosed) })
		<-d.over
		late.Stop()
		if d.stale != nil {
			d.stale.Stop()
		}
	})
	d.wg.Wait()
	if errors.Is(d.err, ErrClosed) || d.err == io.EOF {
		return nil
	}
	return d.err
}

// receive reads until the end.
func (d *Device) receive() {
	most := milliseconds(d.settings.RxTimeout)
	if most > 0 {
		most = max(most, minRxTimeout)
	}
	silence := d.newSilence()
	for {
		if d.protocol.state == ending {
			most = goodbye
		}
		m, err := d.port.next(silence, most)
		var got action
		if err == nil {
			got, err = d.protocol.step(m)
		}
		if err != nil {
			if err == errEnded {
				err = io.EOF
			}
			d.finish(err)
			return
		}
		if got.reply != nil {
			select {
			case d.replies <- got.reply:
			case <-d.over:
			}
		}
		if len(got.data) > 0 {
			if d.stale != nil && d.rx.len() == 0 {
				d.stale.Reset(milliseconds(d.settings.FifoRxFlushTimeout))
			}
			d.deliver(got.data)
		}
	}
}
