// Package mkhi speaks to the MKHI client on MEI: commands to the management engine itself, whatever it runs. The Linux
// driver asks it for the versions of the firmware, which sysfs shows as fw_ver, and tells it what operating system has
// started; so do tools such as fwupd and LMS.
//
// Both ends live here: [Versions] asks, [Server] answers. Every message has a header of four bytes: group, command with
// bit 7 set in an answer, a reserved byte, result (0 is success). Integers are little-endian.
//
//	get versions   FF 02 00 00
//	answer         FF 82 00 00, one to three blocks: u16 minor, u8 major, u8 platform, u16 build, u16 hotfix
//	set rule       03 06 00 00, u16 rule, u8 feature, u8 reserved, u8 length, data. Feature 16, OS version: u16 build,
//	               u16 reserved, u8 system (2 Linux), u8 major, u8 minor, u8 reserved. The driver reads no answer
//
// The client is there twice: [mei.MKHI] takes connections, [mei.MKHIFixed] messages without connecting (HBM 2.0).
//
// Other commands are refused: their layout is not certain, nor is the number with which real firmware refuses.
//
// Sources: torvalds/linux drivers/misc/mei/bus-fixup.c; spec mei.md section 14.
package mkhi
