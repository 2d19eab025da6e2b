package pciproxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
)

// Pin is an input of an interrupt controller.
type Pin struct {
	Path   string // of the controller in QEMU's object tree
	Number int
}

// PinOf returns where INTA of a device on bus 0 ends on QEMU's q35 machine, if the slot is below 25: such devices share
// four inputs in turn. Source: qemu hw/isa/lpc_ich9.c, ich9_cc_reset.
func PinOf(slot int) Pin { return Pin{"/machine/q35/ioapic", 16 + 4 + slot%4} }

// Lines are the interrupt lines between functions and QEMU, low at first. Only the level counts: what is high and low
// again before QEMU has seen it was not.
type Lines struct {
	pins []Pin

	mu      sync.Mutex // guards what follows
	levels  []bool
	changed chan struct{} // holds one: a level may have changed
}

// NewLines returns a line to each of the pins, which differ.
func NewLines(pins ...Pin) *Lines {
	return &Lines{pins: pins, levels: make([]bool, len(pins)), changed: make(chan struct{}, 1)}
}

// Set sets the level of a line. It does not wait for QEMU.
func (l *Lines) Set(line int, level bool) {
	l.mu.Lock()
	l.levels[line] = level
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// maxReply is the longest answer line on the test socket, in bytes.
const maxReply = 256

// Drive sets the pins as the lines are, over QEMU's test socket, until ctx ends (its cause) or QEMU is gone. It closes
// conn.
func (l *Lines) Drive(ctx context.Context, conn io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer conn.Close()
	defer cancel(nil)
	replies := make(chan struct{})
	work.Go(func() {
		<-ctx.Done()
		conn.Close()
	})
	work.Go(func() {
		in := bufio.NewReaderSize(conn, maxReply)
		for {
			line, err := in.ReadSlice('\n')
			if err == nil && string(line) != "OK\n" {
				err = fmt.Errorf("QEMU says %q", line)
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
	set := make([]bool, len(l.pins))
	want := make([]bool, len(l.pins))
	for {
		l.mu.Lock()
		copy(want, l.levels)
		l.mu.Unlock()
		for i, level := range want {
			if level == set[i] {
				continue
			}
			set[i] = level
			if _, err := fmt.Fprintf(conn, "set_irq_in %s unnamed-gpio-in %d %d\n", l.pins[i].Path, l.pins[i].Number, number(level)); err != nil {
				cancel(fmt.Errorf("pciproxy: interrupt line: %w", err))
			}
			select {
			case <-replies:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		select {
		case <-l.changed:
		case <-ctx.Done():
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
