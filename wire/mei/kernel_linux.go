package mei

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system returns the real kernel.
func system() kernel { return linux{} }

// linux is Linux. It uses poll and not the runtime's poller: that would ask for all events at once and so let firmware
// send where nobody reads.
type linux struct{}

func (linux) open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != unix.EINTR {
			return fd, number(err)
		}
	}
}

func (linux) close(fd int) { unix.Close(fd) }

func (linux) ioctl(fd int, request uint32, arg []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(&arg[0])))
	if errno != 0 {
		return number(errno)
	}
	return nil
}

func (linux) read(fd int, p []byte) (int, error) {
	n, err := unix.Read(fd, p)
	return max(n, 0), number(err)
}

func (linux) write(fd int, p []byte) (int, error) {
	n, err := unix.Write(fd, p)
	return max(n, 0), number(err)
}

func (linux) poll(fd int, events int16, waker int, timeout time.Duration) (int16, bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}, {Fd: int32(waker), Events: unix.POLLIN}}
	var limit *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		limit = &t
	}
	_, err := unix.Ppoll(fds, limit, nil)
	if err != nil {
		return 0, false, number(err)
	}
	return fds[0].Revents, fds[1].Revents != 0, nil
}

func (linux) waker() (int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return fd, number(err)
}

func (linux) wake(waker int) {
	one := [8]byte{1}
	unix.Write(waker, one[:]) // full is awake enough
}

func (linux) rest(waker int) {
	var count [8]byte
	unix.Read(waker, count[:])
}

// number turns Linux's error into ours.
func number(err error) error {
	var errno unix.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &errno):
		return Errno(errno)
	}
	return err
}
