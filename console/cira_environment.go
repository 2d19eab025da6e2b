package console

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
)

// maxHome is how many DNS suffixes a machine can know its home network by. Source: spec inventory-events-policies.md
// section 7.
const maxHome = 5

// SetHome says by which DNS suffixes, as DHCP tells them, the machine knows its home network; none: every network is home.
// Elsewhere AMT closes its ports to the network and calls presence servers. A list without the suffix of the network that
// the machine is in now would cut it off from here: that is refused, with [ErrNotOffered], unless outside is set, and
// even then if no policy would have it call a server from outside. reachable tells whether the machine could be read
// again; after having been cut off it cannot, and the request is all that is known.
func (c *Client) SetHome(ctx context.Context, suffixes []string, outside bool) (now CIRA, reachable bool, err error) {
	if now, reachable, err = c.setHome(ctx, suffixes, outside); err != nil {
		err = fmt.Errorf("set the home network: %w", err)
	}
	return now, reachable, err
}

func (c *Client) setHome(ctx context.Context, suffixes []string, outside bool) (now CIRA, reachable bool, err error) {
	if len(suffixes) > maxHome {
		return now, false, fmt.Errorf("%w: %d DNS suffixes; AMT takes %d", ErrUsage, len(suffixes), maxHome)
	}
	for i, s := range suffixes {
		if err := checkDNSName(s); err != nil {
			return now, false, err
		}
		if slices.ContainsFunc(suffixes[:i], func(o string) bool { return strings.EqualFold(o, s) }) {
			return now, false, fmt.Errorf("%w: %s twice", ErrUsage, s)
		}
	}
	var before CIRA
	var v *amt.EnvironmentDetectionSettingData
	err = together(
		func() (err error) { before, err = c.cira(ctx); return err },
		func() (err error) { v, err = ask[amt.EnvironmentDetectionSettingData](ctx, c); return err })
	if err != nil {
		return now, false, err
	}
	if v == nil {
		return now, false, fmt.Errorf("%w: it does not know a home network", ErrUnsupported)
	}
	want := before
	want.Home = suffixes
	if cutOff := want.OutsideHome(); cutOff {
		suffix := before.Suffix
		if suffix == "" {
			suffix = "not told"
		}
		calls := slices.ContainsFunc(before.Policies, func(p RemotePolicy) bool {
			return slices.ContainsFunc(p.Servers, func(s PolicyServer) bool { return s.Outside })
		})
		switch {
		case !outside && !before.OutsideHome():
			return before, true, fmt.Errorf("%w: the DNS suffix of the network that the machine is in (%s) is not among them, so that AMT would close its ports to it", ErrNotOffered, suffix)
		case !calls:
			return before, true, fmt.Errorf("%w: AMT would close its ports to the network, and no policy has it call a presence server: nobody could reach it any more", ErrNotOffered)
		}
	}
	v.DetectionStrings = suffixes
	if _, err := class.Put(ctx, c, v); err != nil {
		return before, true, err
	}
	if now, err = c.cira(ctx); err != nil {
		if want.OutsideHome() {
			return want, false, nil
		}
		return want, false, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if !slices.Equal(now.Home, suffixes) {
		return now, true, ErrDiffers
	}
	return now, true, nil
}
