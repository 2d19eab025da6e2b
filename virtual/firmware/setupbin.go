package firmware

import (
	"errors"
	"fmt"
	"io"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/fat"
	"github.com/outband/outband/wire/setupbin"
)

// A Key is a USB key: an image of all of its sectors. Its methods are safe for concurrent use, or never used so.
type Key interface {
	io.ReaderAt
	io.WriterAt     // fails if it is write-protected
	KeySize() int64 // octets
}

// A KeySlot is a [Platform] with USB ports, whose BIOS looks for Setup.bin on a key at every boot.
type KeySlot interface {
	Key() Key                     // nil if none is plugged in
	Print(line string)            // writes on the screen, until the BIOS is done
	Confirm(question string) bool // asks the person in front of the PC, yes or no
}

// A KeySetup is what came of the USB key at the last boot.
type KeySetup struct {
	Record  int      // that was taken, from 1; 0: none
	Applied []string // names of the variables, in order
	Ignored []string // those of them that this machine has no use for
	Active  bool     // the machine has been set up, and its network ports are open
	Err     error    // why it ended early; nil: done
}

// Errors of a [KeySetup], beside those of packages fat and setupbin.
var (
	ErrSetUp     = errors.New("the machine is set up already")
	ErrDeclined  = errors.New("declined at the keyboard")
	ErrTooNew    = errors.New("the file is of a version that this release does not know")
	ErrBadFile   = errors.New("the file breaks the rules")
	ErrProtected = errors.New("the key cannot be written")
	ErrRefused   = errors.New("refused")
)

// setupFile is what the BIOS looks for.
const setupFile = "SETUP.BIN"

// KeySetup returns what came of the USB key at the last boot; ok is false if no key with a Setup.bin was there.
func (m *Machine) KeySetup() (_ KeySetup, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keySetup == nil {
		return KeySetup{}, false
	}
	return *m.keySetup, true
}

// lookAtKey is what the BIOS does early in a boot. Source: spec setupbin.md section 6.
func (m *Machine) lookAtKey() {
	var result *KeySetup
	defer func() {
		m.mu.Lock()
		m.keySetup = result
		m.mu.Unlock()
	}()
	slot, ok := m.platform.(KeySlot)
	if !ok {
		return
	}
	key := slot.Key()
	if key == nil {
		return
	}
	volume, err := fat.Open(key, key.KeySize())
	var entry fat.Entry
	if err == nil {
		entry, err = volume.Find(setupFile)
	}
	if err != nil { // a key like any other
		m.log.Info("USB key without Setup.bin", "error", err)
		if errors.Is(err, fat.ErrDamaged) {
			result = &KeySetup{Err: err}
			slot.Print("USB key: " + err.Error())
		}
		return
	}
	result = &KeySetup{}
	result.Err = m.setUpFrom(slot, key, volume, entry, result)
	if result.Err != nil {
		m.log.Warn("set-up from the USB key", "record", result.Record, "applied", result.Applied, "error", result.Err)
		slot.Print("Set-up from the USB key failed: " + result.Err.Error())
		return
	}
	m.log.Info("set up from the USB key", "record", result.Record, "applied", result.Applied, "ignored", result.Ignored)
	slot.Print(fmt.Sprintf("Set-up from the USB key is complete: record %d, %d settings", result.Record, len(result.Applied)))
}

// setUpFrom reads Setup.bin and applies one record. Until the first variable is applied nothing is changed.
func (m *Machine) setUpFrom(slot KeySlot, key Key, volume *fat.Volume, entry fat.Entry, result *KeySetup) error {
	content, err := volume.Read(entry, setupbin.MaxSize)
	if err != nil {
		return err
	}
	f, err := setupbin.Parse(content)
	if err != nil {
		return err
	}
	if newest := m.newestSetupBin(); f.Major > uint8(newest>>8) {
		return fmt.Errorf("%w: version %v, this one knows %v", ErrTooNew, f.Version(), newest)
	}
	next, err := f.Next()
	if err != nil {
		return err
	}
	for _, p := range f.Check() {
		if !p.Warning && (p.Record == 0 || p.Record == next+1) {
			return fmt.Errorf("%w: %v", ErrBadFile, p)
		}
	}
	result.Record = next + 1
	if m.ControlMode() != ModeNone {
		return ErrSetUp
	}
	current, _ := f.Records[next].Get(setupbin.CurrentPassword)
	if !m.isMEBx(string(current)) {
		return fmt.Errorf("record %d: %w", next+1, setupbin.ErrPassword)
	}
	if f.Flags&setupbin.Reusable == 0 { // find out before anything is applied whether the record can be marked
		extents, err := volume.Extents(entry, setupbin.MaxSize)
		if err == nil && len(extents) > 0 {
			_, err = key.WriteAt(content[:min(setupbin.ChunkSize, extents[0].Length)], extents[0].Offset)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtected, err)
		}
	}
	if !slot.Confirm("Found USB key for provisioning. Continue (Y/N)?") {
		return ErrDeclined
	}
	a := keyApplication{m: m, result: result}
	changed, err := f.Consume(string(current), a.apply)
	if err != nil {
		return err
	}
	a.finish()
	if !changed {
		return nil
	}
	if content, err = f.Append(nil); err == nil {
		err = volume.Overwrite(key, entry, content)
	}
	if err != nil {
		return fmt.Errorf("the settings are in force, but the record could not be marked as used: %w", err)
	}
	return nil
}

// newestSetupBin returns the newest version of the file that a release takes. Source: spec setupbin.md section 1.1.
func (m *Machine) newestSetupBin() setupbin.Version {
	switch {
	case m.profile.Before(6, 0):
		return setupbin.V21
	case m.profile.Before(8, 0):
		return setupbin.V3
	}
	return setupbin.V4
}

// finish puts in force what needs all variables: a record that asks for manual set-up leaves the machine set up in admin
// control mode, with the new password for admin.
func (a *keyApplication) finish() {
	m := a.m
	m.mebx.mu.Lock()
	off := m.mebx.kept.Off
	m.mebx.mu.Unlock()
	if !a.manual || off {
		return
	}
	m.Provision(ModeAdmin, digest.HA1("admin", m.Identity().Realm, a.password))
	m.setup.mu.Lock()
	m.setup.kept.MEBx = true
	m.setup.mu.Unlock()
	m.noteSetup(setUpByMEBx, nil)
	a.result.Active = true
}
