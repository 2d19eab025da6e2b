package mei

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/wire/guid"
)

// steer is a client of the firmware under these tests that does what it is told: "reset", "hang up", "raise". It says
// "done" first, but for a reset, which is done at once.
var steer = guid.FromSeed("steer")

// driverNode returns the node of the kernel's own driver, with the suite's firmware behind it. conformance makes such a
// machine, and runs these tests there.
func driverNode(t *testing.T) string {
	node := os.Getenv("OUTBAND_MEI_NODE")
	if node == "" {
		t.Skip("OUTBAND_MEI_NODE names no device; conformance has one")
	}
	return node
}

// driverUp waits until the driver has enumerated the firmware.
func driverUp(t *testing.T, node string) {
	t.Helper()
	var f Facts
	var err error
	for late := time.Now().Add(2 * time.Minute); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		f, err = ReadFacts(os.DirFS("/sys"), filepath.Base(node))
		if state, ok := f.DeviceState(); err == nil && ok && state == Enabled {
			return
		}
	}
	t.Fatalf("%s is not enabled: %+v, %v", node, f, err)
}

// tell has the firmware do something, and returns when it is done.
func tell(t *testing.T, bus Bus, what string) {
	t.Helper()
	c, err := bus.Connect(t.Context(), steer)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = Call(t.Context(), c, []byte(what))
	if what == "reset" && errors.Is(err, ErrDisconnected) {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// The suite against the kernel's driver.
func TestDriver(t *testing.T) {
	node := driverNode(t)
	suite(t, func(t *testing.T) world {
		driverUp(t, node)
		bus := &Device{Path: node}
		t.Cleanup(bus.Wait)
		return world{
			bus:     bus,
			reset:   func() { tell(t, bus, "reset") },
			hangUp:  func() { tell(t, bus, "hang up") },
			raise:   func() { tell(t, bus, "raise") },
			restart: func(t *testing.T) error { driverUp(t, node); return nil },
		}
	})
}

// What the kernel's driver answers, by the table in spec mei.md section 3.1.
func TestDriverNumbers(t *testing.T) {
	node := driverNode(t)
	driverUp(t, node)
	k := linux{}
	open := func(t *testing.T) int {
		t.Helper()
		fd, err := k.open(node)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.close(fd) })
		return fd
	}
	connect := func(fd int, client guid.GUID) error {
		return k.ioctl(fd, ioctlConnect, append([]byte(nil), client[:]...))
	}
	connected := func(t *testing.T) int {
		t.Helper()
		fd := open(t)
		if err := connect(fd, many); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	tagged := append(append([]byte(nil), many[:]...), 1, 0, 0, 0)
	for _, tt := range []struct {
		name string
		do   func(t *testing.T) error
		want Errno
	}{
		{"no node", func(*testing.T) error { _, err := k.open(node + "9"); return err }, ENOENT},
		{"unknown client", func(t *testing.T) error { return connect(open(t), nobody) }, ENOTTY},
		{"connect again", func(t *testing.T) error { return connect(connected(t), many) }, EBUSY},
		{"client taken", func(t *testing.T) error {
			if err := connect(open(t), single); err != nil {
				t.Fatal(err)
			}
			return connect(open(t), single)
		}, EBUSY},
		{"connect without argument", func(t *testing.T) error {
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(open(t)), ioctlConnect, 8)
			return number(errno)
		}, EFAULT},
		{"tag without tags", func(t *testing.T) error { return k.ioctl(open(t), ioctlConnectTag, tagged) }, EOPNOTSUPP},
		{"unknown request", func(t *testing.T) error { return k.ioctl(open(t), 0x40044809, make([]byte, 4)) }, ENOTTY},
		{"read, not connected", func(t *testing.T) error { _, err := k.read(open(t), make([]byte, 9)); return err }, ENODEV},
		{"write, not connected", func(t *testing.T) error { _, err := k.write(open(t), make([]byte, 9)); return err }, ENODEV},
		{"nothing to read", func(t *testing.T) error { _, err := k.read(connected(t), make([]byte, 9)); return err }, EAGAIN},
		{"too long", func(t *testing.T) error { _, err := k.write(connected(t), make([]byte, 5121)); return err }, EFBIG},
		{"seek", func(t *testing.T) error { _, err := unix.Seek(connected(t), 0, 0); return number(err) }, ESPIPE},
		{"events, not connected", func(t *testing.T) error { return k.ioctl(open(t), ioctlNotifySet, []byte{1, 0, 0, 0}) }, ENODEV},
		{"events, 2", func(t *testing.T) error { return k.ioctl(connected(t), ioctlNotifySet, []byte{2, 0, 0, 0}) }, EINVAL},
		{"event, never asked for", func(t *testing.T) error { return k.ioctl(connected(t), ioctlNotifyGet, make([]byte, 4)) }, EAGAIN},
		{"event, none there", func(t *testing.T) error {
			fd := connected(t)
			if err := k.ioctl(fd, ioctlNotifySet, []byte{1, 0, 0, 0}); err != nil {
				t.Fatal(err)
			}
			return k.ioctl(fd, ioctlNotifyGet, make([]byte, 4))
		}, EAGAIN},
		{"handles without end", func(t *testing.T) error {
			for range 300 {
				fd, err := k.open(node)
				if err != nil {
					return err
				}
				t.Cleanup(func() { k.close(fd) })
			}
			return nil
		}, EMFILE},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(t); err != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("write nothing", func(t *testing.T) {
		if n, err := k.write(connected(t), nil); n != 0 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	})
	t.Run("poll", func(t *testing.T) {
		waker, err := k.waker()
		if err != nil {
			t.Fatal(err)
		}
		defer k.close(waker)
		if got, _, err := k.poll(open(t), pollOut, waker, 0); got != 0x8 || err != nil {
			t.Errorf("not connected: got %#x, %v", got, err)
		}
		if got, _, err := k.poll(connected(t), pollOut, waker, 0); got != pollOut || err != nil {
			t.Errorf("connected: got %#x, %v", got, err)
		}
	})
}

// More programs than the firmware takes, and then again.
func TestDriverManyPrograms(t *testing.T) {
	node := driverNode(t)
	driverUp(t, node)
	bus := &Device{Path: node}
	for range 2 {
		var conns []Conn
		var err error
		for err == nil && len(conns) < 30 {
			var c Conn
			if c, err = bus.Connect(t.Context(), many); err == nil {
				conns = append(conns, c)
			}
		}
		if len(conns) != 20 || !errors.Is(err, ErrBusy) {
			t.Errorf("%d connections, %v; want 20 and busy", len(conns), err)
		}
		for i, c := range conns {
			if got := call(t, c, strconv.Itoa(i)); got != strconv.Itoa(i) {
				t.Errorf("connection %d: got %q", i, got)
			}
			c.Close()
		}
	}
}

// What the driver tells in sysfs can be read. Its values are the business of who runs this: they are printed.
func TestDriverFacts(t *testing.T) {
	node := driverNode(t)
	driverUp(t, node)
	f, err := ReadFacts(os.DirFS("/sys"), filepath.Base(node))
	if err != nil {
		t.Fatal(err)
	}
	var status, versions []string
	for _, s := range f.FirmwareStatus {
		status = append(status, strconv.FormatUint(uint64(s), 16))
	}
	for _, v := range f.FirmwareVersions {
		versions = append(versions, v.String())
	}
	t.Logf("fact status %s", strings.Join(status, " "))
	t.Logf("fact versions %s", strings.Join(versions, " "))
	t.Logf("fact hbm %d.%d %d.%d", f.HBM.Major, f.HBM.Minor, f.DriverHBM.Major, f.DriverHBM.Minor)
	t.Logf("fact kind %s queue %d state %s trace %v", f.Kind, f.QueueLimit, f.State, f.Trace != nil)
	devices, err := Devices(os.DirFS("/sys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("fact devices %s", strings.Join(devices, " "))
	listed, err := ListClients(os.DirFS("/sys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listed {
		p := l.Properties
		t.Logf("fact client %s %v version %d connections %d fixed %v length %d", l.Name, p.Client, p.Version, p.MaxConnections, p.Fixed, p.MaxMsgLen)
	}
}
