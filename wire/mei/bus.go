package mei

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/outband/outband/wire/guid"
)

// A Bus leads to the clients in one management engine. Implementations are safe for concurrent use.
type Bus interface {
	// Connect opens a connection to a client. Errors are *Error: ErrNoClient, ErrBusy (another program has it),
	// ErrDisconnected (no device, or it is being reset) and others; see [Error].
	Connect(ctx context.Context, client guid.GUID) (Conn, error)
}

// A Conn is a connection to one client. Read and Write may be called at the same time.
//
// Each Write sends one message; it returns when the message is queued, and blocks only when the queue is full. A message
// longer than MaxMsgLen is refused whole with ErrTooLong. Writing nothing sends nothing.
//
// Each Read takes from one message. If p is too short the rest stays for the next Read, with nothing to tell where the
// message ends: use MaxMsgLen bytes, or [Receive]. A firmware client may send an empty message: Read returns 0, nil.
// Firmware sends nothing until somebody reads.
//
// After a reset, or when firmware ends the connection, both return ErrDisconnected; close and connect again. A deadline
// that passed gives os.ErrDeadlineExceeded; after Close, os.ErrClosed.
type Conn interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	MaxMsgLen() int // bytes of the longest message, either way
	Version() uint8 // of the client's protocol
}

// A Notifier is a Conn whose client can raise an event without sending a message (HBM 2.0 and newer). Both buses'
// connections are Notifiers.
type Notifier interface {
	// Notify switches events on or off. ErrUnsupported: the kernel or the firmware is too old.
	Notify(on bool) error
	// Notified waits until there was an event since the last call.
	Notified(ctx context.Context) error
}

// A TagBus can open several connections over one, told apart by a tag from 1 to 255 (HBM 2.2 and newer). Few clients
// take tags; ErrUnsupported is usual.
type TagBus interface {
	ConnectTag(ctx context.Context, client guid.GUID, tag uint8) (Conn, error)
}

// MaxMessage is the longest message the package will hold, whatever MaxMsgLen a device names. AMT's clients have 5 KiB.
const MaxMessage = 1 << 20

// The clients that matter for AMT. Spec mei.md section 6.
var (
	AMTHI     = known("12f80028-b4b7-4b2d-aca8-46e0ff65814c") // commands of package amthi
	LME       = known("6733a4db-0476-4e7b-b3af-bcfc29bee7a7") // port forwarding, package apf
	Watchdog  = known("05b79a6f-4628-4d7f-899d-a91514cb32ab") // package watchdog
	MKHI      = known("8e6a6715-9abc-4043-88ef-9e39c6f63e0f") // commands to the ME itself
	MKHIFixed = known("55213584-9a29-4916-badf-0fb7ed682aeb") // the same without connecting
)

func known(text string) guid.GUID {
	g, err := guid.Parse(text)
	if err != nil {
		return guid.GUID{} // the test of this list fails
	}
	return g
}

// Receive reads one whole message. When ctx ends first it returns ctx's cause; the message stays for the next Read. The
// read deadline of c is cleared.
func Receive(ctx context.Context, c Conn) ([]byte, error) {
	buf := make([]byte, min(c.MaxMsgLen(), MaxMessage))
	var n int
	err := interruptible(ctx, c.SetReadDeadline, func() (err error) {
		n, err = c.Read(buf)
		return err
	})
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// Send writes one message, waiting for room in the queue until ctx ends. The write deadline of c is cleared.
func Send(ctx context.Context, c Conn, message []byte) error {
	return interruptible(ctx, c.SetWriteDeadline, func() error {
		n, err := c.Write(message)
		if err == nil && n != len(message) {
			err = fmt.Errorf("mei: write: %w", io.ErrShortWrite)
		}
		return err
	})
}

// Call sends a request and receives one message. If ctx ends in between, the answer is still to come: close c.
func Call(ctx context.Context, c Conn, request []byte) ([]byte, error) {
	if err := Send(ctx, c, request); err != nil {
		return nil, err
	}
	return Receive(ctx, c)
}

// interruptible runs do, which is ended through a deadline long past when ctx ends.
func interruptible(ctx context.Context, setDeadline func(time.Time) error, do func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		setDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	err := do()
	if !stop() {
		<-interrupted
		setDeadline(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
