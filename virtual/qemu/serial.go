package qemu

import (
	"io"
	"net"
	"slices"
	"sync"
)

// A serial is the serial port: what the guest writes goes to the lines that are joined, and is lost if there are none.
type serial struct {
	mu    sync.Mutex // guards what follows
	conn  net.Conn   // of the process; nil: off
	lines []*line
}

// A line is one console that is joined.
type line struct {
	io.ReadWriter
	using sync.Mutex // held while it is written
	gone  bool       // guarded by using
}

// OpenSerial joins a console to the first serial port of the guest until close. It stays joined when the guest is switched
// off and on.
func (m *Machine) OpenSerial(rw io.ReadWriter) (close func()) {
	l := &line{ReadWriter: rw}
	s := &m.serial
	s.mu.Lock()
	s.lines = append(s.lines, l)
	s.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { s.typeFrom(l) })
	return sync.OnceFunc(func() {
		s.mu.Lock()
		s.lines = slices.DeleteFunc(slices.Clone(s.lines), func(other *line) bool { return other == l })
		s.mu.Unlock()
		l.using.Lock()
		l.gone = true
		l.using.Unlock()
		wg.Wait()
	})
}

// typeFrom passes on what is typed at a console, until its session ends.
func (s *serial) typeFrom(l *line) {
	b := make([]byte, 256)
	for {
		n, err := l.Read(b)
		s.mu.Lock()
		conn := s.conn
		s.mu.Unlock()
		if n > 0 && conn != nil {
			conn.Write(b[:n]) // a guest that ends does not read it
		}
		if err != nil {
			return
		}
	}
}

// pump passes on what the guest of a process writes, until the process ends.
func (s *serial) pump(conn net.Conn) {
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conn == conn {
			s.conn = nil
		}
	}()
	b := make([]byte, 4096)
	for {
		n, err := conn.Read(b)
		s.mu.Lock()
		lines := s.lines
		s.mu.Unlock()
		for _, l := range lines {
			l.using.Lock()
			if !l.gone {
				if _, err := l.Write(b[:n]); err != nil {
					l.gone = true
				}
			}
			l.using.Unlock()
		}
		if err != nil {
			return
		}
	}
}
