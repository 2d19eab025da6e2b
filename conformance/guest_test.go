package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/internal/need"
)

// A kernel is Debian's, unpacked: what is needed of it.
type kernel struct {
	image   string // vmlinuz
	modules map[string]string
}

// guestModules are loaded in this order, as far as there are such.
var guestModules = []string{"mei", "mei-me", "watchdog", "mei_wdt"}

// debianKernel fetches Debian's kernel package and unpacks it without installing it, once: what is needed stays in the
// user's cache.
func debianKernel(t *testing.T) kernel {
	t.Helper()
	for _, program := range []string{"apt-cache", "apt-get", "dpkg-deb", "tar"} {
		need.Program(t, program)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	text, err := exec.Command("apt-cache", "depends", "linux-image-amd64").Output()
	if err != nil {
		need.Missing(t, fmt.Errorf("linux-image-amd64: %w", err))
	}
	_, name, _ := strings.Cut(string(text), "Depends: linux-image-")
	name, _, _ = strings.Cut(name, "\n")
	if name == "" {
		need.Missing(t, fmt.Errorf("apt knows no kernel: %q", text))
	}
	name = "linux-image-" + name
	dir = filepath.Join(dir, "outband-conformance", name)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		fetchKernel(t, name, dir)
	}
	k := kernel{modules: make(map[string]string)}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "vmlinuz-") {
			k.image = path
		}
		if module, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			k.modules[module] = path
		}
		return err
	})
	if k.image == "" || k.modules["mei-me"] == "" {
		t.Fatalf("%s has no kernel or no mei-me.ko; remove it", dir)
	}
	return k
}

// fetchKernel puts the kernel and the modules of a package into dir.
func fetchKernel(t *testing.T, name, dir string) {
	t.Helper()
	tmp := t.TempDir()
	get := exec.Command("apt-get", "download", "-q", name)
	get.Dir = tmp
	if out, err := get.CombinedOutput(); err != nil {
		need.Missing(t, fmt.Errorf("%s: %w: %s", name, err, out))
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if len(debs) != 1 {
		t.Fatalf("apt-get download left %q", debs)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	half, err := os.MkdirTemp(filepath.Dir(dir), "half-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(half)
	unpack := exec.Command("sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --wildcards './boot/vmlinuz-*' '*/drivers/misc/mei/*' '*/drivers/watchdog/*'`, "sh", debs[0], half)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpack %s: %v: %s", debs[0], err, out)
	}
	if err := os.Rename(half, dir); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
}

// cpio appends a file or folder to an archive for the kernel's initramfs. Source: Linux
// Documentation/driver-api/early-userspace/buffer-format.rst.
func cpio(b []byte, name string, mode int, data []byte) []byte {
	const magic = "070701"
	b = append(b, magic...)
	for _, field := range []int{0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0} {
		b = fmt.Appendf(b, "%08X", field)
	}
	b = append(append(b, name...), 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

const (
	modeFolder  = 0o040755
	modeProgram = 0o100755
)

// initScript is the guest's init: the shell on the second serial port is ours.
const initScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
ifconfig lo up
stty -F /dev/ttyS1 -echo -opost 115200
while :; do
	(echo; echo "<<ready>>"; exec setsid sh) </dev/ttyS1 >/dev/ttyS1 2>&1
done
`

// initramfs writes an archive with busybox, the modules and programs, which are files of this machine by their name there.
func initramfs(t *testing.T, k kernel, programs map[string]string) string {
	t.Helper()
	var b []byte
	for _, dir := range []string{"bin", "dev", "proc", "sys", "tmp", "lib"} {
		b = cpio(b, dir, modeFolder, nil)
	}
	add := func(name, file string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b = cpio(b, name, modeProgram, data)
	}
	add("bin/busybox", need.Program(t, "busybox"))
	for _, module := range guestModules {
		if file := k.modules[module]; file != "" {
			add("lib/"+module+".ko", file)
		}
	}
	for name, file := range programs {
		add("bin/"+name, file)
	}
	b = cpio(b, "init", modeProgram, []byte(initScript))
	b = cpio(b, "TRAILER!!!", 0, nil)
	path := filepath.Join(t.TempDir(), "initramfs")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A guest is a Linux in QEMU whose shell we have.
type guest struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	console string   // file of the kernel's messages
	monitor net.Conn // QMP
	words   int
}

// slow is how long a guest may take for what takes seconds.
const slow = 3 * time.Minute

// bootGuest starts QEMU, emulating the processor, and waits for the shell. The files are inherited by it, and closed here.
func bootGuest(t *testing.T, k kernel, initramfs string, args []string, files []*os.File) *guest {
	t.Helper()
	dir := t.TempDir()
	g := &guest{t: t, console: filepath.Join(dir, "console")}
	listener, err := net.Listen("unix", filepath.Join(dir, "qmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	g.cmd = exec.Command(need.Program(t, "qemu-system-x86_64"), append([]string{
		"-M", "q35", "-accel", "tcg", "-m", "384", "-nodefaults", "-display", "none", "-no-reboot",
		"-serial", "file:" + g.console, "-serial", "stdio", "-qmp", "unix:" + filepath.Join(dir, "qmp"),
		"-kernel", k.image, "-initrd", initramfs, "-append", "console=ttyS0 panic=-1 loglevel=7",
	}, args...)...)
	g.cmd.ExtraFiles = files
	var complaints bytes.Buffer
	g.cmd.Stderr = &complaints
	if g.in, err = g.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	g.cmd.Stdout = theirs
	g.out = bufio.NewReader(out)
	err = g.cmd.Start()
	theirs.Close()
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() { g.cmd.Wait() })
	t.Cleanup(func() {
		g.cmd.Process.Kill()
		wait.Wait()
		out.Close()
		if g.monitor != nil {
			g.monitor.Close()
		}
		if t.Failed() {
			text, _ := os.ReadFile(g.console)
			t.Logf("QEMU says %s\nthe guest's kernel says\n%s", complaints.String(), text[max(0, len(text)-8000):])
		}
	})
	listener.(*net.UnixListener).SetDeadline(time.Now().Add(slow))
	if g.monitor, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	g.qmp(t, "qmp_capabilities")
	g.until("<<ready>>")
	io.WriteString(g.in, "PS1= PS2=\n")
	g.run(t, ":") // with what is left of prompts
	return g
}

// until reads lines until one that begins with word, and returns the lines before and the rest of that one.
func (g *guest) until(word string) (before, rest string) {
	g.t.Helper()
	late := time.AfterFunc(slow, func() { g.cmd.Process.Kill() })
	defer late.Stop()
	var text strings.Builder
	for {
		line, err := g.out.ReadString('\n')
		if err != nil {
			g.t.Fatalf("the guest ends, or does not come to say %q: %v; it said %q", word, err, text.String())
		}
		if rest, ok := strings.CutPrefix(line, word); ok {
			return text.String(), strings.TrimSpace(rest)
		}
		text.WriteString(line)
	}
}

// run runs a command of the shell, and returns what it printed and its exit code.
func (g *guest) run(t *testing.T, command string) (out string, exit int) {
	t.Helper()
	g.t = t
	g.words++
	word := fmt.Sprintf("<<%d>>", g.words)
	if _, err := fmt.Fprintf(g.in, "( %s\n) </dev/null; echo; echo '%s' $?\n", command, word); err != nil {
		t.Fatal(err)
	}
	out, rest := g.until(word)
	exit, err := strconv.Atoi(rest)
	if err != nil {
		t.Fatalf("%s: no exit code in %q", command, rest)
	}
	return strings.TrimSuffix(out, "\n"), exit
}

// must runs a command that succeeds.
func (g *guest) must(t *testing.T, command string) string {
	t.Helper()
	out, exit := g.run(t, command)
	if exit != 0 {
		t.Fatalf("%s: exit %d: %s", command, exit, out)
	}
	return out
}

// eventually runs a command until it succeeds.
func (g *guest) eventually(t *testing.T, command string) string {
	t.Helper()
	return g.must(t, fmt.Sprintf("n=0; until %s; do n=$((n+1)); [ $n -lt 600 ] || exit 1; usleep 100000; done", command))
}

// kernelSays returns the guest's kernel messages so far.
func (g *guest) kernelSays(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(g.console)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// locked makes a writer safe for several goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// qmp gives QEMU a command, and reads on until it has said yes.
func (g *guest) qmp(t *testing.T, command string) {
	t.Helper()
	if _, err := fmt.Fprintf(g.monitor, "{\"execute\":%q}\n", command); err != nil {
		t.Fatal(err)
	}
	g.monitor.SetReadDeadline(time.Now().Add(slow))
	for answers := json.NewDecoder(g.monitor); ; {
		var answer struct{ Return, Error json.RawMessage }
		if err := answers.Decode(&answer); err != nil || answer.Error != nil {
			t.Fatalf("%s: %v, %s", command, err, answer.Error)
		}
		if answer.Return != nil {
			return
		}
	}
}
