//go:build amd64 || arm64

package devmei

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A notice is the kernel's question about a system call: struct seccomp_notif. Source: include/uapi/linux/seccomp.h.
type notice struct {
	ID    uint64
	PID   uint32 // of the thread
	Flags uint32
	Call  int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	ID    uint64
	Value int64
	Error int32 // negative
	Flags uint32
}

// addition is struct seccomp_notif_addfd.
type addition struct {
	ID         uint64
	Flags      uint32
	Source     uint32
	Number     uint32
	NumberFlag uint32
}

// A listener is where the kernel asks.
type listener int

func (l listener) control(request uint, arg unsafe.Pointer) (int, error) {
	for {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l), uintptr(request), uintptr(arg))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR: // by the Go runtime
		default:
			return 0, errno
		}
	}
}

// receive takes a question. ENOENT: it was withdrawn.
func (l listener) receive() (*notice, error) {
	n := &notice{}
	_, err := l.control(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(n))
	return n, err
}

// valid reports whether the question still stands, so that what was read of the process was of the one that asked.
func (l listener) valid(n *notice) bool {
	id := n.ID
	_, err := l.control(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id))
	return err == nil
}

// pass lets the kernel do what the program has asked for. Answers may come too late, if the program was killed: that is
// no error of ours.
func (l listener) pass(n *notice) {
	l.control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&response{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}))
}

// result is what the system call is to return.
func (l listener) result(n *notice, value int) {
	l.control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&response{ID: n.ID, Value: int64(value)}))
}

// fail has the system call fail; 0 is success.
func (l listener) fail(n *notice, errno unix.Errno) {
	l.control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&response{ID: n.ID, Error: -int32(errno)}))
}

// give hands the program a file as the result of the system call: under a number, or under a free one if that is 0.
func (l listener) give(n *notice, fd, number int, cloexec bool) error {
	a := addition{ID: n.ID, Flags: unix.SECCOMP_ADDFD_FLAG_SEND, Source: uint32(fd), Number: uint32(number)}
	if number != 0 {
		a.Flags |= unix.SECCOMP_ADDFD_FLAG_SETFD
	}
	if cloexec {
		a.NumberFlag = unix.O_CLOEXEC
	}
	_, err := l.control(unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&a))
	return err
}

// wait waits for a question, at most for a while. done: nobody is left who could ask.
func (l listener) wait(milliseconds int) (ready, done bool) {
	fds := []unix.PollFd{{Fd: int32(l), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, milliseconds); err != nil {
		return false, err != unix.EINTR
	}
	return fds[0].Revents&unix.POLLIN != 0, fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}
