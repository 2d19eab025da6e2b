// Package devmei runs a program that finds a management engine on a PC that has none: it opens /dev/mei0, asks the
// Linux driver's ioctls, reads and writes messages, looks into /sys/class/mei, and connects to the ports that LMS offers
// on localhost. The program is unchanged; static Go programs and those of any libc, their threads and their children
// are served alike.
//
// The means is seccomp's user notification: a filter makes the kernel ask this process about a few system calls of the
// program. Opening the device gives the program one end of a socket pair (SOCK_SEQPACKET keeps messages whole), so that
// poll and most reads and writes stay within the kernel; CONNECT and the other ioctls, and reads and writes that the
// driver would refuse or cut, are answered here.
//
// Where it differs from the driver: a file descriptor of the device is one of 900 to 999 (others, made by dup, are those
// of a plain socket: a short read loses the rest of its message, and writing before CONNECT is no error); poll says that
// it can be written before CONNECT, where the driver says POLLERR; writev sends one message, the driver one for each
// part; what only sockets can do is done, not ENOTSOCK; a read that is waiting when firmware ends the connection returns
// 0, not ENODEV; an event (NOTIFY) shows in NOTIFY_GET, not in poll; after firmware has ended a connection the device
// must be opened anew; the folder /dev does not list the device, and /proc/self/fd calls it a socket.
//
// It is no security boundary: a program that changes a path while the kernel asks about it may get either file.
// Programs that gain privileges by being run (setuid) do not gain them, and 32-bit programs are not served.
//
// Sources: seccomp_unotify(2); include/uapi/linux/mei.h; spec mei.md sections 2 to 5.
package devmei

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"

	"github.com/outband/outband/wire/mei"
)

// ErrUnsupported says that programs cannot be served here: not Linux 5.14 or newer on x86-64 or ARM64, or filters are
// forbidden.
var ErrUnsupported = errors.New("programs cannot be given a device here")

// ErrPass is returned by [Program].Local to leave a connection as it is.
var ErrPass = errors.New("connect where the program says")

// Ports are those that LMS offers on localhost.
var Ports = [...]uint16{16992, 16993, 16994, 16995, 623, 664}

// A Program is to be run. Path and Bus are needed.
type Program struct {
	Path string   // of the executable; without a slash it is searched in PATH
	Args []string // without the name
	Env  []string // "name=value"; nil: that of this process
	Dir  string   // "": that of this process

	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Bus leads to the management engine.
	Bus mei.Bus
	// Local says where a connection to one of Ports on localhost is to go. nil, or ErrPass: where the program says. Other
	// errors refuse the connection.
	Local func(ctx context.Context, port uint16) (netip.AddrPort, error)
	// Facts are what /sys/class/mei/mei0 tells.
	Facts mei.Facts
	// Signals are sent on to the program.
	Signals <-chan os.Signal
	// Log gets what goes wrong on this side; nil is silent.
	Log *slog.Logger
}

// Run runs the program and returns its exit code, 128 and the number of the signal if one has ended it. Processes that
// it leaves behind are killed. When ctx ends, so does the program, and the error is ctx's cause. Other errors say that it
// could not be started; they wrap ErrUnsupported, exec.ErrNotFound and so on.
//
// While it runs, this process adopts the orphans among its descendants (PR_SET_CHILD_SUBREAPER).
func (p *Program) Run(ctx context.Context) (code int, err error) {
	log := p.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return p.run(ctx, log)
}
