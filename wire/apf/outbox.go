package apf

import (
	"fmt"
	"io"
	"sync"
)

// An outbox is what waits to be written: control messages as bytes, and the channels that have data and a window for
// them. The writer goroutine pulls; nobody else writes to the connection. So a Write on a channel can give up at its
// deadline though the connection is stuck, and 64 channels share one Write of TLS.
//
// Control messages go first. Of a channel the order is kept: it is confirmed before it is scheduled, and closed after its
// data has been taken or given up.
type outbox struct {
	maxMessage int

	mu         sync.Mutex // guards what follows; taken last of all locks
	wake       sync.Cond  // the writer waits
	control    batch
	head, tail *Channel // scheduled, linked by next
	closing    bool     // nothing more is taken; the writer ends when control is empty
}

// A batch is messages back to back, and where each ends.
type batch struct {
	b    []byte
	ends []int
}

func (t *batch) add(m message) {
	t.b = m.Append(t.b)
	t.end()
}

func (t *batch) end() { t.ends = append(t.ends, len(t.b)) }

// post queues a control message. It does not block: what makes us answer without reading the answers is ErrFlood.
func (o *outbox) post(messages ...message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return nil
	}
	for _, m := range messages {
		before := len(o.control.b)
		o.control.add(m)
		if n := len(o.control.b) - before; o.maxMessage > 0 && n > o.maxMessage {
			o.control.b = o.control.b[:before]
			o.control.ends = o.control.ends[:len(o.control.ends)-1]
			return fmt.Errorf("apf: %w: message of %d bytes, at most %d", ErrTooLong, n, o.maxMessage)
		}
	}
	o.wake.Signal()
	if len(o.control.b) > maxControl {
		return fmt.Errorf("apf: %w: %d bytes wait", ErrFlood, len(o.control.b))
	}
	return nil
}

// schedule queues a channel, whose lock the caller holds, to be asked for its data.
func (o *outbox) schedule(c *Channel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.scheduled || o.closing {
		return
	}
	c.scheduled = true
	if o.tail == nil {
		o.head = c
	} else {
		o.tail.next = c
	}
	o.tail = c
	o.wake.Signal()
}

// finish makes the writer end once it has written the last message, or at once if there is none.
func (o *outbox) finish(last message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return
	}
	o.closing, o.head, o.tail = true, nil, nil
	if last == nil {
		o.control = batch{}
	} else {
		o.control.add(last)
	}
	o.wake.Signal()
}

// fill waits for something to write and puts it into t, whose memory is used again. It returns false when there will be
// nothing more.
func (o *outbox) fill(t *batch) bool {
	t.b, t.ends = t.b[:0], t.ends[:0]
	o.mu.Lock()
	for len(o.control.b) == 0 && o.head == nil && !o.closing {
		o.wake.Wait()
	}
	o.control, *t = *t, o.control
	if len(t.b) == 0 && o.closing {
		o.mu.Unlock()
		return false
	}
	if cap(o.control.b) > 4*maxBatch {
		o.control = batch{} // after a storm
	}
	for len(t.b) < maxBatch && o.head != nil {
		c := o.head
		if o.head = c.next; o.head == nil {
			o.tail = nil
		}
		c.next, c.scheduled = nil, false
		o.mu.Unlock()
		c.take(t)
		o.mu.Lock()
	}
	o.mu.Unlock()
	return true
}

// writeTo writes the batch, or each message of it by itself.
func (t *batch) writeTo(w io.Writer, each bool) error {
	if !each {
		_, err := w.Write(t.b)
		return err
	}
	start := 0
	for _, end := range t.ends {
		if _, err := w.Write(t.b[start:end]); err != nil {
			return err
		}
		start = end
	}
	return nil
}
