package pc

import (
	"context"
	"errors"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/fat"
	"github.com/outband/outband/wire/ider"
)

// Plug shows the two drives of a console to the PC.
func (p *PC) Plug(d *ider.Device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bay = d
	p.look()
}

// Unplug takes them away.
func (p *PC) Unplug() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bay = nil
	p.look()
}

// redirected tells whether a source is one of the console's drives.
func redirected(s firmware.BootSource) bool {
	return s == firmware.BootIDERFloppy || s == firmware.BootIDERCD
}

// probe reads the boot sector and the directory of a console's drive, and then has f called with what is there, with mu
// held, unless something else was begun meanwhile. mu is held.
func (p *PC) probe(source firmware.BootSource, f func(medium, error)) {
	p.stop()
	step, device := p.step, p.bay
	ctx, cancel := context.WithCancel(context.Background())
	p.reading = cancel
	p.wg.Go(func() {
		m, err := readDrive(ctx, device, source)
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.step == step && !p.closed {
			p.reading = nil
			f(m, err)
			p.look()
		}
	})
}

// readDrive reads a console's drive as a BIOS does.
func readDrive(ctx context.Context, d *ider.Device, source firmware.BootSource) (medium, error) {
	if source == firmware.BootIDERCD {
		disk, err := d.Disk(ctx, ider.CD)
		if err != nil {
			return medium{}, err
		}
		disk.ReadAhead = 64 << 10
		return readISO(disk)
	}
	disk, err := d.Disk(ctx, ider.Floppy)
	if err != nil {
		return medium{}, err
	}
	return readFloppy(disk)
}

// A floppyDisk is what readFloppy needs.
type floppyDisk interface {
	ReadAt(p []byte, off int64) (int, error)
	Size() int64
}

// readFloppy reads the boot sector, which boots if 55 AA stands at its end, and the files of the root directory.
func readFloppy(d floppyDisk) (m medium, err error) {
	sector := make([]byte, 512)
	if _, err := d.ReadAt(sector, 0); err != nil {
		return m, err
	}
	m.bootable = sector[510] == 0x55 && sector[511] == 0xAA
	v, err := fat.Open(d, d.Size())
	if err != nil {
		return m, errors.Join(errNoFileSystem, err)
	}
	m.label = v.Label()
	entries, err := v.Root()
	for i, e := range entries {
		if i == maxListed {
			break
		}
		m.files = append(m.files, e.Name)
	}
	return m, err
}
