package qemu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/qmp"
)

// A class is a kind of device that can be booted from, by the letter that QEMU's option -boot has for it.
type class byte

// The classes.
const (
	disk    class = 'c'
	cdrom   class = 'd'
	network class = 'n'
)

// types are the classes of QEMU's device types; those that are not here are told by the beginnings of their names.
var types = map[string]class{
	"ide-hd": disk, "scsi-hd": disk, "scsi-block": disk, "virtio-blk-pci": disk, "nvme": disk, "usb-storage": disk,
	"sd-card": disk, "ide-cd": cdrom, "scsi-cd": cdrom, "rtl8139": network, "pcnet": network, "vmxnet3": network, "ne2k_pci": network,
	"tulip": network, "usb-net": network,
}

// A bootable is a device that a boot can come from.
type bootable struct {
	path  string // of QEMU's object model
	class class
}

// An object is what QEMU lists of one.
type object struct {
	Name string `json:"name"`
	Type string `json:"type"` // "child<ide-cd>"
}

func (o object) class() class {
	name := strings.TrimSuffix(strings.TrimPrefix(o.Type, "child<"), ">")
	if c := types[name]; c != 0 {
		return c
	}
	for _, family := range []string{"e1000", "virtio-net-pci", "i825"} {
		if strings.HasPrefix(name, family) {
			return network
		}
	}
	if strings.HasPrefix(name, "virtio-blk-pci") {
		return disk
	}
	return 0
}

// number is that of an object without a name: "device[12]".
func (o object) number() (n int) {
	fmt.Sscanf(o.Name, "device[%d]", &n) // others have none
	return n
}

// firstIndex is the bootindex of the first device: below are those of kernels and other things that the user wants first.
const firstIndex = 10

// findDevices lists the devices that can be booted from, in the order that the user wants: those with a bootindex by that,
// then the others by the letters of -boot, then as they come.
func (p *process) findDevices(ctx context.Context, letters string) error {
	type found struct {
		bootable
		index int
	}
	var all []found
	for _, parent := range []string{"/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached"} {
		var list []object
		if err := p.qmp.Do(ctx, "qom-list", map[string]string{"path": parent}, &list); err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b object) int { return a.number() - b.number() }) // QEMU lists them as they fall
		for _, o := range list {
			c := o.class()
			if c == 0 || strings.HasPrefix(o.Name, "outband-") {
				continue
			}
			f := found{bootable{parent + "/" + o.Name, c}, -1}
			if err := p.qmp.Do(ctx, "qom-get", map[string]string{"path": f.path, "property": "bootindex"}, &f.index); err != nil {
				continue // one that does not boot
			}
			all = append(all, f)
		}
	}
	rank := func(f found) int {
		if f.index >= 0 {
			return f.index
		}
		if i := strings.IndexByte(letters, byte(f.class)); i >= 0 {
			return 1<<20 + i
		}
		return 1 << 21
	}
	slices.SortStableFunc(all, func(a, b found) int { return rank(a) - rank(b) })
	p.devices = nil
	for _, f := range all {
		p.devices = append(p.devices, f.bootable)
		if f.index >= 0 {
			p.order = append(p.order, f.path) // so that it is taken back
		}
	}
	return nil
}

// bootLetters is the order that -boot asks for; default disk, CD, network.
func (o *Options) bootLetters() string {
	letters := ""
	for _, value := range o.values("boot") {
		for i, part := range strings.Split(value, ",") {
			key, v, pair := strings.Cut(part, "=")
			switch {
			case !pair && i == 0:
				letters = key
			case key == "order":
				letters = v
			}
		}
	}
	return letters + "cdn"
}

// boots says which devices a source means, and whether this package can boot from it at all.
func boots(s firmware.BootSource) (c class, redirected string, ok bool) {
	switch s {
	case firmware.BootDefault:
		return 0, "", true
	case firmware.BootDisk:
		return disk, "", true
	case firmware.BootCD:
		return cdrom, "", true
	case firmware.BootPXE:
		return network, "", true
	case firmware.BootIDERCD:
		return 0, idCD, true
	case firmware.BootIDERFloppy:
		return 0, idFloppy, true
	}
	return 0, "", false
}

// orderFor returns the paths of devices in the order that a boot wants: the source's first, of which the plan may name the
// second; the console's drives last unless they are the source. plugged are the identifiers of those.
func (p *process) orderFor(plan firmware.BootPlan, plugged []string) (paths []string) {
	c, redirected, _ := boots(plan.Source)
	for _, id := range plugged {
		if id == redirected {
			paths = append(paths, peripheral(id))
		}
	}
	var wanted, others []string
	for _, d := range p.devices {
		if d.class == c {
			wanted = append(wanted, d.path)
		} else {
			others = append(others, d.path)
		}
	}
	if i := int(plan.Medium) - 1; i > 0 && i < len(wanted) {
		wanted[0], wanted[i] = wanted[i], wanted[0]
	}
	paths = append(append(paths, wanted...), others...)
	for _, id := range plugged {
		if id != redirected {
			paths = append(paths, peripheral(id))
		}
	}
	return paths
}

func peripheral(id string) string { return "/machine/peripheral/" + id }

// setOrder has the BIOS try devices in that order, from the next reset on. A device that has gone is passed over.
func (p *process) setOrder(ctx context.Context, paths []string) error {
	if slices.Equal(p.order, paths) {
		return nil
	}
	set := func(path string, index int) error {
		err := p.qmp.Do(ctx, "qom-set", map[string]any{"path": path, "property": "bootindex", "value": index}, nil)
		if refused := (*qmp.Error)(nil); errors.As(err, &refused) && refused.Class == "DeviceNotFound" {
			return nil
		}
		return err
	}
	for _, path := range p.order { // no two may have the same, not even for a moment
		if err := set(path, -1); err != nil {
			return fmt.Errorf("boot order: %w", err)
		}
	}
	p.order = nil
	for i, path := range paths {
		if err := set(path, firstIndex+i); err != nil {
			return fmt.Errorf("boot order: %w", err)
		}
		p.order = append(p.order, path)
	}
	return nil
}
