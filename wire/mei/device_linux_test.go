package mei

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/wire/guid"
)

// A fakeDriver stands in for the kernel's driver: descriptors are real sockets, so poll is Linux's; what the driver
// would say of them is from the table in spec mei.md section 3.1.
type fakeDriver struct {
	linux // wakers
	nodes map[string]map[guid.GUID]Properties
	hold  chan struct{} // if set, connect waits for it, as for slow firmware

	mu      sync.Mutex
	handles map[int]*fakeHandle
	opened  int
}

type fakeHandle struct {
	clients   map[guid.GUID]Properties
	client    guid.GUID
	connected bool
	peer      int // the firmware's end
	event     int // an eventfd: readable is an event
	notify    bool
	queued    int    // written to a deaf client
	rest      []byte // of a message partly read
}

func newFakeDriver() *fakeDriver {
	clients := map[guid.GUID]Properties{
		many:   {Client: many, Version: 1, MaxConnections: 20, MaxMsgLen: 5120},
		single: {Client: single, Version: 2, MaxConnections: 1, MaxMsgLen: 512},
		deaf:   {Client: deaf, Version: 1, MaxConnections: 1, MaxMsgLen: 512},
	}
	return &fakeDriver{nodes: map[string]map[guid.GUID]Properties{"/dev/mei0": clients}, handles: map[int]*fakeHandle{}}
}

func (d *fakeDriver) open(path string) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clients, ok := d.nodes[path]
	if !ok {
		return -1, ENOENT
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	event, err := d.waker()
	if err != nil {
		return -1, err
	}
	d.handles[pair[0]] = &fakeHandle{clients: clients, peer: pair[1], event: event}
	d.opened++
	return pair[0], nil
}

func (d *fakeDriver) close(fd int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.handles[fd]; h != nil {
		h.cut()
		d.linux.close(h.event)
		delete(d.handles, fd)
		d.opened--
	}
	d.linux.close(fd)
}

// cut ends the connection from the firmware's side.
func (h *fakeHandle) cut() {
	if h.peer >= 0 {
		unix.Close(h.peer)
	}
	h.peer, h.connected, h.rest = -1, false, nil
}

func (d *fakeDriver) ioctl(fd int, request uint32, arg []byte) error {
	if d.hold != nil && request == ioctlConnect {
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.handles[fd]
	switch request {
	case ioctlConnect:
		if len(arg) != 16 {
			return EFAULT
		}
		if h.connected {
			return EBUSY
		}
		p, ok := h.clients[guid.GUID(arg)]
		if !ok {
			return ENOTTY
		}
		n := 0
		for _, other := range d.handles {
			if other.connected && other.client == p.Client {
				n++
			}
		}
		if n >= int(p.MaxConnections) {
			return EBUSY
		}
		h.client, h.connected = p.Client, true
		copy(arg, make([]byte, 8))
		binary.LittleEndian.PutUint32(arg, p.MaxMsgLen)
		arg[4] = p.Version
		return nil
	case ioctlConnectTag:
		if len(arg) != 20 {
			return EFAULT
		}
		return EOPNOTSUPP
	case ioctlNotifySet:
		switch {
		case !h.connected:
			return ENODEV
		case len(arg) != 4 || arg[0] > 1:
			return EINVAL
		}
		h.notify = arg[0] == 1
		return nil
	case ioctlNotifyGet:
		switch {
		case !h.connected:
			return ENODEV
		case !h.notify:
			return EOPNOTSUPP
		}
		if got, _, _ := d.linux.poll(h.event, pollIn, h.event, 0); got == 0 {
			return EAGAIN
		}
		d.rest(h.event)
		binary.LittleEndian.PutUint32(arg, 1)
		return nil
	}
	return ENOTTY
}

func (d *fakeDriver) write(fd int, p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.handles[fd]
	switch {
	case !h.connected:
		return 0, ENODEV
	case len(p) > int(h.clients[h.client].MaxMsgLen):
		return 0, EFBIG
	case len(p) == 0:
		return 0, nil
	case h.client == deaf:
		if h.queued == queueLimit {
			return 0, EAGAIN
		}
		h.queued++
		return len(p), nil
	}
	for _, answer := range answers(p) {
		if err := unix.Send(h.peer, answer, unix.MSG_NOSIGNAL); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (d *fakeDriver) read(fd int, p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.handles[fd]
	switch {
	case !h.connected:
		return 0, ENODEV
	case len(p) == 0:
		return 0, nil
	case h.rest == nil:
		buf := make([]byte, 8192)
		n, err := d.linux.read(fd, buf)
		if err != nil {
			return 0, err
		}
		h.rest = buf[:n]
	}
	n := copy(p, h.rest)
	if h.rest = h.rest[n:]; len(h.rest) == 0 {
		h.rest = nil
	}
	return n, nil
}

func (d *fakeDriver) poll(fd int, events int16, waker int, timeout time.Duration) (int16, bool, error) {
	d.mu.Lock()
	h := d.handles[fd]
	connected, event, full := h.connected, h.event, h.queued == queueLimit
	d.mu.Unlock()
	switch {
	case !connected:
		return 0x8, false, nil
	case events == pollPri:
		got, woken, err := d.linux.poll(event, pollIn, waker, timeout)
		if got != 0 {
			got = pollPri
		}
		return got, woken, err
	case full:
		events &^= pollOut
	}
	return d.linux.poll(fd, events, waker, timeout)
}

// disconnect cuts the connections to a client, or all.
func (d *fakeDriver) disconnect(client guid.GUID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.handles {
		if h.client == client || client.IsZero() {
			h.cut()
		}
	}
}

func (d *fakeDriver) raise() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.handles {
		if h.notify {
			d.wake(h.event)
		}
	}
}

func TestDevice(t *testing.T) {
	suite(t, func(t *testing.T) world {
		d := newFakeDriver()
		t.Cleanup(func() {
			if d.opened != 0 {
				t.Errorf("%d descriptors left open", d.opened)
			}
		})
		return world{
			bus:     &Device{kernel: d},
			reset:   func() { d.disconnect(guid.GUID{}) },
			hangUp:  func() { d.disconnect(many) },
			raise:   d.raise,
			restart: func(*testing.T) error { return nil },
		}
	})
}

// The argument's bytes, as the driver's header has them and as observed.
func TestConnectArgument(t *testing.T) {
	k := &recorder{answer: unhex(t, "00140000 01000000")}
	c, err := (&Device{kernel: k, Path: "/dev/mei7"}).Connect(t.Context(), AMTHI)
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxMsgLen() != 5120 || c.Version() != 1 {
		t.Errorf("got %d, %d", c.MaxMsgLen(), c.Version())
	}
	c.Close()
	if k.path != "/dev/mei7" || k.request != 0xC0104801 || !bytes.Equal(k.arg, unhex(t, "2800F812 B7B4 2D4B ACA8 46E0FF65814C")) {
		t.Errorf("got %s, %08x, % x", k.path, k.request, k.arg)
	}
	k = &recorder{answer: unhex(t, "00100000 02000000")}
	if c, err = (&Device{kernel: k}).ConnectTag(t.Context(), LME, 9); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if k.request != 0xC0144804 || !bytes.Equal(k.arg, unhex(t, "DBA43367 7604 7B4E B3AF BCFC29BEE7A7 09000000")) {
		t.Errorf("got %08x, % x", k.request, k.arg)
	}
	if _, err := (&Device{kernel: k}).ConnectTag(t.Context(), LME, 0); !errors.Is(err, ErrInvalid) {
		t.Errorf("tag 0: %v", err)
	}
}

// A recorder notes what a connect asks for.
type recorder struct {
	linux
	path    string
	request uint32
	arg     []byte
	answer  []byte
}

func (k *recorder) open(path string) (int, error) {
	k.path = path
	return unix.Eventfd(0, unix.EFD_CLOEXEC)
}

func (k *recorder) ioctl(_ int, request uint32, arg []byte) error {
	k.request, k.arg = request, append([]byte(nil), arg...)
	copy(arg, k.answer)
	return nil
}

func TestDeviceNodes(t *testing.T) {
	d := newFakeDriver()
	bus := &Device{kernel: d}
	// A graphics device came first; the client is in the second.
	d.nodes["/dev/mei1"], d.nodes["/dev/mei0"] = d.nodes["/dev/mei0"], nil
	c, err := bus.Connect(t.Context(), many)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := bus.Connect(t.Context(), nobody); !errors.Is(err, ErrNoClient) {
		t.Errorf("got %v", err)
	}
	if _, err := (&Device{kernel: d, Path: "/dev/mei0"}).Connect(t.Context(), many); !errors.Is(err, ErrNoClient) {
		t.Errorf("got %v", err)
	}
	d.nodes = nil
	if _, err := bus.Connect(t.Context(), many); !errors.Is(err, fs.ErrNotExist) || Transient(err) {
		t.Errorf("got %v", err)
	}
	if d.opened != 0 {
		t.Errorf("%d descriptors left open", d.opened)
	}
}

// The driver cannot be interrupted while it connects. Who gives up does not wait, and leaves nothing behind.
func TestDeviceConnectGivenUp(t *testing.T) {
	d := newFakeDriver()
	d.hold = make(chan struct{})
	bus := &Device{kernel: d}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := bus.Connect(ctx, many)
		done <- err
	}()
	end()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(d.hold)
	bus.Wait()
	if d.opened != 0 {
		t.Errorf("%d descriptors left open", d.opened)
	}
}

// Without a device the real kernel says so.
func TestRealDevice(t *testing.T) {
	c, err := (&Device{Path: t.TempDir() + "/mei0"}).Connect(t.Context(), AMTHI)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	// A file that is no MEI device does not know the request.
	if _, err := (&Device{Path: "/dev/null"}).Connect(t.Context(), AMTHI); !errors.Is(err, ENOTTY) {
		t.Errorf("got %v", err)
	}
}
