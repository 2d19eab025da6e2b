package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/model"
	"github.com/outband/outband/wire/dump"
	"github.com/outband/outband/wire/wsman"
)

// DumpOptions says what to copy. The zero value copies everything.
type DumpOptions struct {
	// Redact replaces what identifies the machine and its owner: serial numbers, names, addresses, UUID, realm, wireless
	// networks, certificates. Equal values stay equal, and keep their form. Read the file before giving it away all the
	// same: firmware may put names where nobody expects them.
	Redact bool

	Classes  []string // names; nil: all that are known
	Progress func(DumpStep)
}

// A DumpStep is one class of a [Client.Dump].
type DumpStep struct {
	Class     string
	At, Of    int   // counted from 1
	Instances int   // found
	Err       error // why there are none, if the machine refused
}

// A DumpReport is what came of a [Client.Dump].
type DumpReport struct {
	Classes   int // with at least one instance
	Instances int
	Absent    []string         // classes that the machine does not know
	Refused   map[string]error // classes that it did not give, such as for a missing realm
}

// Dump copies all instances of all classes that the machine has to w, in the format of package
// [github.com/outband/outband/wire/dump]: enough for a virtual machine to take its place. It reads some 250 classes one
// after the other,
// which takes a real machine a minute. Secrets are not in it: firmware gives none away, and properties that could hold
// one are dropped.
func (c *Client) Dump(ctx context.Context, w io.Writer, o *DumpOptions) (DumpReport, error) {
	file, report, err := c.Snapshot(ctx, o)
	if err != nil {
		return report, err
	}
	if err := file.Write(w); err != nil {
		return report, fmt.Errorf("dump: %w", err)
	}
	return report, nil
}

// Snapshot is [Client.Dump] without writing.
func (c *Client) Snapshot(ctx context.Context, o *DumpOptions) (*dump.File, DumpReport, error) {
	if o == nil {
		o = &DumpOptions{}
	}
	report := DumpReport{Refused: map[string]error{}}
	classes, err := model.Load()
	if err != nil {
		return nil, report, fmt.Errorf("dump: %w", err)
	}
	names := o.Classes
	if names == nil {
		names = readable(classes)
	}
	file := &dump.File{Host: c.cfg.Address, Taken: time.Now().UTC().Truncate(time.Second)}
	for i, name := range names {
		found, err := c.copyClass(ctx, classes, name)
		switch {
		case err == nil:
		case isAbsent(err):
			report.Absent = append(report.Absent, name)
			err = nil
		case refused(err):
			report.Refused[name] = err
		default:
			return nil, report, fmt.Errorf("dump of %s: %w", name, err)
		}
		if len(found) > 0 {
			report.Classes++
			report.Instances += len(found)
			file.Classes = append(file.Classes, dump.Class{Name: name, Instances: found})
		}
		if o.Progress != nil {
			o.Progress(DumpStep{Class: name, At: i + 1, Of: len(names), Instances: len(found), Err: err})
		}
	}
	for _, software := range file.Class("CIM_SoftwareIdentity") {
		if software.ChildText("InstanceID") == "AMT" {
			file.Version = software.ChildText("VersionString")
		}
	}
	file.Absent = report.Absent
	if o.Redact {
		redact(file)
	}
	return file, report, nil
}

// readable returns the classes that can be read at all.
func readable(m *model.Model) []string {
	var names []string
	for i := range m.Classes {
		if k := &m.Classes[i]; !k.Indication && (k.Has("Get") || k.Has("Enumerate")) {
			names = append(names, k.Name)
		}
	}
	return names
}

// copyClass reads the instances of one class, without those of classes below it.
func (c *Client) copyClass(ctx context.Context, m *model.Model, name string) ([]wsman.Element, error) {
	uri := wsman.ClassURI(name)
	known := m.Class(name)
	var found []wsman.Element
	keep := func(e *wsman.Element) {
		if class.Of(e) == wsman.ClassName(name) {
			found = append(found, withoutSecrets(m, known, *e))
		}
	}
	if known != nil && known.Cardinality == model.Singleton && known.Has("Get") {
		e, err := wsman.Get(ctx, c, uri, nil)
		if err == nil && e != nil {
			keep(e)
			return found, nil
		}
		if err != nil && (!refused(err) || errors.Is(err, wsman.ErrDestinationUnreachable)) {
			return nil, err
		}
	}
	for e, err := range wsman.Enumerate(ctx, c, uri, nil, nil) {
		if err != nil {
			return nil, err
		}
		keep(e)
	}
	return found, nil
}

// withoutSecrets drops the properties that hold secrets: write-only ones, and texts with a name that says so.
func withoutSecrets(m *model.Model, known *model.Class, e wsman.Element) wsman.Element {
	e.Children = slices.DeleteFunc(slices.Clone(e.Children), func(child wsman.Element) bool {
		var p *model.Property
		if known != nil {
			p = m.Property(known, child.Local)
		}
		if p != nil && p.WriteOnly() {
			return true
		}
		text := p == nil || p.Type == model.String || p.Type == model.Base64 || p.Type == model.HexBinary
		return text && secretName(child.Local)
	})
	return e
}

func secretName(property string) bool {
	low := strings.ToLower(property)
	for _, part := range []string{"password", "passphrase", "secret", "psk", "masterkey", "privatekey"} {
		if strings.Contains(low, part) {
			return true
		}
	}
	return strings.HasSuffix(property, "OTP")
}
