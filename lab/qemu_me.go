package lab

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/heci"
	"github.com/outband/outband/virtual/heci/pciproxy"
	"github.com/outband/outband/virtual/qemu"
	"github.com/outband/outband/wire/mei"
)

// choosesMachine are the options of QEMU that say which machine it is.
var choosesMachine = []string{"machine", "M"}

// An inBand is the management engine as a PCI function of a QEMU process.
type inBand struct {
	plug     pciproxy.Plug
	firmware atomic.Pointer[firmware.Machine] // nil while QEMU is only tried
}

// newInBand returns an engine that is good for trying QEMU.
func newInBand(log *slog.Logger) *inBand {
	b := &inBand{}
	b.plug = pciproxy.Plug{Log: log, Functions: []pciproxy.Function{{Model: heci.ModelOf(firmware.DefaultGeneration), ME: b.serve}}}
	return b
}

// use makes it a machine's engine, of the model that the release of its AMT comes with. No process runs.
func (b *inBand) use(m *firmware.Machine, release int) {
	b.plug.Functions[0].Model = heci.ModelOf(release)
	b.firmware.Store(m)
}

func (b *inBand) serve(ctx context.Context, link mei.Link) error {
	m := b.firmware.Load()
	if m == nil {
		<-ctx.Done()
		link.Close()
		return context.Cause(ctx)
	}
	return m.ServeME(ctx, link)
}

// extra adds the function to each process, until ctx ends.
func (b *inBand) extra(ctx context.Context) qemu.Extra {
	return func(fd int) (qemu.Addition, error) {
		args, files, err := b.plug.Insert(ctx, fd)
		return qemu.Addition{Args: append([]string{"-machine", "q35"}, args...), Files: files}, err
	}
}

// close waits for the functions. Their processes have ended.
func (b *inBand) close() {
	if b != nil {
		b.plug.Wait()
	}
}
