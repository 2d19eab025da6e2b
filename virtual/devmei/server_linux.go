//go:build amd64 || arm64

package devmei

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/wire/mei"
)

// A server answers the system calls of one program and its children.
type server struct {
	ctx      context.Context // ends what waits for the management engine
	listener listener
	calls    map[int32]call
	bus      mei.Bus
	program  *Program
	class    string // folder that stands for /sys/class/mei
	log      *slog.Logger
	work     sync.WaitGroup

	mu    sync.Mutex // guards files
	files map[uint64]*file
}

// pollInterval is how often a wait looks whether it still makes sense, in milliseconds.
const pollInterval = 100

// serve answers until nobody is left who could ask.
func (s *server) serve() {
	for {
		ready, done := s.listener.wait(-1)
		if ready {
			n, err := s.listener.receive()
			if err == nil {
				s.calls[n.Call].answer(s, n)
			}
			continue
		}
		if done {
			break
		}
	}
}

// close ends all connections and waits for them.
func (s *server) close() {
	s.mu.Lock()
	for _, f := range s.files {
		f.close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// find returns the file that a descriptor of a process leads to; nil if it is no file of the device.
func (s *server) find(pid uint32, fd int32) *file {
	link, err := os.Readlink(procFD(pid, fd))
	text, ok := strings.CutPrefix(link, "socket:[")
	if err != nil || !ok {
		return nil
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[inode]
}

// meant returns the path that a program means, if it is one of ours: the device, or a file that stands for one of sysfs.
func (s *server) meant(n *notice, dir int32, address uint64) (file string, device bool) {
	if address == 0 {
		return "", false
	}
	name, ok := readString(n.PID, address)
	if !ok || !strings.Contains(name, "mei") {
		return "", false
	}
	name, ok = absolute(n.PID, dir, name)
	if !ok {
		return "", false
	}
	if name == "/dev/mei0" || name == "/dev/mei" {
		return "", true
	}
	if rest, ok := strings.CutPrefix(name, sysClass); ok && (rest == "" || rest[0] == '/') {
		return filepath.Join(s.class, rest), false
	}
	return "", false
}

func (s *server) open(n *notice)   { s.openFile(n, unix.AT_FDCWD, n.Args[0], n.Args[1]) }
func (s *server) openat(n *notice) { s.openFile(n, int32(n.Args[0]), n.Args[1], n.Args[2]) }

func (s *server) openat2(n *notice) {
	var how [8]byte // flags, the first field of struct open_how
	if readMemory(n.PID, n.Args[2], how[:]) != nil {
		s.listener.pass(n)
		return
	}
	s.openFile(n, int32(n.Args[0]), n.Args[1], le64(how[:]))
}

func (s *server) openFile(n *notice, dir int32, path, flags uint64) {
	name, device := s.meant(n, dir, path)
	switch cloexec := flags&unix.O_CLOEXEC != 0; {
	case !s.listener.valid(n):
	case device && flags&unix.O_DIRECTORY != 0:
		s.listener.fail(n, unix.ENOTDIR)
	case device && flags&unix.O_CREAT != 0 && flags&unix.O_EXCL != 0:
		s.listener.fail(n, unix.EEXIST)
	case device:
		s.openDevice(n, flags)
	case name != "":
		fd, err := unix.Open(name, int(flags)&^unix.O_CREAT|unix.O_CLOEXEC, 0)
		if err != nil {
			s.listener.fail(n, err.(unix.Errno))
			return
		}
		defer unix.Close(fd)
		if err := s.listener.give(n, fd, 0, cloexec); err != nil {
			s.listener.fail(n, unix.EMFILE)
		}
	default:
		s.listener.pass(n)
	}
}

// openDevice gives the program a file under a number that the filter knows, or another one where that cannot be.
func (s *server) openDevice(n *notice, flags uint64) {
	f, theirs, err := newFile(int(flags)&unix.O_ACCMODE, flags&unix.O_NONBLOCK != 0)
	if err != nil {
		s.log.Warn("open", "error", err)
		s.listener.fail(n, unix.ENOMEM)
		return
	}
	defer unix.Close(theirs)
	s.mu.Lock()
	s.files[f.inode] = f
	s.mu.Unlock()
	cloexec := flags&unix.O_CLOEXEC != 0
	err = unix.EMFILE
	for fd := int32(firstFD); fd <= lastFD; fd++ {
		if _, used := os.Lstat(procFD(n.PID, fd)); used != nil {
			err = s.listener.give(n, theirs, int(fd), cloexec)
			break
		}
	}
	if err != nil {
		err = s.listener.give(n, theirs, 0, cloexec)
	}
	if err != nil {
		s.listener.fail(n, unix.EMFILE)
	}
	s.work.Go(func() { // ends at once if nobody has the other end
		f.serve(s.ctx, s)
		s.mu.Lock()
		delete(s.files, f.inode)
		s.mu.Unlock()
	})
}
