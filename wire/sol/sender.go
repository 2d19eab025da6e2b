package sol

import (
	"cmp"
	"fmt"
	"time"

	"github.com/outband/outband/wire/redir"
)

// send is the only one who writes: answers, line states, heartbeats, data.
func (d *Device) send() {
	s := &sender{d: d, hold: time.NewTimer(time.Hour)}
	defer s.hold.Stop()
	s.hold.Stop()
	s.limit = min(cmp.Or(int(d.settings.MaxTxBuffer), txLimit), txLimit)
	if t := milliseconds(d.settings.TxBufferTimeout); t > 0 {
		s.collect = min(d.o.Collect, t)
	}
	err := s.run()
	if err == nil {
		err = ErrClosed
	}
	d.finish(err)
}

// A sender decides when what is sent.
type sender struct {
	d       *Device
	limit   int           // bytes in one message
	collect time.Duration // 0: until there are limit
	hold    *time.Timer   // runs while bytes wait for more
	last    time.Time     // when data was sent
	piece   [txLimit]byte
}

// run sends until the session ends (an error) or is to be closed (nil).
func (s *sender) run() error {
	d := s.d
	var beat <-chan time.Time
	if t := milliseconds(d.settings.Heartbeat); t > 0 {
		tick := time.NewTicker(max(t, minHeartbeat))
		defer tick.Stop()
		beat = tick.C
	}
	if err := s.settle(); err != nil {
		return err
	}
	if err := s.line(); err != nil {
		return err
	}
	for {
		var err error
		select {
		case m := <-d.replies:
			_, err = d.conn.Write(m)
		case <-d.changed:
			err = s.line()
		case <-beat:
			err = d.write(header(opHeartbeat))
		case <-d.tx.more:
			if wait, ok := s.wait(); ok {
				if wait > 0 {
					s.hold.Reset(wait)
				}
				continue
			}
			err = s.data()
		case <-s.hold.C:
			err = s.data()
		case <-d.closing:
			for err == nil && d.tx.len() > 0 {
				err = s.data()
			}
			return err
		case <-d.over:
			return d.err
		}
		if err != nil {
			return err
		}
	}
}

// wait tells whether data is to wait for more, and for how long: 0 is until there is enough.
func (s *sender) wait() (time.Duration, bool) {
	if s.d.tx.len() >= s.limit {
		return 0, false
	}
	if s.collect == 0 {
		return 0, true
	}
	wait := s.collect - time.Since(s.last)
	return wait, wait > 0
}

// data sends one message of data.
func (s *sender) data() error {
	s.hold.Stop()
	n := s.d.tx.take(s.piece[:s.limit])
	if n == 0 {
		return nil
	}
	s.last = time.Now()
	return s.d.writeData(true, s.piece[:n])
}

// line sends the line state and lets it settle.
func (s *sender) line() error {
	d := s.d
	d.lineMu.Lock()
	now := d.line
	now.Status |= d.events
	d.events = 0
	d.lineMu.Unlock()
	err := d.write(func(b []byte, seq uint32) []byte {
		now.Sequence = seq
		return now.Append(b)
	})
	if err != nil {
		return err
	}
	return s.settle()
}

// settle lets the console take the last message alone.
func (s *sender) settle() error {
	select {
	case <-time.After(s.d.o.Settle):
		return nil
	case <-s.d.over:
		return s.d.err
	}
}

// A device is the protocol at the machine's end.
type device struct{ state state }

// action is what a message asks of a machine.
type action struct {
	data  []byte // for the host
	reply []byte
}

// step is the whole protocol: what arrived in which state, and what is to be done. It does no I/O.
func (d *device) step(m []byte) (got action, err error) {
	switch {
	case m[0] == opEndSession && d.state != wantStart:
		return got, errEnded
	case m[0] == opStart && d.state == wantStart:
		d.state = open
		return got, nil
	case m[0] == opDataToHost && d.state == ending: // amtterm sends one more
		return got, nil
	case m[0] == opDataToHost && d.state == open:
		data, _, err := ParseData(m)
		return action{data: data.Bytes}, err
	case d.state == open || d.state == ending:
		switch m[0] {
		case opPing:
			ping, _, err := ParseMessage(m)
			return action{reply: Message{opPong, ping.Sequence}.Append(nil)}, err
		case opEnd:
			end, _, err := ParseMessage(m)
			d.state = ending
			return action{reply: Message{opEndReply, end.Sequence}.Append(nil)}, err
		case opHeartbeat, opPong, opControls:
			return got, nil
		}
	}
	return got, fmt.Errorf("serial-over-LAN: %w %02xh while %s", redir.ErrOpcode, m[0], d.state)
}
