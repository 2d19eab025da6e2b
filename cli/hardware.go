package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type hardwareCmd struct{ Many }

func (hardwareCmd) Help() string {
	return "It is what the BIOS told AMT at the last boot: board, processors, memory, disks. The machine may be off.\n\n" +
		example("outband hardware nuc1", "outband hardware @lab -o json | jq .memory")
}

// A hardwareRecord is the inventory of one machine. Sizes are octets, speeds MHz.
type hardwareRecord struct {
	Host string `json:"host"`
	OK   bool   `json:"ok"`
	*console.Inventory
	Error *problem `json:"error,omitempty"`
}

func (c *hardwareCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Inventory, error) {
		return client.Hardware(ctx)
	}, func(h hosts.Host, inv console.Inventory, bad *failure) error {
		if bad != nil {
			return out.failed(hardwareRecord{Host: h.Name, Error: problemOf(bad)}, false, nil)
		}
		return out.object(hardwareRecord{Host: h.Name, OK: true, Inventory: &inv}, "", hardwareLines(h.Name, &inv)...)
	})
}

func hardwareLines(host string, inv *console.Inventory) [][2]string {
	lines := [][2]string{{"host", host}, {"system", componentText(inv.System)}, {"UUID", inv.UUID}, {"board", componentText(inv.Board)},
		{"BIOS", join(", ", inv.BIOS.Manufacturer+" "+inv.BIOS.Version, day(inv.BIOS.Released))}}
	add := func(name, text string) { lines = append(lines, [2]string{name, text}) }
	for _, p := range inv.Processors {
		add("processor", processorText(p))
	}
	if n := len(inv.Memory); n > 0 {
		add("memory", fmt.Sprintf("%s in %s", binarySize(inv.MemoryBytes()), plural(n, "module")))
	}
	for _, m := range inv.Memory {
		add(fmt.Sprintf("  slot %d", m.Slot), memoryText(m))
	}
	for _, d := range inv.Disks {
		add("disk", diskText(d))
	}
	for _, b := range inv.Batteries {
		add("battery", batteryText(b))
	}
	for _, group := range []struct {
		name  string
		parts []console.Part
	}{{"fans", inv.Fans}, {"sensors", inv.Sensors}, {"power supplies", inv.PowerSupplies}} {
		var texts []string
		for _, p := range group.parts {
			texts = append(texts, join(": ", p.ID, p.Status))
		}
		add(group.name, strings.Join(texts, ", "))
	}
	return lines
}

// join puts those texts together that there are.
func join(separator string, texts ...string) string {
	var kept []string
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			kept = append(kept, t)
		}
	}
	return strings.Join(kept, separator)
}

// label is a text with a word before it, if there is a text.
func label(word, text string) string {
	if text == "" {
		return ""
	}
	return word + " " + text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// day is a date in words that sort.
func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

func componentText(c console.Component) string {
	return join(", ", c.Manufacturer+" "+c.Model, label("version", c.Version), label("serial", c.Serial))
}

func processorText(p console.Processor) string {
	name, cores, speed := p.Name, "", ""
	if name == "" {
		name = p.ID
	}
	if p.Cores > 0 {
		cores = plural(int(p.Cores), "core")
	}
	if p.MHz > 0 {
		speed = fmt.Sprintf("at %d MHz", p.MHz)
	}
	return join(", ", name, cores, speed, label("stepping", p.Stepping))
}

func memoryText(m console.Memory) string {
	speed := ""
	if m.MHz > 0 {
		speed = fmt.Sprintf("%d MHz", m.MHz)
	}
	return join(", ", join(" ", binarySize(m.Bytes), m.Type, m.Form), speed, m.Manufacturer+" "+m.Part, label("serial", m.Serial), m.Bank)
}

func diskText(d console.Disk) string {
	size := ""
	if d.Bytes > 0 {
		size = decimalSize(d.Bytes)
	}
	name := d.Model
	if name == "" {
		name = d.ID
	}
	return join(", ", join(" ", size, name), label("serial", d.Serial))
}

func batteryText(b console.Battery) string {
	capacity := ""
	if b.DesignMWh > 0 {
		capacity = fmt.Sprintf("%.1f Wh by design", float64(b.DesignMWh)/1000)
		if b.FullMWh > 0 {
			capacity += fmt.Sprintf(", %.1f Wh when full", float64(b.FullMWh)/1000)
		}
	}
	return join(", ", join(" ", b.Manufacturer, b.ID), b.Chemistry, b.Status, capacity, label("made", day(b.Made)), label("serial", b.Serial))
}

// binarySize is a number of octets as memory is sold: 16 GiB.
func binarySize(n uint64) string {
	return size(n, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"})
}

// decimalSize is a number of octets as disks are sold: 960.2 GB.
func decimalSize(n uint64) string {
	return size(n, 1000, []string{"B", "kB", "MB", "GB", "TB", "PB"})
}

func size(n, unit uint64, names []string) string {
	value, i := float64(n), 0
	for value >= float64(unit) && i < len(names)-1 {
		value /= float64(unit)
		i++
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + names[i]
}
