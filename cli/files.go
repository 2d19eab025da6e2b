package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile replaces a file, readable by its owner alone, so that a crash leaves the old one or the new one.
func writeFile(name string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = tmp.Write(content)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// canWrite tells beforehand whether writeFile would work. name "" is no file.
func canWrite(name string) error {
	if name == "" {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // without the name of the file that was only tried
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	tmp.Close()
	return os.Remove(tmp.Name())
}

// madeUpPassword returns a password that AMT takes: upper and lower case, a digit and a sign.
func madeUpPassword() string { return "Ab1!" + rand.Text()[:12] }
