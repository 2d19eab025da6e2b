package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/nbd"
	"github.com/outband/outband/wire/qmp"
)

// Identifiers of the console's drives in QEMU. Each is a device on USB, with a node of the same name.
const (
	idCD     = "outband-cd"
	idFloppy = "outband-floppy"
)

// readAhead is what is fetched of a console's medium at a time: a BIOS reads 2 KiB per command, and each command costs a
// round trip.
const readAhead = 64 << 10

// A bay holds the drives of a console, while they are plugged in.
type bay struct {
	machine *Machine

	mu      sync.Mutex      // guards what follows
	current *drives         // nil: none
	leaving <-chan struct{} // closed when the last ones that were unplugged have gone; nil: none were
	closed  bool
	wg      sync.WaitGroup // of all drives there were
}

// drives are those of one session, served by NBD on a socket.
type drives struct {
	ctx     context.Context
	cancel  context.CancelFunc
	path    string        // of the socket
	ready   chan struct{} // closed when media are known
	gone    chan struct{} // closed when they have been taken away
	changed func()        // the console has changed a medium
	media   []nbd.Export  // those that there are; named by identifier. Set before ready is closed

	mu  sync.Mutex // held while drives are plugged in or out; guards what follows
	ids []string   // plugged into on
	on  *process   // nil: not plugged in
}

// Plug shows the drives of a console to the guest. What it reads, d asks the console for.
func (m *Machine) Plug(d *ider.Device) {
	m.bay.mu.Lock()
	defer m.bay.mu.Unlock()
	m.bay.plug(d)
}

// plug begins to show drives. mu is held.
func (b *bay) plug(device *ider.Device) {
	b.unplug()
	if b.closed {
		return
	}
	m, before, d := b.machine, b.leaving, &drives{ready: make(chan struct{}), gone: make(chan struct{})}
	d.ctx, d.cancel = context.WithCancel(m.ctx)
	d.changed = func() { b.wg.Go(func() { b.replug(d, device) }) }
	b.current = d
	b.wg.Go(func() {
		if before != nil {
			<-before // two drives of one name cannot be there
		}
		if err := d.serve(device, func() { b.wg.Go(func() { m.plugIn(d) }) }); err != nil && d.ctx.Err() == nil {
			m.log.Warn("the console's drives cannot be shown to the guest", "error", err)
		}
	})
}

// replug shows drives anew, of which one has another medium.
func (b *bay) replug(d *drives, device *ider.Device) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current == d {
		b.plug(device)
	}
}

// Unplug takes them away.
func (m *Machine) Unplug() {
	m.bay.mu.Lock()
	defer m.bay.mu.Unlock()
	m.bay.unplug()
}

// unplug begins to take the drives away. mu is held.
func (b *bay) unplug() {
	d := b.current
	if b.current = nil; d == nil {
		return
	}
	b.leaving = d.gone
	d.cancel() // first: QEMU waits for what it is reading
	b.wg.Go(func() {
		defer close(d.gone)
		b.machine.plugOut(d)
	})
}

func (b *bay) close() {
	b.mu.Lock()
	b.closed = true
	b.unplug()
	b.mu.Unlock()
	b.wg.Wait()
}

func (b *bay) drives() *drives {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current
}

// plugged returns the identifiers of the drives that the guest sees.
func (b *bay) plugged() []string {
	d := b.drives()
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ids
}

// serve looks which media there are, and serves them until the drives are taken away. ready is called when they are
// served.
func (d *drives) serve(device *ider.Device, ready func()) error {
	defer d.cancel()
	media, err := d.look(device)
	if err != nil {
		close(d.ready)
		return err
	}
	dir, err := os.MkdirTemp("", "outband-nbd-")
	if err != nil {
		close(d.ready)
		return err
	}
	defer os.RemoveAll(dir)
	d.path = filepath.Join(dir, "nbd")
	l, err := net.Listen("unix", d.path)
	if err != nil {
		close(d.ready)
		return err
	}
	defer context.AfterFunc(d.ctx, func() { l.Close() })()
	defer l.Close()
	d.media = media
	close(d.ready)
	ready()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return context.Cause(d.ctx)
		}
		wg.Go(func() { nbd.Serve(d.ctx, conn, media...) }) // a connection that fails is QEMU's to mend
	}
}

// look finds out which drives have a medium.
func (d *drives) look(device *ider.Device) (media []nbd.Export, err error) {
	for _, drive := range []struct {
		ider.Drive
		id string
	}{{ider.CD, idCD}, {ider.Floppy, idFloppy}} {
		disk, err := device.Disk(d.ctx, drive.Drive)
		var sense ider.Sense
		switch {
		case errors.As(err, &sense):
			continue // no medium
		case err != nil:
			return nil, err
		}
		disk.ReadAhead = readAhead
		media = append(media, nbd.Export{
			Name: drive.id, Disk: patient{disk, d.changed}, BlockSize: int64(drive.BlockSize()), ReadOnly: drive.Drive == ider.CD,
		})
	}
	return media, nil
}

// patient reads again what a bus reset has cut short. A new medium is not read: it comes as a new drive.
type patient struct {
	*ider.Disk
	changed func()
}

const maxPatience = 4

func (p patient) ReadAt(b []byte, off int64) (n int, err error) {
	for range maxPatience {
		if n, err = p.Disk.ReadAt(b, off); !errors.Is(err, ider.ErrReset) {
			break
		}
	}
	return n, p.judge(err)
}

func (p patient) WriteAt(b []byte, off int64) (n int, err error) {
	for range maxPatience {
		if n, err = p.Disk.WriteAt(b, off); !errors.Is(err, ider.ErrReset) {
			break
		}
	}
	return n, p.judge(err)
}

// judge finds the word of NBD for an error.
func (p patient) judge(err error) error {
	switch {
	case errors.Is(err, ider.SenseProtected):
		return fmt.Errorf("%w: %w", nbd.ErrPermission, err)
	case errors.Is(err, ider.SenseAttention):
		p.changed()
	}
	return err
}

// plugIn shows drives to the guest that runs, if one does.
func (m *Machine) plugIn(d *drives) {
	m.mu.Lock()
	p := m.p
	m.mu.Unlock()
	if p == nil { // the next boot plugs them in
		return
	}
	if err := d.attach(m.ctx, p); err != nil && d.ctx.Err() == nil {
		m.log.Warn("the console's drives cannot be plugged in", "error", err)
	}
}

// attach shows the drives that there are to a process's guest, and returns their identifiers. It waits until the console
// has said which media there are.
func (b *bay) attach(p *process) []string {
	d := b.drives()
	if d == nil {
		return nil
	}
	select {
	case <-d.ready:
	case <-d.ctx.Done():
		return nil
	}
	if err := d.attach(b.machine.ctx, p); err != nil && d.ctx.Err() == nil {
		b.machine.log.Warn("the console's drives cannot be plugged in", "error", err)
	}
	return b.plugged()
}

// attach plugs the drives into a process. It does not stop half way when they are taken away meanwhile.
func (d *drives) attach(ctx context.Context, p *process) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on == p || d.ctx.Err() != nil {
		return nil
	}
	d.on, d.ids = p, nil
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	for _, e := range d.media {
		if err := p.addDrive(ctx, d.path, e); err != nil {
			p.removeDrive(ctx, e.Name) // what there is of it
			return err
		}
		d.ids = append(slices.Clone(d.ids), e.Name)
	}
	return nil
}

// addDrive plugs one drive in.
func (p *process) addDrive(ctx context.Context, socket string, e nbd.Export) error {
	type object = map[string]any
	id := e.Name
	node := object{
		"node-name": id, "driver": "raw", "read-only": e.ReadOnly,
		"file": object{"driver": "nbd", "server": object{"type": "unix", "path": socket}, "export": id},
	}
	if err := p.qmp.Do(ctx, "blockdev-add", node, nil); err != nil {
		return err
	}
	if id == idFloppy {
		return p.qmp.Do(ctx, "device_add", object{"driver": "usb-storage", "id": id, "bus": "outband-usb.0", "drive": id, "removable": true}, nil)
	}
	for _, add := range []object{
		{"driver": "usb-bot", "id": id + "-bot", "bus": "outband-usb.0"},
		{"driver": "scsi-cd", "id": id, "bus": id + "-bot.0", "drive": id},
	} {
		if err := p.qmp.Do(ctx, "device_add", add, nil); err != nil {
			return err
		}
	}
	return p.qmp.Do(ctx, "qom-set", object{"path": peripheral(id + "-bot"), "property": "attached", "value": true}, nil)
}

// plugOut takes drives away from the guest.
func (m *Machine) plugOut(d *drives) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on == nil {
		return
	}
	ctx, cancel := context.WithTimeout(m.ctx, commandTime)
	defer cancel()
	for _, id := range d.ids {
		if err := d.on.removeDrive(ctx, id); err != nil && ctx.Err() == nil && !errors.Is(err, qmp.ErrCut) && !errors.Is(err, qmp.ErrClosed) {
			m.log.Warn("a drive of the console cannot be plugged out", "error", err)
		}
	}
	d.on, d.ids = nil, nil
}

// removeDrive plugs one drive out. The node can only go when the device has, which the guest of a USB drive cannot hinder.
func (p *process) removeDrive(ctx context.Context, id string) error {
	device := id
	if id == idCD {
		device += "-bot"
	}
	err := p.qmp.Do(ctx, "device_del", map[string]string{"id": device}, nil)
	if refused := (*qmp.Error)(nil); err != nil && !(errors.As(err, &refused) && refused.Class == "DeviceNotFound") {
		return err
	}
	for {
		err := p.qmp.Do(ctx, "blockdev-del", map[string]string{"node-name": id}, nil)
		refused := (*qmp.Error)(nil)
		if err == nil || !errors.As(err, &refused) || strings.Contains(refused.Desc, "Failed to find node") {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
