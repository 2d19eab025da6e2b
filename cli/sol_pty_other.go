//go:build !linux

package cli

import "context"

func (l *solLine) pty(context.Context) error {
	return usage("give --listen an address", "--listen pty: pseudo terminals are made on Linux only")
}
