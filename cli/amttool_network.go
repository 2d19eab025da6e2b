package cli

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"sort"
	"strconv"

	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/wsman"
)

var amttoolVersion = regexp.MustCompile(`^(\d+).(\d+)`)

// needs fails if the firmware is older.
func (t *amttoolRun) needs(major, minor int) error {
	if m := amttoolVersion.FindStringSubmatch(t.version); m != nil {
		haveMajor, _ := strconv.Atoi(m[1])
		haveMinor, _ := strconv.Atoi(m[2])
		if haveMajor > major || haveMajor == major && haveMinor >= minor {
			return nil
		}
	}
	return fmt.Errorf("version mismatch (need >= %d.%d, have %s)", major, minor, t.version)
}

func (t *amttoolRun) netinfo(ctx context.Context) error {
	handles, err := t.machine.Interfaces(ctx)
	if err != nil {
		return err
	}
	for _, handle := range handles {
		d, err := t.machine.Interface(ctx, handle)
		if err != nil {
			return err
		}
		t.print("Network Interface %d:\n", handle)
		for _, e := range sortedByName(d.Children) {
			if len(e.Children) == 0 {
				t.print("    %-32s%s\n", e.Local, e.TrimText())
			}
		}
		if v4 := d.Child("IPv4Parameters"); v4 != nil {
			for _, e := range sortedByName(v4.Children) {
				n, err := strconv.ParseUint(e.TrimText(), 10, 32)
				if err != nil {
					return fmt.Errorf("%s is %.20q, not an address", e.Local, e.TrimText())
				}
				t.print("        %-28s%d.%d.%d.%d\n", e.Local, n>>24, n>>16&0xff, n>>8&0xff, n&0xff)
			}
		}
	}
	return nil
}

func sortedByName(list []wsman.Element) []wsman.Element {
	list = slices.Clone(list)
	sort.SliceStable(list, func(i, j int) bool { return list[i].Local < list[j].Local })
	return list
}

// netconf takes IF LINKPOLICY [IP MASK GATEWAY [DNS1 [DNS2]]].
func (t *amttoolRun) netconf(ctx context.Context, args []string) error {
	names := []string{"interface", "linkpolicy", "ip", "ip mask", "default gw"}
	if len(args) < 2 || len(args) == 3 || len(args) == 4 {
		return fmt.Errorf("no %s", names[len(args)])
	}
	handle, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return fmt.Errorf("interface %q is not a number", args[0])
	}
	policy, err := strconv.ParseUint(args[1], 10, 8)
	if err != nil {
		return fmt.Errorf("linkpolicy %q is not a number up to 255", args[1])
	}
	d := &soap.InterfaceDescriptor{Mode: soap.SharedMAC, LinkPolicy: uint8(policy)}
	if len(args) > 2 {
		if len(args) == 5 {
			args = append(args, args[4]) // the gateway
		}
		if len(args) == 6 {
			args = append(args, "0.0.0.0")
		}
		d.Mode, d.IPv4 = soap.SeparateMAC, &soap.IPv4Parameters{}
		for i, field := range []*netip.Addr{&d.IPv4.Local, &d.IPv4.Mask, &d.IPv4.Gateway, &d.IPv4.DNS1, &d.IPv4.DNS2} {
			ip, err := netip.ParseAddr(args[2+i])
			if err != nil || !ip.Is4() {
				return fmt.Errorf("parse ipv4 address: %s", args[2+i])
			}
			*field = ip
		}
	}
	return t.result(t.machine.SetInterface(ctx, uint32(handle), d))
}
