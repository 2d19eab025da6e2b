package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/qemu"
	"github.com/outband/outband/wire/qmp"
)

const (
	diskLine = "OUTBAND DISK BOOT"
	discLine = "Outband rescue disc"
	menuEnd  = "Press [Tab] to edit options" // the last line of the menu
)

// picture is where what TigerVNC shows goes: go test -run TestQEMU$ -picture ../docs/qemu.png
var picture = flag.String("picture", "", "write what TigerVNC shows to this PNG")

// A vm is a machine whose PC is a QEMU process, with a second control of it for the test.
type vm struct {
	*world
	control string // path of QEMU's own socket
}

// newVM makes a machine with a disk that boots the guest of [guestImage]. args are more of QEMU's.
func newVM(t testing.TB, args string) *vm {
	t.Helper()
	tool(t, "qemu-system-x86_64", "qemu-system-x86")
	dir, err := os.MkdirTemp("", "outband-vm-") // a path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := &vm{control: filepath.Join(dir, "qmp")}
	v.world = machine(t, lab.Machine{Profile: 12, QEMU: &lab.QEMU{Args: fmt.Sprintf("-m 32 -drive file=%s,format=raw -qmp unix:%s,server=on,wait=off %s",
		guestImage(t, diskLine, 1<<20), v.control, args)}})
	return v
}

// do has QEMU carry out a command of the test's.
func (v *vm) do(t testing.TB, command string, arguments, result any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := net.Dial("unix", v.control)
	if err != nil {
		t.Fatal(err)
	}
	c, err := qmp.Open(ctx, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Do(ctx, command, arguments, result); err != nil {
		t.Fatal(err)
	}
}

// status is what QEMU says that it does: "running", "suspended"; "" if there is no QEMU.
func (v *vm) status(t testing.TB) string {
	t.Helper()
	if v.QEMU.Running() == "" {
		if conn, err := net.Dial("unix", v.control); err == nil {
			conn.Close()
			t.Error("a QEMU runs that nobody knows of")
		}
		return ""
	}
	var s struct{ Status string }
	v.do(t, "query-status", nil, &s)
	return s.Status
}

// until waits until something is true of the machine, looking after each of its events.
func (v *vm) until(t testing.TB, what string, is func(m *qemu.Machine) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := v.Await(ctx, func(*lab.Running) bool { return is(v.QEMU) }); err != nil {
		t.Fatalf("the machine does not come to be %s: power %v, %s, last boot %+v", what, v.QEMU.Power(), v.QEMU.Phase(), v.QEMU.LastBoot())
	}
}

// runs is true once the guest runs, that many boots and from there.
func runs(boots int, from firmware.BootSource) func(m *qemu.Machine) bool {
	return func(m *qemu.Machine) bool {
		b := m.LastBoot()
		return m.Phase() == qemu.Running && b.Number == boots && b.From == from
	}
}

// A program is one of ours that runs beside the test.
type program struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.Writer
	ended chan struct{}

	mu   sync.Mutex // guards what follows
	text bytes.Buffer
	more chan struct{} // closed when something is written
}

// beside starts our command against a machine; the test's end ends it.
func beside(t testing.TB, w *world, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(outband(t), args...), ended: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "AMT_PASSWORD="+password, "OUTBAND_HOSTS="+t.TempDir()+"/hosts.json")
	p.cmd.Stdout, p.cmd.Stderr = p, p
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); p.cmd.Wait() }()
	t.Cleanup(p.end)
	return p
}

// end ends it as Ctrl-C does.
func (p *program) end() {
	p.cmd.Process.Signal(syscall.SIGINT)
	<-p.ended
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.more)
	p.more = make(chan struct{})
	return p.text.Write(b)
}

// forget drops what was written so far.
func (p *program) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Reset()
}

// await waits until a text was written, and returns all that was.
func (p *program) await(text string) string {
	p.t.Helper()
	got, ok := p.seen(text, patience)
	if !ok {
		p.t.Fatalf("%q does not write %q but %q", p.cmd.Args[1:], text, got)
	}
	return got
}

func (p *program) seen(text string, most time.Duration) (got string, ok bool) {
	late := time.After(most)
	for {
		p.mu.Lock()
		got, more := p.text.String(), p.more
		p.mu.Unlock()
		if strings.Contains(got, text) {
			return got, true
		}
		select {
		case <-more:
		case <-p.ended:
			return got, false
		case <-late:
			return got, false
		}
	}
}

// openSOL opens the serial console of a machine whose guest runs, and returns when the guest has echoed something.
func openSOL(t testing.TB, v *vm) *program {
	t.Helper()
	p := beside(t, v.world, "sol", v.Address, "--enable", "--once")
	for late := time.Now().Add(patience); time.Now().Before(late); {
		io.WriteString(p.stdin, "x")
		if _, ok := p.seen("x", time.Second); ok {
			p.forget()
			return p
		}
	}
	t.Fatal("the guest does not echo on the serial console")
	return nil
}

// rescueDisc makes an ISO image of Debian's isolinux with a menu.
func rescueDisc(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root", "isolinux")
	if err := os.MkdirAll(root, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/usr/lib/ISOLINUX/isolinux.bin", "ldlinux.c32", "menu.c32", "libutil.c32", "reboot.c32", "poweroff.c32"} {
		from := file
		if !filepath.IsAbs(file) {
			from = filepath.Join("/usr/lib/syslinux/modules/bios", file)
		}
		b, err := os.ReadFile(from)
		if err != nil {
			missing(t, fmt.Sprintf("%v (Debian packages isolinux, syslinux-common)", err))
		}
		if err := os.WriteFile(filepath.Join(root, filepath.Base(file)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := "SERIAL 0 115200\nDEFAULT menu.c32\nPROMPT 0\nMENU TITLE " + discLine + "\n" +
		"LABEL disk\n MENU LABEL Boot from the disk\n LOCALBOOT -1\n" +
		"LABEL reboot\n MENU LABEL Reboot\n COM32 reboot.c32\n" +
		"LABEL poweroff\n MENU LABEL Power off\n COM32 poweroff.c32\n"
	if err := os.WriteFile(filepath.Join(root, "isolinux.cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	iso := filepath.Join(dir, "rescue.iso")
	r := run(t, nil, "", tool(t, "xorriso", "xorriso"), "-as", "mkisofs", "-quiet", "-o", iso, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
		"-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", filepath.Join(dir, "root"))
	if r.code != 0 {
		t.Fatalf("xorriso: %s", r.err)
	}
	return iso
}

// TestQEMU is the whole way: a console switches a QEMU guest on, boots it once from a disc of its own, reads its menu on the
// serial console and in TigerVNC, chooses by keyboard, and finds the guest's own disk at the next reset.
func TestQEMU(t *testing.T) {
	t.Parallel()
	viewer, glyphs, disc := tool(t, "xtigervncviewer", "tigervnc-viewer"), readGlyphs(t), rescueDisc(t)
	v := newVM(t, "-nic none")
	equal(t, "QEMU before power on", v.status(t), "")
	ourCommand(t, v.world, "power", "on", v.Address)
	v.until(t, "running", runs(1, firmware.BootDisk))
	equal(t, "QEMU", v.status(t), "running")
	sol := openSOL(t, v)
	ourCommand(t, v.world, "power", "reset", v.Address)
	sol.await(diskLine)
	sol.forget()

	ider := beside(t, v.world, "ider", v.Address, disc, "--enable")
	ider.await("the drives are there")
	ourCommand(t, v.world, "boot", "ider", v.Address, "--now")
	sol.await(discLine)
	v.until(t, "running from the disc", runs(3, firmware.BootIDERCD))

	// The menu in TigerVNC is what QEMU shows.
	kvm := beside(t, v.world, "kvm", v.Address, "--viewer", "none", "--enable", "-o", "json")
	var where struct{ Address string }
	line, _, _ := strings.Cut(kvm.await("}\n"), "\n")
	if err := json.Unmarshal([]byte(line), &where); err != nil {
		t.Fatalf("kvm: %v: %s", err, line)
	}
	x := startX(t, 1024, 768)
	show := exec.Command(viewer, "-RemoteResize=0", "-MenuKey=", "-ViewOnly", strings.Replace(where.Address, ":", "::", 1))
	show.Env = append(os.Environ(), "HOME="+t.TempDir(), "DISPLAY="+x.display)
	if err := show.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { show.Process.Kill(); show.Wait() })
	dump := filepath.Join(t.TempDir(), "screen.ppm")
	for late := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) { // between two looks at a file
		v.do(t, "screendump", map[string]string{"filename": dump}, nil)
		screen := readPPM(t, dump)
		shown := cut(x.picture(t), screen)
		wrong, there, want := different(shown, screen), glyphs.read(shown), glyphs.read(screen)
		if wrong <= 2*cellW*cellH && there == want && strings.Contains(want, discLine) && strings.Contains(want, menuEnd) { // the cursor blinks
			savePicture(t, shown)
			break
		}
		if time.Now().After(late) {
			t.Fatalf("TigerVNC shows, with %d pixels that are others,\n%s\nQEMU shows\n%s", wrong, there, want)
		}
	}
	kvm.end()

	// Enter on the first line of the menu: boot from the disk.
	sol.forget()
	ourCommand(t, v.world, "kvm", v.Address, "--viewer", "none", "--enable", "--press", "enter", "--for", "1s")
	sol.await(diskLine)
	sol.forget()

	// The plan was for one boot.
	ourCommand(t, v.world, "power", "reset", v.Address)
	sol.await(diskLine)
	v.until(t, "running from the disk", runs(4, firmware.BootDisk))

	var blocks []struct {
		Inserted struct {
			Node string `json:"node-name"`
		}
	}
	plugged := func() bool {
		v.do(t, "query-block", nil, &blocks)
		for _, b := range blocks {
			if b.Inserted.Node == "outband-cd" {
				return true
			}
		}
		return false
	}
	if !plugged() {
		t.Error("the guest does not see the disc any more")
	}
	ider.end()
	for late := time.Now().Add(patience); plugged(); {
		if time.Now().After(late) {
			t.Fatal("the guest still sees the disc when its session is over")
		}
	}
	sol.end()
	ourCommand(t, v.world, "power", "off", v.Address)
	equal(t, "QEMU after power off", v.status(t), "")
}

// TestQEMUPower goes through what power can do, from outside and from inside.
func TestQEMUPower(t *testing.T) {
	t.Parallel()
	v := newVM(t, "-nic none")
	ourCommand(t, v.world, "power", "on", v.Address)
	v.until(t, "running", runs(1, firmware.BootDisk))
	var id struct{ UUID string }
	v.do(t, "query-uuid", nil, &id)
	equal(t, "UUID of the guest", id.UUID, v.UUID())
	ourCommand(t, v.world, "power", "cycle", v.Address)
	v.until(t, "running after a cycle", runs(2, firmware.BootDisk))
	equal(t, "state before the boot", v.QEMU.LastBoot().Was, firmware.S5)
	ourCommand(t, v.world, "power", "reset", v.Address)
	v.until(t, "running after a reset", runs(3, firmware.BootDisk))
	equal(t, "state before the boot", v.QEMU.LastBoot().Was, firmware.S0)
	ourCommand(t, v.world, "power", "soft-reset", v.Address)
	v.until(t, "running after a restart", runs(4, firmware.BootDisk))
	ourCommand(t, v.world, "power", "soft-off", v.Address)
	v.until(t, "off", func(m *qemu.Machine) bool { return m.Power() == firmware.S5 })
	equal(t, "QEMU", v.status(t), "")
	ourCommand(t, v.world, "power", "on", v.Address)
	v.until(t, "running again", runs(5, firmware.BootDisk))

	sol := openSOL(t, v)
	io.WriteString(sol.stdin, "!")
	sol.await(diskLine)
	v.until(t, "running after its own reset", runs(6, firmware.BootDisk))
	io.WriteString(sol.stdin, "~")
	v.until(t, "asleep", func(m *qemu.Machine) bool { return m.Power() == firmware.S3 })
	equal(t, "QEMU", v.status(t), "suspended")
	if out := ourCommand(t, v.world, "power", "status", v.Address).out; !strings.Contains(out, "asleep") {
		t.Errorf("power status: %s", out)
	}
	ourCommand(t, v.world, "power", "on", v.Address)
	v.until(t, "awake", func(m *qemu.Machine) bool { return m.Power() == firmware.S0 })
	sol.end()
	ourCommand(t, v.world, "power", "off", v.Address)
	equal(t, "QEMU after power off", v.status(t), "")
}

// TestQEMUSources boots from what is not a disk: the network, a console's floppy that the guest writes to, the console of
// SeaBIOS on the serial port, its menu.
func TestQEMUSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	boot := func(name, line string, size int) string {
		b, err := os.ReadFile(guestImage(t, line, size))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	boot("boot.pxe", "OUTBAND PXE BOOT", 512)
	floppy := boot("floppy.img", "OUTBAND FLOPPY BOOT", 1440<<10)
	v := newVM(t, "-nic user,restrict=on,tftp="+dir+",bootfile=/boot.pxe")
	ourCommand(t, v.world, "power", "on", v.Address)
	v.until(t, "running", runs(1, firmware.BootDisk))
	sol := openSOL(t, v)

	ourCommand(t, v.world, "boot", "pxe", v.Address, "--now")
	sol.await("OUTBAND PXE BOOT")
	v.until(t, "running from the network", runs(2, firmware.BootPXE))

	ider := beside(t, v.world, "ider", v.Address, "--floppy", floppy, "--enable")
	ider.await("the drives are there")
	ourCommand(t, v.world, "boot", "ider", v.Address, "--floppy", "--now")
	sol.await("OUTBAND FLOPPY BOOT")
	v.until(t, "running from the floppy", runs(3, firmware.BootIDERFloppy))
	ider.end()

	sol.forget()
	ourCommand(t, v.world, "boot", "disk", v.Address, "--now", "--sol")
	sol.await("SeaBIOS (version")
	sol.await("Booting from Hard Disk...")
	v.until(t, "running from the disk", runs(4, firmware.BootDisk))

	ourCommand(t, v.world, "boot", "bios", v.Address, "--now")
	v.until(t, "in the menu", func(m *qemu.Machine) bool { return m.Phase() == qemu.Menu })
}
