// Package amthi speaks the AMT host interface (PTHI): commands that a program on the PC gives to the AMT firmware it runs
// on, over the client [mei.AMTHI]. They say what the firmware is, how far its setup has come, and carry the first steps
// of setup; once AMT is set up, WS-Management does the rest. They work without an account, for root.
//
// Both ends live here. One request, one answer, one at a time on a connection. Integers are little-endian, structures
// are packed:
//
//	 0  1  major version, 1
//	 1  1  minor version, 1
//	 2  2  0
//	 4  4  command; bit 23 is set in answers
//	 8  4  length of what follows
//	12  4  status, in answers only
//
// Types in data: AMT_BOOLEAN is four bytes, 0 or 1; text has a 16-bit length in front, which counts a closing NUL where
// there is one (LMS sends one, firmware mostly none; both are read, none is written); IPv4 addresses are numbers, so
// 1.2.3.4 is 04 03 02 01; UUIDs are in SMBIOS order.
//
// Sources: intel/lms MEIClient/AMTHIClient; device-management-toolkit/rpc-go pkg/pthi; Ylianst/MeshCentral
// agents/modules_meshcmd/amt-mei.js; torvalds/linux samples/mei/mei-amt-version.c; Intel AMT Implementation and Reference
// Guide; spec amthi.md.
//
// To add a command: its number and types in commands.go, its struct with Append and parse beside its kin, and if
// programs want it, a method in client.go.
package amthi
