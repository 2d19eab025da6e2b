//go:build amd64 || arm64

package devmei

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	deviceMode  = unix.S_IFCHR | 0o600
	deviceBlock = 4096
	deviceInode = 1 // on a file system of its own
)

func (s *server) stat(n *notice) { s.statFile(n, unix.AT_FDCWD, n.Args[0], n.Args[1], 0) }
func (s *server) fstatat(n *notice) {
	s.statFile(n, int32(n.Args[0]), n.Args[1], n.Args[2], uint32(n.Args[3]))
}

// fstat is asked about where the file descriptor may be the device's.
func (s *server) fstat(n *notice) {
	if s.find(n.PID, int32(n.Args[0])) == nil {
		s.listener.pass(n)
		return
	}
	s.tell(n, n.Args[1], deviceStat())
}

func (s *server) statFile(n *notice, dir int32, path, buffer uint64, flags uint32) {
	name, device := s.meant(n, dir, path)
	device = device || s.empty(n, dir, path, flags)
	switch {
	case device:
		s.tell(n, buffer, deviceStat())
	case name != "":
		var info unix.Stat_t
		if err := unix.Stat(name, &info); err != nil {
			s.listener.fail(n, err.(unix.Errno))
			return
		}
		s.tell(n, buffer, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info)))
	default:
		s.listener.pass(n)
	}
}

func (s *server) statx(n *notice) {
	dir, flags, mask, buffer := int32(n.Args[0]), uint32(n.Args[2]), uint32(n.Args[3]), n.Args[4]
	name, device := s.meant(n, dir, n.Args[1])
	device = device || s.empty(n, dir, n.Args[1], flags)
	var info unix.Statx_t
	switch {
	case device:
		info = unix.Statx_t{Mask: unix.STATX_BASIC_STATS, Blksize: deviceBlock, Nlink: 1, Mode: deviceMode, Ino: deviceInode, Rdev_major: deviceMajor, Rdev_minor: deviceMinor}
	case name != "":
		if err := unix.Statx(unix.AT_FDCWD, name, 0, int(mask), &info); err != nil {
			s.listener.fail(n, err.(unix.Errno))
			return
		}
	default:
		s.listener.pass(n)
		return
	}
	s.tell(n, buffer, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info)))
}

// empty reports whether a stat with an empty path is about an open file of the device.
func (s *server) empty(n *notice, fd int32, path uint64, flags uint32) bool {
	if flags&unix.AT_EMPTY_PATH == 0 || fd < 0 {
		return false
	}
	if path != 0 {
		if name, ok := readString(n.PID, path); !ok || name != "" {
			return false
		}
	}
	return s.find(n.PID, fd) != nil
}

// deviceStat is the struct stat of the device.
func deviceStat() []byte {
	info := unix.Stat_t{Mode: deviceMode, Nlink: 1, Ino: deviceInode, Rdev: unix.Mkdev(deviceMajor, deviceMinor), Blksize: deviceBlock}
	return unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info))
}

// tell writes a result to where the program wants it.
func (s *server) tell(n *notice, address uint64, result []byte) {
	if !s.listener.valid(n) {
		return
	}
	if writeMemory(n.PID, address, result) != nil {
		s.listener.fail(n, unix.EFAULT)
		return
	}
	s.listener.fail(n, 0)
}

func (s *server) readlink(n *notice)   { s.noLink(n, unix.AT_FDCWD, n.Args[0]) }
func (s *server) readlinkat(n *notice) { s.noLink(n, int32(n.Args[0]), n.Args[1]) }

// noLink says of what is ours that it is no symbolic link: realpath(3) asks for each part of a path.
func (s *server) noLink(n *notice, dir int32, path uint64) {
	name, device := s.meant(n, dir, path)
	if _, err := os.Lstat(name); !device && (name == "" || err != nil) {
		s.listener.pass(n)
		return
	}
	s.listener.fail(n, unix.EINVAL)
}

func (s *server) access(n *notice)    { s.mayAccess(n, unix.AT_FDCWD, n.Args[0], uint32(n.Args[1])) }
func (s *server) faccessat(n *notice) { s.mayAccess(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2])) }

func (s *server) mayAccess(n *notice, dir int32, path uint64, mode uint32) {
	switch name, device := s.meant(n, dir, path); {
	case device && mode&unix.X_OK != 0:
		s.listener.fail(n, unix.EACCES)
	case device:
		s.listener.fail(n, 0)
	case name != "":
		errno, _ := unix.Access(name, mode).(unix.Errno)
		s.listener.fail(n, errno)
	default:
		s.listener.pass(n)
	}
}
