package pciproxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
)

// A Line is the interrupt line INTA between a function and QEMU. The zero value is low. Only the level counts: what is
// high and low again before QEMU has seen it was not.
type Line struct {
	mu      sync.Mutex // guards what follows
	level   bool
	changed chan struct{} // closed at a change, if somebody waits
}

// Set sets the level. It does not wait for QEMU.
func (l *Line) Set(level bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.level == level {
		return
	}
	l.level = level
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// look returns the level, and what is closed when it changes.
func (l *Line) look() (level bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.level, l.changed
}

// Pin is an input of an interrupt controller.
type Pin struct {
	Path   string // of the controller in QEMU's object tree
	Number int
}

// ME is where INTA of device 22 ends on QEMU's q35 machine, whose devices share four inputs in turn. Source: qemu
// hw/isa/lpc_ich9.c, ich9_cc_reset.
var ME = Pin{"/machine/q35/ioapic", 16 + 4 + 22%4}

// maxReply is the longest answer line on the test socket, in bytes.
const maxReply = 256

// Drive sets the pin as the line is, over QEMU's test socket, until ctx ends (its cause) or QEMU is gone. It closes conn.
func (l *Line) Drive(ctx context.Context, conn io.ReadWriteCloser, pin Pin) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	var work sync.WaitGroup
	defer work.Wait()
	replies := make(chan struct{}, 1)
	work.Go(func() {
		in := bufio.NewReaderSize(conn, maxReply)
		for {
			line, err := in.ReadSlice('\n')
			if err == nil && string(line) != "OK\n" {
				err = fmt.Errorf("pciproxy: interrupt line: QEMU says %q", line)
			}
			if err != nil {
				cancel(fmt.Errorf("pciproxy: interrupt line: %w", err))
				return
			}
			select {
			case replies <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	})
	for last := false; ; {
		level, changed := l.look()
		if level == last {
			select {
			case <-changed:
			case <-ctx.Done():
				conn.Close()
				return context.Cause(ctx)
			}
			continue
		}
		last = level
		if _, err := fmt.Fprintf(conn, "set_irq_in %s unnamed-gpio-in %d %d\n", pin.Path, pin.Number, number(level)); err != nil {
			cancel(fmt.Errorf("pciproxy: interrupt line: %w", err))
		}
		select {
		case <-replies:
		case <-ctx.Done():
			conn.Close()
			return context.Cause(ctx)
		}
	}
}

func number(level bool) int {
	if level {
		return 1
	}
	return 0
}
