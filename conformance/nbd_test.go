package conformance

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/wire/nbd"
)

// socketDir is a folder whose paths are short enough for unix sockets.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "outband-nbd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 ^ i>>9 ^ i>>17)
	}
	return b
}

// A ram is a disk that can be written.
type ram struct {
	mu sync.Mutex
	b  []byte
}

func (r *ram) Size() int64 { return int64(len(r.b)) }

func (r *ram) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.NewReader(r.b).ReadAt(p, off)
}

func (r *ram) WriteAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return copy(r.b[off:], p), nil
}

// TestNBDServer has QEMU's tools copy our disk, write to it and be refused.
func TestNBDServer(t *testing.T) {
	t.Parallel()
	img, ioTool := tool(t, "qemu-img", "qemu-utils"), tool(t, "qemu-io", "qemu-utils")
	dir := socketDir(t)
	disk := &ram{b: noise(5 << 20)}
	want := bytes.Clone(disk.b)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				nbd.Serve(ctx, conn, nbd.Export{Name: "cd", Disk: disk, BlockSize: 2048, ReadOnly: true}, nbd.Export{Name: "floppy", Disk: disk, BlockSize: 512})
			})
		}
	})
	url := func(export string) string { return "nbd+unix:///" + export + "?socket=" + l.Addr().String() }
	copied := filepath.Join(t.TempDir(), "copy.img")
	if r := run(t, nil, "", img, "convert", "-f", "raw", "-O", "raw", url("cd"), copied); r.code != 0 {
		t.Fatalf("qemu-img: %s", r.err)
	}
	if got, err := os.ReadFile(copied); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the copy has %d bytes, %v; it is the disk: %v", len(got), err, bytes.Equal(got, want))
	}
	if r := run(t, nil, "", ioTool, "-f", "raw", "-c", "write -P 0x55 1024 3072", "-c", "flush", "-c", "read -P 0x55 1024 3072", url("floppy")); r.code != 0 {
		t.Errorf("qemu-io: %s%s", r.out, r.err)
	}
	copy(want[1024:], bytes.Repeat([]byte{0x55}, 3072))
	got := make([]byte, len(want))
	if _, err := disk.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("after the write the disk is another: %v", err)
	}
	if r := run(t, nil, "", ioTool, "-f", "raw", "-c", "write 0 2048", url("cd")); r.code == 0 {
		t.Errorf("qemu-io writes to a CD: %s", r.out)
	}
	if r := run(t, nil, "", img, "info", url("nothing")); r.code == 0 {
		t.Errorf("qemu-img finds what is not there: %s", r.out)
	}
}

// TestNBDClient reads and writes a disk of qemu-nbd.
func TestNBDClient(t *testing.T) {
	t.Parallel()
	server := tool(t, "qemu-nbd", "qemu-utils")
	dir := socketDir(t)
	file, socket := filepath.Join(dir, "disk.img"), filepath.Join(dir, "s")
	want := noise(3 << 20)
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(server, "-f", "raw", "-x", "disk", "-k", socket, file) // it ends with its first client
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	conn, err := net.Dial("unix", socket)
	for late := time.Now().Add(patience); err != nil && time.Now().Before(late); conn, err = net.Dial("unix", socket) {
		time.Sleep(10 * time.Millisecond) // between two looks for its socket
	}
	if err != nil {
		cmd.Process.Kill()
		t.Fatal(err)
	}
	c, err := nbd.Connect(t.Context(), conn, "disk")
	if err != nil {
		cmd.Process.Kill()
		t.Fatal(err)
	}
	equal(t, "size", c.Size(), int64(len(want)))
	copy(want[1<<20:], "written by us")
	if _, err := c.WriteAt(want[1<<20:1<<20+512], 1<<20); err != nil {
		t.Error(err)
	}
	got := make([]byte, len(want))
	if _, err := c.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read: %v; the same: %v", err, bytes.Equal(got, want))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("qemu-nbd: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, want) {
		t.Errorf("the file is another: %v", err)
	}
}
