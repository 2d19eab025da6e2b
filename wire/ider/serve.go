package ider

import (
	"fmt"
	"io"
	"time"

	"github.com/outband/outband/wire/redir"
)

// command answers a command of the host.
func (s *Session) command(c *Command) error {
	started := time.Now()
	drive := c.Drive()
	s.mu.Lock()
	u := s.unit(drive)
	r := u.command(&c.CDB)
	medium := u.medium
	if c.ATA != ataPacket {
		r = response{sense: SenseOpcode}
	}
	s.mu.Unlock()

	var bytes int64
	var err error
	switch r.want {
	case readData:
		bytes = int64(r.blocks) * int64(drive.BlockSize())
		err = s.read(c, medium, int64(r.lba)*int64(drive.BlockSize()), bytes)
	case writeData:
		n := int(r.blocks) * drive.BlockSize()
		s.pending = &pendingWrite{drive, medium, r.lba, make([]byte, 0, n), started}
		return s.write(func(seq uint32) message { return GetData{seq, uint16(n), drive} })
	case flush:
		err = s.end(drive, flushMedium(medium))
	case eject:
		err = s.end(drive, senseNone)
		s.event(Event{Kind: Ejected, Drive: drive})
	default:
		if len(r.data) > 0 {
			err = s.reply(c, r.data)
		} else {
			err = s.end(drive, r.sense)
		}
	}
	s.record(c.CDB[0], r.want, drive, r.lba, r.blocks, bytes, time.Since(started))
	return err
}

// end ends a command without data.
func (s *Session) end(d Drive, sense Sense) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.out = End(s.seq, d, sense).Append(s.out[:0])
	return s.send()
}

// reply ends a command with data that fits one message.
func (s *Session) reply(c *Command, data []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.out = DataToHost{Sequence: s.seq, DMA: c.DMA(), Last: true, Drive: c.Drive(), Data: data}.Append(s.out[:0])
	return s.send()
}

// read answers a read of n bytes, in batches: each is read from the image at once and sent at once.
func (s *Session) read(c *Command, m *Medium, at, n int64) error {
	for n > 0 {
		size := min(n, int64(maxBatch*s.chunk))
		data := s.room(int(size))
		if !readImage(m, data, at) {
			return s.end(c.Drive(), SenseReadError)
		}
		n -= size
		at += size
		if err := s.sendBatch(c, len(data), n == 0); err != nil {
			return err
		}
		if s.resets.Load() > 0 {
			return nil // the host has given up; the response to its reset comes next
		}
	}
	return nil
}

// room returns n bytes at the end of a buffer that has room for their headers in front of them.
func (s *Session) room(n int) []byte {
	total := n + (n+s.chunk-1)/s.chunk*dataToHostLen
	if cap(s.batch) < total {
		s.batch = make([]byte, total)
	}
	s.batch = s.batch[:total]
	return s.batch[total-n:]
}

// sendBatch puts headers between the n bytes of data that room gave and sends it all with one Write. Each piece moves
// towards the front, the last one not at all.
func (s *Session) sendBatch(c *Command, n int, last bool) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	from, to := len(s.batch)-n, 0
	for n > 0 {
		size := min(n, s.chunk)
		n -= size
		h := DataToHost{Sequence: s.seq, DMA: c.DMA(), Last: last && n == 0, Drive: c.Drive()}
		s.seq++
		copy(s.batch[to+dataToHostLen:], s.batch[from:from+size])
		h.appendHeader(s.batch[to:to], size)
		from += size
		to += dataToHostLen + size
	}
	s.seq-- // send counts one
	out := s.out
	s.out = s.batch[:to]
	err := s.send()
	s.out = out
	return err
}

// readImage fills data; what is beyond the end of the image, inside its last block, is zero.
func readImage(m *Medium, data []byte, at int64) bool {
	want := max(min(int64(len(data)), m.Size-at), 0)
	n, err := m.Image.ReadAt(data[:want], at)
	clear(data[want:])
	return int64(n) == want && (err == nil || err == io.EOF)
}

// flushMedium makes a medium's writes last, if it knows how.
func flushMedium(m *Medium) Sense {
	if m == nil || m.Writer == nil {
		return senseNone
	}
	if f, ok := m.Writer.(interface{ Sync() error }); ok && f.Sync() != nil {
		return SenseWriteError
	}
	return senseNone
}

// written takes data of the write that is pending.
func (s *Session) written(data []byte) error {
	p := s.pending
	switch {
	case p == nil:
		return nil // of a write before a reset
	case len(p.data)+len(data) > cap(p.data):
		return fmt.Errorf("storage redirection: %w: %d bytes of data for a write of %d",
			redir.ErrProtocol, len(p.data)+len(data), cap(p.data))
	}
	p.data = append(p.data, data...)
	if len(p.data) < cap(p.data) {
		return nil
	}
	s.pending = nil
	if s.resets.Load() > 0 {
		return nil
	}
	sense := senseNone
	block := p.drive.BlockSize()
	if _, err := p.medium.Writer.WriteAt(p.data, int64(p.lba)*int64(block)); err != nil {
		sense = SenseWriteError
	}
	err := s.end(p.drive, sense)
	s.record(scsiWrite10, writeData, p.drive, p.lba, uint64(len(p.data)/block), int64(len(p.data)), time.Since(p.started))
	return err
}
