// Package gen writes the Go types of CIM classes: one file per class with its struct, its value tables and its methods,
// into the packages class/cim, class/amt and class/ips. The class catalogue (package model) is all it reads.
//
// The output is meant to be read: doc comments carry the catalogue's summaries, units and traps. It is deterministic,
// needs no code at program start, and is committed; a test in package class fails when it is not what the generator
// writes. To change a type, change classes.json or this package and run go generate ./class/...
//
// The package writes no files itself; gen/run does.
package gen
