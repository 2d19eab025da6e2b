//go:build amd64 || arm64

package devmei

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxPath is PATH_MAX.
const maxPath = 4096

// readMemory reads len(p) bytes of a process.
func readMemory(pid uint32, address uint64, p []byte) error {
	local := []unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	n, err := unix.ProcessVMReadv(int(pid), local, []unix.RemoteIovec{{Base: uintptr(address), Len: len(p)}}, 0)
	if err == nil && n < len(p) {
		err = unix.EFAULT
	}
	return err
}

// writeMemory writes into a process.
func writeMemory(pid uint32, address uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	n, err := unix.ProcessVMWritev(int(pid), local, []unix.RemoteIovec{{Base: uintptr(address), Len: len(p)}}, 0)
	if err == nil && n < len(p) {
		err = unix.EFAULT
	}
	return err
}

// readString reads a string that ends with 0, page by page as the next page may not be there.
func readString(pid uint32, address uint64) (string, bool) {
	const page = 4096
	var text []byte
	for len(text) < maxPath {
		chunk := make([]byte, page-address%page)
		if readMemory(pid, address, chunk) != nil {
			return "", false
		}
		if end := bytes.IndexByte(chunk, 0); end >= 0 {
			return string(append(text, chunk[:end]...)), true
		}
		text, address = append(text, chunk...), address+uint64(len(chunk))
	}
	return "", false
}

// procFD is the link to an open file of a process.
func procFD(pid uint32, fd int32) string {
	return "/proc/" + strconv.FormatUint(uint64(pid), 10) + "/fd/" + strconv.Itoa(int(fd))
}

// absolute returns the path that a process means. Symbolic links are not followed.
func absolute(pid uint32, dir int32, name string) (string, bool) {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name), true
	}
	link := fmt.Sprintf("/proc/%d/cwd", pid)
	if dir != unix.AT_FDCWD {
		link = procFD(pid, dir)
	}
	base, err := os.Readlink(link)
	if err != nil || !strings.HasPrefix(base, "/") {
		return "", false
	}
	return path.Join(base, name), true
}

// group returns the process that a thread belongs to.
func group(pid uint32) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err == nil {
		n, _ := strconv.Atoi(statusField(string(status), "Tgid"))
		return n
	}
	return 0
}

// signalled reports whether a signal waits for a thread that it does not block. While the kernel asks us, it wakes the
// thread for deadly ones only.
func signalled(pid uint32) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	set := func(name string) uint64 {
		n, _ := strconv.ParseUint(statusField(string(text), name), 16, 64)
		return n
	}
	return (set("SigPnd")|set("ShdPnd"))&^set("SigBlk") != 0
}

// statusField returns a line of /proc/PID/status; "" if it is not there.
func statusField(status, name string) string {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// borrow opens a file of a process here, too. The caller closes it.
func borrow(pid uint32, fd int32) (int, error) {
	process, err := unix.PidfdOpen(group(pid), 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(process)
	return unix.PidfdGetfd(process, int(fd), 0)
}
