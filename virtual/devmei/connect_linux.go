//go:build amd64 || arm64

package devmei

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// connect leads a connection to a port of LMS to where LMS is.
func (s *server) connect(n *notice) {
	port, ok := local(n)
	if !ok || s.program.Local == nil || !s.listener.valid(n) {
		s.listener.pass(n)
		return
	}
	s.work.Go(func() {
		to, err := s.program.Local(s.ctx, port)
		switch {
		case errors.Is(err, ErrPass):
			s.listener.pass(n)
		case err != nil:
			s.log.Info("connect", "port", port, "error", err)
			s.listener.fail(n, unix.ECONNREFUSED)
		default:
			s.listener.fail(n, s.lead(n, to))
		}
	})
}

// local returns the port of LMS that a connection is meant for, if it is one.
func local(n *notice) (uint16, bool) {
	const v4, v6 = 16, 28 // bytes of struct sockaddr_in and sockaddr_in6
	if n.Args[2] < v4 {
		return 0, false
	}
	address := make([]byte, min(n.Args[2], v6))
	if readMemory(n.PID, n.Args[1], address) != nil {
		return 0, false
	}
	var ip netip.Addr
	switch family := binary.LittleEndian.Uint16(address); {
	case family == unix.AF_INET:
		ip = netip.AddrFrom4([4]byte(address[4:8]))
	case family == unix.AF_INET6 && len(address) == v6:
		ip = netip.AddrFrom16([16]byte(address[8:24])).Unmap()
	default:
		return 0, false
	}
	port := binary.BigEndian.Uint16(address[2:])
	return port, (ip == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || ip == netip.IPv6Loopback()) && slices.Contains(Ports[:], port)
}

// lead connects the program's own socket, so that it may be one that does not wait.
func (s *server) lead(n *notice, to netip.AddrPort) unix.Errno {
	fd, err := borrow(n.PID, int32(n.Args[0]))
	if err != nil {
		return unix.EBADF
	}
	defer unix.Close(fd)
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return unix.ENOTSOCK
	}
	var address unix.Sockaddr = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().Unmap().As4()}
	if family == unix.AF_INET6 { // an IPv4 address within IPv6
		address = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	err = unix.Connect(fd, address)
	if err == unix.EINTR { // by the Go runtime; the kernel goes on
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, pollInterval)
		var code int
		if code, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil {
			return unix.Errno(code)
		}
	}
	errno, _ := err.(unix.Errno)
	return errno
}
