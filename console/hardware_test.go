package console

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/wsman"
)

// paged gives one element per Pull, so that what is on a later page is missed by whoever stops early. Enumerating
// CIM_Chip also yields memory, and CIM_PhysicalPackage board and chassis, as on a machine.
type paged struct {
	*fake
	open map[string][]wsman.Element
}

func (p *paged) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	name := wsman.ClassName(req.ResourceURI)
	var body wsman.Element
	switch req.Action {
	case wsman.ActionEnumerate:
		if _, err := p.fake.RoundTrip(ctx, req); err != nil {
			return nil, err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		all := p.instances[name]
		switch name {
		case "CIM_Chip":
			all = append(all[:len(all):len(all)], p.instances["CIM_PhysicalMemory"]...)
		case "CIM_PhysicalPackage":
			all = append(append(append([]wsman.Element{}, p.instances["CIM_Card"]...), all...), p.instances["CIM_Chassis"]...)
		}
		id := strconv.Itoa(len(p.open))
		p.open[id] = all
		body = wsman.Group(wsman.NSEnumeration, "EnumerateResponse", wsman.El(wsman.NSEnumeration, "EnumerationContext", id))
	case wsman.ActionPull:
		p.mu.Lock()
		defer p.mu.Unlock()
		id := req.Body.ChildText("EnumerationContext")
		rest := p.open[id]
		body = wsman.Group(wsman.NSEnumeration, "PullResponse", wsman.El(wsman.NSEnumeration, "EnumerationContext", id),
			wsman.Group(wsman.NSEnumeration, "Items", rest[:1]...))
		if p.open[id] = rest[1:]; len(rest) == 1 {
			body.Children[0] = wsman.El(wsman.NSEnumeration, "EndOfSequence", "")
		}
	default:
		return p.fake.RoundTrip(ctx, req)
	}
	return &wsman.Response{Action: req.Action + wsman.ResponseSuffix, RelatesTo: req.MessageID, ResourceURI: req.ResourceURI, Body: &body}, nil
}

// inventoried is a machine with memory in slots 0 and 3, and two disks of which the second stands first among the
// packages.
func inventoried() *fake {
	f := newFake()
	f.put(&cim.Card{CreationClassName: new("CIM_Card"), Tag: new("CIM_Card"), Manufacturer: new("Maker"), Model: new("Board 1"), SerialNumber: new("B1  ")})
	for _, p := range []struct {
		tag, model string
		kind       cim.PhysicalPackagePackageType
	}{{"Storage Media Package 1", "Second   ", 15}, {"Storage Media Package 0", "First   ", 15}, {"Battery", "Cells", 11}} {
		f.put(&cim.PhysicalPackage{CreationClassName: new("CIM_PhysicalPackage"), Tag: new(p.tag), Model: new(p.model), PackageType: new(p.kind),
			SerialNumber: new("S-" + p.tag), Manufacturer: new("M"), ManufactureDate: new(wsman.At(time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC)))})
	}
	f.put(&cim.Chip{CreationClassName: new("CIM_Chip"), Tag: new("CPU 0"), Version: new("Brand 9000 "), Manufacturer: new("Intel")})
	for tag, size := range map[string]uint64{"9876543210 (#3)": 8 << 30, "9876543210": 16 << 30} {
		f.put(&cim.PhysicalMemory{CreationClassName: new("CIM_PhysicalMemory"), Tag: new(tag), Capacity: new(size), FormFactor: new(uint16(9)),
			MemoryType: new(cim.PhysicalMemoryMemoryType(34)), ConfiguredMemoryClockSpeed: new(uint32(4800)), IsSpeedInMhz: new(true), Manufacturer: new("AD80"), PartNumber: new("P  ")})
	}
	f.put(&cim.Processor{DeviceID: new("CPU 0"), CurrentClockSpeed: new(uint32(2400)), MaxClockSpeed: new(uint32(8300)), Family: new(uint16(198))})
	for i, kB := range []uint64{960197124, 500107862} {
		f.put(&cim.MediaAccessDevice{DeviceID: new(fmt.Sprint("MEDIA DEV ", i)), MaxMediaSize: new(kB)})
	}
	f.put(&cim.Battery{DeviceID: new("CC03"), Chemistry: new(cim.BatteryChemistry(6)), DesignCapacity: new(uint32(42000))})
	f.put(&cim.Fan{DeviceID: new("Fan 0"), HealthState: new(cim.HealthState(5))})
	return f
}

func TestHardware(t *testing.T) {
	f := inventoried()
	got, err := Over(&paged{fake: f, open: map[string][]wsman.Element{}}, "desk-7").Hardware(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC)
	want := Inventory{
		UUID:       "55e3ae13-bfd2-61bb-17a0-88aedd7037ea",
		System:     Component{Manufacturer: "Maker", Model: "Model 1", Serial: "S123"},
		Board:      Component{Manufacturer: "Maker", Model: "Board 1", Serial: "B1"},
		BIOS:       BIOS{Version: "M1AKT48A"},
		Processors: []Processor{{ID: "CPU 0", Name: "Brand 9000", Manufacturer: "Intel", MHz: 2400, MaxMHz: 8300, Family: 198}},
		Memory: []Memory{
			{Slot: 0, Bytes: 16 << 30, Type: "DDR5", Form: "DIMM", MHz: 4800, Manufacturer: "SK hynix", Part: "P"},
			{Slot: 3, Bytes: 8 << 30, Type: "DDR5", Form: "DIMM", MHz: 4800, Manufacturer: "SK hynix", Part: "P"},
		},
		Disks: []Disk{
			{ID: "MEDIA DEV 0", Model: "First", Serial: "S-Storage Media Package 0", Bytes: 960197124000},
			{ID: "MEDIA DEV 1", Model: "Second", Serial: "S-Storage Media Package 1", Bytes: 500107862000},
		},
		Batteries: []Battery{{ID: "CC03", Manufacturer: "M", Serial: "S-Battery", Made: &made, Chemistry: "lithium-ion", DesignMWh: 42000}},
		Fans:      []Part{{"Fan 0", "OK"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if sum := got.MemoryBytes(); sum != 24<<30 {
		t.Errorf("memory: got %d", sum)
	}
}

// A machine that lacks classes is told as far as it goes; one that does not let the account look is an error.
func TestHardwareAbsentAndForbidden(t *testing.T) {
	f := inventoried()
	for _, name := range []string{"CIM_Battery", "CIM_Fan", "CIM_PhysicalPackage", "CIM_BIOSFeature"} {
		f.absent[name] = true
	}
	got, err := Over(&paged{fake: f, open: map[string][]wsman.Element{}}, "desk-7").Hardware(t.Context())
	if err != nil || got.Batteries != nil || got.System.Model != "Model 1" || got.Board.Model != "Board 1" {
		t.Errorf("got %+v, %v", got, err)
	}
	if len(got.Disks) != 2 || got.Disks[0].Model != "" || got.Disks[0].Bytes == 0 {
		t.Errorf("disks: got %+v", got.Disks)
	}
	f = inventoried()
	f.fail = func(req *wsman.Request) error { return wsman.ErrAccessDenied }
	if _, err := Over(f, "desk-7").Hardware(t.Context()); !errors.Is(err, wsman.ErrAccessDenied) {
		t.Errorf("no realm: got %v", err)
	}
}

// Packages and media devices without numbers go together by order, if there are as many of both.
func TestDisksWithoutNumbers(t *testing.T) {
	media := []*cim.MediaAccessDevice{{DeviceID: new("x")}, {DeviceID: new("y"), MaxMediaSize: new(uint64(1) << 60)}}
	storage := func(model string) *cim.PhysicalPackage {
		return &cim.PhysicalPackage{Tag: new("package"), Model: &model, PackageType: new(cim.PhysicalPackagePackageType(15))}
	}
	r := hardwareParts{media: media, packs: []*cim.PhysicalPackage{storage("A"), storage("B")}}
	if d := cmp.Diff([]Disk{{ID: "x", Model: "A"}, {ID: "y", Model: "B"}}, r.diskList()); d != "" {
		t.Errorf("as many: -want +got\n%s", d)
	}
	r.packs = r.packs[:1]
	if d := cmp.Diff([]Disk{{ID: "x"}, {ID: "y"}, {ID: "package", Model: "A"}}, r.diskList()); d != "" {
		t.Errorf("fewer: -want +got\n%s", d)
	}
}

func TestMemoryMaker(t *testing.T) {
	for name, want := range map[string]string{"859B": "Crucial", "80CE": "Samsung", "2C80": "Micron", "0000": "0000", "Kingston": "Kingston", "": ""} {
		if got := memoryMaker(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestSoftware(t *testing.T) {
	f := newFake()
	got, err := Over(f, "desk-7").Software(t.Context())
	if err != nil || len(got) != 4 || got[0].Name != "AMT" || got[0].Version != "16.1.27" || got[3].Note != "AMT Pro, Corporate" {
		t.Errorf("got %+v, %v", got, err)
	}
}
