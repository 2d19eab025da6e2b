//go:build unix

package pciproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/outband/outband/virtual/heci"
)

// Serve answers QEMU's accesses to f until QEMU is gone (the error is then io.EOF), or ctx ends (its cause). It closes
// conn.
func Serve(ctx context.Context, conn *net.UnixConn, f *heci.Function) error {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.Close()
		close(done)
	})
	err := serve(conn, f)
	if stop() {
		conn.Close()
		return err
	}
	<-done
	return context.Cause(ctx)
}

func serve(conn *net.UnixConn, f *heci.Function) error {
	var space [headerLen + maxData]byte
	var out []byte
	for {
		h, files, err := receiveHeader(conn, space[:headerLen])
		if err != nil {
			return err
		}
		closeAll(files) // memory, which is for DMA, and eventfds, see Line
		data := space[headerLen:][:h.Size]
		if _, err := io.ReadFull(conn, data); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("pciproxy: %w", err)
		}
		value, answer, err := access(f, h.Command, data)
		if err != nil {
			return err
		}
		if !answer {
			continue
		}
		out = appendReply(out[:0], value)
		if _, err := conn.Write(out); err != nil {
			return fmt.Errorf("pciproxy: %w", err)
		}
	}
}

// access does what a message asks for.
func access(f *heci.Function, command int32, data []byte) (value uint64, answer bool, err error) {
	switch command {
	case cmdConfigRead, cmdConfigWrite:
		c, _, err := ParseConfigAccess(data)
		if err != nil {
			return 0, false, err
		}
		if command == cmdConfigWrite {
			f.WriteConfig(c.Offset, int(c.Size), c.Value)
			return 0, true, nil
		}
		return uint64(f.ReadConfig(c.Offset, int(c.Size))), true, nil
	case cmdBARRead, cmdBARWrite:
		a, _, err := ParseBARAccess(data)
		if err != nil {
			return 0, false, err
		}
		base, on := f.BAR0()
		offset := a.Address - uint64(base)
		switch {
		case !a.Memory || !on || offset >= heci.BARSize:
			return ^uint64(0), true, nil
		case command == cmdBARWrite:
			f.Write(offset, int(a.Size), a.Value)
			return 0, true, nil
		}
		return f.Read(offset, int(a.Size)), true, nil
	case cmdReset:
		f.Reset()
		return 0, true, nil
	case cmdReply:
		return 0, false, fmt.Errorf("pciproxy: %w: a reply that nobody asked for", ErrCorrupt)
	}
	return 0, false, nil
}

// receiveHeader reads a header and the files that come with it, which are the caller's unless err is set.
func receiveHeader(conn *net.UnixConn, b []byte) (h Header, files []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(files)
			files = nil
		}
	}()
	oob := make([]byte, syscall.CmsgSpace(4*maxFiles))
	for n := 0; n < len(b); {
		got, gotOOB, flags, _, err := conn.ReadMsgUnix(b[n:], oob)
		more, bad := parseFiles(oob[:gotOOB])
		files = append(files, more...)
		switch {
		case n == 0 && errors.Is(err, io.EOF):
			return h, files, fmt.Errorf("pciproxy: %w", io.EOF)
		case errors.Is(err, io.EOF):
			return h, files, fmt.Errorf("pciproxy: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return h, files, fmt.Errorf("pciproxy: %w", err)
		case bad != nil:
			return h, files, fmt.Errorf("pciproxy: %w: %v", ErrCorrupt, bad)
		case flags&syscall.MSG_CTRUNC != 0 || len(files) > maxFiles:
			return h, files, fmt.Errorf("pciproxy: %w: too many files", ErrCorrupt)
		}
		n += got
	}
	h, _, err = ParseHeader(b)
	return h, files, err
}

// parseFiles returns the files of ancillary data. What it returns is open even if there is an error.
func parseFiles(oob []byte) (files []*os.File, err error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, bad := syscall.ParseUnixRights(&messages[i])
		if bad != nil {
			err = bad
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "from QEMU"))
		}
	}
	return files, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
