//go:build amd64 || arm64

package devmei

import (
	"encoding/binary"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/wire/guid"
)

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// ioctl answers the driver's. The connection may take the time that firmware takes.
func (s *server) ioctl(n *notice) {
	f := s.find(n.PID, int32(n.Args[0]))
	if f == nil || slices.Contains(ioctlOfAll[:], uint32(n.Args[1])) {
		s.listener.pass(n)
		return
	}
	s.work.Go(func() {
		errno := s.control(n, f)
		s.listener.fail(n, errno)
	})
}

// control does what an ioctl asks for.
func (s *server) control(n *notice, f *file) unix.Errno {
	address := n.Args[2]
	switch request := uint32(n.Args[1]); request {
	default: // not the driver's, such as FIONREAD
		return unix.ENOTTY
	case ioctlNotifySet:
		var value [4]byte
		if readMemory(n.PID, address, value[:]) != nil {
			return unix.EFAULT
		}
		return f.setNotify(s.ctx, s, binary.LittleEndian.Uint32(value[:]))
	case ioctlNotifyGet:
		errno := s.waitNotify(n, f)
		if errno == 0 && writeMemory(n.PID, address, []byte{1, 0, 0, 0}) != nil {
			errno = unix.EFAULT
		}
		return errno
	case ioctlConnect, ioctlConnectTag:
		tagged := request == ioctlConnectTag
		arg := make([]byte, 16, 20)
		if tagged {
			arg = arg[:20]
		}
		if readMemory(n.PID, address, arg) != nil {
			return unix.EFAULT
		}
		var tag uint8
		if tagged {
			if tag = arg[16]; tag == 0 {
				return unix.EINVAL
			}
		}
		client, err := guid.FromBytes(arg[:16])
		if err != nil {
			return unix.EINVAL
		}
		if errno := f.connectTo(s.ctx, s, client, tag, tagged); errno != 0 {
			return errno
		}
		_, conn, _ := f.now()
		properties := binary.LittleEndian.AppendUint32(nil, uint32(conn.MaxMsgLen()))
		properties = append(properties, conn.Version()) // the driver leaves the reserved bytes as they are
		if !s.listener.valid(n) || writeMemory(n.PID, address, properties) != nil {
			return unix.EFAULT
		}
		return 0
	}
}

// waitNotify waits for an event, unless the program does not want to wait.
func (s *server) waitNotify(n *notice, f *file) unix.Errno {
	for {
		changed, errno := f.getNotify()
		if errno != unix.EAGAIN || s.nonblocking(n) {
			return errno
		}
		select {
		case <-changed:
		case <-time.After(pollInterval * time.Millisecond):
			if signalled(n.PID) || !s.listener.valid(n) { // if it is not, nobody hears this
				return unix.EINTR
			}
		case <-s.ctx.Done():
			return unix.ENODEV
		}
	}
}

// nonblocking reports whether a program does not want to wait for what it asks of a file.
func (s *server) nonblocking(n *notice) bool {
	fd, err := borrow(n.PID, int32(n.Args[0]))
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return flags&unix.O_NONBLOCK != 0
}

// sync waits for nothing: what was written is on its way.
func (s *server) sync(n *notice) {
	f := s.find(n.PID, int32(n.Args[0]))
	if f == nil {
		s.listener.pass(n)
		return
	}
	if state, _, _ := f.now(); state != connected {
		s.listener.fail(n, unix.ENODEV)
		return
	}
	s.listener.fail(n, 0)
}

// write refuses what the driver refuses; the kernel does the rest.
func (s *server) write(n *notice) {
	f := s.find(n.PID, int32(n.Args[0]))
	if f == nil {
		s.listener.pass(n)
		return
	}
	switch state, conn, _ := f.now(); {
	case f.mode == unix.O_RDONLY:
		s.listener.fail(n, unix.EBADF)
	case state != connected:
		s.listener.fail(n, unix.ENODEV)
	case n.Args[2] == 0:
		s.listener.result(n, 0)
	case n.Args[2] > uint64(conn.MaxMsgLen()):
		s.listener.fail(n, unix.EFBIG)
	default:
		s.listener.pass(n)
	}
}

// read leaves whole messages to the kernel.
func (s *server) read(n *notice) {
	f := s.find(n.PID, int32(n.Args[0]))
	if f == nil {
		s.listener.pass(n)
		return
	}
	switch state, conn, within := f.now(); {
	case f.mode == unix.O_WRONLY:
		s.listener.fail(n, unix.EBADF)
	case n.Args[2] == 0:
		s.listener.result(n, 0)
	case state == fresh || state == connecting:
		s.listener.fail(n, unix.ENODEV)
	case state == connected && !within && n.Args[2] >= uint64(conn.MaxMsgLen()):
		s.listener.pass(n)
	default:
		s.work.Go(func() { s.readPart(n, f) })
	}
}

// readPart reads a message as far as the program has room, and keeps the rest for the next read, as the driver does.
func (s *server) readPart(n *notice, f *file) {
	fd, err := borrow(n.PID, int32(n.Args[0]))
	if err != nil {
		s.listener.fail(n, unix.EBADF)
		return
	}
	defer unix.Close(fd)
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	for {
		length, errno := f.take(fd, func(part []byte) error { return writeMemory(n.PID, n.Args[1], part) }, n.Args[2])
		if errno == 0 {
			s.listener.result(n, length)
			return
		}
		if errno != unix.EAGAIN || flags&unix.O_NONBLOCK != 0 {
			s.listener.fail(n, errno)
			return
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, pollInterval)
		if s.ctx.Err() != nil || !s.listener.valid(n) {
			s.listener.fail(n, unix.ENODEV)
			return
		}
		if signalled(n.PID) {
			s.listener.fail(n, unix.EINTR)
			return
		}
	}
}

// take hands out the next part of the first message that waits at the program's end, and removes it after its last.
func (f *file) take(fd int, put func([]byte) error, room uint64) (int, unix.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	message := make([]byte, f.conn.MaxMsgLen())
	length, _, err := unix.Recvfrom(fd, message, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	switch {
	case err == unix.EINTR:
		return 0, unix.EAGAIN
	case err != nil:
		return 0, err.(unix.Errno)
	case length == 0 && f.state == gone:
		return 0, unix.ENODEV
	}
	part := message[min(f.offset, length):length]
	part = part[:min(uint64(len(part)), room)]
	if put(part) != nil { // the driver drops the message, too
		f.offset = 0
		unix.Recvfrom(fd, message, unix.MSG_DONTWAIT)
		return 0, unix.EFAULT
	}
	if f.offset += len(part); f.offset >= length {
		f.offset = 0
		unix.Recvfrom(fd, message, unix.MSG_DONTWAIT)
	}
	return len(part), 0
}
