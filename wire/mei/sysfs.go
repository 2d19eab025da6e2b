package mei

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/guid"
)

// FirmwareVersion is the version of one part of the ME's firmware.
type FirmwareVersion struct {
	Platform      uint8
	Major, Minor  uint16
	Hotfix, Build uint16
}

// String returns "platform:major.minor.hotfix.build", as sysfs has it.
func (v FirmwareVersion) String() string {
	return fmt.Sprintf("%d:%d.%d.%d.%d", v.Platform, v.Major, v.Minor, v.Hotfix, v.Build)
}

// Facts are what the driver tells about a device in /sys/class/mei/meiN. What a kernel does not have is empty.
type Facts struct {
	Device           string            // "242:0"
	FirmwareStatus   []uint32          // registers HFS1 to HFS6, as many as the chip has. Since Linux 3.19
	FirmwareVersions []FirmwareVersion // code, recovery, settings; zeros if it could not be read. 4.18
	HBM, DriverHBM   Version           // agreed with the firmware; highest of the driver. 4.9
	QueueLimit       int               // messages that a connection may have queued. 4.16
	State            string            // "ENABLED"; see State. 5.1
	Trace            *uint32           // trace status register, Tiger Lake and newer. 5.5
	Kind             string            // "mei", "itouch", "gsc", "gscfi". 5.8
}

// factLimit is the most that is read of one file; the longest, fw_status, has 54 bytes.
const factLimit = 4096

// ReadFacts reads the facts of a device, such as "mei0". sys is /sys, as os.DirFS("/sys"). A device that is not there is
// fs.ErrNotExist; a file that cannot be understood is an error that wraps ErrCorrupt.
func ReadFacts(sys fs.FS, device string) (f Facts, err error) {
	dir := "class/mei/" + device
	if _, err := fs.Stat(sys, dir); err != nil {
		return f, fmt.Errorf("mei: sysfs: %w", err)
	}
	for _, file := range []struct {
		name string
		read func(text string) error
	}{
		{"dev", func(s string) error { f.Device = s; return nil }},
		{"fw_status", func(s string) error { return lines(s, func(l string) error { return appendHex(&f.FirmwareStatus, l) }) }},
		{"fw_ver", func(s string) error {
			return lines(s, func(l string) error {
				v, err := parseFirmwareVersion(l)
				f.FirmwareVersions = append(f.FirmwareVersions, v)
				return err
			})
		}},
		{"hbm_ver", func(s string) (err error) { f.HBM, err = parseVersion(s); return err }},
		{"hbm_ver_drv", func(s string) (err error) { f.DriverHBM, err = parseVersion(s); return err }},
		{"tx_queue_limit", func(s string) (err error) { f.QueueLimit, err = strconv.Atoi(s); return err }},
		{"dev_state", func(s string) error { f.State = s; return nil }},
		{"kind", func(s string) error { f.Kind = s; return nil }},
		{"trc", func(s string) error {
			v, err := strconv.ParseUint(s, 16, 32)
			f.Trace = new(uint32(v))
			return err
		}},
	} {
		text, err := readFact(sys, dir+"/"+file.name)
		if err != nil || text == "" {
			continue // older kernels lack files, and trc cannot be read on older chips
		}
		if err := file.read(text); err != nil {
			return Facts{}, fmt.Errorf("mei: sysfs: %s: %w: %v", file.name, ErrCorrupt, err)
		}
	}
	return f, nil
}

// DeviceState returns State as a number. ok is false if the kernel is older than 5.1 or has a state that is new.
func (f Facts) DeviceState() (s State, ok bool) { return parseState(f.State) }

// Devices returns the names of the devices, "mei0" and so on; none if there is no driver.
func Devices(sys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(sys, "class/mei")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("mei: sysfs: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Listed is a firmware client on the kernel's mei bus. Clients that take several connections, such as AMTHI, are mostly
// not listed.
type Listed struct {
	Name       string // in the bus's directory
	Properties Properties
}

// ListClients returns the clients in /sys/bus/mei/devices. sys is /sys.
func ListClients(sys fs.FS) ([]Listed, error) {
	const dir = "bus/mei/devices"
	entries, err := fs.ReadDir(sys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("mei: sysfs: %w", err)
	}
	var all []Listed
	for _, e := range entries {
		l := Listed{Name: e.Name()}
		text, err := readFact(sys, dir+"/"+e.Name()+"/uuid")
		if err != nil {
			continue
		}
		p := &l.Properties
		if p.Client, err = guid.Parse(text); err != nil {
			return nil, fmt.Errorf("mei: sysfs: %s: %w: %v", e.Name(), ErrCorrupt, err)
		}
		number := func(file string, bits int) uint64 { // absent files are zero
			text, _ := readFact(sys, dir+"/"+e.Name()+"/"+file)
			n, _ := strconv.ParseUint(text, 10, bits)
			return n
		}
		hex, _ := readFact(sys, dir+"/"+e.Name()+"/version")
		version, _ := strconv.ParseUint(hex, 16, 8)
		p.Version = uint8(version)
		p.MaxConnections = uint8(number("max_conn", 8))
		p.Fixed = number("fixed", 8) != 0
		p.Tags = number("vtag", 8) != 0
		p.MaxMsgLen = uint32(number("max_len", 32))
		all = append(all, l)
	}
	return all, nil
}

func readFact(sys fs.FS, name string) (string, error) {
	file, err := sys.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, factLimit))
	return strings.TrimSpace(string(b)), err
}

func lines(s string, each func(string) error) error {
	for line := range strings.Lines(s) {
		if err := each(strings.TrimSpace(line)); err != nil {
			return err
		}
	}
	return nil
}

func appendHex(to *[]uint32, s string) error {
	n, err := strconv.ParseUint(s, 16, 32)
	*to = append(*to, uint32(n))
	return err
}

func parseVersion(s string) (v Version, err error) {
	major, minor, ok := strings.Cut(s, ".")
	a, errA := strconv.ParseUint(major, 10, 8)
	b, errB := strconv.ParseUint(minor, 10, 8)
	if !ok || errA != nil || errB != nil {
		return v, fmt.Errorf("version %q", s)
	}
	return Version{uint8(a), uint8(b)}, nil
}

func parseFirmwareVersion(s string) (v FirmwareVersion, err error) {
	platform, rest, ok := strings.Cut(s, ":")
	fields := strings.Split(rest, ".")
	p, err := strconv.ParseUint(platform, 10, 8)
	if !ok || err != nil || len(fields) != 4 {
		return v, fmt.Errorf("firmware version %q", s)
	}
	v.Platform = uint8(p)
	for i, to := range []*uint16{&v.Major, &v.Minor, &v.Hotfix, &v.Build} {
		n, err := strconv.ParseUint(fields[i], 10, 16)
		if err != nil {
			return v, fmt.Errorf("firmware version %q", s)
		}
		*to = uint16(n)
	}
	return v, nil
}
