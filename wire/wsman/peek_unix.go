//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package wsman

import (
	"errors"
	"net"
	"syscall"
)

// rawConn returns the socket that c, or TLS in c, runs on, or nil if there is none.
func rawConn(c net.Conn) syscall.RawConn {
	switch s := below(c).(type) {
	case *net.TCPConn:
		raw, _ := s.SyscallConn()
		return raw
	case *net.UnixConn:
		raw, _ := s.SyscallConn()
		return raw
	}
	return nil
}

// openAndSilent looks into a socket without waiting. The end of the stream, an error or octets that nobody asked for all
// mean that no request should go out on it.
func openAndSilent(raw syscall.RawConn) bool {
	silent := false
	err := raw.Control(func(fd uintptr) {
		var one [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			silent = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
			return
		}
	})
	return err == nil && silent
}
