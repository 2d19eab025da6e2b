//go:build amd64 || arm64

package devmei

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// role is the environment variable that makes the test's executable the program that is run.
const role = "DEVMEI_TEST_ROLE"

func TestMain(m *testing.M) {
	if name := os.Getenv(role); name != "" {
		if err := roles[name](os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// echo answers each message with itself; single has one connection; teller ends the connection after one answer.
var (
	echo    = guid.FromSeed("echo")
	single  = guid.FromSeed("single")
	teller  = guid.FromSeed("teller")
	unknown = guid.FromSeed("unknown")
)

const mtu = 512

// bus is a management engine with those clients.
func bus(t *testing.T) mei.Bus {
	t.Helper()
	answer := func(times int) func(context.Context, mei.Conn) {
		return func(ctx context.Context, c mei.Conn) {
			for range times {
				m, err := mei.Receive(ctx, c)
				if err != nil || mei.Send(ctx, c, m) != nil {
					return
				}
			}
			mei.Receive(ctx, c) // the next request ends it
		}
	}
	e := mei.NewEngine()
	for _, c := range []mei.Client{
		{Properties: mei.Properties{Client: echo, Version: 3, MaxConnections: 200, MaxMsgLen: mtu}, Serve: answer(1 << 30)},
		{Properties: mei.Properties{Client: single, Version: 1, MaxConnections: 1, MaxMsgLen: mtu}, Serve: answer(1 << 30)},
		{Properties: mei.Properties{Client: teller, Version: 1, MaxConnections: 1, MaxMsgLen: mtu}, Serve: answer(1)},
	} {
		if err := e.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	there, here := mei.Pipe()
	h := mei.NewHost()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { e.Run(ctx, there) })
	work.Go(func() { h.Run(ctx, here) })
	t.Cleanup(func() { cancel(); work.Wait() })
	if err := h.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return h
}

// run runs a role and wants it to succeed, silently.
func run(t *testing.T, p Program, name string, args ...string) {
	t.Helper()
	p.Path, p.Args, p.Env = os.Args[0], args, append(os.Environ(), role+"="+name)
	var out bytes.Buffer
	p.Stdout, p.Stderr = &out, &out
	code, err := p.Run(t.Context())
	if errors.Is(err, ErrUnsupported) {
		need.Missing(t, err)
	}
	if code != 0 || err != nil || out.Len() > 0 {
		t.Fatalf("exit code %d, error %v\n%s", code, err, &out)
	}
}

func TestDriver(t *testing.T) {
	b := bus(t)
	for name := range roles {
		if name != "inherits" && name != "connects" {
			t.Run(name, func(t *testing.T) {
				run(t, Program{Bus: b, Facts: mei.Facts{State: "ENABLED", Kind: "mei", QueueLimit: 50, FirmwareStatus: []uint32{0x14000245}}}, name)
			})
		}
	}
}

func TestOtherProgramsExitCode(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 143, "test -c /dev/mei0 && test -r /dev/mei && ! test -e /dev/mei1 && exit 9": 9,
		"read -r s < /sys/class/mei/mei0/kind && test $s = mei && exit 5": 5, "cd /sys/class/mei/mei0 && cd /": 2} {
		p := Program{Path: "/bin/sh", Args: []string{"-c", script}, Bus: bus(t), Facts: mei.Facts{Kind: "mei"}}
		if code, err := p.Run(t.Context()); code != want || err != nil {
			t.Errorf("%s: exit code %d, error %v; want %d", script, code, err, want)
		}
	}
	if _, err := (&Program{Path: "/nowhere/program", Bus: bus(t)}).Run(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such program: %v", err)
	}
	if _, err := (&Program{Path: "nowhere-program", Bus: bus(t)}).Run(t.Context()); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("no such program in PATH: %v", err)
	}
}

// What a program leaves behind ends with it: the pipe that it has open shows that.
func TestNobodyRemains(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := Program{Path: "/bin/sh", Args: []string{"-c", "(trap '' TERM HUP; sleep 1000 & sleep 1000) & exit 4"}, Bus: bus(t), Stdout: w}
	code, err := p.Run(t.Context())
	w.Close()
	if code != 4 || err != nil {
		t.Fatalf("exit code %d, %v", code, err)
	}
	if _, err := io.ReadAll(r); err != nil { // returns when nobody can write
		t.Fatal(err)
	}
}

func TestSignals(t *testing.T) {
	r, w := io.Pipe()
	signals := make(chan os.Signal)
	go func() {
		var b [6]byte
		io.ReadFull(r, b[:])
		signals <- syscall.SIGUSR1
		io.Copy(io.Discard, r)
	}()
	p := Program{Path: "/bin/sh", Args: []string{"-c", "trap 'exit 33' USR1; echo ready; while :; do sleep 0.05; done"}, Bus: bus(t), Stdout: w, Signals: signals}
	if code, err := p.Run(t.Context()); code != 33 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	w.Close()
}

func TestEndOfContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	why := errors.New("enough")
	go func() {
		var b [1]byte
		r.Read(b[:])
		cancel(why)
		io.Copy(io.Discard, r)
	}()
	p := Program{Path: "/bin/sh", Args: []string{"-c", "echo; sleep 1000"}, Bus: bus(t), Stdout: w}
	if _, err := p.Run(ctx); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	w.Close()
}

// Connections to the ports of LMS go elsewhere, by IPv4 and IPv6, waiting or not; others do not.
func TestLocal(t *testing.T) {
	there, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for word, l := range map[string]net.Listener{"there": there, "other": other} {
		work.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, word)
				c.Close()
			}
		})
	}
	defer func() { there.Close(); other.Close(); work.Wait() }()
	run(t, Program{Bus: bus(t), Local: func(_ context.Context, port uint16) (netip.AddrPort, error) {
		if port == 16993 {
			return netip.AddrPort{}, errors.New("not that one")
		}
		return netip.MustParseAddrPort(there.Addr().String()), nil
	}}, "connects", other.Addr().String())
}

// roles are what the program does, with system calls of its own: a static Go program, as others are.
var roles = map[string]func(args []string) error{
	"talks": func([]string) error {
		fd, err := dial(echo)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return talk(fd, "hello")
	},
	"properties": func([]string) error {
		fd, err := unix.Open("/dev/mei0", unix.O_RDWR, 0)
		if err != nil {
			return err
		}
		arg := echo
		if errno := ioctl(fd, ioctlConnect, arg[:]); errno != 0 {
			return errno
		}
		want := append([]byte{0, 2, 0, 0, 3}, echo[5:]...)
		return same("properties", fmt.Sprintf("%x", arg[:]), fmt.Sprintf("%x", want))
	},
	"refusals": func([]string) error {
		fd, err := unix.Open("/dev/mei0", unix.O_RDWR, 0)
		if err != nil {
			return err
		}
		var b [mtu + 1]byte
		_, read := unix.Read(fd, b[:])
		_, write := unix.Write(fd, b[:1])
		arg, again, tag := unknown, echo, append(echo[:], 0, 0, 0, 0)
		steps := []string{fmt.Sprint(read == unix.ENODEV, write == unix.ENODEV), fmt.Sprint(ioctl(fd, ioctlConnect, arg[:]) == unix.ENOTTY),
			fmt.Sprint(ioctl(fd, ioctlConnectTag, tag) == unix.EINVAL), fmt.Sprint(pointer(fd, ioctlConnect, 8) == unix.EFAULT),
			fmt.Sprint(ioctl(fd, ioctlNotifySet, b[:4]) == unix.ENODEV), fmt.Sprint(ioctl(fd, ioctlConnect, again[:]) == 0),
			fmt.Sprint(ioctl(fd, ioctlConnect, again[:]) == unix.EBUSY)}
		_, write = unix.Write(fd, b[:])
		n, empty := unix.Write(fd, nil)
		_, seek := unix.Seek(fd, 0, 0)
		steps = append(steps, fmt.Sprint(write == unix.EFBIG, n == 0 && empty == nil, seek == unix.ESPIPE, ioctl(fd, 0x4805, b[:]) == unix.ENOTTY))
		return same("refusals", strings.Join(steps, " "), "true true true true true true true true true true true true")
	},
	"manners": func([]string) error {
		open := func(flags int) int {
			fd, err := unix.Open("/dev/mei0", flags|unix.O_NONBLOCK, 0)
			if err != nil {
				return -1
			}
			return fd
		}
		reader, writer, both := open(unix.O_RDONLY), open(unix.O_WRONLY), open(unix.O_RDWR)
		for _, fd := range []int{reader, writer, both} {
			if arg := echo; ioctl(fd, ioctlConnect, arg[:]) != 0 {
				return fmt.Errorf("connect %d", fd)
			}
		}
		var b [8]byte
		_, write := unix.Write(reader, b[:])
		_, read := unix.Read(writer, b[:])
		_, exclusive := unix.Open("/dev/mei0", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
		_, link := unix.Readlink("/dev/mei0", b[:])
		_, folder := unix.Readlink("/sys/class/mei/mei0", b[:])
		_, count := unix.IoctlGetInt(both, unix.TIOCINQ)
		fresh := open(unix.O_RDWR)
		nothing, err := unix.Read(fresh, nil)
		return same("manners", fmt.Sprint(write, read, exclusive, link, folder, count, unix.Fsync(both), unix.Fsync(fresh), nothing, err, ioctl(both, ioctlNotifyGet, b[:4])),
			fmt.Sprint(unix.EBADF, unix.EBADF, unix.EEXIST, unix.EINVAL, unix.EINVAL, unix.ENOTTY, nil, unix.ENODEV, 0, nil, unix.EAGAIN))
	},
	"busy": func([]string) error {
		first, err := dial(single)
		if err != nil {
			return err
		}
		if _, err := dial(single); err != unix.EBUSY {
			return fmt.Errorf("second connection: %v", err)
		}
		unix.Close(first)
		for { // the end of a connection takes a moment
			second, err := dial(single)
			if err == nil {
				return talk(second, "mine now")
			}
			if err != unix.EBUSY {
				return err
			}
		}
	},
	"short reads": func([]string) error {
		fd, err := dial(echo)
		if err != nil {
			return err
		}
		for _, m := range []string{"0123456789", "abc"} {
			if _, err := unix.Write(fd, []byte(m)); err != nil {
				return err
			}
		}
		var got []string
		for _, size := range []int{4, 3, 100, 2, mtu} {
			b := make([]byte, size)
			n, err := unix.Read(fd, b)
			if err != nil {
				return err
			}
			got = append(got, string(b[:n]))
		}
		unix.SetNonblock(fd, true)
		if _, err := unix.Read(fd, make([]byte, 1)); err != unix.EAGAIN {
			return fmt.Errorf("nothing more: %v", err)
		}
		if _, err := unix.Read(fd, make([]byte, mtu)); err != unix.EAGAIN {
			return fmt.Errorf("nothing at all: %v", err)
		}
		return same("parts", strings.Join(got, " "), "0123 456 789 ab c")
	},
	"copies": func([]string) error {
		fd, err := dial(echo)
		if err != nil {
			return err
		}
		copied, err := unix.Dup(fd)
		if err != nil {
			return err
		}
		unix.Close(fd)
		if err := talk(copied, "by a copy"); err != nil {
			return err
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), role+"=inherits")
		cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(copied), "mei")}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("child: %w: %s", err, out)
		}
		return nil
	},
	"inherits": func([]string) error {
		return talk(3, "by a child")
	},
	"threads": func([]string) error {
		errs := make(chan error)
		for i := range 32 {
			go func() {
				for n := range 20 {
					fd, err := dial(echo)
					if err != nil {
						errs <- err
						return
					}
					err = talk(fd, fmt.Sprintf("thread %d, message %d", i, n))
					unix.Close(fd)
					if err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		for range 32 {
			if err := <-errs; err != nil {
				return err
			}
		}
		return nil
	},
	"poller": func([]string) error { // Go's own way with files that can wait
		f, err := os.OpenFile("/dev/mei0", os.O_RDWR|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		raw, err := f.SyscallConn()
		if err != nil {
			return err
		}
		arg := echo
		var errno syscall.Errno
		if err := raw.Control(func(fd uintptr) { errno = ioctl(int(fd), ioctlConnect, arg[:]) }); err != nil || errno != 0 {
			return fmt.Errorf("connect: %w, %v", err, errno)
		}
		if _, err := f.WriteString("polled"); err != nil {
			return err
		}
		b := make([]byte, mtu)
		n, err := f.Read(b)
		if err != nil {
			return err
		}
		return same("answer", string(b[:n]), "polled")
	},
	"ends": func([]string) error {
		fd, err := dial(teller)
		if err != nil {
			return err
		}
		if err := talk(fd, "first"); err != nil {
			return err
		}
		if _, err := unix.Write(fd, []byte("second")); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(fds, -1); err != unix.EINTR {
				break
			}
		}
		if _, err := unix.Read(fd, make([]byte, mtu)); err != unix.ENODEV {
			return fmt.Errorf("read after the end: %v", err)
		}
		if _, err := unix.Write(fd, []byte("third")); err != unix.ENODEV {
			return fmt.Errorf("write after the end: %v", err)
		}
		return nil
	},
	"facts": func([]string) error {
		info, err := os.Stat("/dev/mei0")
		if err != nil {
			return err
		}
		open, err := os.Open("/dev/mei0")
		if err != nil {
			return err
		}
		again, err := open.Stat()
		if err != nil {
			return err
		}
		if _, err := os.Stat("/sys/class/mei/mei1"); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("a second device: %v", err)
		}
		f, err := mei.ReadFacts(os.DirFS("/sys"), "mei0")
		if err != nil {
			return err
		}
		names, err := mei.Devices(os.DirFS("/sys"))
		if err != nil {
			return err
		}
		var x unix.Statx_t
		if err := unix.Statx(unix.AT_FDCWD, "/dev/../dev/mei0", 0, unix.STATX_BASIC_STATS, &x); err != nil {
			return err
		}
		if err := os.Chdir("/dev"); err != nil {
			return err
		}
		if err := unix.Access("mei0", unix.R_OK|unix.W_OK); err != nil {
			return err
		}
		got := fmt.Sprintln(info.Mode(), again.Mode(), f.State, f.Kind, f.QueueLimit, f.FirmwareStatus, f.Device, names, x.Rdev_major)
		return same("facts", got, "Dcrw------- Dcrw------- ENABLED mei 50 [335544901] 242:0 [mei0] 242\n")
	},
	"connects": func(args []string) error {
		var got []string
		for _, address := range []string{"127.0.0.1:16992", "[::1]:16992", "127.0.0.1:16993", args[0], "127.0.0.2:16992"} {
			conn, err := net.DialTimeout("tcp", address, time.Minute)
			if err != nil {
				got = append(got, fmt.Sprint(errors.Is(err, unix.ECONNREFUSED)))
				continue
			}
			word, err := io.ReadAll(conn)
			conn.Close()
			if err != nil {
				return err
			}
			got = append(got, string(word))
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 16994, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return err
		}
		b := make([]byte, 10)
		n, _ := unix.Read(fd, b)
		return same("connections", strings.Join(append(got, string(b[:n])), " "), "there there true other true there")
	},
}

func dial(client guid.GUID) (int, error) {
	fd, err := unix.Open("/dev/mei0", unix.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	if errno := ioctl(fd, ioctlConnect, client[:]); errno != 0 {
		unix.Close(fd)
		return 0, errno
	}
	return fd, nil
}

func talk(fd int, text string) error {
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	b := make([]byte, mtu)
	for {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		return same("answer", string(b[:n]), text)
	}
}

func ioctl(fd int, request uint32, arg []byte) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(&arg[0])))
	return errno
}

func pointer(fd int, request uint32, address uintptr) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), address)
	return errno
}

func same(what, got, want string) error {
	if got != want {
		return fmt.Errorf("%s: got %q, want %q", what, got, want)
	}
	return nil
}

// The filter never jumps beyond its end, and what it does not know it allows.
func TestFilter(t *testing.T) {
	p := filter()
	for i, in := range p {
		if in.Code&7 == unix.BPF_JMP && (i+1+int(in.Jt) >= len(p) || i+1+int(in.Jf) >= len(p)) {
			t.Errorf("instruction %d jumps to %d or %d of %d", i, i+1+int(in.Jt), i+1+int(in.Jf), len(p))
		}
	}
	if last := p[len(p)-1]; last.K != unix.SECCOMP_RET_ALLOW {
		t.Errorf("ends with %+v", last)
	}
}

func TestWriteClass(t *testing.T) {
	dir := t.TempDir()
	trace := uint32(1)
	want := mei.Facts{Device: "242:0", FirmwareStatus: []uint32{1, 0xFFFFFFFF}, FirmwareVersions: []mei.FirmwareVersion{{Major: 16, Minor: 1, Hotfix: 27, Build: 2176}},
		HBM: mei.Version{Major: 2, Minor: 2}, DriverHBM: mei.Version{Major: 2, Minor: 2}, QueueLimit: 50, State: "ENABLED", Kind: "mei", Trace: &trace}
	if err := writeClass(filepath.Join(dir, "class", "mei"), want); err != nil {
		t.Fatal(err)
	}
	got, err := mei.ReadFacts(os.DirFS(dir), "mei0")
	if err != nil {
		t.Fatal(err)
	}
	got.Trace, want.Trace = nil, nil
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
