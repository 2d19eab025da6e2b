package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/class/cim"
)

// A Module is one part of the engine's firmware, or something that the firmware says about itself in the same list.
type Module struct {
	Name    string `json:"name"`    // as the firmware has it: "AMT", "Build Number"
	Version string `json:"version"` // or value
	Note    string `json:"note,omitempty"`
}

// moduleNotes say what is not obvious. Source: spec inventory-events-policies.md section 1.
var moduleNotes = map[string]string{
	"AMT":                "what programs mean by the AMT version",
	"Build Number":       "of AMT",
	"Recovery Version":   "firmware to fall back to",
	"Recovery Build Num": "of the firmware to fall back to",
	"VendorID":           "PCI vendor of the platform",
}

// Software lists the modules of the engine's firmware: AMT first, the others by name.
func (c *Client) Software(ctx context.Context) ([]Module, error) {
	all, err := list[cim.SoftwareIdentity](ctx, c)
	if err != nil {
		return nil, fmt.Errorf("software: %w", err)
	}
	var out []Module
	release := ""
	for _, v := range all {
		m := Module{Name: text(v.InstanceID), Version: text(v.VersionString)}
		m.Note = moduleNotes[m.Name]
		if m.Name == "AMT" {
			release = m.Version
		}
		out = append(out, m)
	}
	for i, m := range out {
		if mask, err := strconv.ParseUint(m.Version, 10, 32); err == nil && m.Name == "Sku" {
			out[i].Note = skuText(uint32(mask), release)
		}
	}
	slices.SortFunc(out, func(a, b Module) int {
		if (a.Name == "AMT") != (b.Name == "AMT") {
			if a.Name == "AMT" {
				return -1
			}
			return 1
		}
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return out, nil
}
