package ider

import (
	"fmt"
	"io"
	"time"

	"github.com/outband/outband/wire/redir"
)

// receive reads until the end.
func (d *Device) receive() {
	for {
		m, err := d.next()
		if err == nil {
			err = d.take(m)
		}
		if err != nil {
			d.finish(err)
			return
		}
	}
}

// take is the protocol at the machine's end: what each message of the console does. It writes nothing itself, so that it
// can always read on; what is to be answered goes to keep. Sequence numbers are not checked: amtider's jump.
func (d *Device) take(m []byte) error {
	switch m[0] {
	case opDataToHost:
		data, _, err := ParseDataToHost(m)
		d.data(data)
		return err
	case opCommandEnd:
		end, _, err := ParseCommandEnd(m)
		r := result{op: opCommandEnd}
		if end.Failed() {
			if r.sense = end.Sense; r.sense == senseNone {
				r.sense = Sense{Key: end.Error >> 4}
			}
			if r.sense == senseNone {
				r.sense = Sense{Key: 0x0B} // aborted, the console does not say why
			}
		}
		d.done(r)
		return err
	case opGetData:
		get, _, err := ParseGetData(m)
		d.done(result{op: opGetData, want: int(get.Bytes)})
		return err
	case opFeatures:
		f, _, err := ParseFeatures(m)
		if err != nil {
			return err
		}
		return d.reply(reply{opFeatures, f})
	case opPing:
		if d.pinged.CompareAndSwap(true, false) {
			return nil // amtider sends our ping back
		}
		return d.reply(reply{op: opPing})
	case opPong:
		d.pinged.Store(false)
		return nil
	case opHeartbeat:
		return nil
	case opResetReply:
		select {
		case d.wasReset <- struct{}{}:
		default:
		}
		return nil
	case opClose:
		return d.reply(reply{op: opClose})
	case opEndSession:
		return io.EOF
	}
	return unexpected(m[0], "from a console")
}

// data takes data of the running command; other data is late and dropped.
func (d *Device) data(m DataToHost) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.active || d.aborted {
		return
	}
	d.n += copy(d.in[d.n:], m.Data)
	if m.Last {
		d.post(result{op: opDataToHost})
	}
}

// done hands on a result that has no data.
func (d *Device) done(r result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.active && !d.aborted {
		d.post(r)
	}
}

func (d *Device) reply(r reply) error {
	select {
	case d.replies <- r:
		return nil
	case <-d.over:
		return d.err
	}
}

// keep answers the console and keeps the session alive.
func (d *Device) keep() {
	beat := time.NewTicker(d.heartbeat)
	defer beat.Stop()
	check := time.NewTicker(d.rxTimeout / 8)
	defer check.Stop()
	for {
		var err error
		select {
		case r := <-d.replies:
			err = d.answer(r)
		case <-beat.C:
			if d.calm() {
				err = d.write(header(opHeartbeat))
			}
		case <-check.C:
			err = d.check()
		case <-d.over:
			return
		}
		if err != nil {
			d.finish(err)
			return
		}
	}
}

// calm tells whether the console has had time to take what was sent last.
func (d *Device) calm() bool {
	return d.quiet() >= d.o.Settle && time.Since(d.start) >= time.Duration(d.settled.Load())
}

// check ends the session if nothing has come for too long; before, it asks for a word.
func (d *Device) check() error {
	switch silence := d.silence(); {
	case silence >= d.rxTimeout:
		return fmt.Errorf("storage redirection: %w", ErrSilent)
	case silence >= d.rxTimeout/2 && d.calm() && d.pinged.CompareAndSwap(false, true):
		return d.write(header(opPing))
	}
	return nil
}

// answer answers the console. After an answer that amtider waits for nothing else may come for a while.
func (d *Device) answer(r reply) error {
	switch r.op {
	case opPing:
		return d.write(header(opPong))
	case opClose:
		if err := d.write(header(opCloseReply)); err != nil {
			return err
		}
		d.enabled.Store(false)
		select { // the console closes, or ends the redirection session first
		case <-d.over:
			return d.err
		case <-time.After(goodbye):
			return io.EOF
		}
	case opFeatures:
		return d.answerFeatures(r.features)
	}
	return fmt.Errorf("storage redirection: %w: no answer for %02xh", redir.ErrProtocol, r.op)
}

func (d *Device) answerFeatures(f Features) error {
	v := d.feature(f)
	on, when := f.Value&enable != 0, Moment(f.Value&0x18)
	d.writing.Lock()
	d.settled.Store(int64(time.Since(d.start) + d.o.Settle))
	if f.Sub == FeatureSet && v == 1 {
		d.enabled.Store(on) // commands come after the answer, as they need the lock
	}
	d.out = FeaturesReply{d.seq, f.Sub, v}.Append(d.out[:0])
	err := d.send()
	d.writing.Unlock()
	if err == nil && f.Sub == FeatureSet && v == 1 && d.o.OnEnable != nil {
		d.o.OnEnable(on, when)
	}
	return err
}

// feature is the value of the reply.
func (d *Device) feature(f Features) uint32 {
	switch f.Sub {
	case FeatureSupported:
		return 1
	case FeatureState:
		if d.enabled.Load() {
			return 2
		}
	case FeatureSet:
		if d.o.Allow == nil || d.o.Allow(f.Value&enable != 0, Moment(f.Value&0x18)) {
			return 1
		}
	}
	return 0
}
