//go:build amd64 || arm64

package devmei

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// longest is the longest message that is taken from a program, in bytes; AMT's clients take 5120.
const longest = 64 << 10

// pace is the least time between two messages to a program, and before the first: the driver never has one for the first
// read that does not wait, and MeshCentral's agent fails if there is one. Real engines are no faster, and programs have come to rely on
// it. rpc-go 3.0.0-beta.50 hands an answer on before it has acknowledged the close of its channel; if the next request
// clears the session first, the reader of before does not end, and two goroutines read the one connection. One of them
// then may work off a close before the other the data in front of it, which is lost. Without a pause that fails two of
// eight admin activations; with rpc-go changed to wait for its reader, none, without a pause either. The pause makes it
// rare, not impossible: a busy computer can stop the first reader for longer.
const pace = time.Millisecond

// A file is one opening of the device. The program has the other end of ours, in as many copies as it likes.
type file struct {
	inode uint64   // of the program's end, which tells it from other files
	mode  int      // O_RDONLY, O_WRONLY or O_RDWR
	ours  *os.File // messages; closed when all copies of the other end are

	mu     sync.Mutex // guards what follows
	state  fileState
	conn   mei.Conn      // if connected, or gone
	offset int           // in the first message that waits, of what a short read has taken
	events int           // that NOTIFY_GET has not seen
	notify bool          // NOTIFY_SET was 1 once
	news   chan struct{} // closed when events grows, or the connection ends
}

type fileState string

const (
	fresh      fileState = "fresh"
	connecting fileState = "connecting"
	connected  fileState = "connected"
	gone       fileState = "gone" // firmware has ended the connection
)

// now returns the state, the connection, and whether a read must begin within a message.
func (f *file) now() (fileState, mei.Conn, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state, f.conn, f.offset > 0
}

// newFile makes a file and returns the program's end of it, which the caller closes.
func newFile(mode int, nonblock bool) (f *file, theirs int, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, err
	}
	var info unix.Stat_t
	if err = unix.SetNonblock(ends[0], true); err == nil {
		err = unix.Fstat(ends[1], &info)
	}
	if err == nil && nonblock {
		err = unix.SetNonblock(ends[1], true)
	}
	if err != nil {
		unix.Close(ends[0])
		unix.Close(ends[1])
		return nil, 0, err
	}
	return &file{inode: info.Ino, mode: mode, news: make(chan struct{}), ours: os.NewFile(uintptr(ends[0]), "mei"), state: fresh}, ends[1], nil
}

// serve moves what the program writes until it has closed the file.
func (f *file) serve(ctx context.Context, s *server) {
	defer f.close()
	message := make([]byte, longest)
	for {
		n, err := f.ours.Read(message)
		if err != nil {
			return
		}
		if state, conn, _ := f.now(); state == connected {
			if err := mei.Send(ctx, conn, message[:n]); err != nil && !errors.Is(err, mei.ErrTooLong) {
				s.log.Info("write", "error", err)
				f.end()
			}
		}
	}
}

// deliver moves what firmware sends until the connection ends.
func (f *file) deliver(ctx context.Context, conn mei.Conn) {
	defer f.end()
	for {
		message, err := mei.Receive(ctx, conn)
		if err != nil {
			return
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return
		}
		if _, err := f.ours.Write(message); err != nil {
			return
		}
	}
}

// end is firmware's end of the connection: reads find the end of what was sent.
func (f *file) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == gone {
		return
	}
	f.state = gone
	f.tell()
	if raw, err := f.ours.SyscallConn(); err == nil { // else it is closed
		raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_WR) })
	}
}

// close disconnects.
func (f *file) close() {
	f.ours.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = gone
	if f.conn != nil {
		f.conn.Close()
	}
}

// connectTo is CONNECT_CLIENT, or CONNECT_CLIENT_VTAG with a tag. Source: spec mei.md section 3.1.
func (f *file) connectTo(ctx context.Context, s *server, client guid.GUID, tag uint8, tagged bool) unix.Errno {
	f.mu.Lock()
	state := f.state
	if state == fresh {
		f.state = connecting
	}
	f.mu.Unlock()
	switch {
	case state == gone:
		return unix.ENODEV
	case tagged && state == connected:
		return unix.EOPNOTSUPP
	case state != fresh:
		return unix.EBUSY
	}
	var conn mei.Conn
	var err error
	switch tags, ok := s.bus.(mei.TagBus); {
	case !tagged:
		conn, err = s.bus.Connect(ctx, client)
	case ok:
		conn, err = tags.ConnectTag(ctx, client, tag)
	default:
		err = mei.EOPNOTSUPP
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if f.state == connecting {
			f.state = fresh
		}
		return number(err)
	}
	if f.state != connecting { // closed by the program in between
		conn.Close()
		return unix.ENODEV
	}
	f.state, f.conn = connected, conn
	s.work.Go(func() { f.deliver(ctx, conn) })
	return 0
}

// number is the error number for an error of a bus.
func number(err error) unix.Errno {
	var refused *mei.Error
	var errno mei.Errno
	switch {
	case errors.As(err, &refused) && refused.Errno != 0:
		return unix.Errno(refused.Errno)
	case errors.As(err, &errno):
		return unix.Errno(errno)
	}
	return unix.EFAULT // as the driver says when firmware does not answer
}

// setNotify is NOTIFY_SET.
func (f *file) setNotify(ctx context.Context, s *server, value uint32) unix.Errno {
	state, conn, _ := f.now()
	notifier, ok := conn.(mei.Notifier)
	switch {
	case state != connected:
		return unix.ENODEV
	case value > 1:
		return unix.EINVAL
	case !ok:
		return unix.EOPNOTSUPP
	}
	if err := notifier.Notify(value == 1); err != nil {
		return number(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if value == 1 && !f.notify {
		f.notify = true
		s.work.Go(func() {
			for notifier.Notified(ctx) == nil {
				f.mu.Lock()
				f.events++
				f.tell()
				f.mu.Unlock()
			}
		})
	}
	return 0
}

// tell wakes those who wait for an event. The lock is held.
func (f *file) tell() {
	close(f.news)
	f.news = make(chan struct{})
}

// getNotify is NOTIFY_GET. It does not wait: after EAGAIN it is worth asking again when changed is closed.
func (f *file) getNotify() (changed <-chan struct{}, errno unix.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.state != connected:
		return nil, unix.ENODEV
	case f.events == 0:
		return f.news, unix.EAGAIN
	}
	f.events = 0
	return nil, 0
}
