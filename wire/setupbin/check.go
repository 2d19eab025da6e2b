package setupbin

import (
	"fmt"
	"slices"
	"strings"
)

// A Problem is something that a reader may stumble over.
type Problem struct {
	Record  int    `json:"record"`  // from 1; 0 is the file's header
	ID      ID     `json:"id"`      // the variable, or 0
	Warning bool   `json:"warning"` // it may work all the same
	Text    string `json:"text"`
}

func (p Problem) String() string {
	where := "header"
	if p.Record > 0 {
		where = fmt.Sprintf("record %d", p.Record)
	}
	if p.ID != 0 {
		d, _ := Lookup(p.ID)
		where += " " + d.Name
	}
	if p.Warning {
		where = "warning: " + where
	}
	return where + ": " + p.Text
}

// Check goes through all rules of the format: header, lengths and values, what a version allows, passwords, and the
// order of variables. Records that have been consumed are not looked into. It tells no secret.
func (f *File) Check() []Problem {
	c := checker{file: f}
	c.header()
	for i := range f.Records {
		c.at = i + 1
		if r := &f.Records[i]; r.Usable() {
			c.record(r)
		} else if f.Flags&Reusable == 0 && uint64(i) >= uint64(f.Consumed) {
			c.warn(0, "not usable, but not counted as consumed either")
		}
	}
	return c.problems
}

type checker struct {
	file     *File
	at       int
	problems []Problem
}

func (c *checker) bad(id ID, format string, args ...any) {
	c.problems = append(c.problems, Problem{Record: c.at, ID: id, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) warn(id ID, format string, args ...any) {
	c.problems = append(c.problems, Problem{Record: c.at, ID: id, Warning: true, Text: fmt.Sprintf(format, args...)})
}

// fault is bad with an error of this package, less what the problem says already.
func (c *checker) fault(id ID, subject string, err error) {
	c.bad(id, "%s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "setupbin: "), subject+": "))
}

func (c *checker) header() {
	f := c.file
	switch major := majorOf(f.Type); {
	case major == 0:
		c.bad(0, "the type %v is not that of a Setup.bin file", f.Type)
	case major != f.Major:
		c.bad(0, "the type is that of version %d, the version says %d", major, f.Major)
	case f.Minor > 1 || f.Minor == 1 && f.Major != 2:
		c.warn(0, "unknown version %v", f.Version())
	}
	if f.Chunks != 1 {
		c.warn(0, "%d chunks of header, 1 is usual", f.Chunks)
	}
	if f.RecordChunks != 1 {
		c.warn(0, "%d chunks in a record, 1 is usual", f.RecordChunks)
	}
	if f.Number != 0 || f.Reserved != 0 {
		c.warn(0, "record number and reserved field should be 0")
	}
	if int64(f.Count) != int64(len(f.Records)) {
		c.bad(0, "says %d records, there are %d", f.Count, len(f.Records))
	}
	if len(f.Rest) > 0 {
		c.warn(0, "%d octets behind the last record; some readers refuse the file", len(f.Rest))
	}
	if len(f.Records) == 0 {
		c.bad(0, "no record")
	}
	if f.Consumed > f.Count {
		c.bad(0, "%d records consumed of %d", f.Consumed, f.Count)
	} else if f.Consumed == f.Count && f.Count > 0 && f.Flags&Reusable == 0 {
		c.bad(0, "all records have been consumed")
	}
	if f.Flags&^Reusable != 0 {
		c.warn(0, "unknown flags %#x", f.Flags)
	}
	if f.Flags&Reusable != 0 && f.Version() < V2 {
		c.warn(0, "reusable files came with version %v", V2)
	}
	for i := range f.Records {
		if r := &f.Records[i]; r.Usable() {
			for _, v := range r.Variables {
				if len(f.Modules) > 0 && !slices.Contains(f.Modules, v.ID.Module()) {
					c.warn(0, "module %d is used and not listed", v.ID.Module())
					return
				}
			}
		}
	}
}

func (c *checker) record(r *Record) {
	if want := uint32(c.at); r.Number != want {
		c.warn(0, "numbered %d", r.Number)
	}
	if r.Length != bodyOffset {
		c.warn(0, "says a header of %d octets, %d is usual", r.Length, bodyOffset)
	}
	if r.Chunks != c.file.RecordChunks {
		c.warn(0, "says %d chunks, the header says %d", r.Chunks, c.file.RecordChunks)
	}
	if r.Flags&^(Valid|Scrambled) != 0 {
		c.warn(0, "unknown flags %#x", uint32(r.Flags))
	}
	if r.Flags&Scrambled != 0 && c.file.Version() < V4 {
		c.bad(0, "scrambled; that needs version %v", V4)
	}
	if n, room := r.used(), c.file.recordSize()-bodyOffset-varHeader; n > room {
		c.bad(0, "%d octets of variables, at most %d leave room for the end mark", n, room)
	}
	for i, v := range r.Variables {
		c.variable(v)
		again := slices.ContainsFunc(r.Variables[:i], func(have Variable) bool { return have.ID == v.ID })
		if d, known := Lookup(v.ID); again && known && !d.Repeats {
			c.warn(v.ID, "set more than once")
		}
	}
	c.order(r)
}

func (c *checker) variable(v Variable) {
	d, ok := Lookup(v.ID)
	if !ok {
		c.warn(v.ID, "unknown variable of %d octets", len(v.Value))
		return
	}
	if err := d.Check(v.Value); err != nil {
		c.fault(v.ID, d.Name, err)
		return
	}
	if c.file.Version() < d.Since {
		c.warn(v.ID, "came with version %v", d.Since)
	}
	if d.Uncertain {
		c.warn(v.ID, "its encoding is not known for sure")
	}
	switch v.ID {
	case CurrentPassword:
		if string(v.Value) != DefaultPassword {
			c.warn(v.ID, "is not the factory's: a machine that is new or was reset refuses the record")
		}
	case NewPassword:
		if err := CheckPassword(string(v.Value)); err != nil {
			c.fault(v.ID, "password", err)
		}
	case AddHash:
		if h, err := ParseHash(v.Value); err == nil && h.Algorithm != SHA1 && c.file.Version() < V3 {
			c.bad(v.ID, "%v needs version %v", h.Algorithm, V3)
		}
	case PID, PPS:
		if c.file.Flags&Reusable != 0 {
			c.warn(v.ID, "each machine needs its own, but the file is reusable")
		}
	}
}

// order checks which variables need others, and before them.
func (c *checker) order(r *Record) {
	index := func(id ID) int { return slices.IndexFunc(r.Variables, func(v Variable) bool { return v.ID == id }) }
	after := func(later, earlier ID) { // if both are there
		if i, j := index(later), index(earlier); i >= 0 && j > i {
			d, _ := Lookup(earlier)
			c.bad(later, "must come after %s", d.Name)
		}
	}
	if index(CurrentPassword) != 0 {
		c.bad(CurrentPassword, "must be there, and be the first variable")
	}
	switch i := index(NewPassword); {
	case i > 1 || i == 0:
		c.bad(NewPassword, "must follow the current password")
	case i < 0:
		if current, _ := r.Get(CurrentPassword); string(current) == DefaultPassword {
			c.bad(NewPassword, "must be there, as the current password is the factory's")
		}
	}
	if i := index(Manageability); i >= 0 && slices.ContainsFunc(r.Variables[:i], func(v Variable) bool { return v.ID.Module() == AMT }) {
		c.bad(Manageability, "must come before all variables of AMT")
	}
	if i := index(AddHash); i >= 0 {
		if j := index(UserHashes); j < 0 || j > i || value(r.Variables[j].Value) != 1 {
			c.warn(AddHash, "user-hashes=on should come before it; files without it are known to work")
		}
	}
	after(Provisioning, DNSSuffix)
	after(Provisioning, ServerName)
	after(Provisioning, ServerAddress)
	if i := index(DHCP); i >= 0 && value(r.Variables[i].Value) == 1 && index(StaticIPv4) < 0 {
		c.bad(DHCP, "is off, so static-ipv4 must be there")
	}
}
