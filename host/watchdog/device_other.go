//go:build !linux

package watchdog

// openDevice has nothing to open: watchdog devices are Linux's.
func openDevice(string) (timer, error) { return nil, ErrNoDevice }
