package firmware_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
	"github.com/outband/outband/wire/sol"
	"github.com/outband/outband/wire/status"
)

// listening switches all of redirection on.
func listening(t *testing.T, c firmware.Config, o pc.Options) *world {
	t.Helper()
	w := newWorld(t, c, o)
	s, err := class.Get[amt.RedirectionService](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	s.ListenerEnabled = new(true)
	s.EnabledState = new(amt.RedirectionServiceEnabledState(32771))
	if _, err := class.Put(t.Context(), w, s); err != nil {
		t.Fatal(err)
	}
	w.kvm(t, true)
	return w
}

func (w *world) kvm(t *testing.T, on bool) {
	t.Helper()
	state := cim.RequestedState(3)
	if on {
		state = 2
	}
	if _, err := cim.KVMRedirectionSAPRequestStateChange.Invoke(t.Context(), w, cim.KVMRedirectionSAPRequestStateChangeIn{RequestedState: &state}); err != nil {
		t.Fatal(err)
	}
}

// dialRedirection opens a connection to a port of the machine.
func (w *world) dial(t *testing.T, port int) net.Conn {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	here, there := net.Pipe()
	var served sync.WaitGroup
	served.Go(func() { w.ServeConn(ctx, there, port) })
	t.Cleanup(func() {
		here.Close()
		cancel()
		served.Wait()
	})
	return here
}

func (w *world) open(t *testing.T, kind redir.Kind) (*redir.Conn, error) {
	t.Helper()
	return redir.Open(t.Context(), w.dial(t, firmware.PortRedir), kind, redir.Options{Password: firmware.DefaultPassword})
}

// screen opens KVM.
func (w *world) screen(t *testing.T) *rfb.Client {
	t.Helper()
	conn, err := w.open(t, redir.KVM)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte{0x40, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 8)
	if _, err := io.ReadFull(conn, reply); err != nil || reply[0] != 0x41 {
		t.Fatalf("%x, %v", reply, err)
	}
	c, err := rfb.Connect(t.Context(), conn, rfb.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// line opens SOL and collects what the machine sends.
type line struct {
	*sol.Session
	mu  sync.Mutex
	got bytes.Buffer
	wg  sync.WaitGroup
}

func (w *world) line(t *testing.T) *line {
	t.Helper()
	conn, err := w.open(t, redir.SOL)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{}
	if l.Session, err = sol.Open(t.Context(), conn, sol.Options{}); err != nil {
		t.Fatal(err)
	}
	l.wg.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := l.Read(b)
			l.mu.Lock()
			l.got.Write(b[:n])
			l.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		l.wg.Wait()
	})
	return l
}

func (l *line) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got.String()
}

func (l *line) typed(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(l, text); err != nil {
		t.Fatal(err)
	}
}

func TestSerialConsole(t *testing.T) {
	inBubble(t, "operating system", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		l := w.line(t)
		l.typed(t, "echo hel")
		w.settle()
		l.typed(t, "lo\r")
		w.settle()
		if got := l.text(); !strings.Contains(got, "pc# echo hello\r\nhello\r\npc# ") {
			t.Errorf("%q", got)
		}
		if got := w.Sessions(); len(got) != 1 || got[0] != "SOL" {
			t.Errorf("sessions %v", got)
		}
		if _, err := class.Get[ips.SolSessionUsingPort](t.Context(), w); err != nil {
			t.Error(err)
		}
		l.typed(t, "poweroff\r")
		w.settle()
		if w.pc.Power() != firmware.S5 {
			t.Errorf("power %v", w.pc.Power())
		}
	})
	inBubble(t, "BIOS", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{})
		l := w.line(t)
		if err := w.put(t, func(d *amt.BootSettingData) { d.UseSOL, d.BIOSSetup = new(true), new(true) }); err != nil {
			t.Fatal(err)
		}
		w.role(t, cim.BootServiceSetBootConfigRoleRoleIsNextSingleUse)
		if s := w.request(t, cim.PowerStateOn); s != 0 {
			t.Fatal(s)
		}
		w.settle()
		if got := l.text(); !strings.Contains(got, "Setup") || w.pc.Phase() != pc.Setup {
			t.Errorf("phase %v, %q", w.pc.Phase(), got)
		}
		l.typed(t, "\x1b[B") // down
		l.typed(t, "\x1b")
		w.settle()
		if w.pc.Phase() != pc.Running {
			t.Errorf("phase %v", w.pc.Phase())
		}
	})
	inBubble(t, "BIOS without UseSOL", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{NoDisk: true})
		for _, s := range []firmware.BootSource{firmware.BootCD, firmware.BootPXE} {
			w.pc.Insert(s, false)
		}
		l := w.line(t)
		w.request(t, cim.PowerStateOn)
		w.settle()
		if got := l.text(); got != "" {
			t.Errorf("%q", got)
		}
	})
}

// isoImage is a disc with a label, a boot record and a few files.
func isoImage(label string, files ...string) []byte {
	image := make([]byte, 40*2048)
	volume := func(sector int, kind byte) []byte {
		b := image[sector*2048:]
		b[0], b[6] = kind, 1
		copy(b[1:], "CD001")
		return b
	}
	record := func(b []byte, at, size uint32, flags byte, name string) int {
		n := (33 + len(name) + 1) &^ 1
		b[0], b[25], b[32] = byte(n), flags, byte(len(name))
		binary.LittleEndian.PutUint32(b[2:], at)
		binary.LittleEndian.PutUint32(b[10:], size)
		copy(b[33:], name)
		return n
	}
	primary := volume(16, 1)
	copy(primary[40:72], label+strings.Repeat(" ", 32))
	record(primary[156:], 20, 2048, 2, "\x00")
	copy(volume(17, 0)[7:], "EL TORITO SPECIFICATION")
	volume(18, 255)
	root := image[20*2048:]
	root = root[record(root, 20, 2048, 2, "\x00"):]
	root = root[record(root, 20, 2048, 2, "\x01"):]
	for _, f := range files {
		root = root[record(root, 30, 5, 0, f+";1"):]
	}
	return image
}

func TestBootFromRedirectedCD(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{})
		image := isoImage("RESCUE", "VMLINUZ", "README.TXT")
		conn, err := w.open(t, redir.IDER)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ider.Open(t.Context(), conn, ider.Options{CD: &ider.Medium{Image: bytes.NewReader(image), Size: int64(len(image))}, When: ider.OnReboot})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l := w.line(t)
		if err := w.put(t, func(d *amt.BootSettingData) {
			d.UseIDER, d.UseSOL, d.IDERBootDevice = new(true), new(true), new(amt.BootSettingDataIDERBootDevice(1))
		}); err != nil {
			t.Fatal(err)
		}
		w.role(t, cim.BootServiceSetBootConfigRoleRoleIsNextSingleUse)
		if s := w.request(t, cim.PowerStateOn); s != 0 {
			t.Fatal(s)
		}
		w.settle()
		time.Sleep(10 * time.Second) // reading takes its time
		if got := w.pc.LastBoot().From; got != firmware.BootIDERCD {
			t.Errorf("booted from %v, phase %v", got, w.pc.Phase())
		}
		if got := l.text(); !strings.Contains(got, `Volume "RESCUE"`) || !strings.Contains(got, "VMLINUZ  README.TXT") {
			t.Errorf("%q", got)
		}
		l.typed(t, "ls\r")
		w.settle()
		if got := l.text(); !strings.Contains(got, "pc# ls\r\nVMLINUZ\r\nREADME.TXT\r\n") {
			t.Errorf("%q", got)
		}
		// While a session is open the machine is not switched off.
		if got := w.request(t, cim.PowerStateOffSoft); got == 0 {
			t.Error("switched off during redirection")
		}
	})
}

func TestScreen(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		c := w.screen(t)
		w.settle()
		if width, height := c.Frame.Size(); width != 1024 || height != 768 {
			t.Errorf("screen of %dx%d", width, height)
		}
		before := c.Frame.Image()
		for _, r := range "ls\n" {
			sym, _, _ := rfb.TypeRune(r)
			c.Key(sym, true)
			c.Key(sym, false)
		}
		c.Pointer(0, 600, 700)
		w.settle()
		if bytes.Equal(before.Pix, c.Frame.Image().Pix) {
			t.Error("nothing has changed on the screen")
		}
		if p := c.Frame.Image().RGBAAt(602, 703); p.R < 200 || p.G < 200 {
			t.Errorf("no pointer at 602,703: %v", p)
		}
		if _, err := class.Get[ips.KvmSessionUsingPort](t.Context(), w); err != nil {
			t.Error(err)
		}
		if _, err := w.open(t, redir.KVM); !errors.Is(err, redir.ErrBusy) {
			t.Errorf("a second session: %v", err)
		}
		// A reset shows the BIOS: another size, the same session.
		if s := w.request(t, cim.PowerStateMasterBusReset); s != 0 {
			t.Fatal(s)
		}
		time.Sleep(200 * time.Millisecond)
		if width, height := c.Frame.Size(); width != 800 || height != 600 {
			t.Errorf("screen of %dx%d during the self-test", width, height)
		}
		// Switched off, the session ends.
		w.kvm(t, false)
		if err := c.Err(); !errors.Is(err, rfb.ErrCut) {
			t.Errorf("%v", err)
		}
	})
}

func TestTerminateSession(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		_, err := ips.KVMRedirectionSettingDataTerminateSession.Invoke(t.Context(), w, ips.KVMRedirectionSettingDataTerminateSessionIn{})
		if code(t, err) != status.InternalError {
			t.Errorf("without a session: %v", err)
		}
		c := w.screen(t)
		if _, err = ips.KVMRedirectionSettingDataTerminateSession.Invoke(t.Context(), w, ips.KVMRedirectionSettingDataTerminateSessionIn{}); err != nil {
			t.Error(err)
		}
		<-c.Done()
		l := w.line(t)
		sol := amt.RedirectionServiceTerminateSessionSessionTypeSOL
		if _, err := amt.RedirectionServiceTerminateSession.Invoke(t.Context(), w, amt.RedirectionServiceTerminateSessionIn{SessionType: &sol}); err != nil {
			t.Error(err)
		}
		<-l.Done()
	})
}

// Without a listener the ports are closed; with KVM alone only KVM is let in; consent is asked for.
func TestRedirectionRules(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		s, _ := class.Get[amt.RedirectionService](t.Context(), w)
		s.ListenerEnabled = new(false)
		if _, err := class.Put(t.Context(), w, s); err != nil {
			t.Fatal(err)
		}
		if _, err := w.open(t, redir.SOL); !errors.Is(err, redir.ErrDisabled) {
			t.Errorf("SOL without listener: %v", err)
		}
		w.screen(t).Close()
		w.kvm(t, false)
		for _, port := range w.Ports() {
			if port == firmware.PortRedir {
				t.Error("the port is open")
			}
		}
		if _, err := w.open(t, redir.KVM); err == nil {
			t.Error("a session on a closed port")
		}
	})
	inBubble(t, "consent", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		o := w.optIn(t)
		o.OptInRequired = new(ips.OptInServiceOptInRequiredAll)
		if _, err := class.Put(t.Context(), w, o); err != nil {
			t.Fatal(err)
		}
		for _, k := range []redir.Kind{redir.KVM, redir.IDER} {
			if _, err := w.open(t, k); !errors.Is(err, redir.ErrConsent) {
				t.Errorf("%v: %v", k, err)
			}
		}
		w.line(t).Close() // needs none
		w.start(t)
		w.send(t, w.read(t))
		w.screen(t)
		if got := w.state(t); got != ips.OptInServiceOptInStateInSession {
			t.Errorf("consent is %v", got)
		}
	})
	inBubble(t, "realm", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		w.add(t, w.newUser("viewer", "P@ssw0rd", amt.RealmGeneralInfo))
		_, err := redir.Open(t.Context(), w.dial(t, firmware.PortRedir), redir.SOL, redir.Options{Username: "viewer", Password: "P@ssw0rd"})
		if !errors.Is(err, redir.ErrDenied) {
			t.Errorf("a user without the realm: %v", err)
		}
	})
}

// Port 5900 of old releases: the VNC challenge, and RFB alone.
func TestPort5900(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		s, err := class.Get[ips.KVMRedirectionSettingData](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		s.Is5900PortEnabled, s.RFBPassword = new(true), new("Vn(1pass")
		if _, err := class.Put(t.Context(), w, s); err != nil {
			t.Fatal(err)
		}
		c, err := rfb.Connect(t.Context(), w.dial(t, firmware.PortRFB), rfb.ClientOptions{Password: "Vn(1pass"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w.settle()
		if width, _ := c.Frame.Size(); width != 1024 {
			t.Errorf("width %d", width)
		}
		if _, err := w.open(t, redir.KVM); !errors.Is(err, redir.ErrBusy) {
			t.Errorf("a second session: %v", err)
		}
		if _, err := rfb.Connect(t.Context(), w.dial(t, firmware.PortRFB), rfb.ClientOptions{Password: "Vn(1pass"}); err == nil {
			t.Error("two sessions on port 5900")
		}
	})
}

// The data channel carries messages between a console and a program on the host, one at a time.
func TestDataChannel(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		conn, err := w.open(t, redir.KVM)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte{0x40, 0, 0, 0, 0, 0, 0, 0})
		io.ReadFull(conn, make([]byte, 8))
		told := make(chan rfb.Extension, 10)
		c, err := rfb.Connect(t.Context(), conn, rfb.ClientOptions{Extension: func(x rfb.Extension) { told <- x }})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if x := <-told; !x.Ack {
			t.Errorf("%v", x)
		}
		c.Extend(rfb.Extension{Values: []byte("hello host")})
		w.settle()
		out, err := ips.KVMRedirectionSettingDataDataChannelRead.Invoke(t.Context(), w, ips.KVMRedirectionSettingDataDataChannelReadIn{})
		if err != nil || string(out.DataMessage) != "hello host" {
			t.Errorf("%q, %v", out.DataMessage, err)
		}
		if x := <-told; !x.Ack {
			t.Errorf("no credit after the host has read: %v", x)
		}
		if _, err := ips.KVMRedirectionSettingDataDataChannelWrite.Invoke(t.Context(), w, ips.KVMRedirectionSettingDataDataChannelWriteIn{DataMessage: []byte("hello console")}); err != nil {
			t.Error(err)
		}
		if x := <-told; string(x.Values) != "hello console" {
			t.Errorf("%v", x)
		}
	})
}
