package qemu

import (
	"bufio"
	"io"
	"strings"

	"github.com/outband/outband/virtual/firmware"
)

// A progress is what the BIOS has come to. Values are words to print.
type progress string

// The steps that the log of SeaBIOS tells of. Source: its src/post.c, src/boot.c, src/bootsplash.c.
const (
	biosBegins  progress = "begins"
	biosAsks    progress = "waits for the key of its menu"
	biosMenu    progress = "shows its menu"
	biosTries   progress = "tries a device"
	biosStarts  progress = "starts what is on a device"
	biosNothing progress = "finds nothing to boot from"
)

// maxLogLine is the longest line of the log that is looked at; what is behind is passed over.
const maxLogLine = 1024

// A biosLog makes steps of the lines of a log.
type biosLog struct {
	source firmware.BootSource // of the last biosTries and biosStarts; BootDefault for something that is none of AMT's
}

// step takes one line; "" is no step.
func (l *biosLog) step(line string) progress {
	device, tries := strings.CutPrefix(line, "Booting from ")
	device, dots := strings.CutSuffix(device, "...")
	switch {
	case strings.HasPrefix(line, "SeaBIOS (version "):
		l.source = firmware.BootDefault
		return biosBegins
	case strings.Contains(line, "for boot menu"):
		return biosAsks
	case strings.HasPrefix(line, "Select boot device"):
		return biosMenu
	case strings.HasPrefix(line, "No bootable device"):
		return biosNothing
	case tries && dots:
		switch device {
		case "Hard Disk", "Floppy":
			l.source = firmware.BootDisk
		case "DVD/CD":
			l.source = firmware.BootCD
		case "ROM": // of a network adapter, mostly
			l.source = firmware.BootPXE
		default:
			l.source = firmware.BootDefault
		}
		return biosTries
	case tries: // "0000:7c00", "ca00:0385"
		return biosStarts
	}
	return ""
}

// readLog calls step with each line of a log, until its end.
func readLog(r io.Reader, step func(line string)) {
	b := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, more, err := b.ReadLine()
		if err != nil {
			return
		}
		step(string(line))
		for more && err == nil {
			_, more, err = b.ReadLine()
		}
	}
}
