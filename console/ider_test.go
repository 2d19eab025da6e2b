package console_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/ider"
)

// bigDisc is a disc of 5 GB, almost all of it a hole, whose root directory is beyond 4 GiB.
func bigDisc(t *testing.T) string {
	t.Helper()
	const rootSector, sectors = 2_200_000, 2_441_406 // 4.5 GB, 5 GB
	path := filepath.Join(t.TempDir(), "big.iso")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(sectors * 2048); err != nil {
		need.Missing(t, fmt.Errorf("no room for a file of 5 GB with a hole: %w", err))
	}
	record := func(at, size uint32, flags byte, name string) []byte {
		b := make([]byte, (33+len(name)+1)&^1)
		b[0], b[25], b[32] = byte(len(b)), flags, byte(len(name))
		binary.LittleEndian.PutUint32(b[2:], at)
		binary.LittleEndian.PutUint32(b[10:], size)
		copy(b[33:], name)
		return b
	}
	put := func(sector int64, b []byte) {
		if _, err := f.WriteAt(b, sector*2048); err != nil {
			t.Fatal(err)
		}
	}
	volume := func(kind byte) []byte { return append([]byte{kind}, "CD001\x01"...) }
	primary := append(volume(1), make([]byte, 190)...)
	copy(primary[40:72], "BIGDISC"+strings.Repeat(" ", 32))
	put(16, append(primary[:156], record(rootSector, 2048, 2, "\x00")...))
	put(17, append(volume(0), "EL TORITO SPECIFICATION"...))
	put(18, volume(255))
	root := append(record(rootSector, 2048, 2, "\x00"), record(rootSector, 2048, 2, "\x01")...)
	put(rootSector, append(root, record(rootSector+1, 5, 0, "BEHIND.4GB;1")...))
	return path
}

// farthest notes how far into an image somebody has read.
type farthest struct {
	io.ReaderAt
	at atomic.Int64
}

func (f *farthest) ReadAt(p []byte, off int64) (int, error) {
	f.at.Store(max(f.at.Load(), off))
	return f.ReaderAt.ReadAt(p, off)
}

// A machine boots from a disc of 5 GB in a file, and finds what stands beyond 4 GiB.
func TestIDERBigDisc(t *testing.T) {
	image, err := console.OpenImage(t.Context(), bigDisc(t))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if image.Size <= 1<<32 {
		t.Fatalf("%d bytes", image.Size)
	}
	m := manage(t, lab.Machine{Profile: 12})
	disc := image.Medium()
	read := &farthest{ReaderAt: disc.Image}
	disc.Image = read
	s, err := m.IDER(t.Context(), ider.Options{CD: disc})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := m.Boot(t.Context(), console.BootRequest{Device: console.BootIDERCD, Now: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := m.machine.Await(ctx, func(r *lab.Running) bool { return r.BootedFrom() == "redirected CD" }); err != nil {
		t.Fatalf("booted from %s: %v", m.machine.BootedFrom(), err)
	}
	if got := read.at.Load(); got < 1<<32 {
		t.Errorf("nothing was read beyond byte %d", got)
	}
}

// What cannot be an image is said before anything is begun.
func TestOpenWritableImage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"empty", "missing", "."} {
		if _, err := console.OpenWritableImage(filepath.Join(dir, name)); !errors.Is(err, console.ErrImage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
