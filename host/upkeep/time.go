// Package upkeep keeps AMT in step with the operating system of its PC: AMT's clock is set to the PC's, and AMT is told the
// PC's IPv4 settings where they were set by hand, and its wireless networks, so that both go by the same. Each is a
// function for a task of package lms.
//
// AMT says whether it wants to be set by its PC: what an administrator has switched off is left alone.
//
// Sources: spec lms.md section 9, wireless.md section 7.6; intel/lms TimeSyncService, SharedStaticIPService;
// NetworkManager's D-Bus API reference.
package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/wsman"
)

// TimeEvery is how often the clock is looked at.
const TimeEvery = 24 * time.Hour

// tolerance is how far AMT's clock may be off. Source: spec lms.md section 9.1.
const tolerance = 30 * time.Second

// leftOver is how far it may be off once it has been set: both ends count whole seconds.
const leftOver = 5 * time.Second

// Time sets AMT's clock to the PC's, in UTC, if it is off by more than half a minute and AMT lets itself be set, and reads
// it again.
func Time(ctx context.Context, c *wsman.Client) error {
	service, err := class.Get[amt.TimeSynchronizationService](ctx, c)
	if err != nil {
		return err
	}
	if class.Value(service.LocalTimeSyncEnabled) == amt.TimeSynchronizationServiceLocalTimeSyncEnabledFalse {
		return nil
	}
	theirs, off, err := clock(ctx, c)
	if err != nil || off.Abs() <= tolerance {
		return err
	}
	now := uint32(time.Now().Unix())
	_, err = amt.TimeSynchronizationServiceSetHighAccuracyTimeSynch.Invoke(ctx, c, amt.TimeSynchronizationServiceSetHighAccuracyTimeSynchIn{
		Ta0: &theirs, Tm1: &now, Tm2: &now})
	if err != nil {
		return err
	}
	if _, off, err = clock(ctx, c); err == nil && off.Abs() > leftOver {
		err = fmt.Errorf("AMT's clock is off by %v after it was set", off)
	}
	return err
}

// clock reads AMT's clock, and how far it is ahead of the PC's.
func clock(ctx context.Context, c *wsman.Client) (theirs uint32, ahead time.Duration, err error) {
	out, err := amt.TimeSynchronizationServiceGetLowAccuracyTimeSynch.Invoke(ctx, c, amt.TimeSynchronizationServiceGetLowAccuracyTimeSynchIn{})
	if err == nil && out.Ta0 == nil {
		err = errors.New("AMT does not tell its time")
	}
	if err != nil {
		return 0, 0, err
	}
	return *out.Ta0, time.Duration(int64(*out.Ta0)-time.Now().Unix()) * time.Second, nil
}
