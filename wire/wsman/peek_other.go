//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package wsman

import (
	"net"
	"syscall"
)

// rawConn returns nil: idle connections are watched by a read.
func rawConn(net.Conn) syscall.RawConn { return nil }

func openAndSilent(syscall.RawConn) bool { return false }
