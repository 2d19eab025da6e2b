package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/outband/outband/wire/smbios"
)

type localSMBIOSCmd struct {
	Raw  bool   `help:"Show all structures as octets and strings, those too that have no meaning here."`
	Type []int  `placeholder:"N" help:"With --raw: only structures of that type; may be repeated."`
	From string `placeholder:"FILE" help:"Read FILE, of dmidecode --dump-bin or --save, or a folder with smbios_entry_point and DMI in it; default is what Linux shows of this PC."`
	Save string `placeholder:"FILE" help:"Also write entry point and table to FILE, which dmidecode --from-dump and --from read."`
}

func (localSMBIOSCmd) Help() string {
	return "What the BIOS says the PC consists of, and whether it has AMT and vPro. AMT's own inventory (outband hardware) comes from the same tables. " +
		"Serial numbers are root's to read.\n\n" +
		example("sudo outband local smbios", "sudo outband local smbios -o json", "sudo outband local smbios --raw --type 130", "outband local smbios --from dump.bin")
}

// dmiFolder is where Linux shows the tables.
const dmiFolder = "/sys/firmware/dmi/tables"

// A smbiosRecord is what the tables of one PC say.
type smbiosRecord struct {
	Host    string `json:"host"`
	OK      bool   `json:"ok"`
	Version string `json:"smbios,omitempty"`
	*smbios.Inventory
	Structures []smbiosStructure `json:"structures,omitempty"`
	Error      *problem          `json:"error,omitempty"`
}

type smbiosStructure struct {
	Type    uint8    `json:"type"`
	Name    string   `json:"name"`
	Handle  uint16   `json:"handle"`
	Data    []byte   `json:"data,omitempty"` // with --raw: the formatted area
	Strings []string `json:"strings,omitempty"`
}

func (c *localSMBIOSCmd) Run(a *app) error {
	out := a.printer()
	e, list, err := c.read()
	if err != nil && len(list) == 0 {
		f := judge(err)
		if err := out.failed(smbiosRecord{Host: localName, Error: problemOf(f)}, false, nil); err != nil {
			return err
		}
		return f
	}
	if err != nil {
		a.note("warning: %v; what was read before it is shown", err)
	}
	if c.Save != "" {
		if err := writeFile(c.Save, smbios.AppendDump(nil, e, list)); err != nil {
			return fmt.Errorf("--save: %w", err)
		}
	}
	r := smbiosRecord{Host: localName, OK: true, Version: e.Version(), Inventory: smbios.NewInventory(e, list)}
	if c.Raw {
		r.Inventory = nil
	}
	var raw strings.Builder
	for _, s := range list {
		if !c.wants(s.Type) {
			continue
		}
		one := smbiosStructure{Type: s.Type, Name: smbios.TypeName(s.Type), Handle: s.Handle}
		if c.Raw {
			one.Data, one.Strings = s.Data, s.Strings
			writeStructure(&raw, &s)
		}
		r.Structures = append(r.Structures, one)
	}
	if c.Raw && a.Output == "table" {
		_, err := fmt.Fprint(a.out, raw.String())
		return err
	}
	if c.Raw {
		return out.object(r, "")
	}
	return out.object(r, "", smbiosLines(&r)...)
}

func (c *localSMBIOSCmd) wants(kind uint8) bool {
	for _, t := range c.Type {
		if t == int(kind) {
			return true
		}
	}
	return len(c.Type) == 0
}

// read reads the tables.
func (c *localSMBIOSCmd) read() (smbios.Entry, []smbios.Structure, error) {
	from := first(c.From, dmiFolder)
	info, err := os.Stat(from)
	if err == nil && !info.IsDir() {
		b, err := readTable(from)
		if err != nil {
			return smbios.Entry{}, nil, usage("", "--from: %w", err)
		}
		return smbios.ParseDump(b)
	}
	point, err := readTable(filepath.Join(from, "smbios_entry_point"))
	var table []byte
	if err == nil {
		table, err = readTable(filepath.Join(from, "DMI"))
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return smbios.Entry{}, nil, &failure{exitRefused, err, "the tables are root's to read: run it with sudo"}
	case err != nil && c.From != "":
		return smbios.Entry{}, nil, usage("", "--from: %w", err)
	case errors.Is(err, fs.ErrNotExist):
		return smbios.Entry{}, nil, &failure{exitUnsupported, err, "this computer shows no SMBIOS tables; --from reads a dump of another"}
	case err != nil:
		return smbios.Entry{}, nil, err
	}
	e, err := smbios.ParseEntry(point)
	if err != nil {
		return e, nil, err
	}
	list, err := smbios.Parse(table)
	return e, list, err
}

func readTable(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f, smbios.MaxTable)
}

// writeStructure lays a structure out as octets and strings.
func writeStructure(out *strings.Builder, s *smbios.Structure) {
	fmt.Fprintf(out, "handle 0x%04x, type %d, %s\n", s.Handle, s.Type, smbios.TypeName(s.Type))
	for at := 0; at < len(s.Data); at += 16 {
		fmt.Fprintf(out, "  %02x  % x\n", at, s.Data[at:min(at+16, len(s.Data))])
	}
	for i, text := range s.Strings {
		fmt.Fprintf(out, "  string %d  %q\n", i+1, text)
	}
}

// smbiosLines lays an inventory out for people.
func smbiosLines(r *smbiosRecord) [][2]string {
	v := r.Inventory
	lines := [][2]string{{"SMBIOS", fmt.Sprintf("%s, %s", r.Version, plural(len(r.Structures), "structure"))}}
	add := func(name, text string) { lines = append(lines, [2]string{name, text}) }
	if s := v.System; s != nil {
		add("system", join(", ", s.Manufacturer+" "+s.Product, label("version", s.Version), label("serial", s.Serial), label("SKU", s.SKU)))
		add("UUID", s.UUID)
		add("switched on by", s.Wake)
	}
	if b := v.BIOS; b != nil {
		uefi := ""
		if b.UEFI {
			uefi = "UEFI"
		}
		add("BIOS", join(", ", b.Vendor+" "+b.Version, b.Date, binarySize(b.ROM), uefi))
	}
	for _, b := range v.Boards {
		add("board", join(", ", b.Manufacturer+" "+b.Product, label("version", b.Version), label("serial", b.Serial)))
	}
	for _, c := range v.Chassis {
		add("chassis", join(", ", c.Type, c.Manufacturer, label("serial", c.Serial), label("asset", c.Asset)))
	}
	for _, p := range v.Processors {
		text := join(", ", p.Version, countText(p.Cores, "core"), countText(p.Threads, "thread"), megahertz(p.MHz))
		if !p.Populated {
			text = "empty"
		}
		add("processor", join(": ", p.Socket, text))
	}
	for _, c := range v.Caches {
		add("cache", join(", ", fmt.Sprintf("L%d", c.Level), binarySize(c.Bytes), c.Type, c.Mode))
	}
	for _, m := range v.Memory {
		add("memory", join(": ", join(" ", m.Locator, m.Bank), memoryDeviceText(m)))
	}
	for _, s := range v.Slots {
		use := ""
		if s.Used != nil {
			use = map[bool]string{true: "in use", false: "free"}[*s.Used]
		}
		add("slot", join(", ", join(": ", s.Name, s.Type), use, s.Address))
	}
	for _, d := range v.Devices {
		off := ""
		if d.Disabled {
			off = "disabled"
		}
		add("on board", join(", ", join(": ", d.Name, d.Type), d.Address, off))
	}
	if v.TPM != nil {
		add("TPM", join(", ", v.TPM.Version, v.TPM.Vendor, label("firmware", v.TPM.Firmware)))
	}
	add("AMT", amtText(v.AMT))
	if v.VPro != nil {
		add("vPro", join(", ", label("ME", v.VPro.ME), label("MEBx", v.VPro.MEBx), label("TXT", onOff(v.VPro.TXT)), label("VT-x", onOff(v.VPro.VMX))))
	}
	return lines
}

func memoryDeviceText(m smbios.MemoryDevice) string {
	switch {
	case m.Unknown:
		return "of unknown size"
	case m.Bytes == 0:
		return "empty"
	}
	speed := ""
	if m.MTs > 0 {
		speed = fmt.Sprintf("%d MT/s", m.MTs)
	}
	return join(", ", join(" ", binarySize(m.Bytes), m.Type, m.Form), speed, m.Manufacturer+" "+m.Part, label("serial", m.Serial))
}

func amtText(v *smbios.AMT) string {
	switch {
	case v == nil:
		return "the BIOS says nothing about it"
	case !v.Supported:
		return "not supported"
	case !v.Enabled:
		return "supported, switched off"
	}
	var has []string
	for _, f := range []struct {
		on   bool
		name string
	}{{v.SOL, "SOL"}, {v.IDER, "IDE-R"}, {v.KVM, "KVM"}} {
		if f.on {
			has = append(has, f.name)
		}
	}
	return join(", ", "supported, switched on", strings.Join(has, " "))
}

func countText(n int, what string) string {
	if n == 0 {
		return ""
	}
	return plural(n, what)
}

func megahertz(n uint16) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d MHz", n)
}
