// Package watchdog speaks to AMT's watchdog client on MEI: the operating system tells the firmware "I am alive" again and
// again; when it falls silent, AMT reports that it hangs, and may reset the machine. The Linux driver iamt_wdt does so,
// and LMS feeds it. The same client takes the commands that switch AMT on and off, which work while AMT is off.
//
// Both ends live here, each as pure steps and a small loop: [Host] and [Feed], [Timer] and [Server]. Every message has a
// header of four bytes: command, count of the bytes after the count, sub-command, version 0x10. Integers are
// little-endian, timeouts are seconds.
//
//	start     02 15 13 10, u16 timeout, 17 zeros. Sent again it is the heartbeat; there is no other
//	answer    02 04 83 10, u8 status, u8 state (bit 0: not required). Only by clients of version 2 and newer
//	stop      02 02 14 10. Unanswered
//
// Sources: torvalds/linux drivers/watchdog/mei_wdt.c, 3.x drivers/misc/mei/wd.c, Documentation/driver-api/mei/iamt.rst;
// intel/lms UNS/WatchdogService; Intel AMT Implementation and Reference Guide, STATE_INDEPENDENCE_* and
// MHC_SetAmtOperationalState; spec watchdog.md, amthi.md section 5.
//
// Agent presence, the watchdogs for single programs, is WS-Management and not here; nor is what happens on expiry.
package watchdog
