package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/fat"
	"github.com/outband/outband/wire/setupbin"
)

type setupbinCmd struct {
	Create       setupbinCreateCmd       `cmd:"" help:"Make a Setup.bin file, with which the BIOS sets AMT up from a USB key."`
	Show         setupbinShowCmd         `cmd:"" help:"Show what is in a Setup.bin file or on a key, passwords masked."`
	Set          setupbinSetCmd          `cmd:"" help:"Change variables of a file and leave every other octet as it is."`
	AddRecord    setupbinAddRecordCmd    `cmd:"" help:"Add a record for one more machine."`
	RemoveRecord setupbinRemoveRecordCmd `cmd:"" help:"Remove a record."`
	Check        setupbinCheckCmd        `cmd:"" help:"Find what a BIOS may stumble over."`
	Stick        setupbinStickCmd        `cmd:"" help:"Write a USB key, or the image of one, with a file on it."`
	Variables    setupbinVariablesCmd    `cmd:"" help:"List all variables, their types and values."`
}

// A setupbinRecord is one file as it is shown.
type setupbinRecord struct {
	File     string            `json:"file"`
	OK       bool              `json:"ok"`
	Volume   string            `json:"volume,omitempty"` // FAT12, FAT16, FAT32, if the file was found on a key or image
	Version  string            `json:"version,omitempty"`
	Reusable *bool             `json:"reusable,omitempty"`
	Consumed uint32            `json:"consumed,omitempty"`
	Modules  []uint16          `json:"modules,omitempty"`
	Records  []setupbinSetting `json:"records,omitempty"`
	Faults   []string          `json:"faults,omitempty"`   // of setupbin check
	Warnings []string          `json:"warnings,omitempty"` // likewise
	Error    *problem          `json:"error,omitempty"`
}

// A setupbinSetting is one record: what one machine is set to.
type setupbinSetting struct {
	Record    int                `json:"record"` // from 1
	Usable    bool               `json:"usable"`
	Scrambled bool               `json:"scrambled,omitempty"`
	Variables []setupbinVariable `json:"variables"`
}

type setupbinVariable struct {
	ID     string `json:"id"` // module/number
	Name   string `json:"name"`
	Title  string `json:"title,omitempty"`
	Type   string `json:"type"`
	Value  string `json:"value"` // "***" if it is a secret and was not asked for
	Secret bool   `json:"secret,omitempty"`
	Length int    `json:"length"`
	Hex    string `json:"hex,omitempty"` // as it stands in the file
}

// A setupFile is a Setup.bin that was read.
type setupFile struct {
	*setupbin.File
	name   string
	volume string   // the file system that it was on; "": none
	placed []string // what a simple BIOS may not like about its place there
}

// readSetup reads a Setup.bin: the file itself, or, from a key or an image, the one in the root directory.
func readSetup(name string) (*setupFile, error) {
	hint := "outband setupbin create makes such a file"
	f, err := os.Open(name)
	if err != nil {
		return nil, usage("", "%w", err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd) // works for block devices, too
	if err != nil {
		return nil, usage("", "%s: %w", name, err)
	}
	out := &setupFile{name: name}
	start := make([]byte, min(size, setupbin.ChunkSize))
	if _, err := f.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, usage("", "%s: %w", name, err)
	}
	var content []byte
	if volume, fatErr := fat.Open(f, size); fatErr == nil {
		out.volume = volume.Type().String()
		if content, err = out.find(volume); err != nil {
			return nil, usage("", "%s: %w", name, err)
		}
	} else if content, err = readLimited(io.NewSectionReader(f, 0, size), setupbin.MaxSize); err != nil {
		return nil, usage(hint, "%s: neither a Setup.bin file nor a key with a FAT file system: %w", name, err)
	}
	if out.File, err = setupbin.Parse(content); err != nil {
		return nil, usage(hint, "%s: %w", name, err)
	}
	return out, nil
}

// find reads the file from a volume, and notes what is odd about its place.
func (s *setupFile) find(volume *fat.Volume) ([]byte, error) {
	e, err := volume.Find(keyFile)
	if err != nil {
		return nil, err
	}
	content, err := volume.Read(e, setupbin.MaxSize)
	if err != nil {
		return nil, err
	}
	extents, err := volume.Extents(e, setupbin.MaxSize)
	if err != nil {
		return nil, err
	}
	if len(extents) > 1 {
		s.placed = append(s.placed, fmt.Sprintf("key: the file is in %d pieces; some BIOSes want it in one", len(extents)))
	}
	if list, err := volume.Root(); err == nil && len(list) > 0 && list[0] != e {
		s.placed = append(s.placed, "key: the file is not the first one in the root directory; some BIOSes want it to be")
	}
	if volume.Start() == 0 {
		s.placed = append(s.placed, "key: no partition table; some BIOSes want one")
	}
	return content, nil
}

// keyFile is the name that a BIOS looks for.
const keyFile = "SETUP.BIN"

// record lays the file out.
func (s *setupFile) record(secrets bool) setupbinRecord {
	reusable := s.Flags&setupbin.Reusable != 0
	r := setupbinRecord{File: s.name, OK: true, Volume: s.volume, Version: s.Version().String(), Reusable: &reusable, Consumed: s.Consumed, Modules: s.Modules}
	for i := range s.Records {
		have := &s.Records[i]
		one := setupbinSetting{Record: i + 1, Usable: have.Usable(), Scrambled: have.Flags&setupbin.Scrambled != 0, Variables: []setupbinVariable{}}
		for _, v := range have.Variables {
			one.Variables = append(one.Variables, newSetupbinVariable(v, secrets))
		}
		r.Records = append(r.Records, one)
	}
	return r
}

func newSetupbinVariable(v setupbin.Variable, secrets bool) setupbinVariable {
	d, known := setupbin.Lookup(v.ID)
	out := setupbinVariable{ID: v.ID.String(), Name: v.Name(), Title: d.Title, Type: d.Kind.String(), Value: v.Masked(), Secret: v.Secret(), Length: len(v.Value)}
	if !known {
		out.Title = "unknown"
	}
	if secrets || !v.Secret() {
		out.Value, out.Hex = v.Text(), hex.EncodeToString(v.Value)
	}
	return out
}

// show writes the file: a row for each variable for people, one object for programs.
func (a *app) showSetup(s *setupFile, secrets bool) error {
	r := s.record(secrets)
	out := a.printer(column{"RECORD", 6}, column{"VARIABLE", 26}, column{"VALUE", 24}, column{"MEANING", 0})
	if a.Output != "table" {
		return out.record(r)
	}
	use := "one machine per record"
	if *r.Reusable {
		use = "the same record for any number of machines"
	}
	if err := out.record(r, plain("-"), plain("version"), plain(r.Version), plain("Setup.bin of "+setupVersionMeaning(s.Version())+"; "+use)); err != nil {
		return err
	}
	for _, one := range r.Records {
		n := strconv.Itoa(one.Record)
		if !one.Usable {
			if err := out.record(nil, plain(n), cell{"-", toneFaint}, cell{"-", toneFaint}, cell{"consumed, or not valid", toneWarn}); err != nil {
				return err
			}
		}
		for _, v := range one.Variables {
			tone := tone("")
			if v.Secret && !secrets {
				tone = toneFaint
			}
			if err := out.record(nil, plain(n), plain(v.Name), cell{v.Value, tone}, plain(v.Title)); err != nil {
				return err
			}
		}
	}
	return nil
}

func setupVersionMeaning(v setupbin.Version) string {
	switch v {
	case setupbin.V1:
		return "AMT 1 and 2"
	case setupbin.V2:
		return "AMT 3"
	case setupbin.V21:
		return "AMT 4"
	case setupbin.V3:
		return "AMT 6"
	case setupbin.V4:
		return "AMT 8"
	}
	return "an unknown release"
}

type setupbinShowCmd struct {
	File    string `arg:"" help:"A Setup.bin file, or a key or image with one."`
	Secrets bool   `help:"Show passwords and other secrets, and unknown variables."`
}

func (setupbinShowCmd) Help() string {
	return example("outband setupbin show setup.bin", "outband setupbin show stick.img --secrets -o json")
}

func (c *setupbinShowCmd) Run(a *app) error {
	s, err := readSetup(c.File)
	if err != nil {
		return a.setupFailed(c.File, err)
	}
	return a.showSetup(s, c.Secrets)
}

// setupFailed writes the record of a failure for programs, and returns it.
func (a *app) setupFailed(file string, err error) error {
	out := a.printer()
	if err := out.failed(setupbinRecord{File: file, Error: problemOf(judge(err))}, false, nil); err != nil {
		return err
	}
	return err
}

type setupbinCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Setup.bin files, or keys or images with one."`
}

func (setupbinCheckCmd) Help() string {
	return "Faults are what a BIOS refuses; warnings may work all the same. The exit code is 1 if there are faults.\n\n" +
		example("outband setupbin check setup.bin", "outband setupbin check /dev/sdb")
}

func (c *setupbinCheckCmd) Run(a *app) error {
	out := a.printer(column{"FILE", 16}, column{"RESULT", 7}, column{"WHY", 0})
	faults := 0
	for _, name := range c.Files {
		s, err := readSetup(name)
		if err != nil {
			faults++
			f := judge(err)
			a.complain("", f)
			if err := out.failed(setupbinRecord{File: name, Error: problemOf(f)}, len(c.Files) > 1, []cell{plain(name), {"error", toneBad}, plain(f.Error())}); err != nil {
				return err
			}
			continue
		}
		r := setupbinRecord{File: name, OK: true, Volume: s.volume, Version: s.Version().String(), Warnings: s.placed}
		for _, p := range s.Check() {
			if p.Warning {
				r.Warnings = append(r.Warnings, strings.TrimPrefix(p.String(), "warning: "))
			} else {
				r.Faults = append(r.Faults, p.String())
			}
		}
		faults += len(r.Faults)
		r.OK = len(r.Faults) == 0
		if err := c.print(out, a.Output == "table", r); err != nil {
			return err
		}
	}
	if faults > 0 {
		return errReported{exitFailed}
	}
	return nil
}

func (c *setupbinCheckCmd) print(out *printer, rows bool, r setupbinRecord) error {
	if !rows {
		return out.record(r)
	}
	if len(r.Faults)+len(r.Warnings) == 0 {
		return out.record(nil, plain(r.File), cell{"good", toneGood}, plain("nothing to find fault with"))
	}
	for _, text := range r.Faults {
		if err := out.record(nil, plain(r.File), cell{"fault", toneBad}, plain(text)); err != nil {
			return err
		}
	}
	for _, text := range r.Warnings {
		if err := out.record(nil, plain(r.File), cell{"warning", toneWarn}, plain(text)); err != nil {
			return err
		}
	}
	return nil
}

type setupbinVariablesCmd struct{}

func (setupbinVariablesCmd) Help() string {
	return "A variable without a name here is written as module/number=hex:DIGITS. Those whose encoding is not known for sure are, too.\n\n" +
		example("outband setupbin variables", "outband setupbin variables -o json")
}

// A setupbinDefinition is what is known of a variable.
type setupbinDefinition struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Title     string   `json:"title"`
	Type      string   `json:"type"`
	Values    []string `json:"values,omitempty"`
	Min       int      `json:"min_length"`
	Max       int      `json:"max_length"`
	Since     string   `json:"since"` // version of the file
	Secret    bool     `json:"secret,omitempty"`
	Repeats   bool     `json:"repeats,omitempty"`
	Uncertain bool     `json:"uncertain,omitempty"`
}

func (c *setupbinVariablesCmd) Run(a *app) error {
	out := a.printer(column{"ID", 5}, column{"VARIABLE", 26}, column{"SINCE", 5}, column{"VALUES", 34}, column{"MEANING", 0})
	for _, d := range setupbin.Definitions() {
		r := setupbinDefinition{ID: d.ID.String(), Name: d.Name, Title: d.Title, Type: d.Kind.String(), Min: d.Min, Max: d.Max, Since: d.Since.String(),
			Secret: d.Secret, Repeats: d.Repeats, Uncertain: d.Uncertain}
		for _, w := range d.Words {
			r.Values = append(r.Values, w.Text)
		}
		if err := out.record(r, plain(r.ID), plain(r.Name), plain(r.Since), plain(r.values()), plain(r.Title)); err != nil {
			return err
		}
	}
	return nil
}

// values says in a few words what may be written.
func (r *setupbinDefinition) values() string {
	switch {
	case r.Uncertain:
		return "hex:..., encoding not known for sure"
	case r.Secret:
		return fmt.Sprintf("secret, %s characters", span(r.Min, r.Max))
	case r.Type == setupbin.Bits.String():
		return strings.Join(r.Values, "+") + ", none"
	case r.Values != nil:
		return strings.Join(r.Values, ", ")
	case r.Type == setupbin.Text.String():
		return fmt.Sprintf("%s characters", span(r.Min, r.Max))
	case r.Type == setupbin.Number.String():
		return "1-65535"
	case r.Type == setupbin.Hash.String():
		return "sha256:DIGITS:NAME, sha384, sha1"
	case r.Type == setupbin.IPv4.String():
		return "192.0.2.1"
	}
	return r.Type
}

func span(low, high int) string {
	if low == high {
		return strconv.Itoa(low)
	}
	return fmt.Sprintf("%d-%d", low, high)
}
