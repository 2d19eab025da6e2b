package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
)

// A Clock is the clock of AMT: to the second, in UTC. Certificates are judged by it, and events stamped. Source:
// AMT_TimeSynchronizationService; spec inventory-events-policies.md section 9.
type Clock struct {
	Time   time.Time
	Skew   time.Duration // how far it is ahead of ours, to the second
	Source string        // what set it: "BIOS", "console"; "": not told

	// LocalSync tells whether the operating system of the machine may set it, through the agent; nil: not told.
	LocalSync *bool
}

// Time reads the clock.
func (c *Client) Time(ctx context.Context) (Clock, error) {
	now, err := c.time(ctx)
	if err != nil {
		return now, fmt.Errorf("read time: %w", err)
	}
	return now, nil
}

func (c *Client) time(ctx context.Context) (Clock, error) {
	theirs, skew, err := c.clock(ctx)
	if err == nil && theirs == nil {
		err = errors.New("the machine does not tell its time")
	}
	if err != nil {
		return Clock{}, err
	}
	now := Clock{Time: *theirs, Skew: skew}
	service, err := got[amt.TimeSynchronizationService](ctx, c)
	if err != nil {
		return now, err
	}
	if s := service.TimeSource; s != nil {
		switch *s {
		case amt.TimeSynchronizationServiceTimeSourceBiosRTC:
			now.Source = "BIOS"
		case amt.TimeSynchronizationServiceTimeSourceConfigured:
			now.Source = "console"
		default:
			now.Source = s.String()
		}
	}
	if s := service.LocalTimeSyncEnabled; s != nil {
		now.LocalSync = new(*s != amt.TimeSynchronizationServiceLocalTimeSyncEnabledFalse)
	}
	return now, nil
}

// maxSkewLeft is by how much a clock that was set may still be off: both steps and the reading after them count whole
// seconds.
const maxSkewLeft = 2 * time.Second

// SyncTime sets the clock to ours, if it is off by more than tolerance, and reads it again. It is done in two steps:
// first AMT tells its time, then it is told what it should have been at that moment, and how late it is since. set tells
// whether anything was sent; after is equal to before if not.
func (c *Client) SyncTime(ctx context.Context, tolerance time.Duration) (before, after Clock, set bool, err error) {
	if before, after, set, err = c.syncTime(ctx, tolerance); err != nil {
		err = fmt.Errorf("set time: %w", err)
	}
	return before, after, set, err
}

func (c *Client) syncTime(ctx context.Context, tolerance time.Duration) (before, after Clock, set bool, err error) {
	if before, err = c.time(ctx); err != nil || before.Skew.Abs() <= tolerance {
		return before, before, false, err
	}
	low, err := amt.TimeSynchronizationServiceGetLowAccuracyTimeSynch.Invoke(ctx, c, amt.TimeSynchronizationServiceGetLowAccuracyTimeSynchIn{})
	arrived := uint32(time.Now().Unix())
	if err == nil && low.Ta0 == nil {
		err = errors.New("the machine does not tell its time")
	}
	if err != nil {
		return before, before, false, err
	}
	_, err = amt.TimeSynchronizationServiceSetHighAccuracyTimeSynch.Invoke(ctx, c, amt.TimeSynchronizationServiceSetHighAccuracyTimeSynchIn{
		Ta0: new(class.Value(low.Ta0)), Tm1: &arrived, Tm2: new(uint32(time.Now().Unix()))})
	if err != nil {
		return before, before, true, err
	}
	if after, err = c.time(ctx); err == nil && after.Skew.Abs() > maxSkewLeft {
		err = fmt.Errorf("%w: still off by %v", ErrDiffers, after.Skew)
	}
	return before, after, true, err
}
