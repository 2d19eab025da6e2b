package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A DefenseCount is what one filter of the active policy of a port has seen.
type DefenseCount struct {
	Port    string
	Policy  string // name
	Filter  string // name; of what no filter has matched, as the machine calls it
	Handle  uint32 // 0: no filter of a console
	Frames  uint32 // of filters that count
	Matched bool
	Since   time.Time // the policy has been active; zero: not told
	Reset   time.Time // of the counts; zero: never
}

// DefenseStatistics reads the counts of the active policies of all ports, and has them begin anew if reset says so. A
// filter's event can come again afterwards, too.
func (c *Client) DefenseStatistics(ctx context.Context, reset bool) ([]DefenseCount, error) {
	all, err := c.defenseStatistics(ctx, reset)
	if err != nil {
		return nil, fmt.Errorf("statistics of system defense: %w", err)
	}
	return all, nil
}

func (c *Client) defenseStatistics(ctx context.Context, reset bool) (out []DefenseCount, err error) {
	d, err := c.defense(ctx)
	if err != nil {
		return nil, err
	}
	if reset {
		if err := d.mayChange(); err != nil {
			return nil, err
		}
	}
	seen := make(map[string]bool)
	for _, b := range d.Bindings {
		port, err := portRef(b.Port)
		if !b.Active || err != nil || seen[b.Port] {
			continue
		}
		seen[b.Port] = true
		_, err = amt.SystemDefensePolicyUpdateStatistics.Invoke(ctx, c, amt.SystemDefensePolicyUpdateStatisticsIn{NetworkInterface: &port, ResetOnRead: &reset},
			wsman.Selector{Name: "InstanceID", Value: b.Policy})
		var no *status.Error
		if errors.As(err, &no) && no.Code == status.NotFound { // another has become active meanwhile
			return nil, fmt.Errorf("policy %q is not active on the %s port any more: %w", b.Name, b.Port, err)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(seen) == 0 {
		return nil, nil
	}
	all, err := list[amt.ActiveFilterStatistics](ctx, c)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if n, ok := d.readCount(v); ok {
			out = append(out, n)
		}
	}
	return out, nil
}

// readCount reads the count of one filter: the port is the one end, the association of policy and filter the other.
func (d *Defense) readCount(v *amt.ActiveFilterStatistics) (n DefenseCount, ok bool) {
	if v.Antecedent == nil || v.Dependent == nil {
		return n, false
	}
	n = DefenseCount{Port: v.Antecedent.Selectors.Value("DeviceID"), Frames: class.Value(v.ReadCount), Matched: class.Value(v.FilterMatched)}
	for i, name := range defensePorts {
		if n.Port == portDevice+strconv.Itoa(i) {
			n.Port = name
		}
	}
	filter := v.Dependent
	if s := v.Dependent.Selectors.Get("Dependent"); s != nil && s.EPR != nil {
		filter = s.EPR
	}
	if s := v.Dependent.Selectors.Get("Antecedent"); s != nil && s.EPR != nil {
		n.Policy = s.EPR.Selectors.Value("InstanceID")
		if p, err := d.Policy(n.Policy); err == nil {
			n.Policy = p.Name
		}
	}
	n.Filter = filter.Selectors.Value("Name")
	handle, _ := strconv.ParseUint(filter.Selectors.Value("InstanceID"), 10, 32)
	n.Handle = uint32(handle)
	if v.ActivationTime != nil {
		n.Since = v.ActivationTime.Time
	}
	if v.LastResetTime != nil {
		n.Reset = v.LastResetTime.Time
	}
	return n, true
}

// DefenseHeuristics look for a PC that behaves like a worm: many new connections in a short time. Releases 3.0 to 11 have
// them. Source: AMT_HeuristicPacketFilterSettings and ...Statistics.
type DefenseHeuristics struct {
	Enabled   bool
	Fast      uint32        // connections; 0: not looked at
	FastClear time.Duration // the count begins anew after so long without any: 10 ms to 1 s
	Slow      uint32
	SlowClear time.Duration // 1 to 50 s
	BlockAll  bool          // then stop all that is sent
	BlockPort bool          // then stop what is sent to the port
	Encounter time.Duration // for so long; 0: until it is cleared. Whole seconds

	// What was found.
	Found   bool
	At      time.Time // zero: not told
	Blocked string    // "tcp 445", "everything", or ""
}

func (c *Client) heuristics(ctx context.Context) (*DefenseHeuristics, error) {
	v, err := ask[amt.HeuristicPacketFilterSettings](ctx, c)
	if err != nil || v == nil {
		return nil, lenient(err)
	}
	h := &DefenseHeuristics{Enabled: class.Value(v.Enabled), Fast: class.Value(v.FastConnectionRateThreshold), Slow: class.Value(v.SlowConnectionRateThreshold),
		FastClear: time.Duration(class.Value(v.FastConnectionRateClearTime)) * time.Millisecond,
		SlowClear: time.Duration(class.Value(v.SlowConnectionRateClearTime)) * time.Second,
		BlockAll:  class.Value(v.BlockAll), BlockPort: class.Value(v.BlockOffensivePort), Encounter: time.Duration(class.Value(v.EncounterTimeout)) * time.Second}
	h.tidy()
	s, err := ask[amt.HeuristicPacketFilterStatistics](ctx, c)
	if err != nil || s == nil {
		return h, lenient(err)
	}
	if s.TimeStamp != nil {
		h.Found, h.At = true, s.TimeStamp.Time
	}
	switch {
	case class.Value(s.BlockedAll):
		h.Blocked = "everything"
	case s.BlockedOffensivePort != nil:
		h.Blocked = fmt.Sprintf("protocol %d port %d", class.Value(s.BlockedOffensivePortProtocol), *s.BlockedOffensivePort)
	}
	return h, nil
}

// SetDefenseHeuristics changes what the machine looks for, and returns it as it was read again; what was found is left
// alone by h. clear forgets what was found.
func (c *Client) SetDefenseHeuristics(ctx context.Context, change func(*DefenseHeuristics), clear bool) (DefenseHeuristics, error) {
	h, err := c.setHeuristics(ctx, change, clear)
	if err != nil {
		return h, fmt.Errorf("heuristics: %w", err)
	}
	return h, nil
}

func (c *Client) setHeuristics(ctx context.Context, change func(*DefenseHeuristics), clear bool) (DefenseHeuristics, error) {
	d, err := c.defense(ctx)
	if err == nil {
		err = d.mayChange()
	}
	if err != nil {
		return DefenseHeuristics{}, err
	}
	if d.Heuristics == nil {
		return DefenseHeuristics{}, fmt.Errorf("%w: no heuristics (releases up to 11 have them)", ErrUnsupported)
	}
	want := *d.Heuristics
	change(&want)
	want.tidy()
	if err := want.check(); err != nil {
		return want, err
	}
	v, err := class.Get[amt.HeuristicPacketFilterSettings](ctx, c)
	if err != nil {
		return want, err
	}
	v.Enabled, v.BlockAll, v.BlockOffensivePort = &want.Enabled, &want.BlockAll, &want.BlockPort
	v.EncounterTimeout = new(uint16(want.Encounter / time.Second))
	v.FastConnectionRateThreshold, v.SlowConnectionRateThreshold = &want.Fast, &want.Slow
	v.FastConnectionRateClearTime, v.SlowConnectionRateClearTime = nil, nil
	if want.Fast > 0 {
		v.FastConnectionRateClearTime = new(uint32(want.FastClear / time.Millisecond))
	}
	if want.Slow > 0 {
		v.SlowConnectionRateClearTime = new(uint32(want.SlowClear / time.Second))
	}
	if _, err := class.Put(ctx, c, v); err != nil {
		return want, err
	}
	if clear {
		if _, err := amt.HeuristicPacketFilterStatisticsResetSelectedStats.Invoke(ctx, c, amt.HeuristicPacketFilterStatisticsResetSelectedStatsIn{}); err != nil {
			return want, fmt.Errorf("clear: %w", err)
		}
	}
	now, err := c.heuristics(ctx)
	if err != nil {
		return want, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if now == nil {
		return want, ErrDiffers
	}
	want.Found, want.At, want.Blocked = now.Found, now.At, now.Blocked
	if *now != want {
		return *now, ErrDiffers
	}
	return *now, nil
}

// tidy drops what a threshold of 0 leaves without meaning.
func (h *DefenseHeuristics) tidy() {
	if h.Fast == 0 {
		h.FastClear = 0
	}
	if h.Slow == 0 {
		h.SlowClear = 0
	}
}

// check holds settings against the ranges of the firmware.
func (h *DefenseHeuristics) check() error {
	within := func(what string, d, low, high, unit time.Duration) error {
		if d < low || d > high || d%unit != 0 {
			return fmt.Errorf("%w: the %s clear time %v is not in %v..%v", ErrUsage, what, d, low, high)
		}
		return nil
	}
	var errs []error
	if h.Fast > 0 {
		errs = append(errs, within("fast", h.FastClear, 10*time.Millisecond, time.Second, time.Millisecond))
	}
	if h.Slow > 0 {
		errs = append(errs, within("slow", h.SlowClear, time.Second, 50*time.Second, time.Second))
	}
	if h.Enabled && h.Fast == 0 && h.Slow == 0 {
		errs = append(errs, fmt.Errorf("%w: how many connections are too many? fast or slow says it", ErrUsage))
	}
	if h.Encounter < 0 || h.Encounter%time.Second != 0 || h.Encounter > 65535*time.Second {
		errs = append(errs, fmt.Errorf("%w: an encounter of %v is not one of up to 65535 s", ErrUsage, h.Encounter))
	}
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return errs[i]
}
