package console

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// clocked is a machine whose clock can be set; every request takes half a second each way.
type clocked struct {
	*fake
	sets int
	deaf bool
}

var clockMethods = func() *class.Mux[*clocked] {
	mux := &class.Mux[*clocked]{}
	class.Handle(mux, amt.TimeSynchronizationServiceSetHighAccuracyTimeSynch, func(_ context.Context, k *clocked, _ wsman.Selectors, in amt.TimeSynchronizationServiceSetHighAccuracyTimeSynchIn) (out amt.TimeSynchronizationServiceSetHighAccuracyTimeSynchOut, _ status.Status, _ error) {
		k.sets++
		if !k.deaf {
			k.skew += time.Duration(int64(*in.Tm1)-int64(*in.Ta0)) * time.Second
		}
		return out, 0, nil
	})
	return mux
}()

func (k *clocked) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	time.Sleep(500 * time.Millisecond)
	defer time.Sleep(500 * time.Millisecond)
	if wsman.ClassName(req.Action) == "SetHighAccuracyTimeSynch" {
		out, _, err := clockMethods.Invoke(ctx, k, "AMT_TimeSynchronizationService", "SetHighAccuracyTimeSynch", req.Selectors, req.Body)
		return &wsman.Response{Body: &out}, err
	}
	return k.fake.RoundTrip(ctx, req)
}

func TestSyncTime(t *testing.T) {
	for _, tt := range []struct {
		name      string
		skew      time.Duration
		tolerance time.Duration
		deaf      bool
		sets      int
		err       error
	}{
		{name: "ahead", skew: 3 * time.Hour, sets: 1},
		{name: "behind", skew: -100 * 24 * time.Hour, sets: 1},
		{name: "a little off", skew: 8 * time.Second, tolerance: 10 * time.Second},
		{name: "right", tolerance: time.Second},
		{name: "set, and stays wrong", skew: time.Minute, deaf: true, sets: 1, err: ErrDiffers},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := &clocked{fake: newFake(), deaf: tt.deaf}
			k.skew = tt.skew
			k.put(&amt.TimeSynchronizationService{Name: new("time"), LocalTimeSyncEnabled: new(amt.TimeSynchronizationServiceLocalTimeSyncEnabledFalse),
				TimeSource: new(amt.TimeSynchronizationServiceTimeSourceBiosRTC)})
			before, after, set, err := Over(k, "desk-7").SyncTime(t.Context(), tt.tolerance)
			if k.sets != tt.sets || set != (tt.sets > 0) || !errors.Is(err, tt.err) {
				t.Errorf("%s: set %d times, %v, %v; want %d, %v", tt.name, k.sets, set, err, tt.sets, tt.err)
			}
			if off := (before.Skew - tt.skew).Abs(); off > time.Second {
				t.Errorf("%s: skew before %v, want %v", tt.name, before.Skew, tt.skew)
			}
			if tt.err == nil && after.Skew.Abs() > max(time.Second, tt.tolerance) {
				t.Errorf("%s: skew after %v", tt.name, after.Skew)
			}
			if before.Source != "BIOS" || before.LocalSync == nil || *before.LocalSync {
				t.Errorf("%s: got %+v", tt.name, before)
			}
		})
	}
}

func TestTimeOfAMachineThatDoesNotTell(t *testing.T) {
	f := newFake()
	f.fail = func(req *wsman.Request) error { return wsman.ErrAccessDenied }
	if _, err := Over(f, "desk-7").Time(t.Context()); !errors.Is(err, wsman.ErrAccessDenied) {
		t.Errorf("got %v", err)
	}
}
