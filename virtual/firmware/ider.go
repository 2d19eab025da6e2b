package firmware

import (
	"context"
	"sync"

	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
)

// A Bay is a [Platform] that sees the two drives of storage redirection, a floppy and a CD.
type Bay interface {
	// Plug shows the drives of a session to the host. What its programs and its BIOS read, d asks the console for.
	Plug(d *ider.Device)

	// Unplug takes them away again.
	Unplug()
}

// drives are those of the open session. Its methods do not block.
type drives struct {
	mu      sync.Mutex
	bay     Bay
	device  *ider.Device
	plugged bool
	pending bool // plugged is to change at the next reset of the host
	ctx     context.Context
	wg      sync.WaitGroup
}

// serveIDER serves the drives of a console to the PC until the session ends.
func (m *Machine) serveIDER(ctx context.Context, s *redir.Session) error {
	d := &m.redirection.drives
	ready := make(chan struct{})
	device, err := ider.Accept(ctx, s, ider.DeviceOptions{
		Firmware: [2]uint8{uint8(m.profile.Release.Major), uint8(m.profile.Release.Minor)},
		OnEnable: func(enabled bool, when ider.Moment) {
			d.wg.Go(func() {
				<-ready
				d.enable(enabled, when)
			})
		},
	})
	if err != nil {
		close(ready)
		return err
	}
	d.mu.Lock()
	d.bay, _ = m.platform.(Bay)
	d.device, d.ctx, d.plugged, d.pending = device, ctx, false, false
	d.mu.Unlock()
	close(ready)
	<-device.Done()
	d.mu.Lock()
	d.set(false)
	d.device, d.pending = nil, false
	d.mu.Unlock()
	err = device.Close() // nothing calls OnEnable from here on
	d.wg.Wait()
	return err
}

// enable follows the console's wish, now or at the next reset.
func (d *drives) enable(enabled bool, when ider.Moment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending = when == ider.OnReboot && enabled != d.plugged; !d.pending {
		d.set(enabled)
	}
}

// set plugs or unplugs. mu is held.
func (d *drives) set(plugged bool) {
	if d.device == nil || d.plugged == plugged {
		return
	}
	d.plugged = plugged
	switch {
	case d.bay == nil:
	case plugged:
		d.bay.Plug(d.device)
	default:
		d.bay.Unplug()
	}
}

// reset follows the host's: what waited for it happens, and the console is told if its drives were in use.
func (d *drives) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.device == nil {
		return
	}
	if d.plugged {
		device, ctx := d.device, d.ctx
		d.wg.Go(func() { device.Reset(ctx) }) // a console that does not answer ends the session by itself
	}
	if d.pending {
		d.pending = false
		d.set(!d.plugged)
	}
}
