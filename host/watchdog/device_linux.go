package watchdog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A device is an open node of the kernel.
type device struct{ file *os.File }

// openDevice opens a node; without a path that of AMT. Opening starts the watchdog, so that one of unknown kind is not
// opened to ask what it is: sysfs tells.
func openDevice(path string) (timer, error) {
	if path == "" {
		var err error
		if path, err = findDevice("/sys/class/watchdog"); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := &device{file}
	if _, err := unix.IoctlGetWatchdogInfo(d.fd()); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is no watchdog: %w", path, err), file.Close())
	}
	return d, nil
}

// findDevice looks for AMT's in a folder of sysfs.
func findDevice(class string) (string, error) {
	files, err := filepath.Glob(filepath.Join(class, "watchdog*", "identity"))
	if err != nil {
		return "", err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err == nil && string(bytes.TrimSpace(text)) == Identity {
			return "/dev/" + filepath.Base(filepath.Dir(name)), nil
		}
	}
	return "", ErrNoDevice
}

func (d *device) fd() int { return int(d.file.Fd()) }

func (d *device) SetTimeout(seconds int) error {
	return unix.IoctlSetPointerInt(d.fd(), unix.WDIOC_SETTIMEOUT, seconds)
}

func (d *device) KeepAlive() error {
	err := unix.IoctlWatchdogKeepalive(d.fd())
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return err
}

func (d *device) Close() error {
	_, err := d.file.WriteString("V")
	return errors.Join(err, d.file.Close())
}
