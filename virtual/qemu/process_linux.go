package qemu

import "syscall"

// attributes has the process killed when this one ends, however it ends, and keeps a Ctrl-C for this one from it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
