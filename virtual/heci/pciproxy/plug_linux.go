package pciproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/virtual/heci"
)

// Insert readies the functions for a process that is about to start: args belong on its command line, files are to be
// inherited by it, the first under number fd, and closed by the caller afterwards. The functions go when the process
// does, or when ctx ends; Wait waits for that.
func (p *Plug) Insert(ctx context.Context, fd int) (args []string, files []*os.File, err error) {
	log := p.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var conns []*net.UnixConn
	defer func() {
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			closeAll(files)
			args, files = nil, nil
		}
	}()
	memory, err := unix.MemfdCreate("memory of the guest", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("pciproxy: %w", err)
	}
	files = append(files, os.NewFile(uintptr(memory), "memory of the guest"))
	pins := make([]Pin, len(p.Functions))
	for i := range 1 + len(p.Functions) { // the first is for the pins
		ours, theirs, err := socketPair()
		if err != nil {
			return nil, files, err
		}
		conns, files = append(conns, ours), append(files, theirs)
		if i > 0 {
			pins[i-1] = PinOf(p.Functions[i-1].slot())
		}
	}
	args = []string{
		// The device wants memory with a file behind it, whose descriptor it can offer.
		"-mem-path", fmt.Sprintf("/proc/self/fd/%d", fd),
		"-chardev", fmt.Sprintf("socket,id=outband-irq,fd=%d", fd+1),
		"-object", "qtest,id=outband-pins,chardev=outband-irq,log=none",
	}
	ctx, cancel := context.WithCancel(ctx)
	lines := NewLines(pins...)
	p.work.Go(func() { // the test socket ends with the process, and then all ends
		defer cancel()
		if err := lines.Drive(ctx, conns[0]); !errors.Is(err, io.EOF) && ctx.Err() == nil {
			log.Warn("the ME's interrupt is lost", "error", err)
		}
	})
	for i, f := range p.Functions {
		args = append(args, "-device", fmt.Sprintf("x-pci-proxy-dev,id=outband-me%d,addr=%#x,fd=%d", i, f.slot(), fd+2+i))
		function := heci.New(f.Model, func(level bool) { lines.Set(i, level) }, log)
		p.work.Go(func() {
			err := Serve(ctx, conns[1+i], function)
			log.Debug("the ME's function has gone from QEMU", "error", err)
		})
		p.work.Go(func() {
			if err := f.ME(ctx, function.Link()); ctx.Err() == nil {
				log.Warn("the ME behind QEMU's function has ended", "error", err)
			}
		})
	}
	return args, files, nil
}

// socketPair returns our end and QEMU's.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("pciproxy: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "for QEMU")
	file := os.NewFile(uintptr(fds[0]), "from QEMU")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("pciproxy: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}
