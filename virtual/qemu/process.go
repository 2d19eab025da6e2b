package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/wire/qmp"
)

// A need is what a boot wants of the command line; another need takes another process.
type need struct {
	serial bool // the BIOS has its console on the serial port too
	menu   bool // the BIOS shows its boot menu
}

// A process is a QEMU that runs. It exists from the start of the program to its end.
type process struct {
	need   need
	qmp    *qmp.Client
	serial net.Conn // first serial port
	bios   net.Conn // debug port of the BIOS; only read
	vnc    string   // path of its socket

	dir    string
	cmd    *exec.Cmd
	talk   *tail         // what it says on stdout and stderr
	exited chan struct{} // closed when the program has ended
	status error         // of its end; set before exited is closed
	wg     sync.WaitGroup

	ordering sync.Mutex // guards order
	devices  []bootable // what can be booted from, in the user's order
	order    []string   // paths, as set last
}

// The names of sockets and files in a process's directory.
const (
	fileQMP    = "qmp"
	fileSerial = "serial"
	fileBIOS   = "bios"
	fileVNC    = "vnc"
	fileSercon = "sercon"
)

// serialPort is where SeaBIOS finds the first serial port, as its file etc/sercon-port has it: little-endian.
var serialPort = []byte{0xF8, 0x03}

// arguments returns the command line. What the user may want otherwise stands first, as QEMU takes the last.
func (o *Options) arguments(dir string, n need, extra []string) []string {
	socket := func(id, file string) string {
		return "socket,id=outband-" + id + ",path=" + comma(filepath.Join(dir, file))
	}
	args := []string{"-S", "-vga", "std", "-parallel", "none", "-monitor", "none"}
	if !o.UUID.IsZero() {
		args = append(args, "-uuid", o.UUID.String())
	}
	if !o.choosesAccel() {
		accel := o.Accel
		if accel == "" {
			accel = "tcg"
		}
		args = append(args, "-accel", accel)
	}
	args = append(args,
		"-chardev", socket("serial", fileSerial), "-serial", "chardev:outband-serial",
		"-chardev", socket("qmp", fileQMP), "-mon", "chardev=outband-qmp,mode=control",
		"-chardev", socket("bios", fileBIOS), "-device", "isa-debugcon,iobase=0x402,chardev=outband-bios",
		"-vnc", "unix:"+comma(filepath.Join(dir, fileVNC)),
		"-device", "qemu-xhci,id=outband-usb", "-device", "usb-tablet,bus=outband-usb.0,id=outband-tablet",
		"-action", "shutdown=pause,panic=none",
	)
	args = append(args, o.Args...)
	if n.serial {
		args = append(args, "-fw_cfg", "name=etc/sercon-port,file="+comma(filepath.Join(dir, fileSercon)))
	}
	if n.menu {
		args = append(args, "-boot", "menu=on,splash-time=4000")
	}
	return append(args, extra...)
}

// comma writes a path inside of an option: QEMU wants commas doubled.
func comma(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// start starts the program and returns when it can be controlled. Its processors stand still. events is called from one
// goroutine with what happens, and must not control it.
func (o *Options) start(ctx context.Context, n need, events func(qmp.Event)) (_ *process, err error) {
	binary, err := o.lookBinary()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, def(o.Start, 30*time.Second), fmt.Errorf("%w: it says nothing in time", ErrStart))
	defer cancel()
	p := &process{need: n, talk: &tail{}, exited: make(chan struct{})}
	if p.dir, err = os.MkdirTemp("", "outband-qemu-"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	defer func() {
		if err != nil {
			p.kill()
		}
	}()
	if err := os.WriteFile(filepath.Join(p.dir, fileSercon), serialPort, 0o600); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	p.vnc = filepath.Join(p.dir, fileVNC)
	conns, stop, err := p.listen(fileQMP, fileSerial, fileBIOS)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	defer stop()
	if err := p.run(binary, o, n); err != nil {
		return nil, err
	}
	control, err := p.await(ctx, conns)
	if err != nil {
		return nil, err
	}
	if p.qmp, err = qmp.Open(ctx, control, events); err != nil {
		return nil, p.why(fmt.Errorf("%w: %w", ErrStart, err))
	}
	return p, nil
}

func def(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

func (o *Options) lookBinary() (string, error) {
	name := o.Binary
	if name == "" {
		name = DefaultBinary
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBinary, err)
	}
	return path, nil
}

// listen waits for the program to connect to sockets in its directory. conns gives each connection in the order of names;
// stop ends the waiting.
func (p *process) listen(names ...string) (conns []chan net.Conn, stop func(), err error) {
	var listeners []net.Listener
	var wg sync.WaitGroup
	stop = sync.OnceFunc(func() {
		for _, l := range listeners {
			l.Close()
		}
		wg.Wait()
		for _, c := range conns {
			select {
			case conn := <-c: // nobody has fetched it
				conn.Close()
			default:
			}
		}
	})
	for _, name := range names {
		l, err := net.Listen("unix", filepath.Join(p.dir, name))
		if err != nil {
			stop()
			return nil, nil, err
		}
		c := make(chan net.Conn, 1)
		listeners, conns = append(listeners, l), append(conns, c)
		wg.Go(func() {
			if conn, err := l.Accept(); err == nil {
				c <- conn
			}
		})
	}
	return conns, stop, nil
}

// run starts the program. The thread that has started it stays with it, as some systems end a program with the thread.
func (p *process) run(binary string, o *Options, n need) error {
	var more Addition
	defer func() {
		for _, f := range more.Files {
			f.Close()
		}
	}()
	for _, extra := range o.Extras {
		a, err := extra(3 + len(more.Files))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrStart, err)
		}
		more.Args, more.Files = append(more.Args, a.Args...), append(more.Files, a.Files...)
	}
	p.cmd = exec.Command(binary, o.arguments(p.dir, n, more.Args)...)
	p.cmd.Stdout, p.cmd.Stderr = p.talk, p.talk
	p.cmd.ExtraFiles = more.Files
	p.cmd.SysProcAttr = attributes()
	p.cmd.WaitDelay = time.Second // for children that keep its stderr open
	started := make(chan error)
	p.wg.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.status = p.cmd.Wait()
			close(p.exited)
		}
	})
	if err := <-started; err != nil {
		p.cmd = nil
		return fmt.Errorf("%w: %w", ErrBinary, err)
	}
	return nil
}

// await waits until the program has connected everywhere, and returns the connection that controls it.
func (p *process) await(ctx context.Context, conns []chan net.Conn) (control net.Conn, err error) {
	for i, to := range []*net.Conn{&control, &p.serial, &p.bios} {
		select {
		case *to = <-conns[i]:
		case <-p.exited:
			err = p.why(ErrStart)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			if control != nil {
				control.Close()
			}
			return nil, err
		}
	}
	return control, nil
}

// why adds what the program has said, if it has ended, or is about to.
func (p *process) why(err error) error {
	select {
	case <-p.exited:
	case <-time.After(time.Second):
	}
	if said := p.talk.last(); said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	select {
	case <-p.exited:
		if p.status != nil {
			return fmt.Errorf("%w: %w", err, p.status)
		}
	default:
	}
	return err
}

// quit ends the program: by asking it, and if it does not listen, by force. It returns when the program has ended.
func (p *process) quit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := p.qmp.Do(ctx, "quit", nil, nil); err == nil || errors.Is(err, qmp.ErrCut) {
		select {
		case <-p.exited:
		case <-ctx.Done():
		}
	}
	p.kill()
}

// kill ends the program by force if it has not ended, waits for it, and cleans up. It may be called again.
func (p *process) kill() {
	if p.cmd != nil {
		select {
		case <-p.exited:
		default:
			p.cmd.Process.Kill()
		}
	}
	if p.qmp != nil {
		p.qmp.Close()
	}
	for _, c := range []net.Conn{p.serial, p.bios} {
		if c != nil {
			c.Close()
		}
	}
	p.wg.Wait()
	os.RemoveAll(p.dir)
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const maxTail = 4096

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - maxTail; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(b), nil
}

// last returns the last line, without the name of the program in front; of several, warnings are passed over.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	said := ""
	for line := range bytes.Lines(t.text) {
		text := strings.TrimSpace(string(line))
		if _, rest, ok := strings.Cut(text, ": "); ok && strings.Contains(text[:len(text)-len(rest)], "qemu") {
			text = rest
		}
		if text != "" && !(said != "" && strings.HasPrefix(text, "warning:")) {
			said = text
		}
	}
	return said
}
