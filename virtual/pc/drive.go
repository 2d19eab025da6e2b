package pc

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/ider"
)

// Commands of the terminal that use the drives of a console: what an operating system does with them, one at a time.
//
//	dir cd              list the root directory
//	read floppy 7       print the text at the beginning of a block
//	write floppy 7 abc  write a block that begins with a text
//	eject cd            ask the console to take the disc out

const driveUsage = "dir DRIVE  read DRIVE BLOCK  write DRIVE BLOCK TEXT  eject DRIVE; a DRIVE is cd or floppy"

// useDrive carries out such a command. mu is held.
func (p *PC) useDrive(words []string) {
	drive, named := map[string]ider.Drive{"cd": ider.CD, "floppy": ider.Floppy}[strings.Join(words[1:min(2, len(words))], "")]
	block := int64(0)
	var err error
	if words[0] == "read" || words[0] == "write" {
		if len(words) < 3 {
			named = false
		} else {
			block, err = strconv.ParseInt(words[2], 10, 64)
		}
	}
	device := p.bay
	switch {
	case !named || err != nil || block < 0:
		p.say(driveUsage)
		return
	case device == nil:
		p.say("there are no such drives: no console shows any")
		return
	case p.using != nil:
		p.say("busy")
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.using = cancel
	boot := p.boot.Number
	p.wg.Go(func() {
		text, err := driveCommand(ctx, device, drive, words, block)
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.boot.Number != boot || p.phase != Running || p.closed {
			return
		}
		p.using = nil
		if err != nil {
			text = err.Error()
		}
		p.say("%s", text)
		p.look()
	})
}

// leaveDrive ends a command that is under way. mu is held.
func (p *PC) leaveDrive() {
	if p.using != nil {
		p.using()
		p.using = nil
	}
}

func driveCommand(ctx context.Context, device *ider.Device, drive ider.Drive, words []string, block int64) (string, error) {
	if words[0] == "eject" {
		return "ejected", device.Eject(ctx, drive)
	}
	disk, err := device.Disk(ctx, drive)
	if err != nil {
		return "", err
	}
	b := make([]byte, drive.BlockSize())
	switch words[0] {
	case "dir":
		if drive == ider.Floppy {
			m, err := readFloppy(disk)
			return listing(m), err
		}
		disk.ReadAhead = 64 << 10
		m, err := readISO(disk)
		return listing(m), err
	case "read":
		if _, err := disk.ReadAt(b, block*int64(len(b))); err != nil {
			return "", fmt.Errorf("block %d: %w", block, err)
		}
		text, _, _ := strings.Cut(string(b), "\x00")
		return fmt.Sprintf("block %d: %s", block, printable(text[:min(len(text), 60)])), nil
	}
	copy(b, strings.Join(words[3:], " "))
	_, err = disk.WriteAt(b, block*int64(len(b)))
	return fmt.Sprintf("block %d is written", block), err
}

func listing(m medium) string {
	return fmt.Sprintf("Volume %q, %d files\n%s", m.label, len(m.files), strings.Join(m.files, "\n"))
}

// printable is text that cannot steer a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, text)
}
