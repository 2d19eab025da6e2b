//go:build !linux

package pciproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Insert is of Linux alone, where QEMU has multi-process devices.
func (p *Plug) Insert(context.Context, int) (args []string, files []*os.File, err error) {
	return nil, nil, fmt.Errorf("pciproxy: %w on this system", errors.ErrUnsupported)
}
