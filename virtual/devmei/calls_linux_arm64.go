package devmei

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// calls are the system calls that are asked about. Source: include/uapi/asm-generic/unistd.h.
func calls() map[int32]call {
	return map[int32]call{
		unix.SYS_OPENAT:     {always, (*server).openat},
		unix.SYS_OPENAT2:    {always, (*server).openat2},
		unix.SYS_NEWFSTATAT: {always, (*server).fstatat},
		unix.SYS_STATX:      {always, (*server).statx},
		unix.SYS_FACCESSAT:  {always, (*server).faccessat},
		unix.SYS_FACCESSAT2: {always, (*server).faccessat},
		unix.SYS_READLINKAT: {always, (*server).readlinkat},
		unix.SYS_CONNECT:    {always, (*server).connect},
		unix.SYS_IOCTL:      {ofDriver, (*server).ioctl},
		unix.SYS_READ:       {onDevice, (*server).read},
		unix.SYS_WRITE:      {onDevice, (*server).write},
		unix.SYS_FSYNC:      {onDevice, (*server).sync},
		unix.SYS_FDATASYNC:  {onDevice, (*server).sync},
		unix.SYS_FSTAT:      {onDevice, (*server).fstat},
	}
}
