//go:build amd64 || arm64

package devmei

import (
	"fmt"
	"maps"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A call is a system call that is asked about, under a condition, and who answers it.
type call struct {
	when   condition
	answer func(*server, *notice)
}

// A condition is what the kernel checks before it asks.
type condition string

const (
	always   condition = "always"
	ofDriver condition = "one of the driver's ioctls, or on a file descriptor of the device"
	onDevice condition = "on a file descriptor of the device"
)

// The ioctls of the driver. Source: include/uapi/linux/mei.h.
const (
	ioctlConnect    = 0xC0104801
	ioctlNotifySet  = 0x40044802
	ioctlNotifyGet  = 0x80044803
	ioctlConnectTag = 0xC0144804
)

// The ioctls that the kernel answers for every file: FIONCLEX, FIOCLEX, FIONBIO, FIOASYNC. Source: fs/ioctl.c.
var ioctlOfAll = [...]uint32{0x5450, 0x5451, 0x5421, 0x5452}

// File descriptors of the device are in firstFD to lastFD, where the filter knows them. select(2) takes up to 1023.
const (
	firstFD = 900
	lastFD  = 999
)

// Offsets in struct seccomp_data. Both architectures are little-endian: the low half of an argument comes first.
const (
	dataCall = 0
	dataArch = 4
	dataArg0 = 16
	dataArg1 = 24
)

// filter returns the program that the kernel runs at each system call. Its jumps count from the next instruction.
func filter() []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		least = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
	)
	allow := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	ask := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF}
	p := []unix.SockFilter{
		{Code: load, K: dataArch},
		{Code: equal, K: auditArch, Jt: 1},
		allow,
		{Code: load, K: dataCall},
	}
	all := calls()
	for _, nr := range slices.Sorted(maps.Keys(all)) {
		var then []unix.SockFilter // what is done if it is that call
		switch all[nr].when {
		case always:
			then = []unix.SockFilter{ask}
		case ofDriver:
			then = []unix.SockFilter{
				{Code: load, K: dataArg1},
				{Code: equal, K: ioctlConnect, Jt: 7},
				{Code: equal, K: ioctlConnectTag, Jt: 6},
				{Code: equal, K: ioctlNotifySet, Jt: 5},
				{Code: equal, K: ioctlNotifyGet, Jt: 4},
				{Code: load, K: dataArg0},
				{Code: least, K: lastFD + 1, Jt: 1},
				{Code: least, K: firstFD, Jt: 1},
				allow,
				ask,
			}
		case onDevice:
			then = []unix.SockFilter{
				{Code: load, K: dataArg0},
				{Code: least, K: lastFD + 1, Jt: 1},
				{Code: least, K: firstFD, Jt: 1},
				allow,
				ask,
			}
		}
		p = append(p, unix.SockFilter{Code: equal, K: uint32(nr), Jf: uint8(len(then))})
		p = append(p, then...)
	}
	return append(p, allow)
}

// install puts the filter before the calling thread, and what it will start, and returns where the kernel asks.
func install() (listener int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("devmei: %w: give up new privileges: %w", ErrUnsupported, err)
	}
	code := filter()
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	var errno unix.Errno
	// Without the second flag (Linux 5.19) each signal makes the kernel ask anew.
	for _, flags := range []uintptr{unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER} {
		var fd uintptr
		fd, _, errno = unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
		if errno == 0 {
			return int(fd), nil
		}
		if errno != unix.EINVAL {
			break
		}
	}
	return 0, fmt.Errorf("devmei: %w: system call filter: %w", ErrUnsupported, errno)
}
