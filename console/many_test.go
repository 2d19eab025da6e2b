package console

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// One that is dead delays no other, and what is done comes at once.
func TestEachInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		targets := []time.Duration{time.Hour, 2 * time.Second, time.Second}
		var order []int
		for out := range Each(context.Background(), targets, &EachOptions{Timeout: time.Minute}, wait) {
			order = append(order, out.Index)
			if out.Target != targets[out.Index] || out.Took != min(out.Target, time.Minute) || (out.Err != nil) != (out.Index == 0) {
				t.Errorf("got %+v", out)
			}
		}
		if want := []int{2, 1, 0}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

func wait(ctx context.Context, d time.Duration) (time.Duration, error) {
	select {
	case <-time.After(d):
		return d, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestEachKeepsToTheFanout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		began := time.Now()
		n := 0
		for range Each(context.Background(), make([]int, 10), &EachOptions{Fanout: 3}, func(context.Context, int) (int, error) {
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			time.Sleep(time.Second)
			running.Add(-1)
			return 0, nil
		}) {
			n++
		}
		if n != 10 || most.Load() != 3 || time.Since(began) != 4*time.Second {
			t.Errorf("%d outcomes, %d at once, %v", n, most.Load(), time.Since(began))
		}
	})
}

func TestEachDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var starts []time.Duration
		for out := range Each(context.Background(), make([]int, 3), &EachOptions{Delay: 5 * time.Second}, func(context.Context, int) (time.Duration, error) {
			return time.Since(began), nil
		}) {
			starts = append(starts, out.Value)
		}
		if want := []time.Duration{0, 5 * time.Second, 10 * time.Second}; !slices.Equal(starts, want) {
			t.Errorf("started at %v, want %v", starts, want)
		}
	})
}

func TestEachStopsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for out := range Each(context.Background(), []time.Duration{time.Second, time.Hour, time.Hour}, &EachOptions{Fanout: 2}, wait) {
			if out.Err != nil {
				t.Error(out.Err)
			}
			break
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("the rest was waited for: %v", took)
		}
	})
}

func TestEachCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		n := 0
		for out := range Each(ctx, make([]time.Duration, 5), &EachOptions{Fanout: 1}, func(ctx context.Context, _ time.Duration) (time.Duration, error) {
			cancel()
			return wait(ctx, time.Hour)
		}) {
			if n++; !errors.Is(out.Err, context.Canceled) {
				t.Errorf("got %+v", out)
			}
		}
		if n != 5 {
			t.Errorf("%d outcomes of 5", n)
		}
	})
}

func TestEachOfNothing(t *testing.T) {
	for range Each(t.Context(), []int{}, nil, func(context.Context, int) (int, error) { return 0, nil }) {
		t.Error("an outcome of nothing")
	}
}

func TestSum(t *testing.T) {
	dead := &UnreachableError{Reason: TimedOut}
	for _, tt := range []struct {
		name string
		errs []error
		want Kind
	}{
		{"nothing", nil, KindOK},
		{"all well", []error{nil, nil}, KindOK},
		{"the only one", []error{dead}, KindUnreachable},
		{"some", []error{nil, dead}, KindPartial},
		{"all for one reason", []error{dead, dead}, KindUnreachable},
		{"all for different reasons", []error{dead, ErrUnauthorized}, KindPartial},
	} {
		if got, _ := Explain(Sum(tt.errs)); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
