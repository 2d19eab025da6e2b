package pciproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/virtual/heci"
	"github.com/outband/outband/wire/mei"
)

// A Plug puts the function into QEMU processes of a machine of type q35, one after the other. Its methods may be called
// from any goroutine.
type Plug struct {
	Model heci.Model
	// ME is the management engine behind the function; it closes the link. See firmware.Machine.ServeME.
	ME  func(ctx context.Context, link mei.Link) error
	Log *slog.Logger // nil: silent

	work sync.WaitGroup
}

// Insert readies the function for a process that is about to start: args belong on its command line, files are to be
// inherited by it, the first under number fd, and closed by the caller afterwards. The function goes when the process
// does, or when ctx ends; Wait waits for that.
func (p *Plug) Insert(ctx context.Context, fd int) (args []string, files []*os.File, err error) {
	log := p.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	proxy, theirProxy, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	irq, theirIRQ, err := socketPair()
	if err != nil {
		proxy.Close()
		theirProxy.Close()
		return nil, nil, err
	}
	memory, err := unix.MemfdCreate("memory of the guest", unix.MFD_CLOEXEC)
	if err != nil {
		for _, c := range []io.Closer{proxy, theirProxy, irq, theirIRQ} {
			c.Close()
		}
		return nil, nil, fmt.Errorf("pciproxy: %w", err)
	}
	var line Line
	f := heci.New(p.Model, line.Set, log)
	ctx, cancel := context.WithCancel(ctx)
	p.work.Go(func() { // when one part goes all go
		defer cancel()
		err := Serve(ctx, proxy, f)
		log.Debug("the ME's function has gone from QEMU", "error", err)
	})
	p.work.Go(func() {
		if err := line.Drive(ctx, irq, ME); !errors.Is(err, io.EOF) && ctx.Err() == nil {
			log.Warn("the ME's interrupt is lost", "error", err)
		}
	})
	p.work.Go(func() {
		if err := p.ME(ctx, f.Link()); ctx.Err() == nil {
			log.Warn("the ME behind QEMU's function has ended", "error", err)
		}
	})
	return []string{
		// The device wants memory with a file behind it, whose descriptor it can offer.
		"-mem-path", fmt.Sprintf("/proc/self/fd/%d", fd+2),
		"-chardev", fmt.Sprintf("socket,id=outband-irq,fd=%d", fd+1), "-object", "qtest,id=outband-pin,chardev=outband-irq,log=none",
		"-device", fmt.Sprintf("x-pci-proxy-dev,id=outband-me,addr=0x16,fd=%d", fd),
	}, []*os.File{theirProxy, theirIRQ, os.NewFile(uintptr(memory), "memory of the guest")}, nil
}

// Wait waits until the functions of all processes have gone.
func (p *Plug) Wait() { p.work.Wait() }

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
