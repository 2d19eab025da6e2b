package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
)

// Between log-in and RFB the console opens the channel, and the machine says yes. Source: spec kvm.md section 2.1.
var (
	channelOpen      = [8]byte{0x40}
	channelOpenReply = [8]byte{0x41}
)

// channelTime is how long the machine may take for that.
const channelTime = 10 * time.Second

// motion is the least time between two movements of the mouse: firmware is slow, and queues them.
const motion = 50 * time.Millisecond

// KVM opens the screen, keyboard and mouse of the machine. The session ends with ctx. Where no format is asked for it is
// 16 bits per pixel, or 8 if the machine ends the session over that: its frame memory is small.
func (c *Client) KVM(ctx context.Context, o rfb.ClientOptions) (*rfb.Client, error) {
	if o.Motion == 0 {
		o.Motion = motion
	}
	choose := o.Format == (rfb.PixelFormat{})
	s, err := c.kvm(ctx, o)
	var at *rfb.Error
	if choose && errors.As(err, &at) && at.Phase == rfb.PhaseSettings && ctx.Err() == nil {
		o.Format = rfb.RGB332
		s, err = c.kvm(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("screen: %w", err)
	}
	return s, nil
}

// kvm opens a session, and returns when the first picture is there.
func (c *Client) kvm(ctx context.Context, o rfb.ClientOptions) (*rfb.Client, error) {
	conn, err := c.OpenRedirection(ctx, redir.KVM)
	if err != nil {
		return nil, err
	}
	if err := openChannel(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	first := make(chan struct{}, 1)
	updated := o.Updated
	o.Updated = func(rects, size int) {
		select {
		case first <- struct{}{}:
		default:
		}
		if updated != nil {
			updated(rects, size)
		}
	}
	s, err := rfb.Connect(ctx, conn, o)
	if err != nil {
		return nil, err
	}
	late := time.NewTimer(channelTime)
	defer late.Stop()
	select {
	case <-first:
		return s, nil
	case <-s.Done():
		return nil, s.Err()
	case <-late.C:
		s.Close()
		return nil, fmt.Errorf("no picture in %v: %w", channelTime, redir.ErrTimeout)
	}
}

func openChannel(ctx context.Context, conn *redir.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, channelTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var got [8]byte
	if _, err := conn.Write(channelOpen[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, got[:]); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("open channel: %w", redir.ErrTimeout)
		}
		return fmt.Errorf("open channel: %w", err)
	}
	if got != channelOpenReply {
		return fmt.Errorf("open channel: answer %x: %w", got, redir.ErrProtocol)
	}
	return nil
}
