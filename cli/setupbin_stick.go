package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/fat"
	"github.com/outband/outband/wire/setupbin"
)

type setupbinStickCmd struct {
	File      string `arg:"" help:"The Setup.bin file."`
	Target    string `arg:"" help:"Image to make, or device of a key, such as /dev/sdb."`
	Size      string `default:"64M" placeholder:"SIZE" help:"Size of image or partition, such as 64M or 1G; a device may be larger."`
	FAT       int    `name:"fat" enum:"0,16,32" default:"0" placeholder:"16|32" help:"File system; default is FAT32 from 33 MiB on. AMT before release 6 is said to want FAT16."`
	Label     string `default:"AMTSETUP" placeholder:"LABEL" help:"Label of the volume."`
	Overwrite bool   `help:"Write over a file or device that is there. Everything on it is lost; --yes, or an answer, is needed as well."`
	Yes       bool   `short:"y" help:"Do not ask before everything on the target is lost."`
}

func (setupbinStickCmd) Help() string {
	return "The key gets a partition table, one partition with a new FAT file system, and SETUP.BIN as its first file, in one piece: what simple " +
		"BIOSes read. Whoever finds the key can read the passwords: erase it when its work is done.\n\n" +
		example("outband setupbin stick setup.bin stick.img", "outband setupbin stick setup.bin /dev/sdb --overwrite")
}

// A stickRecord is a key that was written.
type stickRecord struct {
	File   string   `json:"file"`
	Target string   `json:"target"`
	OK     bool     `json:"ok"`
	Size   int64    `json:"size,omitempty"` // octets
	FAT    string   `json:"fat,omitempty"`
	Label  string   `json:"label,omitempty"`
	Length int      `json:"length,omitempty"` // octets of SETUP.BIN
	Count  uint32   `json:"records,omitempty"`
	Error  *problem `json:"error,omitempty"`
}

func (c *setupbinStickCmd) Run(a *app) error {
	out := a.printer(column{"TARGET", 24}, column{"SIZE", 8}, column{"VOLUME", 6}, column{"LABEL", 11}, column{"FILE", 0})
	r, err := c.write(a)
	if err != nil {
		if err := out.failed(stickRecord{File: c.File, Target: c.Target, Error: problemOf(judge(err))}, false, nil); err != nil {
			return err
		}
		return err
	}
	err = out.record(r, plain(r.Target), plain(sizeText(r.Size)), plain(r.FAT), plain(r.Label), plain(fmt.Sprintf("%s, %d octets, read back", keyFile, r.Length)))
	a.note("the machines' MEBx password must still be the one that the file says; the factory's is %s", setupbin.DefaultPassword)
	a.note("the key holds passwords that anybody can read: erase it when its work is done")
	return err
}

func (c *setupbinStickCmd) write(a *app) (r stickRecord, err error) {
	s, err := readSetup(c.File)
	if err != nil {
		return r, err
	}
	if bad := faults(s.File); bad != nil {
		return r, usage("outband setupbin check shows all faults", "%s: %s", c.File, bad[0])
	}
	content, err := s.Append(nil)
	if err != nil {
		return r, usage("", "%s: %w", c.File, err)
	}
	o := fat.Options{Type: fat.Type(c.FAT), Label: c.Label, Time: time.Now()}
	if o.Size, err = parseSize(c.Size); err != nil {
		return r, err
	}
	var serial [4]byte
	rand.Read(serial[:])
	o.Serial = binary.LittleEndian.Uint32(serial[:])

	file := fat.File{Name: keyFile, Content: content}
	if err := fat.Write(nowhere{}, o, file); err != nil { // before anything is lost
		return r, usage("--size, --fat and --label say what is made", "%w", err)
	}
	f, fresh, err := c.open(a, &o)
	if err != nil {
		return r, err
	}
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("write %s: %w", c.Target, closeErr)
		}
		if err != nil && fresh {
			os.Remove(c.Target)
		}
	}()
	if err := fat.Write(f, o, file); err != nil {
		return r, fmt.Errorf("write %s: %w", c.Target, err)
	}
	if err := f.Sync(); err != nil {
		return r, fmt.Errorf("write %s: %w", c.Target, err)
	}
	volume, err := fat.Open(f, o.Size)
	if err != nil {
		return r, fmt.Errorf("read %s again: %w", c.Target, err)
	}
	e, err := volume.Find(keyFile)
	if err != nil {
		return r, fmt.Errorf("read %s again: %w", c.Target, err)
	}
	again, err := volume.Read(e, setupbin.MaxSize)
	if err != nil {
		return r, fmt.Errorf("read %s again: %w", c.Target, err)
	}
	if !bytes.Equal(again, content) {
		return r, fmt.Errorf("%s holds something else than was written", c.Target)
	}
	return stickRecord{File: c.File, Target: c.Target, OK: true, Size: o.Size, FAT: volume.Type().String(), Label: volume.Label(), Length: len(again), Count: s.Count}, nil
}

// open opens the target for writing, a new image, or, when told twice, one that is there or a device. The size is cut down
// to what a device has.
func (c *setupbinStickCmd) open(a *app, o *fat.Options) (f *os.File, fresh bool, err error) {
	info, err := os.Stat(c.Target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f, err = os.OpenFile(c.Target, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return nil, false, usage("", "%w", err)
		}
		if err := f.Truncate(o.Size); err != nil {
			f.Close()
			os.Remove(c.Target)
			return nil, false, fmt.Errorf("write %s: %w", c.Target, err)
		}
		return f, true, nil
	case err != nil:
		return nil, false, usage("", "%w", err)
	}
	device := info.Mode()&fs.ModeDevice != 0 && info.Mode()&fs.ModeCharDevice == 0
	if !device && !info.Mode().IsRegular() {
		return nil, false, usage("", "%s is neither a file nor the device of a key", c.Target)
	}
	if !c.Overwrite {
		return nil, false, usage("--overwrite writes over it; everything on it is lost", "%s is there already", c.Target)
	}
	flags := os.O_RDWR
	if device {
		flags |= os.O_EXCL // refused while it is mounted
	}
	if f, err = os.OpenFile(c.Target, flags, 0); err != nil {
		if errors.Is(err, syscall.EBUSY) {
			return nil, false, usage("unmount it first", "%s is in use: %w", c.Target, err)
		}
		return nil, false, usage("", "%w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, false, usage("", "%s: %w", c.Target, err)
	}
	if !c.Yes {
		ok, err := a.confirm(fmt.Sprintf("write over %s, %s: everything on it is lost?", c.Target, sizeText(size)), false)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			return nil, false, usage("--yes answers beforehand", "canceled; nothing was written to %s", c.Target)
		}
	}
	if device {
		o.Size = min(o.Size, size)
		return f, false, nil
	}
	for _, size := range []int64{0, o.Size} { // so that nothing of before is left in free clusters
		if err := f.Truncate(size); err != nil {
			return nil, false, fmt.Errorf("write %s: %w", c.Target, err)
		}
	}
	return f, false, nil
}

// nowhere takes what is written and does nothing with it.
type nowhere struct{}

func (nowhere) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }

// parseSize reads 67108864, 64M or 1G.
func parseSize(text string) (int64, error) {
	shift := 0
	digits := strings.TrimRight(strings.ToUpper(text), "IB")
	for i, unit := range []string{"K", "M", "G"} {
		if cut, ok := strings.CutSuffix(digits, unit); ok {
			digits, shift = cut, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > fat.MaxSize>>shift {
		return 0, usage("such as 64M or 1G, at most 32G", "--size: %.40q is no size", text)
	}
	return n << shift, nil
}

func sizeText(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d octets", n)
}

// keyOutcome says what the BIOS of a virtual machine has made of a key: what it wrote on the screen.
func (a *app) keyOutcome(m *lab.Running) {
	lines := m.PC.Lines()
	if len(lines) == 0 {
		lines = []string{"no Setup.bin was found on the USB key"}
	}
	for _, line := range lines {
		a.note("%s: %s", m.Address, line)
	}
}
