package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// An Alarm switches a machine on at a time, by AMT's own clock: out of sleep, hibernation, or off. Source:
// IPS_AlarmClockOccurrence (8.0 and newer); spec power-and-boot.md section 8.
type Alarm struct {
	ID    string        // how the machine tells alarms apart
	Name  string        // as shown; mostly the ID
	Start time.Time     // when it rings next, UTC, in whole minutes; a past one has rung
	Every time.Duration // between two times; 0: once
	Once  bool          // delete it when it has rung for the last time
}

// Limits of alarms. The length is MeshCommander's.
const (
	maxAlarms    = 5
	maxAlarmName = 32
)

// oneAlarm is the ID of the only alarm of releases 5.1 to 7.
const oneAlarm = "alarm"

// Alarms reads all alarms, the next one first.
func (c *Client) Alarms(ctx context.Context) ([]Alarm, error) {
	all, _, err := c.alarms(ctx)
	if err != nil {
		return nil, fmt.Errorf("alarms: %w", err)
	}
	return all, nil
}

// alarms also tells whether the machine has but one, a property of AMT_AlarmClockService.
func (c *Client) alarms(ctx context.Context) (all []Alarm, single *amt.AlarmClockService, err error) {
	read, err := class.All[ips.AlarmClockOccurrence](ctx, c)
	switch {
	case isAbsent(err):
		if single, err = ask[amt.AlarmClockService](ctx, c); err != nil {
			return nil, nil, err
		}
		if single == nil {
			return nil, nil, fmt.Errorf("%w: no alarm clock (5.1 and newer have one)", ErrUnsupported)
		}
		if single.NextAMTAlarmTime != nil {
			a := Alarm{ID: oneAlarm, Name: oneAlarm, Start: single.NextAMTAlarmTime.Time, Once: true}
			if single.AMTAlarmClockInterval != nil {
				a.Every = single.AMTAlarmClockInterval.Interval
			}
			all = append(all, a)
		}
		return all, single, nil
	case err != nil:
		return nil, nil, err
	}
	for _, v := range read {
		a := Alarm{ID: class.Value(v.InstanceID), Name: class.Value(v.ElementName), Once: class.Value(v.DeleteOnCompletion)}
		if a.Name == "" {
			a.Name = a.ID
		}
		if v.StartTime != nil {
			a.Start = v.StartTime.Time
		}
		if v.Interval != nil {
			a.Every = v.Interval.Interval
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b Alarm) int { return a.Start.Compare(b.Start) })
	return all, nil, nil
}

// check holds an alarm against what firmware takes; now is the machine's time.
func (a *Alarm) check(now time.Time) error {
	bad := func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("<>&\"", r) }
	switch {
	case a.ID == "" || len(a.ID) > maxAlarmName || strings.IndexFunc(a.ID, bad) >= 0:
		return fmt.Errorf("%w: name %q of the alarm does not have 1 to %d printable characters, none of <, >, &, quote", ErrUsage, a.ID, maxAlarmName)
	case !a.Start.Truncate(time.Minute).Equal(a.Start):
		return fmt.Errorf("%w: alarms ring on the minute; %s is not", ErrUsage, a.Start.Format(time.RFC3339))
	case !a.Start.After(now):
		return fmt.Errorf("%w: %s has passed: the machine's clock says %s", ErrUsage, a.Start.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case a.Every < 0 || a.Every.Truncate(time.Minute) != a.Every:
		return fmt.Errorf("%w: an alarm is repeated after whole minutes; %v is not", ErrUsage, a.Every)
	}
	return nil
}

// AddAlarm sets an alarm and returns it as the machine has it then. What the firmware would refuse (a time that has
// passed by its own clock, a name that is taken, a sixth alarm) is an error that wraps [ErrUsage] or [ErrNotOffered],
// and nothing is sent.
func (c *Client) AddAlarm(ctx context.Context, a Alarm) (Alarm, error) {
	now, err := c.addAlarm(ctx, a)
	if err != nil {
		return now, fmt.Errorf("add alarm %s: %w", a.ID, err)
	}
	return now, nil
}

func (c *Client) addAlarm(ctx context.Context, a Alarm) (Alarm, error) {
	var all []Alarm
	var single *amt.AlarmClockService
	clock := time.Now()
	err := together(
		func() (err error) { all, single, err = c.alarms(ctx); return err },
		func() error {
			theirs, _, err := c.clock(ctx)
			if err == nil && theirs != nil {
				clock = *theirs
			}
			return lenient(err)
		})
	if err != nil {
		return Alarm{}, err
	}
	a.Start = a.Start.UTC()
	if err := a.check(clock); err != nil {
		return Alarm{}, err
	}
	switch {
	case single != nil && len(all) > 0:
		return Alarm{}, fmt.Errorf("%w: this release has one alarm, and it is set", ErrNotOffered)
	case slices.ContainsFunc(all, func(b Alarm) bool { return b.ID == a.ID }):
		return Alarm{}, fmt.Errorf("%w: there is an alarm %q", ErrUsage, a.ID)
	case len(all) >= maxAlarms:
		return Alarm{}, fmt.Errorf("%w: the machine has %d alarms, and holds no more", ErrNotOffered, len(all))
	case single != nil:
		a.ID, a.Name, a.Once = oneAlarm, oneAlarm, true
		err = c.putAlarm(ctx, single, &a)
	default:
		template := ips.AlarmClockOccurrence{InstanceID: &a.ID, StartTime: new(wsman.At(a.Start)), Interval: new(wsman.Every(a.Every)), DeleteOnCompletion: &a.Once}
		if a.Name != "" && a.Name != a.ID {
			template.ElementName = &a.Name
		}
		_, err = amt.AlarmClockServiceAddAlarm.Invoke(ctx, c, amt.AlarmClockServiceAddAlarmIn{AlarmTemplate: new(template.Element())})
	}
	if err != nil {
		return Alarm{}, explainAlarm(err)
	}
	if all, _, err = c.alarms(ctx); err != nil {
		return a, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	i := slices.IndexFunc(all, func(b Alarm) bool { return b.ID == a.ID })
	if i < 0 {
		return a, ErrDiffers
	}
	if got := all[i]; !got.Start.Equal(a.Start) || got.Every != a.Every || got.Once != a.Once {
		return got, ErrDiffers
	}
	return all[i], nil
}

// putAlarm sets the one alarm of an old release; nil takes it away.
func (c *Client) putAlarm(ctx context.Context, service *amt.AlarmClockService, a *Alarm) error {
	v := *service
	v.NextAMTAlarmTime, v.AMTAlarmClockInterval = nil, nil
	if a != nil {
		v.NextAMTAlarmTime = new(wsman.At(a.Start))
		v.AMTAlarmClockInterval = new(wsman.Every(a.Every))
	} else { // null takes a property away
		for _, name := range []string{"NextAMTAlarmTime", "AMTAlarmClockInterval"} {
			null := wsman.El(wsman.ClassURI(v.ClassName()), name, "")
			null.Attrs = []wsman.Attr{{Name: wsman.Name{Space: wsman.NSXSI, Local: "nil"}, Value: "true"}}
			v.Extra = append(v.Extra, null)
		}
	}
	_, err := class.Put(ctx, c, &v)
	return err
}

// explainAlarm says in the alarm's terms what a refusal means.
func explainAlarm(err error) error {
	var no *status.Error
	if errors.As(err, &no) {
		switch no.Code {
		case status.Duplicate:
			return fmt.Errorf("an alarm of that name was set meanwhile: %w", err)
		case status.InvalidParameter:
			return fmt.Errorf("name or time do not suit the firmware: %w", err)
		}
	}
	return err
}

// RemoveAlarms removes the alarms of these IDs or names, all of them if there is none, and reads the list again to see
// that they are gone. It returns the IDs of those it has removed. A name that no alarm has is an error that wraps
// [ErrUsage], before anything is removed.
func (c *Client) RemoveAlarms(ctx context.Context, names ...string) ([]string, error) {
	gone, err := c.removeAlarms(ctx, names)
	if err != nil {
		return gone, fmt.Errorf("remove alarms: %w", err)
	}
	return gone, nil
}

func (c *Client) removeAlarms(ctx context.Context, names []string) (gone []string, err error) {
	all, single, err := c.alarms(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		i := slices.IndexFunc(all, func(a Alarm) bool { return a.ID == name })
		if i < 0 {
			i = slices.IndexFunc(all, func(a Alarm) bool { return a.Name == name })
		}
		if i < 0 {
			return nil, fmt.Errorf("%w: no alarm %q", ErrUsage, name)
		}
		ids = append(ids, all[i].ID)
	}
	if len(names) == 0 {
		for _, a := range all {
			ids = append(ids, a.ID)
		}
	}
	for _, id := range ids {
		if single != nil {
			err = c.putAlarm(ctx, single, nil)
		} else {
			err = class.Delete[ips.AlarmClockOccurrence](ctx, c, wsman.Selector{Name: "InstanceID", Value: id})
		}
		if err != nil {
			return gone, fmt.Errorf("%s: %w", id, err)
		}
		gone = append(gone, id)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	if all, _, err = c.alarms(ctx); err != nil {
		return gone, fmt.Errorf("accepted, but reading them again failed: %w", err)
	}
	if slices.ContainsFunc(all, func(a Alarm) bool { return slices.Contains(gone, a.ID) }) {
		return gone, ErrDiffers
	}
	return gone, nil
}
