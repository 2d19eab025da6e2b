package hosts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// disk is what replacing a file needs of a file system.
type disk interface {
	CreateTemp(dir, pattern string) (tempFile, error) // mode 0600
	Rename(from, to string) error
	SyncDir(dir string) error // so that a rename survives a power failure
}

type tempFile interface {
	io.Writer
	Name() string
	Sync() error
	Close() error
}

type realDisk struct{}

func (realDisk) CreateTemp(dir, pattern string) (tempFile, error) { return os.CreateTemp(dir, pattern) }
func (realDisk) Rename(from, to string) error                     { return os.Rename(from, to) }
func (realDisk) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // there is no such thing
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// replace puts content at path: a reader sees the old file or the new one, never a part of it, and
// when anything fails the old one stays. A symbolic link keeps pointing where it points.
func replace(d disk, path string, content []byte) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w: not a regular file", path, fs.ErrInvalid)
	}
	dir := filepath.Dir(path)
	temp, err := d.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temp.Close()
			err = errors.Join(err, ignoreMissing(os.Remove(temp.Name())))
		}
	}()
	if _, err := temp.Write(content); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	if err := d.Rename(temp.Name(), path); err != nil {
		return err
	}
	// From here on the new file is in place; a directory that cannot be synced (some network file
	// systems) loses at most the change, never the file.
	_ = d.SyncDir(dir)
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
