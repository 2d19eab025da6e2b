package lab

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/console"
	"github.com/outband/outband/host/lms"
	"github.com/outband/outband/host/watchdog"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/mei"
)

// A network in memory: addresses with ports that are listened on. Time in it is that of the test.
type network struct {
	mu    sync.Mutex // guards what follows
	ports map[string]*memListener
}

type memListener struct {
	n    *network
	at   string
	in   chan net.Conn
	over chan struct{}
	end  func()
}

// memAddr is an address and a port.
type memAddr string

func (memAddr) Network() string  { return "tcp" }
func (a memAddr) String() string { return string(a) }

// A memConn is a pipe whose ends have addresses.
type memConn struct {
	net.Conn
	here, there memAddr
}

func (c *memConn) LocalAddr() net.Addr  { return c.here }
func (c *memConn) RemoteAddr() net.Addr { return c.there }

func (n *network) Listen(_ context.Context, _, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ports[address] != nil {
		return nil, errors.New("address in use")
	}
	l := &memListener{n: n, at: address, in: make(chan net.Conn), over: make(chan struct{})}
	l.end = sync.OnceFunc(func() {
		n.mu.Lock()
		delete(n.ports, address)
		n.mu.Unlock()
		close(l.over)
	})
	n.ports[address] = l
	return l, nil
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.in:
		return c, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}
func (l *memListener) Close() error   { l.end(); return nil }
func (l *memListener) Addr() net.Addr { return memAddr(l.at) }

// from returns what dials from an address.
func (n *network) from(here string) func(ctx context.Context, _, address string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		n.mu.Lock()
		l := n.ports[address]
		n.mu.Unlock()
		if l == nil {
			return nil, errors.New("connection refused")
		}
		a, b := net.Pipe()
		client := memAddr(net.JoinHostPort(here, "40000"))
		select {
		case l.in <- &memConn{b, memAddr(address), client}:
			return &memConn{a, client, memAddr(address)}, nil
		case <-l.over:
			return nil, errors.New("connection refused")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A freezer is the PC's end of a link to its engine. When the operating system hangs it is silent, and nobody closes it.
type freezer struct {
	mei.Link
	hung, over chan struct{}
	once       sync.Once
}

func (f *freezer) Send(packet []byte) error {
	select {
	case <-f.hung:
		return nil
	default:
		return f.Link.Send(packet)
	}
}

func (f *freezer) Receive() ([]byte, error) {
	b, err := f.Link.Receive()
	select {
	case <-f.hung:
		<-f.over
		return nil, net.ErrClosed
	default:
		return b, err
	}
}

func (f *freezer) Close() error {
	f.once.Do(func() { close(f.over) })
	return f.Link.Close()
}

// An operatingSystem runs the services of a PC from when it is up until it hangs or goes down.
type operatingSystem struct {
	n *network
	m *firmware.Machine

	cancel context.CancelFunc
	work   sync.WaitGroup
	hung   chan struct{}
}

func (o *operatingSystem) up() {
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel, o.hung = cancel, make(chan struct{})
	here, there := mei.Pipe()
	bus := mei.NewHost()
	o.work.Go(func() { o.m.ServeME(ctx, there) })
	o.work.Go(func() { bus.Run(ctx, &freezer{Link: here, hung: o.hung, over: make(chan struct{})}) })
	l := &lms.Service{Bus: bus, Listen: o.n.Listen, HostName: "desk-7.corp.example.com"}
	w := &watchdog.Feeder{Bus: bus}
	o.work.Go(func() { l.Run(ctx) })
	o.work.Go(func() { w.Run(ctx) })
}

func (o *operatingSystem) down() {
	o.cancel()
	o.work.Wait()
}

// TestOperatingSystemHangs: a PC's programs reach its AMT, and its watchdog beats. The operating system hangs. When
// 120 seconds have passed, whoever has subscribed knows, and the log does; a reset brings all of it back.
func TestOperatingSystemHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{ports: map[string]*memListener{}}
		const desk, office = "192.0.2.7", "192.0.2.50"
		platform := pc.New(pc.Options{NoAgent: true})
		m, err := firmware.New(firmware.Config{Generation: 12, Platform: platform, Hooks: firmware.Hooks{Dial: n.from(desk)}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var work sync.WaitGroup
		defer func() {
			cancel()
			work.Wait()
			m.Close()
			platform.Close()
		}()
		os := &operatingSystem{n: n, m: m}

		// From the office over the network, and from the PC itself to localhost.
		remote, err := console.New(console.Config{Address: desk, Password: firmware.DefaultPassword, Scheme: console.HTTP, Dial: func(_ context.Context, port int) (net.Conn, error) {
			a, b := net.Pipe()
			work.Go(func() { m.ServeConn(ctx, b, port) })
			return a, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer remote.Close()
		local, err := console.New(console.Config{Address: "localhost", Password: firmware.DefaultPassword, Scheme: console.HTTP, Dial: func(ctx context.Context, port int) (net.Conn, error) {
			return n.from("127.0.0.1")(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer local.Close()

		// Somebody listens at another address.
		told := make(chan console.ReceivedAlert, 16)
		sink := &console.Sink{Username: "sink", Password: "S1nk!pass", OnAlert: func(a console.ReceivedAlert) { told <- a }}
		ln, err := n.Listen(ctx, "tcp", net.JoinHostPort(office, "8080"))
		if err != nil {
			t.Fatal(err)
		}
		work.Go(func() { sink.Serve(ctx, ln) })
		if _, err := remote.Subscribe(ctx, console.Subscribe{To: "http://" + office + ":8080/", Filter: "All", Username: "sink", Password: "S1nk!pass"}); err != nil {
			t.Fatal(err)
		}

		boot := func(want cim.PowerState) {
			t.Helper()
			if err := remote.SetPower(ctx, want); err != nil {
				t.Fatal(err)
			}
			time.Sleep(platform.Settle())
			if platform.Phase() != pc.Running {
				t.Fatalf("the PC is %v", platform.Phase())
			}
			os.up()
			time.Sleep(time.Minute)
		}
		works := func() {
			t.Helper()
			info, err := local.Info(ctx)
			if err != nil || info.UUID != m.Identity().UUID.String() {
				t.Errorf("info localhost: %+v, %v", info, err)
			}
			if !m.LMS() || !m.WatchdogRunning() {
				t.Errorf("LMS %t, watchdog %t", m.LMS(), m.WatchdogRunning())
			}
		}
		hangs := func() int {
			t.Helper()
			events, err := remote.Events(ctx)
			if err != nil {
				t.Fatal(err)
			}
			stopped := 0
			for _, r := range events.Records {
				if r.Sensor == eventlog.OSStop {
					stopped++
				}
			}
			return stopped
		}

		boot(cim.PowerStateOn)
		works()
		time.Sleep(time.Hour)
		works()
		for len(told) > 0 { // the boot
			<-told
		}

		platform.Person().Hang()
		close(os.hung)
		beat := time.Now() // at the earliest: the last heartbeat was at most a minute ago
		time.Sleep(59 * time.Second)
		if n := hangs(); n != 0 || len(told) != 0 {
			t.Errorf("after %v: %d in the log, %d told", time.Since(beat), n, len(told))
		}
		time.Sleep(62 * time.Second)
		synctest.Wait()
		if n := hangs(); n != 1 {
			t.Errorf("after %v: %d in the log", time.Since(beat), n)
		}
		select {
		case a := <-told:
			if a.From.String() != desk || !strings.Contains(strings.ToLower(a.Event.Alert.Text()), "operating system") {
				t.Errorf("told %+v from %v", a.Event.Alert, a.From)
			}
		default:
			t.Error("nobody was told")
		}
		if len(told) != 0 {
			t.Errorf("told %d times more", len(told))
		}

		os.down()
		boot(cim.PowerStateMasterBusReset)
		works()
		if n := hangs(); n != 1 {
			t.Errorf("after the reset: %d in the log", n)
		}
		os.down()
	})
}
