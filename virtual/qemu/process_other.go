//go:build !linux

package qemu

import "syscall"

// attributes has nothing to add where a process cannot be bound to the life of this one.
func attributes() *syscall.SysProcAttr { return nil }
