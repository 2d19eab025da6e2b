package mei

import "time"

// A phase of a channel's life.
type phase uint8

const (
	connecting    phase = 1
	connected     phase = 2
	disconnecting phase = 3 // our disconnect request is out
	gone          phase = 4
)

// A channel is one end of a connection as the link knows it: addresses, credits, fragments. It carries one conn, or
// several with tags. Both sides use it; what they do differently is in their machines.
type channel struct {
	me, host uint8
	props    Properties
	phase    phase
	due      time.Time // connecting, disconnecting, notify: by when the answer must be here
	failed   Errno     // why connecting failed

	free    bool   // fixed client: no credits
	credit  *int   // messages we may begin to send; shared by the connections of a client with a shared buffer
	granted *int   // messages we allowed the other side and that have not begun to arrive
	out     []*out // messages to send, the first perhaps begun
	conns   []*conn

	admitted bool   // ME: somebody counts this connection
	holds    bool   // ME: a message is in the client's buffer, or on its way there
	arriving bool   // in the middle of a message
	skip     bool   // which nobody wants
	tag      uint8  // of it
	tagOK    bool   // its extended header, if any, has a tag
	partial  []byte // what came of it
	long     bool   // it is longer than allowed; the bytes are not kept

	notify struct { // host: request for events
		waiting bool
		on      bool // events are on
		failed  Errno
	}
}

// firstPartial is how many bytes there is room for when the first of several fragments arrives: all that AMT's clients
// send.
const firstPartial = 5 << 10

// out is a message on its way.
type out struct {
	conn *conn
	tag  uint8
	data []byte
	sent int  // bytes
	open bool // its first fragment has left
}

// ready tells whether there is a fragment that may leave.
func (ch *channel) ready() bool {
	return ch.phase == connected && len(ch.out) > 0 && (ch.out[0].open || ch.free || *ch.credit > 0)
}

// fragment appends the next fragment, of most bytes of payload at most. ready must have said yes.
func (ch *channel) fragment(b []byte, most int) []byte {
	o := ch.out[0]
	if !o.open {
		o.open = true
		if !ch.free {
			*ch.credit--
		}
	}
	ext := withTag(o.tag)
	if ext != nil {
		most -= tagLen
	}
	n := min(most, len(o.data)-o.sent)
	p := Packet{ME: ch.me, Host: ch.host, Extensions: ext, Payload: o.data[o.sent:][:n]}
	o.sent += n
	if o.sent == len(o.data) {
		p.Complete = true
		ch.out = ch.out[1:]
		o.conn.queued--
		o.conn.changed()
	}
	return p.Append(b)
}

// arrive takes a fragment. wanted: a new message may begin, else it is skipped. done: a message is complete, for
// conn, which is nil if none has its tag; the message is too long if long.
func (ch *channel) arrive(p Packet, wanted bool) (done bool, c *conn, message []byte, long bool) {
	if !ch.arriving {
		ch.arriving, ch.skip, ch.long, ch.partial = true, !wanted, false, nil
		ch.tag, ch.tagOK = p.Tag()
	}
	if !ch.skip && !ch.long {
		if len(ch.partial)+len(p.Payload) > int(ch.props.MaxMsgLen) {
			ch.long, ch.partial = true, nil
		} else {
			if ch.partial == nil && !p.Complete {
				ch.partial = make([]byte, 0, min(ch.props.MaxMsgLen, firstPartial))
			}
			ch.partial = append(ch.partial, p.Payload...)
		}
	}
	if !p.Complete {
		return false, nil, nil, false
	}
	message, ch.partial, ch.arriving = ch.partial, nil, false
	if ch.skip {
		return false, nil, nil, false
	}
	return true, ch.find(ch.tag), message, ch.long
}

// find returns the connection with a tag.
func (ch *channel) find(tag uint8) *conn {
	for _, c := range ch.conns {
		if c.tag == tag {
			return c
		}
	}
	return nil
}

// drop forgets what c still had to send, save a message already begun.
func (ch *channel) drop(c *conn) {
	kept := ch.out[:0]
	for _, o := range ch.out {
		if o.conn != c || o.open {
			kept = append(kept, o)
		}
	}
	ch.out = kept
}

// remove takes c off the channel.
func (ch *channel) remove(c *conn) {
	for i, other := range ch.conns {
		if other == c {
			ch.conns = append(ch.conns[:i:i], ch.conns[i+1:]...)
			return
		}
	}
}

// finish ends the channel and tells everybody.
func (ch *channel) finish(why Errno) {
	ch.phase, ch.failed, ch.due = gone, why, time.Time{}
	ch.out, ch.partial, ch.arriving = nil, nil, false
	ch.notify.waiting = false
	for _, c := range ch.conns {
		c.changed()
	}
}

// alert tells everybody that something changed.
func (ch *channel) alert() {
	for _, c := range ch.conns {
		c.changed()
	}
}
