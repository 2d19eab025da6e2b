package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
)

// patience is how long a test waits for what takes a moment.
const patience = time.Minute

// A rig is a machine under test, what it told, and a console at its serial port.
type rig struct {
	*Machine
	t      *testing.T
	events chan string
	typed  *io.PipeWriter
	out    *output
	log    *output
}

func newRig(t *testing.T, mode string, o Options) *rig {
	t.Helper()
	t.Setenv(fakeEnv, mode)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // under the race detector each fake would take a second to end
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, events: make(chan string, 1000), out: newOutput(), log: newOutput()}
	o.Binary, o.Log = exe, slog.New(slog.NewTextHandler(r.log, nil))
	o.CycleOff = time.Millisecond
	if r.Machine, err = New(o); err != nil {
		t.Fatal(err)
	}
	r.Watch(func(e firmware.Event) {
		text := e.Kind.String()
		switch e.Kind {
		case firmware.EventPower:
			text = fmt.Sprintf("%v>%v", e.Was, e.Power)
		case firmware.EventBoot:
			text = fmt.Sprintf("boot from %v", e.Was)
		case firmware.EventBooted:
			text = fmt.Sprintf("booted %d %d", e.Boot.Status, e.Boot.Error)
		}
		r.events <- text
	})
	in, typed := io.Pipe()
	r.typed = typed
	closeSerial := r.OpenSerial(struct {
		io.Reader
		io.Writer
	}{in, r.out})
	t.Cleanup(func() {
		typed.Close()
		closeSerial()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// do forces a transition, again while one is still under way.
func (r *rig) do(a firmware.Action, plan firmware.BootPlan) {
	r.t.Helper()
	r.again(a.String(), func() error { return r.Do(r.t.Context(), a, func() firmware.BootPlan { return plan }) })
}

// again gives an order, again while a transition is still under way.
func (r *rig) again(what string, order func() error) {
	r.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // until the transition before is over
		err := order()
		if err == nil {
			return
		}
		if !errors.Is(err, errBusy) || time.Now().After(late) {
			r.t.Fatalf("%s: %v", what, err)
		}
	}
}

// told waits for events, in this order and no others.
func (r *rig) told(want ...string) {
	r.t.Helper()
	late := time.After(patience)
	var got []string
	for _, w := range want {
		select {
		case e := <-r.events:
			if got = append(got, e); e != w {
				r.t.Fatalf("told %q, want %q", got, want)
			}
		case <-late:
			r.t.Fatalf("told %q and no more, want %q; log: %s", got, want, r.log.String())
		}
	}
}

// An output is what was written, and a way to wait for it.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits for a text, and forgets what was written.
func (o *output) await(t *testing.T, want string) (got string) {
	t.Helper()
	late := time.After(patience)
	for {
		o.mu.Lock()
		got, more := o.b.String(), o.more
		if strings.Contains(got, want) {
			o.b.Reset()
			o.mu.Unlock()
			return got
		}
		o.mu.Unlock()
		select {
		case <-more:
		case <-late:
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

var (
	up   = []string{"S5>S0", "boot from S5", "booted 0 0", "handover", "agent up"}
	boot = []string{"agent down", "OS down", "boot from S0", "booted 0 0", "handover", "agent up"}
	down = []string{"agent down", "OS down", "S0>S5"}
)

func TestPower(t *testing.T) {
	for _, tt := range []struct {
		name  string
		act   func(r *rig)
		want  []string
		power firmware.Sx
	}{
		{"off", func(r *rig) { r.do(firmware.PowerDown, firmware.BootPlan{}) }, down, firmware.S5},
		{"cycle", func(r *rig) { r.do(firmware.Cycle, firmware.BootPlan{}) }, slices.Concat(down, up), firmware.S0},
		{"reset", func(r *rig) { r.do(firmware.Reset, firmware.BootPlan{}) }, boot, firmware.S0},
		{"interrupt", func(r *rig) { r.do(firmware.NMI, firmware.BootPlan{}); r.out.await(t, "[nmi]") }, []string{"NMI"}, firmware.S0},
		{"shut down", func(r *rig) { r.ask(firmware.WishShutDown) }, down, firmware.S5},
		{"reboot", func(r *rig) { r.ask(firmware.WishReboot) }, slices.Concat(down, up), firmware.S0},
		{"button", func(r *rig) { r.again("press", func() error { return r.Press(t.Context()) }) }, down, firmware.S5},
		{"guest resets", func(r *rig) { io.WriteString(r.typed, "r") }, boot, firmware.S0},
		{"guest switches off", func(r *rig) { io.WriteString(r.typed, "o") }, down, firmware.S5},
		{"guest hibernates", func(r *rig) { io.WriteString(r.typed, "h") }, []string{"agent down", "OS down", "S0>S4"}, firmware.S4},
		{"guest sleeps", func(r *rig) { io.WriteString(r.typed, "s") }, []string{"agent down", "OS down", "S0>S3"}, firmware.S3},
		{"late news of a reset", func(r *rig) { io.WriteString(r.typed, "lo") }, down, firmware.S5},
		{"sleep and wake", func(r *rig) {
			io.WriteString(r.typed, "s")
			r.told("agent down", "OS down", "S0>S3")
			r.do(firmware.PowerUp, firmware.BootPlan{})
		}, []string{"S3>S0", "agent up"}, firmware.S0},
		{"sleep and off", func(r *rig) {
			io.WriteString(r.typed, "s")
			r.told("agent down", "OS down", "S0>S3")
			r.do(firmware.PowerDown, firmware.BootPlan{})
		}, []string{"S3>S5"}, firmware.S5},
		{"QEMU dies", func(r *rig) { io.WriteString(r.typed, "x"); r.log.await(t, "fatal: broken") }, down, firmware.S5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, "good", Options{})
			if r.Power() != firmware.S5 || r.Phase() != Off || r.Running() != "" || r.Agent() {
				t.Fatalf("new: %v, %s, %q, %v", r.Power(), r.Phase(), r.Running(), r.Agent())
			}
			r.do(firmware.PowerUp, firmware.BootPlan{})
			r.told(up...)
			r.out.await(t, "<device[4] >")
			if r.Running() != "7.2.1" || !r.Agent() || r.Phase() != Running {
				t.Errorf("on: QEMU %q, agent %v, %s", r.Running(), r.Agent(), r.Phase())
			}
			tt.act(r)
			r.told(tt.want...)
			if got := r.Power(); got != tt.power {
				t.Errorf("power: got %v, want %v", got, tt.power)
			}
			if off := tt.power != firmware.S0 && tt.power != firmware.S3; off != (r.Running() == "") {
				t.Errorf("off: %v; QEMU: %q", off, r.Running())
			}
		})
	}
}

// ask passes a wish on.
func (r *rig) ask(w firmware.Wish) {
	r.t.Helper()
	r.again(w.String(), func() error { return r.Ask(r.t.Context(), w, nil) })
}

func TestRefused(t *testing.T) {
	r := newRig(t, "good", Options{})
	for _, a := range []firmware.Action{firmware.PowerDown, firmware.Cycle, firmware.Reset, firmware.NMI} {
		if err := r.Do(t.Context(), a, nil); !errors.Is(err, errState) {
			t.Errorf("%v while off: got %v, want %v", a, err, errState)
		}
	}
	if err := r.Ask(t.Context(), firmware.WishShutDown, nil); !errors.Is(err, firmware.ErrNoAgent) {
		t.Errorf("wish while off: got %v", err)
	}
	r.do(firmware.PowerUp, firmware.BootPlan{})
	r.told(up...)
	r.do(firmware.NMI, firmware.BootPlan{}) // not before the boot is over
	if err := r.Do(t.Context(), firmware.PowerUp, nil); !errors.Is(err, errState) {
		t.Errorf("power up while on: got %v", err)
	}
	for _, w := range []firmware.Wish{firmware.WishShutDown, firmware.WishReboot, firmware.WishSleep, firmware.WishHibernate} {
		if got, want := r.Takes(w), w == firmware.WishShutDown || w == firmware.WishReboot; got != want {
			t.Errorf("%v: %v", w, got)
		}
	}
	if err := r.Ask(t.Context(), firmware.WishSleep, nil); !errors.Is(err, errNoSleep) {
		t.Errorf("sleep: got %v", err)
	}
	r.Close()
	if err := r.Do(t.Context(), firmware.PowerUp, nil); !errors.Is(err, errClosed) {
		t.Errorf("closed: got %v", err)
	}
}

func TestPlans(t *testing.T) {
	for _, tt := range []struct {
		name   string
		plan   firmware.BootPlan
		args   []string
		serial string // what the guest was booted from
		from   firmware.BootSource
		booted string
	}{
		{"default", firmware.BootPlan{}, nil, "<device[4] >", firmware.BootDisk, "booted 0 0"},
		{"default is the network", firmware.BootPlan{}, []string{"-boot", "n"}, "<device[9] >", firmware.BootPXE, "booted 0 0"},
		{"default is the CD", firmware.BootPlan{}, []string{"-boot", "menu=off,order=dc"}, "<device[10] >", firmware.BootCD, "booted 0 0"},
		{"disk", firmware.BootPlan{Source: firmware.BootDisk}, []string{"-boot", "d"}, "<device[4] >", firmware.BootDisk, "booted 0 0"},
		{"second disk", firmware.BootPlan{Source: firmware.BootDisk, Medium: 2}, nil, "<device[5] >", firmware.BootDisk, "booted 0 0"},
		{"third disk", firmware.BootPlan{Source: firmware.BootDisk, Medium: 3}, nil, "<device[4] >", firmware.BootDisk, "booted 0 0"},
		{"CD", firmware.BootPlan{Source: firmware.BootCD}, nil, "<device[10] >", firmware.BootCD, "booted 0 0"},
		{"network", firmware.BootPlan{Source: firmware.BootPXE}, nil, "<device[9] >", firmware.BootPXE, "booted 0 0"},
		{"console on serial", firmware.BootPlan{SOL: true}, nil, "<device[4]  with a console>", firmware.BootDisk, "booted 0 0"},
		{"no drives of a console", firmware.BootPlan{Source: firmware.BootIDERCD}, nil, "<device[4] >", firmware.BootDisk, "booted 0 0"},
		{"not known here", firmware.BootPlan{Source: firmware.BootHTTPS}, nil, "<device[4] >", firmware.BootDisk, "booted 65535 3"},
		{"erase", firmware.BootPlan{SecureErase: true}, nil, "<device[4] >", firmware.BootDisk, "booted 65535 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, "good", Options{Args: tt.args})
			r.do(firmware.PowerUp, tt.plan)
			r.told("S5>S0", "boot from S5", tt.booted, "handover", "agent up")
			r.out.await(t, tt.serial)
			if b := r.LastBoot(); b.Number != 1 || !b.Remote || b.From != tt.from || b.Plan.Source != tt.plan.Source || b.Was != firmware.S5 {
				t.Errorf("last boot: %+v", b)
			}
			// The plan was for one boot, and the next comes from the guest.
			first := "<device[4] >"
			if strings.HasPrefix(tt.name, "default") {
				first = tt.serial
			} else if tt.args != nil {
				first = "<device[10] >"
			}
			for late := time.Now().Add(patience); ; { // the order is set back some time after the boot
				io.WriteString(r.typed, "r")
				r.told(boot...)
				got := r.out.await(t, ">")
				if strings.HasPrefix(got, strings.TrimSuffix(first, " >")) {
					break
				}
				if time.Now().After(late) {
					t.Fatalf("the guest boots from %s, want %s", got, first)
				}
			}
		})
	}
}

func TestMenu(t *testing.T) {
	r := newRig(t, "good", Options{})
	r.do(firmware.PowerUp, firmware.BootPlan{Setup: true})
	r.told("S5>S0", "boot from S5", "booted 0 0", "setup")
	if r.Phase() != Menu || r.Agent() {
		t.Errorf("%s, agent %v", r.Phase(), r.Agent())
	}
	r.do(firmware.Reset, firmware.BootPlan{})
	r.told("boot from S0", "booted 0 0", "handover", "agent up")
}

// A guest may switch itself off before the boot is over for us.
func TestOffAtOnce(t *testing.T) {
	r := newRig(t, "brief", Options{})
	r.do(firmware.PowerUp, firmware.BootPlan{})
	r.told("S5>S0", "boot from S5", "S0>S5")
	if r.Running() != "" {
		t.Errorf("QEMU %s still runs", r.Running())
	}
}

func TestNothingToBootFrom(t *testing.T) {
	r := newRig(t, "empty", Options{})
	r.do(firmware.PowerUp, firmware.BootPlan{})
	r.told("S5>S0", "boot from S5", "booted 0 0", "no medium")
	if r.Phase() != NoMedium {
		t.Error(r.Phase())
	}
}

// Another BIOS than SeaBIOS says nothing: after a while it is taken to be done.
func TestMuteBIOS(t *testing.T) {
	r := newRig(t, "mute", Options{BIOSTime: time.Millisecond})
	r.do(firmware.PowerUp, firmware.BootPlan{})
	r.told(up...)
	if b := r.LastBoot(); b.From != firmware.BootDefault {
		t.Errorf("booted from %v", b.From)
	}
}

func TestPressed(t *testing.T) {
	r := newRig(t, "good", Options{})
	if err := r.Press(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.told(up...)
	if b := r.LastBoot(); b.Remote || b.Number != 1 {
		t.Errorf("last boot: %+v", b)
	}
}

func TestDoesNotStart(t *testing.T) {
	if _, err := New(Options{Binary: "/no/such/program"}); !errors.Is(err, ErrBinary) {
		t.Errorf("no program: got %v, want %v", err, ErrBinary)
	}
	if _, err := New(Options{Args: []string{"-m", "32", "--daemonize"}}); !errors.Is(err, ErrArgs) {
		t.Errorf("-daemonize: got %v, want %v", err, ErrArgs)
	}
	odd := errors.New("odd")
	for _, tt := range []struct {
		mode string
		o    Options
		want error
		says string
	}{
		{"refuses", Options{}, ErrStart, "Could not open 'no.iso': No such file or directory"},
		{"silent", Options{Start: 50 * time.Millisecond}, ErrStart, "says nothing in time"},
		{"good", Options{Extras: []Extra{func(int) (Addition, error) { return Addition{}, odd }}}, odd, "odd"},
	} {
		r := newRig(t, tt.mode, tt.o)
		for _, err := range []error{r.Check(t.Context()), r.Do(t.Context(), firmware.PowerUp, nil)} {
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: got %v, want %v: %s", tt.mode, err, tt.want, tt.says)
			}
		}
		if r.Power() != firmware.S5 || r.Running() != "" {
			t.Errorf("%s: %v, QEMU %q", tt.mode, r.Power(), r.Running())
		}
		r.log.await(t, "cannot be switched on")
	}
	if err := newRig(t, "good", Options{}).Check(t.Context()); err != nil {
		t.Errorf("good: %v", err)
	}
}

// What others add to the process reaches it, files and all, at each start.
func TestExtras(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	other := func(fd int) (Addition, error) {
		f, err := os.Open(os.DevNull)
		return Addition{Files: []*os.File{f}}, err
	}
	r := newRig(t, "good", Options{Extras: []Extra{other}})
	r.Extend(func(fd int) (Addition, error) {
		return Addition{Args: []string{"-extra", fmt.Sprintf("fd=%d", fd)}, Files: []*os.File{write}}, nil
	})
	r.do(firmware.PowerUp, firmware.BootPlan{})
	r.told(up...)
	got := make([]byte, 5)
	if _, err := io.ReadFull(read, got); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A full disk makes the guest stand still. That is told once, and the guest goes on when there is room.
func TestFullDisk(t *testing.T) {
	r := newRig(t, "good", Options{})
	r.retry = time.Millisecond
	r.do(firmware.PowerUp, firmware.BootPlan{})
	r.told(up...)
	io.WriteString(r.typed, "u")
	r.out.await(t, "[goes on]")
	if said := r.log.String(); strings.Count(said, "stands still") != 1 || !strings.Contains(said, "drive=ide0-hd0") || !strings.Contains(said, "No space left on device") {
		t.Errorf("log: %s", said)
	}
	if r.Power() != firmware.S0 || r.Phase() != Running {
		t.Errorf("%v, %s", r.Power(), r.Phase())
	}
}

func TestSerial(t *testing.T) {
	r := newRig(t, "good", Options{})
	io.WriteString(r.typed, "lost: it is off")
	r.do(firmware.PowerUp, firmware.BootPlan{})
	r.out.await(t, "<device[4] >")
	io.WriteString(r.typed, "abc")
	r.out.await(t, "abc")
	r.do(firmware.Cycle, firmware.BootPlan{})
	r.out.await(t, "<device[4] >") // the line stays over a restart
	io.WriteString(r.typed, "def")
	r.out.await(t, "def")
	if got := r.out.String(); strings.Contains(got, "lost") {
		t.Errorf("got %q", got)
	}
}

func TestScreen(t *testing.T) {
	r := newRig(t, "good", Options{})
	frame, closeScreen := r.OpenScreen(0)
	defer closeScreen()
	waitFor := func(what string, is func(w, h int, first uint32) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var look rfb.Look
		for {
			if err := frame.Wait(ctx, &look); err != nil {
				w, h := frame.Size()
				t.Fatalf("no %s, but %dx%d", what, w, h)
			}
			frame.Changed(&look, frame.Image().Bounds(), false, nil)
			img := frame.Image()
			c := img.RGBAAt(1, 1)
			if b := img.Bounds(); is(b.Dx(), b.Dy(), uint32(c.R)<<16|uint32(c.G)<<8|uint32(c.B)) {
				return
			}
		}
	}
	guest := func(w, h int, first uint32) bool { return w == 640 && h == 480 && first == 0x123456 }
	dark := func(w, h int, first uint32) bool { return w == darkWidth && h == darkHeight && first == 0 }
	waitFor("dark screen", dark)
	r.do(firmware.PowerUp, firmware.BootPlan{})
	r.out.await(t, "<device[4] >")
	r.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'A'}) // perhaps before the session with QEMU stands
	r.PointerEvent(rfb.PointerEvent{Buttons: 1, X: 30, Y: 40})
	r.out.await(t, "[key 41 1e true][pointer 30,40 1]")
	waitFor("picture", guest)

	r.ShowCode("123456")
	x, y := 320, 240+glyphH // inside of the box
	waitFor("code", func(w, h int, _ uint32) bool {
		c := frame.Image().RGBAAt(x, y+glyphH*codeScale/2)
		return c.R != 0x12 && guest(w, h, 0x123456)
	})
	if r.Code() != "123456" {
		t.Error(r.Code())
	}
	r.HideCode()
	waitFor("picture without code", func(w, h int, first uint32) bool {
		c := frame.Image().RGBAAt(x, y+glyphH*codeScale/2)
		return c.R == 0x12 && guest(w, h, first)
	})

	r.do(firmware.PowerDown, firmware.BootPlan{})
	waitFor("dark screen", dark)
	r.do(firmware.PowerUp, firmware.BootPlan{LockKeyboard: true})
	waitFor("picture", guest)
	r.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'B'})
	io.WriteString(r.typed, "z")
	r.out.await(t, "z")
	r.do(firmware.Reset, firmware.BootPlan{})
	r.out.await(t, "<device[4] >")
	r.KeyEvent(rfb.KeyEvent{Down: true, Keysym: rfb.KeyDelete})
	r.out.await(t, "[key ffff d3 true]") // and no B
}

// drivesOf opens a session of storage redirection and returns both ends.
func drivesOf(t *testing.T, cd, floppy string) (*ider.Session, *ider.Device) {
	t.Helper()
	image := func(text string, size int) *ider.Medium {
		if text == "" {
			return nil
		}
		b := make([]byte, size)
		copy(b, text)
		return &ider.Medium{Image: bytes.NewReader(b), Size: int64(size)}
	}
	a, b := net.Pipe()
	var d *ider.Device
	var bad error
	enabled := make(chan struct{}, 9)
	var wg sync.WaitGroup
	wg.Go(func() {
		d, bad = ider.Accept(context.Background(), redir.NewConn(b), ider.DeviceOptions{
			Settle: time.Millisecond, OnEnable: func(bool, ider.Moment) { enabled <- struct{}{} },
		})
	})
	s, err := ider.Open(context.Background(), redir.NewConn(a), ider.Options{CD: image(cd, 2*readAhead), Floppy: image(floppy, 1440<<10)})
	wg.Wait()
	if err != nil || bad != nil {
		t.Fatal(err, bad)
	}
	t.Cleanup(func() { s.Close(); d.Close() })
	<-enabled
	return s, d
}

func TestDrives(t *testing.T) {
	r := newRig(t, "good", Options{})
	session, device := drivesOf(t, "CD-IMAGE", "")
	r.Plug(device)
	r.do(firmware.PowerUp, firmware.BootPlan{Source: firmware.BootIDERCD})
	r.told(up...)
	r.out.await(t, "<outband-cd CD-IMAGE>")
	if b := r.LastBoot(); b.From != firmware.BootIDERCD {
		t.Errorf("booted from %v", b.From)
	}
	// It stays plugged in, and is the last choice.
	r.do(firmware.Reset, firmware.BootPlan{})
	r.told(boot...)
	r.out.await(t, "<device[4] CD-IMAGE>")
	// Another medium is another drive: the guest reads what is not at hand, and finds the one that it had gone.
	b := make([]byte, 2*readAhead)
	copy(b, "CD-THE-2ND")
	if err := session.Insert(ider.CD, &ider.Medium{Image: bytes.NewReader(b), Size: int64(len(b))}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(r.typed, "m")
	r.out.await(t, "[outband-cd is gone][outband-cd is CD-THE-2]")
	r.Unplug()
	r.out.await(t, "[outband-cd is gone]")

	_, device = drivesOf(t, "", "FLOPPY!!")
	r.Plug(device)
	r.do(firmware.Cycle, firmware.BootPlan{Source: firmware.BootIDERFloppy})
	r.told(slices.Concat(down, up)...)
	r.out.await(t, "<outband-floppy FLOPPY!!>")
	if b := r.LastBoot(); b.From != firmware.BootIDERFloppy {
		t.Errorf("booted from %v", b.From)
	}
	r.Unplug()
	r.out.await(t, "[outband-floppy is gone]")
}

func TestUUID(t *testing.T) {
	o := Options{}
	if slices.Contains(o.arguments("/d", need{}, nil), "-uuid") {
		t.Error("a UUID that nobody has set")
	}
	o.UUID = guid.FromSeed("x")
	if args := strings.Join(o.arguments("/d", need{}, nil), " "); !strings.Contains(args, "-uuid "+o.UUID.String()+" ") {
		t.Error(args)
	}
}
