package rmcp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// resend is how long Ping waits for an answer before it asks again: datagrams get lost, and firmware that sleeps may
// miss the first.
const resend = time.Second

// maxDatagram is what is read of one; a pong has 28 bytes.
const maxDatagram = 1500

// Ping asks the machine at addr (UDP port 623) and returns its pong. It asks again each second until ctx ends; give ctx
// a deadline. conn serves one Ping at a time, and its read deadline is cleared afterwards. Answers of others, and
// whatever else arrives, are dropped. The error wraps ctx's, or what conn says.
func Ping(ctx context.Context, conn net.PacketConn, addr net.Addr) (Pong, error) {
	pong, err := ping(ctx, conn, addr)
	if err != nil {
		return Pong{}, fmt.Errorf("rmcp: ping %v: %w", addr, err)
	}
	return pong, nil
}

func ping(ctx context.Context, conn net.PacketConn, addr net.Addr) (Pong, error) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Unix(1, 0)) // long past: a read under way returns
		close(interrupted)
	})
	defer func() {
		if !stop() {
			<-interrupted
		}
		conn.SetReadDeadline(time.Time{})
	}()

	var tag [1]byte
	rand.Read(tag[:])
	request := PresencePing{Tag: tag[0]}.Append(nil)
	buf := make([]byte, maxDatagram)
	for ctx.Err() == nil {
		if _, err := conn.WriteTo(request, addr); err != nil {
			return Pong{}, err
		}
		if err := conn.SetReadDeadline(time.Now().Add(resend)); err != nil {
			return Pong{}, err
		}
		for ctx.Err() == nil { // looked at after the deadline is set, which may have undone the interruption
			n, from, err := conn.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return Pong{}, err
			}
			pong, err := ParsePong(buf[:n])
			if err == nil && pong.Tag == tag[0] && from.String() == addr.String() {
				return pong, nil
			}
		}
	}
	return Pong{}, context.Cause(ctx)
}

// Serve answers the pings that arrive on conn until ctx ends or conn fails. state says what to answer, or false to stay
// silent. Serve does not close conn, and clears its read deadline when it returns. It returns ctx's cause, or the
// error of conn. It sends no RMCP acknowledgement, even if the ping's sequence number asks for one: no known console
// waits for it, and whether AMT sends any is unknown.
func Serve(ctx context.Context, conn net.PacketConn, state func() (AMT, bool)) error {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	defer func() {
		if !stop() {
			<-interrupted
		}
		conn.SetReadDeadline(time.Time{})
	}()
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("rmcp: serve: %w", err)
		}
		request, err := ParsePing(buf[:n])
		if err != nil {
			continue // not ours
		}
		if a, ok := state(); ok {
			// An answer that cannot be sent is the asker's trouble; it asks again.
			conn.WriteTo(a.Pong(request).Append(nil), from)
		}
	}
}
