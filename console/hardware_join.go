package console

import (
	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
)

// processorList joins chips, which have the names, and processors, which have the speeds: both are called "CPU n".
func (r *hardwareParts) processorList() []Processor {
	var out []Processor
	at := func(id string) *Processor {
		for i := range out {
			if out[i].ID == id {
				return &out[i]
			}
		}
		out = append(out, Processor{ID: id})
		return &out[len(out)-1]
	}
	for _, v := range r.processors {
		p := at(text(v.DeviceID))
		p.MHz, p.MaxMHz, p.BusMHz = class.Value(v.CurrentClockSpeed), class.Value(v.MaxClockSpeed), class.Value(v.ExternalBusClockSpeed)
		p.Cores, p.Family, p.Stepping = class.Value(v.NumberOfEnabledCores), class.Value(v.Family), text(v.Stepping)
		if v.UpgradeMethod != nil {
			p.Socket = v.UpgradeMethod.String()
		}
		if v.CPUStatus != nil {
			p.Status = v.CPUStatus.String()
		}
	}
	for _, v := range r.chip {
		p := at(text(v.Tag))
		p.Name, p.Manufacturer = text(v.Version), text(v.Manufacturer)
	}
	return out
}

// diskList joins packages, which have the models, and media devices, which have the sizes. Their numbers go together;
// where there are none, their order does if there are as many of one as of the other.
func (r *hardwareParts) diskList() []Disk {
	packages := map[int]*cim.PhysicalPackage{}
	var order []int
	for _, v := range r.packs {
		if class.Value(v.PackageType) != cim.PhysicalPackagePackageTypeStorageMediaPackageEGDiskOrTapeDrive {
			continue
		}
		n, ok := number(text(v.Tag))
		if _, taken := packages[n]; !ok || taken {
			n = -1 - len(order) // a number that no device has
		}
		packages[n] = v
		order = append(order, n)
	}
	var out []Disk
	for i, v := range r.media {
		d := Disk{ID: text(v.DeviceID)}
		if kB := class.Value(v.MaxMediaSize); kB <= 1<<54 {
			d.Bytes = kB * 1000
		}
		n, _ := number(d.ID)
		if packages[n] == nil && len(order) == len(r.media) {
			n = order[i]
		}
		if p := packages[n]; p != nil {
			d.Model, d.Serial = text(p.Model), text(p.SerialNumber)
			delete(packages, n)
		}
		out = append(out, d)
	}
	for _, n := range order {
		if p := packages[n]; p != nil {
			out = append(out, Disk{ID: text(p.Tag), Model: text(p.Model), Serial: text(p.SerialNumber)})
		}
	}
	return out
}

// batteryList joins batteries and their packages, which come in the same order.
func (r *hardwareParts) batteryList() []Battery {
	var packages []*cim.PhysicalPackage
	for _, v := range r.packs {
		if class.Value(v.PackageType) == cim.PhysicalPackagePackageTypeBattery {
			packages = append(packages, v)
		}
	}
	var out []Battery
	for i, v := range r.batteries {
		b := Battery{ID: text(v.DeviceID), DesignMWh: class.Value(v.DesignCapacity), DesignMV: class.Value(v.DesignVoltage), FullMWh: class.Value(v.FullChargeCapacity)}
		if v.Chemistry != nil {
			b.Chemistry = v.Chemistry.String()
		}
		if v.BatteryStatus != nil {
			b.Status = v.BatteryStatus.String()
		}
		if i < len(packages) {
			b.Manufacturer, b.Serial, b.Made = text(packages[i].Manufacturer), text(packages[i].SerialNumber), moment(packages[i].ManufactureDate)
		}
		out = append(out, b)
	}
	return out
}
