//go:build amd64 || arm64

package devmei

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (p *Program) run(ctx context.Context, log *slog.Logger) (code int, err error) {
	class, err := os.MkdirTemp("", "outband-mei-")
	if err != nil {
		return 0, fmt.Errorf("devmei: %w", err)
	}
	defer os.RemoveAll(class)
	if err := writeClass(class, p.Facts); err != nil {
		return 0, fmt.Errorf("devmei: %w", err)
	}
	give, err := adopt()
	if err != nil {
		return 0, fmt.Errorf("devmei: adopt orphans: %w", err)
	}
	defer give()

	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{ctx: serving, calls: calls(), bus: p.Bus, program: p, class: class, log: log, files: make(map[uint64]*file)}
	ended := make(chan struct{}) // nobody is left who could ask
	var fd int
	ready := func(l int) {
		fd, s.listener = l, listener(l)
		go func() {
			defer close(ended)
			s.serve()
		}()
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Env, p.Dir, p.Stdin, p.Stdout, p.Stderr
	cmd.WaitDelay = time.Second // for orphans that have its output still open; they are killed then
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	waited := make(chan error, 1)
	go own(func() { waited <- start(ctx, cmd, ready, p.Signals) })
	err = <-waited
	if fd == 0 { // not even the filter
		return 0, err
	}
	reap(ended)
	cancel()
	s.close()
	unix.Close(fd)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("devmei: %w", err)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// own runs f on a thread that ends with it, as the filter that f puts before its thread cannot be taken away. The
// process's first thread would not end.
func own(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	var other sync.WaitGroup
	other.Go(func() { own(f) })
	other.Wait()
	runtime.UnlockOSThread()
}

// start installs the filter, starts the program and waits for its end.
func start(ctx context.Context, cmd *exec.Cmd, ready func(int), signals <-chan os.Signal) error {
	fd, err := install()
	if err != nil {
		return err
	}
	ready(fd)
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		done := ctx.Done()
		for {
			select {
			case sig := <-signals:
				cmd.Process.Signal(sig)
			case <-done:
				cmd.Process.Kill()
				done = nil
			case <-stop:
				return
			}
		}
	})
	err = cmd.Wait()
	close(stop)
	watch.Wait()
	return err
}

// adopt makes orphans among the descendants children of this process. give ends that.
func adopt() (give func(), err error) {
	was, err := subreaper()
	if err != nil {
		return nil, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, err
	}
	return func() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, uintptr(was), 0, 0, 0) }, nil
}

// reap kills what the program has left behind, until nobody can ask any more.
func reap(ended <-chan struct{}) {
	for {
		for _, pid := range filtered() {
			unix.Kill(pid, unix.SIGKILL)
			unix.Wait4(pid, nil, 0, nil)
		}
		select {
		case <-ended:
			return
		case <-time.After(pollInterval / 10 * time.Millisecond):
		}
	}
}

// filtered returns the children of this process that have more filters than it has itself.
func filtered() []int {
	self, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	own := filters(string(self))
	all, _ := filepath.Glob("/proc/[0-9]*/status")
	var found []int
	for _, name := range all {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		status := string(text)
		if statusField(status, "PPid") != strconv.Itoa(os.Getpid()) || filters(status) <= own {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

func filters(status string) int {
	n, _ := strconv.Atoi(statusField(status, "Seccomp_filters"))
	return n
}

func subreaper() (int, error) {
	var was int32
	_, _, errno := unix.Syscall(unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&was)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(was), nil
}
