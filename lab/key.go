package lab

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
)

// A usbKey is the image of a USB key in a file. If the file may not be written, the key is write-protected.
type usbKey struct {
	*os.File
	size int64
}

func openKey(path string) (*usbKey, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if os.IsPermission(err) {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("USB key: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("USB key: %w", err)
	}
	return &usbKey{f, size}, nil
}

// KeySize returns the octets of the key.
func (k *usbKey) KeySize() int64 { return k.size }

// bootWithKey plugs a key in and presses a button: power, or reset if the PC is on. When the BIOS is done it pulls the
// key out, for the next machine.
func bootWithKey(ctx context.Context, p *pc.PC, path string) error {
	key, err := openKey(path)
	if err != nil {
		return err
	}
	defer key.Close()
	p.PlugIn(key)
	defer p.PlugIn(nil)
	done := make(chan struct{}, 1)
	cancel := p.Watch(func(e firmware.Event) {
		if e.Kind == firmware.EventBooted {
			select {
			case done <- struct{}{}:
			default:
			}
		}
	})
	defer cancel()
	if p.Power() == firmware.S0 {
		p.Person().Reset()
	} else {
		p.Person().Press()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
