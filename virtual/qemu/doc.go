// Package qemu is the PC around a virtual machine's management engine as a QEMU process: any guest that QEMU runs gets an
// AMT face. It is a [firmware.Platform], as the PC of package pc is, with a real BIOS and a real operating system in it.
//
// Off means that there is no process. When the engine switches the PC on, a process starts, stopped; the engine is asked
// how the boot is to go, the boot order is set accordingly, and the processors start. What the guest does itself (reset,
// power off, sleep) comes back as events. What the engine uses of the machine:
//
//	power           QMP; the ACPI power button is the agent that passes a wish to shut down on
//	boot sources    the bootindex of QEMU's devices, set anew for each boot
//	progress        the log of SeaBIOS on its debug port: what it boots from, or that there is nothing
//	KVM             QEMU's VNC server; a tablet on USB makes the pointer absolute
//	SOL             the first serial port; a boot with UseSOL shows the console of SeaBIOS there
//	IDE-R, USB-R    drives on USB, which QEMU reads over NBD from this process, and this process from the console
//
// All sockets are unix sockets in a directory that only this user can enter. QEMU's own options are the user's; package
// qemu adds to them. It needs QEMU 6.0 or later on a system with unix sockets, an x86 machine of type pc or q35, and for
// progress SeaBIOS: with another BIOS a boot counts as done after [Options.BIOSTime].
//
// What it does not do: no QEMU verb puts a guest to sleep, so wishes to sleep or hibernate are refused; drives are not
// erased; a kernel given with -kernel is booted whatever the engine wants.
//
// Sources: QEMU QMP Reference Manual; SeaBIOS doc (Runtime_config.md, Debugging.md) and src/boot.c for its log.
package qemu
