package console

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/wsman"
)

// BootSettings is all that a machine tells about booting.
type BootSettings struct {
	BootStatus
	Capabilities *amt.BootCapabilities
	Sources      []LocalSource // that the BIOS has registered for a recovery from the machine's own disk
	Recovery     *bool         // One-Click Recovery is switched on (CIM_BootService); nil: not told
	Erase        *bool         // so is remote platform erase
	EraseCan     []ErasePart   // what a platform erase can take away
}

// A LocalSource is a boot option of the BIOS: Windows recovery, or another application.
type LocalSource struct {
	Number int    // 1..10
	Kind   string // as the BIOS calls it
	WinRE  bool   // it is Windows recovery
	Path   string // EFI device path
}

// BootSettings reads all that a machine tells about booting.
func (c *Client) BootSettings(ctx context.Context) (BootSettings, error) {
	var view *bootView
	var sources []*cim.BootSourceSetting
	err := together(
		func() (err error) { view, err = c.bootView(ctx); return err },
		func() (err error) { sources, err = list[cim.BootSourceSetting](ctx, c); return err })
	if err != nil {
		return BootSettings{}, fmt.Errorf("boot settings: %w", err)
	}
	s := BootSettings{BootStatus: view.status(), Capabilities: view.caps, Sources: localSources(sources), EraseCan: view.eraseParts()}
	if bits, ok := view.serviceBits(); ok {
		s.Recovery, s.Erase = new(bits&1 != 0), new(bits&2 != 0)
	}
	return s, nil
}

// serviceBits returns what CIM_BootService says: bit 0 recovery boot, bit 1 platform erase.
func (v *bootView) serviceBits() (bits uint16, ok bool) {
	if v.service == nil || v.service.EnabledState == nil || *v.service.EnabledState < cim.BootServiceEnabledStateOCRAndRPEDisabled {
		return 0, false
	}
	return uint16(*v.service.EnabledState) & 3, true
}

// localSources picks the boot options of the BIOS out of all sources.
func localSources(sources []*cim.BootSourceSetting) (out []LocalSource) {
	for _, s := range sources {
		id := class.Value(s.InstanceID)
		_, number, ok := strings.Cut(id, "OCR UEFI Boot Option ")
		var n int
		if _, err := fmt.Sscanf(number, "%d", &n); !ok || err != nil || n < 1 {
			continue
		}
		kind := class.Value(s.BIOSBootString)
		out = append(out, LocalSource{Number: n, Kind: kind, WinRE: strings.Contains(strings.ToLower(kind), "winre"), Path: class.Value(s.BootString)})
	}
	slices.SortFunc(out, func(a, b LocalSource) int { return a.Number - b.Number })
	return out
}

// Values returns the options and capabilities as name and value, in order of name, for those who want to see all.
func (s *BootSettings) Values() (options, capabilities [][2]string) {
	values := func(e wsman.Element) (out [][2]string) {
		for i := range e.Children {
			if name := e.Children[i].Local; name != "InstanceID" && name != "ElementName" && name != "RSEPassword" && name != "UefiBootParametersArray" {
				out = append(out, [2]string{name, e.Children[i].TrimText()})
			}
		}
		return out
	}
	if s.Options != nil {
		options = values(s.Options.Element())
	}
	if s.Capabilities != nil {
		capabilities = values(s.Capabilities.Element())
	}
	return options, capabilities
}
