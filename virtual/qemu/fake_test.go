package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outband/outband/wire/nbd"
	"github.com/outband/outband/wire/rfb"
)

// The tests run this program itself in place of QEMU: OUTBAND_FAKE_QEMU says how it behaves.
//
//	good      as QEMU with SeaBIOS and a guest that says what it was booted from
//	mute      as that, with another BIOS, which writes no log
//	brief     as that; its guest switches itself off at once
//	empty     as that, with nothing to boot from
//	refuses   says that an image is not there, and ends
//	silent    never connects
const fakeEnv = "OUTBAND_FAKE_QEMU"

func TestMain(m *testing.M) {
	if mode := os.Getenv(fakeEnv); mode != "" {
		os.Exit((&fake{mode: mode, args: os.Args[1:], index: map[string]int{}, nodes: map[string]bool{}}).run())
	}
	goleak.VerifyTestMain(m)
}

// A fake is a QEMU that is none. Its guest takes letters on the serial port: r resets, s sleeps, h hibernates, o switches
// off, x ends the whole process, u finds the disk full, and twice more, l has QEMU tell of an old reset, m reads the console's drive; others are echoed.
type fake struct {
	mode string
	args []string

	mu           sync.Mutex // guards what follows
	qmp          net.Conn
	serial, bios net.Conn
	status       string
	index        map[string]int  // bootindex by path
	nodes        map[string]bool // true: in use
	node         *nbd.Client     // the last
	read         string          // what was read of it
	escape       chan struct{}
	full         int // times that the disk is full still
}

// devices are what the fake was made with: a disk, a second one, a CD drive, a network adapter and something else.
var devices = []object{{"device[4]", "child<ide-hd>"}, {"device[5]", "child<virtio-blk-pci>"}, {"device[10]", "child<ide-cd>"}, {"device[9]", "child<e1000>"}, {"device[1]", "child<kvmvapic>"}}

func (f *fake) run() int {
	switch f.mode {
	case "refuses":
		fmt.Fprintln(os.Stderr, "qemu-system-x86_64: -cdrom no.iso: Could not open 'no.iso': No such file or directory")
		return 1
	case "silent":
		time.Sleep(time.Hour) // no select{}: the runtime would call that a deadlock and end
	}
	f.status, f.escape = "prelaunch", make(chan struct{}, 1)
	for _, d := range devices {
		f.index["/machine/unattached/"+d.Name] = -1
	}
	path := func(id string) string {
		return regexp.MustCompile(`id=outband-` + id + `,path=([^ ]*)`).FindStringSubmatch(strings.Join(f.args, " "))[1]
	}
	f.serial, f.bios, f.qmp = dial(path("serial")), dial(path("bios")), dial(path("qmp"))
	go f.guest()
	go f.vnc(filepath.Join(filepath.Dir(path("qmp")), fileVNC))
	if i := slices.Index(f.args, "-extra"); i >= 0 { // an Extra's file
		var fd uintptr
		fmt.Sscanf(f.args[i+1], "fd=%d", &fd)
		fmt.Fprintf(os.NewFile(fd, "extra"), "hello")
	}
	f.say(`{"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 7}, "package": "fake"}, "capabilities": []}}`)
	for in := bufio.NewScanner(f.qmp); in.Scan(); {
		var c struct {
			Execute   string
			Arguments map[string]any
			ID        int
		}
		json.Unmarshal(in.Bytes(), &c)
		result, refusal := f.do(c.Execute, c.Arguments)
		if refusal != "" {
			f.say(`{"error": {"class": "GenericError", "desc": %q}, "id": %d}`, refusal, c.ID)
			continue
		}
		if f.mode == "brief" && c.Execute == "cont" {
			f.event("SHUTDOWN", `"guest": true, "reason": "guest-shutdown"`) // before it is over for who started it
		}
		text, _ := json.Marshal(result)
		f.say(`{"return": %s, "id": %d}`, text, c.ID)
		switch c.Execute {
		case "quit":
			return 0
		case "cont":
			if !f.goesOn() {
				go f.boot()
			}
		case "system_powerdown":
			f.event("SHUTDOWN", `"guest": true, "reason": "guest-shutdown"`)
		case "system_wakeup":
			f.event("WAKEUP", "")
		}
	}
	return 0
}

// goesOn is how the guest goes on that stood still, if it did.
func (f *fake) goesOn() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full == 0 {
		return false
	}
	if f.full--; f.full > 0 {
		f.diskFull()
	} else {
		fmt.Fprint(f.serial, "[goes on]")
	}
	return true
}

func (f *fake) diskFull() {
	f.event("BLOCK_IO_ERROR", `"device": "ide0-hd0", "node-name": "#block1", "operation": "write", "action": "stop", "nospace": true, "reason": "No space left on device"`)
}

func read(c *nbd.Client, off int64) string {
	b := make([]byte, 8)
	c.ReadAt(b, off)
	return string(b)
}

func dial(path string) net.Conn {
	conn, err := net.Dial("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return conn
}

func (f *fake) say(format string, args ...any) { fmt.Fprintf(f.qmp, format+"\r\n", args...) }

func (f *fake) event(name, data string) {
	f.say(`{"event": %q, "data": {%s}, "timestamp": {"seconds": 4000000000, "microseconds": 0}}`, name, data)
}

// do carries out a command.
func (f *fake) do(command string, a map[string]any) (result any, refusal string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	result = map[string]any{}
	str := func(name string) string { s, _ := a[name].(string); return s }
	switch command {
	case "qom-list":
		if str("path") == "/machine/unattached" {
			return devices, ""
		}
		return []object{}, ""
	case "qom-get":
		if i, ok := f.index[str("path")]; ok {
			return i, ""
		}
		return nil, "no such property"
	case "qom-set":
		if str("property") != "bootindex" {
			return result, ""
		}
		index := int(a["value"].(float64))
		for path, i := range f.index {
			if i == index && index >= 0 && path != str("path") {
				return nil, fmt.Sprintf("The bootindex %d has already been used", i)
			}
		}
		f.index[str("path")] = index
	case "blockdev-add":
		file := a["file"].(map[string]any)
		client, err := nbd.Connect(context.Background(), dial(file["server"].(map[string]any)["path"].(string)), file["export"].(string))
		if err != nil {
			return nil, err.Error()
		}
		f.read, f.node = read(client, 0), client
		f.nodes[str("node-name")] = true
		fmt.Fprintf(f.serial, "[%s is %s]", str("node-name"), f.read)
	case "device_del":
		for node := range f.nodes {
			if strings.HasPrefix(str("id"), node) {
				delete(f.index, peripheral(node))
			}
		}
	case "blockdev-del":
		if node := str("node-name"); f.nodes[node] {
			f.nodes[node] = false // the device goes a moment later
			return nil, "Node is still in use"
		}
		fmt.Fprintf(f.serial, "[%s is gone]", str("node-name"))
	case "send-key":
		f.escape <- struct{}{}
	case "inject-nmi":
		fmt.Fprint(f.serial, "[nmi]")
	case "cont", "stop", "system_reset", "system_powerdown", "system_wakeup", "quit", "qmp_capabilities", "device_add":
	default:
		return nil, "no such command"
	}
	return result, ""
}

// boot is the BIOS, and the guest that says what it was booted from.
func (f *fake) boot() {
	if f.mode == "mute" || f.mode == "brief" {
		return
	}
	log := func(format string, args ...any) { fmt.Fprintf(f.bios, format+"\n", args...) }
	log("SeaBIOS (version fake)")
	if slices.Contains(f.args, "menu=on,splash-time=4000") {
		log("Press ESC for boot menu.\n")
		<-f.escape
		log("Select boot device:\n")
		return
	}
	if f.mode == "empty" {
		log("No bootable device.  Retrying in 60 seconds.")
		return
	}
	f.mu.Lock()
	first := ""
	for path, i := range f.index {
		if i >= 0 && (first == "" || i < f.index[first]) {
			first = path
		}
	}
	read := f.read
	f.mu.Unlock()
	device := map[string]string{"device[10]": "DVD/CD", idCD: "DVD/CD", "device[9]": "ROM"}[filepath.Base(first)]
	if device == "" {
		device = "Hard Disk"
	}
	log("Booting from %s...\nBooting from 0000:7c00", device)
	console := ""
	if strings.Contains(strings.Join(f.args, " "), "etc/sercon-port") {
		console = " with a console"
	}
	fmt.Fprintf(f.serial, "<%s %s%s>", filepath.Base(first), read, console)
}

// guest takes letters.
func (f *fake) guest() {
	b := make([]byte, 1)
	for {
		if _, err := f.serial.Read(b); err != nil {
			return
		}
		switch b[0] {
		case 'r':
			f.event("RESET", `"guest": true, "reason": "guest-reset"`)
			f.event("RESET", `"guest": true, "reason": "guest-reset"`) // SeaBIOS's own
			f.boot()
		case 'l':
			f.say(`{"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}, "timestamp": {"seconds": 1000000000, "microseconds": 0}}`)
		case 'm':
			f.mu.Lock()
			node := f.node
			f.mu.Unlock()
			read(node, readAhead)
		case 'u':
			f.mu.Lock()
			f.full = 3
			f.diskFull()
			f.mu.Unlock()
		case 's':
			f.event("SUSPEND", "")
		case 'h':
			f.event("SUSPEND_DISK", "")
			f.event("SHUTDOWN", `"guest": true, "reason": "guest-shutdown"`)
		case 'o':
			f.event("SHUTDOWN", `"guest": true, "reason": "guest-shutdown"`)
		case 'x':
			fmt.Fprintln(os.Stderr, "qemu: fatal: broken")
			os.Exit(3)
		default:
			f.serial.Write(b)
		}
	}
}

// vnc is a screen of one colour, whose keys and pointer the guest prints.
func (f *fake) vnc(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return
	}
	frame, _ := rfb.NewFrame(640, 480)
	pix := make([]uint32, 640*480)
	for i := range pix {
		pix[i] = 0x123456
	}
	frame.Draw(0, 0, 640, 480, pix, 640)
	frame.Publish()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go rfb.View(context.Background(), conn, frame, rfb.ViewerOptions{
			Key:     func(k rfb.KeyEvent) { fmt.Fprintf(f.serial, "[key %x %x %v]", k.Keysym, k.Code, k.Down) },
			Pointer: func(p rfb.PointerEvent) { fmt.Fprintf(f.serial, "[pointer %d,%d %d]", p.X, p.Y, p.Buttons) },
		})
	}
}
