package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// pty gives the line to programs that open a pseudo terminal, such as conserver or minicom.
func (l *solLine) pty(ctx context.Context) error {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("pseudo terminal: %w", err)
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	defer master.Close()
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		return fmt.Errorf("pseudo terminal: %w", err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	// Held open, so that the master does not fail while no program has it; and raw, as a serial line is.
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("pseudo terminal: %w", err)
	}
	defer slave.Close()
	if _, err := term.MakeRaw(int(slave.Fd())); err != nil {
		return fmt.Errorf("pseudo terminal: %w", err)
	}
	l.app.note("%s: serial line on %s", l.client.Address(), name)
	defer context.AfterFunc(ctx, func() { l.now().Close(); master.Close() })()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(l, master)
	}()
	err = l.copy(ctx, master)
	master.Close()
	<-done
	return err
}
