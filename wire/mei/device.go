package mei

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outband/outband/wire/guid"
)

// Requests of the driver, as ioctl numbers. include/uapi/linux/mei.h.
const (
	ioctlConnect    = 0xC0104801 // IOCTL_MEI_CONNECT_CLIENT, 16 bytes in and out
	ioctlNotifySet  = 0x40044802 // IOCTL_MEI_NOTIFY_SET, 4 bytes in
	ioctlNotifyGet  = 0x80044803 // IOCTL_MEI_NOTIFY_GET, 4 bytes out
	ioctlConnectTag = 0xC0144804 // IOCTL_MEI_CONNECT_CLIENT_VTAG, 20 bytes in and out
)

// What to wait for, as poll numbers.
const (
	pollIn  = 0x1
	pollPri = 0x2 // an event
	pollOut = 0x4
	pollErr = 0x8 | 0x10 | 0x20 // error, hang up, bad descriptor
)

// A kernel is what a Device asks of the operating system; tests put a driver of their own here. Errors are Errno.
// Descriptors do not block.
type kernel interface {
	open(path string) (fd int, err error)
	close(fd int)
	ioctl(fd int, request uint32, arg []byte) error
	read(fd int, p []byte) (int, error)
	write(fd int, p []byte) (int, error)
	// poll waits for events on fd, for the waker, or until timeout has passed (negative: never).
	poll(fd int, events int16, waker int, timeout time.Duration) (got int16, woken bool, err error)
	waker() (int, error) // a descriptor that wake makes poll return
	wake(waker int)
	rest(waker int) // undoes wake
}

// A Device is a Bus through the Linux driver. The node is root's. On other systems Connect returns ErrUnsupported.
type Device struct {
	// Path of the node. Default: the first of /dev/mei0 to /dev/mei3 and /dev/mei that has the client asked for.
	Path string

	kernel  kernel         // default: the real one
	pending sync.WaitGroup // connects that their caller no longer waits for
}

var nodes = [...]string{"/dev/mei0", "/dev/mei1", "/dev/mei2", "/dev/mei3", "/dev/mei"}

// Connect opens the node and connects to a client. The driver waits up to 15 s for the firmware (30 s for slow one) and
// cannot be interrupted: when ctx ends first, Connect returns its cause and the attempt is undone later; see Wait.
func (d *Device) Connect(ctx context.Context, client guid.GUID) (Conn, error) {
	return d.connect(ctx, "connect", client, 0)
}

// ConnectTag connects with a tag, since Linux 5.10.
func (d *Device) ConnectTag(ctx context.Context, client guid.GUID, tag uint8) (Conn, error) {
	if tag == 0 {
		return nil, &Error{Op: "connect tag", Client: client, Errno: EINVAL}
	}
	return d.connect(ctx, "connect tag", client, tag)
}

// Wait waits for connection attempts that were given up.
func (d *Device) Wait() { d.pending.Wait() }

func (d *Device) connect(ctx context.Context, op string, client guid.GUID, tag uint8) (Conn, error) {
	k := d.kernel
	if k == nil {
		if k = system(); k == nil {
			return nil, fmt.Errorf("mei: %s: %w on this system", op, ErrUnsupported)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	type result struct {
		c   Conn
		err error
	}
	done, abandoned := make(chan result), make(chan struct{})
	d.pending.Go(func() {
		c, err := d.try(k, op, client, tag)
		select {
		case done <- result{c, err}:
		case <-abandoned:
			if err == nil {
				c.Close()
			}
		}
	})
	select {
	case r := <-done:
		return r.c, r.err
	case <-ctx.Done():
		close(abandoned)
		return nil, context.Cause(ctx)
	}
}

// try goes through the nodes. Several may be there, as graphics devices have an ME of their own.
func (d *Device) try(k kernel, op string, client guid.GUID, tag uint8) (Conn, error) {
	paths := nodes[:]
	if d.Path != "" {
		paths = []string{d.Path}
	}
	var first error
	for _, path := range paths {
		c, err := attach(k, path, op, client, tag)
		if err == nil {
			return c, nil
		}
		// The most telling error: absence of a node says less than what the driver says.
		if first == nil || errors.Is(first, ENOENT) {
			first = err
		}
		if !errors.Is(err, ENOENT) && !errors.Is(err, ErrNoClient) && !errors.Is(err, ErrUnsupported) {
			break
		}
	}
	return nil, first
}

func attach(k kernel, path, op string, client guid.GUID, tag uint8) (*deviceConn, error) {
	fd, err := k.open(path)
	if err != nil {
		return nil, fault("open", guid.GUID{}, err)
	}
	arg := make([]byte, 20)
	copy(arg, client[:])
	request := uint32(ioctlConnectTag)
	if tag == 0 {
		request, arg = ioctlConnect, arg[:guid.Size]
	} else {
		arg[guid.Size] = tag
	}
	for err = EINTR; err == EINTR; {
		err = k.ioctl(fd, request, arg)
	}
	c := &deviceConn{kernel: k, fd: fd, client: client,
		mtu: int(min(binary.LittleEndian.Uint32(arg), MaxMessage)), version: arg[4]}
	for _, way := range []*way{&c.in, &c.out, &c.event} {
		if err == nil {
			way.waker, err = k.waker()
			way.made = err == nil
		}
	}
	if err != nil {
		c.free()
		return nil, fault(op, client, err)
	}
	return c, nil
}

// fault makes an *Error of what a kernel returned.
func fault(op string, client guid.GUID, err error) error {
	var errno Errno
	if errors.As(err, &errno) {
		return &Error{Op: op, Client: client, Errno: errno}
	}
	return fmt.Errorf("mei: %s: %w", op, err)
}
