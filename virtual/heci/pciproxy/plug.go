package pciproxy

import (
	"cmp"
	"context"
	"log/slog"
	"sync"

	"github.com/outband/outband/virtual/heci"
	"github.com/outband/outband/wire/mei"
)

// DefaultSlot is the device number of the ME's function on PCs.
const DefaultSlot = 0x16

// A Function is what stands behind a PCI function.
type Function struct {
	Model heci.Model
	Slot  int // on bus 0, 1 to 24; default [DefaultSlot]. Slots that differ by a multiple of 4 cannot go together
	// ME is the management engine behind the function; it closes the link. See firmware.Machine.ServeME.
	ME func(ctx context.Context, link mei.Link) error
}

// A Plug puts functions into QEMU processes of a machine of type q35, one process after the other. Its methods may be
// called from any goroutine.
type Plug struct {
	Functions []Function
	Log       *slog.Logger // nil: silent

	work sync.WaitGroup
}

func (f *Function) slot() int { return cmp.Or(f.Slot, DefaultSlot) }

// Wait waits until the functions of all processes have gone.
func (p *Plug) Wait() { p.work.Wait() }
