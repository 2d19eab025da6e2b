package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/wsman"
)

// An Inventory is the hardware of a machine as its BIOS described it at the last boot: a machine that never booted has
// empty lists. Texts are trimmed, and empty where the machine does not tell. Source: spec
// inventory-events-policies.md section 1.
type Inventory struct {
	UUID       string      `json:"uuid,omitempty"` // as SMBIOS and operating systems show it
	System     Component   `json:"system"`
	Board      Component   `json:"board"`
	BIOS       BIOS        `json:"bios"`
	Processors []Processor `json:"processors,omitempty"`
	Memory     []Memory    `json:"memory,omitempty"` // by slot
	Disks      []Disk      `json:"disks,omitempty"`
	Batteries  []Battery   `json:"batteries,omitempty"`

	// What follows are mostly place holders: the engine knows that there is one, and no more.
	Fans          []Part `json:"fans,omitempty"`
	Sensors       []Part `json:"sensors,omitempty"`
	PowerSupplies []Part `json:"power_supplies,omitempty"`
}

// A Component is who made a thing, and which one it is.
type Component struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
}

// A BIOS is the firmware of the PC, as opposed to AMT's.
type BIOS struct {
	Manufacturer string     `json:"manufacturer,omitempty"`
	Version      string     `json:"version,omitempty"`
	Released     *time.Time `json:"released,omitempty"`
	Product      string     `json:"product,omitempty"` // that it was built for
	Vendor       string     `json:"vendor,omitempty"`  // of the product
	Features     []string   `json:"features,omitempty"`
}

// A Processor is one socket.
type Processor struct {
	ID           string `json:"id"`             // "CPU 0"
	Name         string `json:"name,omitempty"` // brand string
	Manufacturer string `json:"manufacturer,omitempty"`
	MHz          uint32 `json:"mhz,omitempty"`
	MaxMHz       uint32 `json:"max_mhz,omitempty"` // of the socket, rather than of the processor
	BusMHz       uint32 `json:"bus_mhz,omitempty"`
	Cores        uint16 `json:"cores,omitempty"`  // enabled ones; 0: not told
	Family       uint16 `json:"family,omitempty"` // SMBIOS code
	Socket       string `json:"socket,omitempty"`
	Stepping     string `json:"stepping,omitempty"`
	Status       string `json:"status,omitempty"`
}

// A Memory is one memory module.
type Memory struct {
	Slot         int    `json:"slot"`           // from 0; empty slots are left out
	Bank         string `json:"bank,omitempty"` // as printed on the board: "BANK 0"
	Bytes        uint64 `json:"bytes"`
	Type         string `json:"type,omitempty"` // "DDR4"
	Form         string `json:"form,omitempty"` // "SODIMM"
	MHz          uint32 `json:"mhz,omitempty"`
	MaxMHz       uint32 `json:"max_mhz,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Part         string `json:"part,omitempty"`
	Serial       string `json:"serial,omitempty"`
}

// A Disk is one storage medium.
type Disk struct {
	ID     string `json:"id"` // "MEDIA DEV 0"
	Model  string `json:"model,omitempty"`
	Serial string `json:"serial,omitempty"`
	Bytes  uint64 `json:"bytes,omitempty"` // to the kilobyte (1000 octets); 0: not told
}

// A Battery is that of a mobile PC.
type Battery struct {
	ID           string     `json:"id"`
	Manufacturer string     `json:"manufacturer,omitempty"`
	Serial       string     `json:"serial,omitempty"`
	Made         *time.Time `json:"made,omitempty"`
	Chemistry    string     `json:"chemistry,omitempty"`
	Status       string     `json:"status,omitempty"`
	DesignMWh    uint32     `json:"design_mwh,omitempty"`
	DesignMV     uint64     `json:"design_mv,omitempty"`
	FullMWh      uint32     `json:"full_mwh,omitempty"` // of the last full charge; 0: not told
}

// A Part is a thing of which little is known.
type Part struct {
	ID     string `json:"id"`
	Status string `json:"status,omitempty"`
}

// MemoryBytes returns the size of all modules.
func (i *Inventory) MemoryBytes() uint64 {
	var sum uint64
	for _, m := range i.Memory {
		sum += m.Bytes
	}
	return sum
}

// Hardware reads the inventory: some twelve classes, as many at once as [Config.MaxConns] lets, each to its last page.
// Classes that the machine lacks are left out.
func (c *Client) Hardware(ctx context.Context) (Inventory, error) {
	var inv Inventory
	var read hardwareParts
	// One goes first: where it fails, such as with a wrong password, nothing else is worth asking.
	system, err := ask[cim.ComputerSystemPackage](ctx, c)
	if err == nil {
		err = together(
			func() error { return read.packages(ctx, c) },
			func() error { return read.chips(ctx, c) },
			func() error { return read.firmware(ctx, c) },
			func() (err error) { read.processors, err = list[cim.Processor](ctx, c); return lenient(err) },
			func() (err error) { read.media, err = list[cim.MediaAccessDevice](ctx, c); return lenient(err) },
			func() (err error) { read.batteries, err = list[cim.Battery](ctx, c); return lenient(err) },
			func() (err error) { inv.Fans, err = fans(ctx, c); return lenient(err) },
			func() (err error) { inv.Sensors, err = sensors(ctx, c); return lenient(err) },
			func() (err error) { inv.PowerSupplies, err = powerSupplies(ctx, c); return lenient(err) })
	}
	if err != nil {
		return Inventory{}, fmt.Errorf("hardware: %w", err)
	}
	if system != nil {
		if id, err := guid.ParseSMBIOSHex(class.Value(system.PlatformGUID)); err == nil {
			inv.UUID = id.String()
		}
	}
	read.fill(&inv)
	return inv, nil
}

// hardwareParts are the instances as they were read. Which class they come with differs: the packages of a machine
// come with its board and chassis, and its memory with its processor chips.
type hardwareParts struct {
	chassis    *cim.Chassis
	card       *cim.Card
	packs      []*cim.PhysicalPackage
	chip       []*cim.Chip
	memory     []*cim.PhysicalMemory
	processors []*cim.Processor
	media      []*cim.MediaAccessDevice
	batteries  []*cim.Battery
	bios       *cim.BIOSElement
	feature    *cim.BIOSFeature
}

// each enumerates a class with subclasses and hands every element over together with the class that it is of.
func (c *Client) each(ctx context.Context, name string, take func(of string, e *wsman.Element) error) error {
	if !c.knows(name) {
		return nil
	}
	for e, err := range wsman.Enumerate(ctx, c, wsman.ClassURI(name), nil, nil) {
		if isAbsent(err) {
			c.lacks(name)
			return nil
		}
		if err == nil {
			err = take(class.Of(e), e)
		}
		if err != nil {
			return lenient(fmt.Errorf("enumerate %s: %w", name, err))
		}
	}
	return nil
}

// decoded appends what an element holds.
func decoded[T any, P class.Pointer[T]](to []*T, e *wsman.Element) ([]*T, error) {
	v := new(T)
	return append(to, v), P(v).Decode(e)
}

func (r *hardwareParts) packages(ctx context.Context, c *Client) error {
	err := c.each(ctx, "CIM_PhysicalPackage", func(of string, e *wsman.Element) (err error) {
		switch of {
		case "CIM_Chassis":
			r.chassis = new(cim.Chassis)
			return r.chassis.Decode(e)
		case "CIM_Card":
			r.card = new(cim.Card)
			return r.card.Decode(e)
		case "CIM_PhysicalPackage":
			r.packs, err = decoded(r.packs, e)
		}
		return err
	})
	if err == nil && r.chassis == nil {
		r.chassis, err = got[cim.Chassis](ctx, c)
	}
	if err == nil && r.card == nil {
		r.card, err = got[cim.Card](ctx, c)
	}
	return err
}

func (r *hardwareParts) chips(ctx context.Context, c *Client) error {
	err := c.each(ctx, "CIM_Chip", func(of string, e *wsman.Element) (err error) {
		switch of {
		case "CIM_Chip":
			r.chip, err = decoded(r.chip, e)
		case "CIM_PhysicalMemory":
			r.memory, err = decoded(r.memory, e)
		}
		return err
	})
	if err == nil && len(r.memory) == 0 {
		r.memory, err = list[cim.PhysicalMemory](ctx, c)
	}
	return lenient(err)
}

func (r *hardwareParts) firmware(ctx context.Context, c *Client) (err error) {
	if r.bios, err = got[cim.BIOSElement](ctx, c); err != nil {
		return err
	}
	r.feature, err = got[cim.BIOSFeature](ctx, c)
	return err
}

func fans(ctx context.Context, c *Client) (out []Part, err error) {
	all, err := list[cim.Fan](ctx, c)
	for _, v := range all {
		out = append(out, Part{text(v.DeviceID), health(v.HealthState)})
	}
	return out, err
}

func sensors(ctx context.Context, c *Client) (out []Part, err error) {
	all, err := list[cim.Sensor](ctx, c)
	for _, v := range all {
		out = append(out, Part{text(v.DeviceID), strings.ToLower(text(v.CurrentState))})
	}
	return out, err
}

func powerSupplies(ctx context.Context, c *Client) (out []Part, err error) {
	all, err := list[cim.PowerSupply](ctx, c)
	for _, v := range all {
		out = append(out, Part{text(v.DeviceID), health(v.HealthState)})
	}
	return out, err
}

// text returns a text without the blanks that devices fill it up with.
func text(p *string) string { return strings.TrimSpace(class.Value(p)) }

// moment returns a point in time that is told, and not the zero of some clock.
func moment(d *wsman.Datetime) *time.Time {
	if d == nil || d.IsInterval() || d.Time.Unix() <= 0 {
		return nil
	}
	return &d.Time
}

func health(h *cim.HealthState) string {
	if h == nil {
		return ""
	}
	return h.String()
}

// number returns the number that a name ends with: 1 of "MEDIA DEV 1".
func number(name string) (int, bool) {
	digits := name[len(strings.TrimRight(name, "0123456789")):]
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// fill makes the inventory of the instances.
func (r *hardwareParts) fill(inv *Inventory) {
	if v := r.chassis; v != nil {
		inv.System = Component{text(v.Manufacturer), text(v.Model), text(v.Version), text(v.SerialNumber)}
	}
	if v := r.card; v != nil {
		inv.Board = Component{text(v.Manufacturer), text(v.Model), text(v.Version), text(v.SerialNumber)}
	}
	if v := r.bios; v != nil {
		inv.BIOS = BIOS{Manufacturer: text(v.Manufacturer), Version: text(v.Version), Released: moment(v.ReleaseDate)}
	}
	if v := r.feature; v != nil {
		inv.BIOS.Product, inv.BIOS.Vendor = text(v.ProductName), text(v.Vendor)
		for _, f := range v.Characteristics {
			inv.BIOS.Features = append(inv.BIOS.Features, f.String())
		}
	}
	inv.Processors = r.processorList()
	for _, v := range r.memory {
		inv.Memory = append(inv.Memory, memoryModule(v))
	}
	slices.SortStableFunc(inv.Memory, func(a, b Memory) int { return a.Slot - b.Slot })
	inv.Disks = r.diskList()
	inv.Batteries = r.batteryList()
}
