package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/outband/outband/wire/setupbin"
)

// setupbinPresets are the settings that are usual for a purpose. Source: spec setupbin.md section 4.
var setupbinPresets = map[string][]string{
	"none":        {},
	"manual":      {"dhcp=on", "fqdn=shared", "kvm=on", "user-consent=none", "remote-consent-policy=on", "manual-setup=manual"},
	"redirection": {"manageability=amt", "redirection=sol+ider+password", "dhcp=on", "fqdn=shared", "kvm=on", "user-consent=none", "remote-consent-policy=on", "manual-setup=manual"},
	"remote":      {"user-hashes=on", "provisioning=stop"},
	"hello":       {"user-hashes=on", "server-port=9971", "provisioning=start"},
}

const setupbinSecretHelp = "A password is never an argument. The new MEBx password is asked for, or AMT_NEW_PASSWORD, or the first line of --new-password-file: " +
	"8 to 32 characters, among them an upper-case and a lower-case letter, a digit and a special character. The machine's present one is " +
	"the factory's, admin, unless MEBX_PASSWORD or --current-password-file says otherwise. Other secrets (pid, pps, enrolment-passcode) come by --secret.\n\n"

// setupbinSecrets are where secrets come from.
type setupbinSecrets struct {
	CurrentPasswordFile string   `placeholder:"FILE" help:"First line of FILE is the MEBx password that the machine has now; default is MEBX_PASSWORD, or admin."`
	NewPasswordFile     string   `placeholder:"FILE" help:"First line of FILE is the new MEBx password; default is AMT_NEW_PASSWORD, or to ask."`
	Secret              []string `placeholder:"NAME=FILE" help:"First line of FILE is the value of a variable that is a secret."`
}

// current returns the password that the machine has, "" if nothing says it.
func (s *setupbinSecrets) current(a *app) (string, error) {
	if s.CurrentPasswordFile == "" {
		return a.env("MEBX_PASSWORD"), nil
	}
	password, err := readPasswordFile(s.CurrentPasswordFile)
	if err != nil {
		return "", usage("", "--current-password-file: %w", err)
	}
	return password, nil
}

// password returns the new password. If it is not given it is asked for, if ask; else it is "".
func (s *setupbinSecrets) password(a *app, ask bool) (string, error) {
	if s.NewPasswordFile == "" && a.env("AMT_NEW_PASSWORD") == "" && !ask {
		return "", nil
	}
	from := NewPassword{s.NewPasswordFile}
	password, err := from.read(a, "the machine")
	if err != nil {
		return "", &failure{exitUsage, err, judge(err).hint}
	}
	return password, nil
}

// apply puts all that was given into a record: passwords, secrets, then NAME=VALUE.
func (s *setupbinSecrets) apply(a *app, r *setupbin.Record, preset, settings []string, ask bool) error {
	if err := setVariables(r, append(slices.Clone(preset), settings...)); err != nil { // before anybody is asked
		return err
	}
	current, err := s.current(a)
	if err != nil {
		return err
	}
	if _, have := r.Get(setupbin.CurrentPassword); current == "" && !have {
		current = setupbin.DefaultPassword
	}
	password, err := s.password(a, ask)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		id    setupbin.ID
		value string
	}{{setupbin.CurrentPassword, current}, {setupbin.NewPassword, password}} {
		if p.value == "" {
			continue
		}
		d, _ := setupbin.Lookup(p.id)
		value, err := d.Parse(p.value)
		if err != nil {
			return usage("", "%w", err)
		}
		r.Set(setupbin.Variable{ID: p.id, Value: value})
	}
	for _, given := range s.Secret {
		name, file, ok := strings.Cut(given, "=")
		if !ok {
			return usage("such as pps=pps.txt", "--secret: %q is not NAME=FILE", name)
		}
		value, err := readPasswordFile(file)
		if err != nil {
			return usage("", "--secret: %w", err)
		}
		v, err := setupbin.Make(name, value)
		if err != nil {
			return usage("outband setupbin variables lists them", "--secret: %w", err)
		}
		r.Set(v)
	}
	return nil
}

// setVariables puts NAME=VALUE into a record. What repeats is replaced by all that are given of it.
func setVariables(r *setupbin.Record, settings []string) error {
	fresh := map[setupbin.ID]bool{}
	for _, s := range settings {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return usage("such as kvm=on; outband setupbin variables lists them", "%.40q is not NAME=VALUE", name)
		}
		if id, err := setupbin.ParseID(name); err == nil {
			if d, known := setupbin.Lookup(id); known && d.Secret {
				hint := fmt.Sprintf("others could see it; use --secret %s=FILE", d.Name)
				switch id {
				case setupbin.NewPassword:
					hint = "others could see it; use --new-password-file or AMT_NEW_PASSWORD"
				case setupbin.CurrentPassword:
					hint = "others could see it; use --current-password-file or MEBX_PASSWORD"
				}
				return usage(hint, "%s is a secret and never an argument", d.Name)
			}
		}
		v, err := setupbin.Make(name, value)
		if err != nil {
			return usage("outband setupbin variables lists names and values", "%w", err)
		}
		if d, _ := setupbin.Lookup(v.ID); !d.Repeats {
			r.Set(v)
			continue
		}
		if !fresh[v.ID] {
			r.Delete(v.ID)
			fresh[v.ID] = true
		}
		r.Add(v)
	}
	return nil
}

// faults returns what a BIOS would refuse.
func faults(f *setupbin.File) []string {
	var out []string
	for _, p := range f.Check() {
		if !p.Warning {
			out = append(out, p.String())
		}
	}
	return out
}

// save writes the file unless it has faults that it had not before, and shows it.
func (a *app) saveSetup(s *setupFile, before []string, secrets bool) error {
	for _, text := range faults(s.File) {
		if !slices.Contains(before, text) {
			return usage("nothing was written", "%s", text)
		}
	}
	content, err := s.Append(nil)
	if err != nil {
		return usage("nothing was written", "%w", err)
	}
	if err := writeFile(s.name, content); err != nil {
		return err
	}
	again, err := readSetup(s.name)
	if err != nil {
		return err
	}
	if _, ok := again.Records[len(again.Records)-1].Get(setupbin.CurrentPassword); ok {
		a.detail("the passwords in %s can be read by whoever has it", s.name)
	}
	return a.showSetup(again, secrets)
}

type setupbinCreateCmd struct {
	File      string   `arg:"" help:"File to make."`
	Variables []string `arg:"" optional:"" name:"setting" help:"NAME=VALUE; outband setupbin variables lists them. They override those of the preset."`
	Preset    string   `default:"manual" enum:"manual,redirection,remote,hello,none" placeholder:"NAME" help:"Begin with what is usual: manual (set up in admin control mode at once, the default), redirection (as manual, with SOL and IDE-R), remote (prepared for a provisioning server), hello (calls the server itself), none."`
	Profile   string   `placeholder:"FILE" help:"Take what a Setup.bin can say from a profile, as outband state apply and outband local configure take it; it overrides the preset. The rest is named."`
	Format    string   `default:"3" enum:"1,2,2.1,3,4" placeholder:"VERSION" help:"Version of the file: 1 (AMT 1 and 2), 2 (AMT 3), 2.1 (AMT 4), 3 (AMT 6 and later, the default), 4 (AMT 8 and later, may be scrambled)."`
	Scramble  bool     `help:"Scramble the record, as Intel's utility does. It is no protection. Needs --format 4."`
	Single    bool     `help:"Each record serves one machine and is consumed; default is one record for any number of machines."`
	Overwrite bool     `help:"Replace a file that is there."`
	setupbinSecrets
}

func (setupbinCreateCmd) Help() string {
	return setupbinSecretHelp + example("outband setupbin create setup.bin", "outband setupbin create setup.bin --new-password-file pw host-name=desk-7 user-consent=kvm",
		"outband setupbin create setup.bin --profile office.yaml",
		"outband setupbin create setup.bin --preset remote dns-suffix=example.com add-hash=sha256:cb3c...:root", "outband setupbin create setup.bin --format 4 --scramble --single")
}

var setupbinFormats = map[string]setupbin.Version{"1": setupbin.V1, "2": setupbin.V2, "2.1": setupbin.V21, "3": setupbin.V3, "4": setupbin.V4}

func (c *setupbinCreateCmd) Run(a *app) error {
	if _, err := os.Lstat(c.File); err == nil && !c.Overwrite {
		return a.setupFailed(c.File, usage("--overwrite replaces it", "%s is there already", c.File))
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a.setupFailed(c.File, usage("", "%w", err))
	}
	f, err := c.make(a)
	if err == nil {
		err = a.saveSetup(&setupFile{File: f, name: c.File}, nil, false)
	}
	if err != nil {
		return a.setupFailed(c.File, err)
	}
	return nil
}

func (c *setupbinCreateCmd) make(a *app) (*setupbin.File, error) {
	var flags setupbin.RecordFlags
	if c.Scramble {
		flags = setupbin.Scrambled
	}
	var use setupbin.FileFlags
	version := setupbinFormats[c.Format]
	if !c.Single && version >= setupbin.V2 {
		use = setupbin.Reusable
	}
	r := setupbin.NewRecord(flags)
	preset, err := c.profile(a, c.preset(version))
	if err != nil {
		return nil, err
	}
	if err := c.apply(a, &r, preset, c.Variables, true); err != nil {
		return nil, err
	}
	f, err := setupbin.New(version, use, r)
	if err != nil {
		return nil, usage("", "%w", err)
	}
	return f, nil
}

// profile adds what the profile says to the settings of the preset.
func (c *setupbinCreateCmd) profile(a *app, preset []string) ([]string, error) {
	if c.Profile == "" {
		return preset, nil
	}
	state, err := a.readState(c.Profile)
	if err != nil {
		return nil, err
	}
	settings, rest := setupbinSettings(state)
	if len(rest) > 0 {
		a.note("note: a Setup.bin cannot say these, outband state apply can: %s", strings.Join(rest, ", "))
	}
	return append(preset, settings...), nil
}

// preset leaves out what the version of the file does not have.
func (c *setupbinCreateCmd) preset(version setupbin.Version) []string {
	var out []string
	for _, s := range setupbinPresets[c.Preset] {
		name, _, _ := strings.Cut(s, "=")
		id, err := setupbin.ParseID(name)
		if d, ok := setupbin.Lookup(id); err == nil && ok && d.Since <= version {
			out = append(out, s)
		}
	}
	return out
}

type setupbinSetCmd struct {
	File      string   `arg:"" help:"A Setup.bin file."`
	Variables []string `arg:"" optional:"" name:"setting" help:"NAME=VALUE; outband setupbin variables lists them."`
	Record    int      `placeholder:"N" help:"Change this record only; default is all that are usable."`
	Remove    []string `placeholder:"NAME" help:"Take a variable out."`
	Use       string   `enum:",single,reusable" default:"" placeholder:"HOW" help:"single: each record serves one machine; reusable: one record for any number of them."`
	Out       string   `placeholder:"FILE" help:"Write there instead."`
	setupbinSecrets
}

func (setupbinSetCmd) Help() string {
	return "Only what is named changes; a file of another program keeps all its other octets.\n\n" + setupbinSecretHelp +
		example("outband setupbin set setup.bin kvm=off user-consent=all", "outband setupbin set setup.bin --record 2 host-name=desk-8",
			"outband setupbin set setup.bin --new-password-file pw --out new.bin")
}

func (c *setupbinSetCmd) Run(a *app) error {
	s, err := readSetup(c.File)
	if err == nil {
		before := faults(s.File)
		if err = c.change(a, s); err == nil {
			err = a.saveSetup(s, before, false)
		}
	}
	if err != nil {
		return a.setupFailed(c.File, err)
	}
	return nil
}

func (c *setupbinSetCmd) change(a *app, s *setupFile) error {
	if s.volume != "" && c.Out == "" {
		return usage("--out FILE takes the changed file; outband setupbin stick puts it on a key", "%s is a key or an image of one", c.File)
	}
	if c.Out != "" {
		s.name = c.Out
	}
	switch c.Use {
	case "single":
		s.Flags &^= setupbin.Reusable
	case "reusable":
		s.Flags |= setupbin.Reusable
	}
	if c.Record < 0 || c.Record > len(s.Records) {
		return usage("", "--record: %s has %d records", c.File, len(s.Records))
	}
	changed := 0
	for i := range s.Records {
		r := &s.Records[i]
		if c.Record == i+1 && !r.Usable() {
			return usage("", "record %d is consumed", c.Record)
		}
		if c.Record != 0 && c.Record != i+1 || !r.Usable() {
			continue
		}
		changed++
		if err := c.apply(a, r, nil, c.Variables, false); err != nil {
			return err
		}
		for _, name := range c.Remove {
			id, err := setupbin.ParseID(name)
			if err != nil {
				return usage("outband setupbin variables lists names", "--remove: %w", err)
			}
			if r.Delete(id) == 0 && c.Record != 0 {
				return usage("", "--remove: record %d has no %s", c.Record, name)
			}
		}
		for _, v := range r.Variables {
			s.Declare(v.ID.Module())
		}
	}
	if changed == 0 {
		return usage("", "%s has no usable record", c.File)
	}
	return nil
}

type setupbinAddRecordCmd struct {
	File      string   `arg:"" help:"A Setup.bin file whose records serve one machine each."`
	Variables []string `arg:"" optional:"" name:"setting" help:"NAME=VALUE: what differs from the record that is copied."`
	Copy      int      `default:"1" placeholder:"N" help:"Record to begin with; 0: an empty one."`
	setupbinSecrets
}

func (setupbinAddRecordCmd) Help() string {
	return "The new record is a copy of the first one, with what differs: host names, and passwords if new ones are given.\n\n" + setupbinSecretHelp +
		example("outband setupbin add-record setup.bin host-name=desk-8", "outband setupbin add-record setup.bin --new-password-file desk-8.pw host-name=desk-8")
}

func (c *setupbinAddRecordCmd) Run(a *app) error {
	s, err := readSetup(c.File)
	if err == nil {
		before := faults(s.File)
		if err = c.add(a, s); err == nil {
			err = a.saveSetup(s, before, false)
		}
	}
	if err != nil {
		return a.setupFailed(c.File, err)
	}
	return nil
}

func (c *setupbinAddRecordCmd) add(a *app, s *setupFile) error {
	switch {
	case s.volume != "":
		return usage("outband setupbin stick puts a file on a key", "%s is a key or an image of one", c.File)
	case s.Flags&setupbin.Reusable != 0:
		return usage("outband setupbin set --use single makes each record serve one machine", "%s is reusable: its first record serves all machines", c.File)
	case len(s.Rest) > 0:
		return usage("", "%s has %d octets behind its last record, which a new one would change", c.File, len(s.Rest))
	case c.Copy < 0 || c.Copy > len(s.Records):
		return usage("", "--copy: %s has %d records", c.File, len(s.Records))
	case c.Copy > 0 && !s.Records[c.Copy-1].Usable():
		return usage("--copy 0 begins with an empty one", "record %d is consumed", c.Copy)
	}
	r := setupbin.NewRecord(0)
	if c.Copy > 0 {
		from := s.Records[c.Copy-1]
		r.Flags, r.Length, r.Chunks, r.Variables = from.Flags, from.Length, from.Chunks, slices.Clone(from.Variables)
	}
	r.Number = uint32(len(s.Records)) + 1
	if err := c.apply(a, &r, nil, c.Variables, c.Copy == 0); err != nil {
		return err
	}
	s.Records = append(s.Records, r)
	s.Count = uint32(len(s.Records))
	for _, v := range r.Variables {
		s.Declare(v.ID.Module())
	}
	return nil
}

type setupbinRemoveRecordCmd struct {
	File   string `arg:"" help:"A Setup.bin file."`
	Record int    `arg:"" help:"Number of the record; those behind it move up."`
}

func (setupbinRemoveRecordCmd) Help() string {
	return example("outband setupbin remove-record setup.bin 2")
}

func (c *setupbinRemoveRecordCmd) Run(a *app) error {
	s, err := readSetup(c.File)
	if err == nil {
		before := faults(s.File)
		switch {
		case s.volume != "":
			err = usage("", "%s is a key or an image of one", c.File)
		case c.Record < 1 || c.Record > len(s.Records):
			err = usage("", "%s has %d records", c.File, len(s.Records))
		case len(s.Records) == 1:
			err = usage("remove the file instead", "%s has no other record", c.File)
		default:
			if uint64(c.Record) <= uint64(s.Consumed) {
				s.Consumed--
			}
			s.Records = slices.Delete(s.Records, c.Record-1, c.Record)
			for i := range s.Records {
				s.Records[i].Number = uint32(i) + 1
			}
			s.Count = uint32(len(s.Records))
			err = a.saveSetup(s, before, false)
		}
	}
	if err != nil {
		return a.setupFailed(c.File, err)
	}
	return nil
}
