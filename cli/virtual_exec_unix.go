//go:build unix

package cli

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// passSignals returns the signals that a program which runs in the place of this one is to get. Those of the terminal's
// keys it gets from the terminal.
func passSignals() (signals <-chan os.Signal, stop func()) {
	in, out, ended := make(chan os.Signal, 8), make(chan os.Signal), make(chan struct{})
	signal.Notify(in, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			var s os.Signal
			select {
			case s = <-in:
			case <-ended:
				return
			}
			if (s == unix.SIGINT || s == unix.SIGQUIT) && foreground() {
				continue
			}
			select {
			case out <- s:
			case <-ended:
				return
			}
		}
	})
	return out, func() {
		signal.Stop(in)
		close(ended)
		work.Wait()
	}
}

// foreground tells whether the keys of a terminal are for this process's group.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
