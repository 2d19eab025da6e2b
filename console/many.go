package console

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
)

// DefaultFanout is how many machines are worked on at once.
const DefaultFanout = 64

// EachOptions says how to go about many machines. The zero value works.
type EachOptions struct {
	Fanout  int           // machines at once; 0: [DefaultFanout]
	Timeout time.Duration // for one machine; 0: as the context says
	Delay   time.Duration // between two starts, so that not all power supplies switch at once; 0: none
}

// An Outcome is what came of one machine.
type Outcome[T, R any] struct {
	Index  int // in the list of targets
	Target T
	Value  R
	Err    error
	Took   time.Duration
}

// Each runs do for every target, several at once, and yields what came of each as soon as it is there: one that is
// dead delays no other, as long as fewer than the fan-out are. A caller that stops early cancels the rest. When
// the loop has ended nothing runs any more. A cancelled context yields its error for what was not started.
func Each[T, R any](ctx context.Context, targets []T, o *EachOptions, do func(ctx context.Context, target T) (R, error)) iter.Seq[Outcome[T, R]] {
	if o == nil {
		o = &EachOptions{}
	}
	fanout := o.Fanout
	if fanout <= 0 {
		fanout = DefaultFanout
	}
	return func(yield func(Outcome[T, R]) bool) {
		indexed := fan(ctx, slices.All(targets), min(fanout, len(targets)), o.Delay, func(ctx context.Context, i int, target T) Outcome[T, R] {
			if o.Timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, o.Timeout)
				defer cancel()
			}
			out := Outcome[T, R]{Index: i, Target: target, Err: context.Cause(ctx)}
			if out.Err == nil {
				began := time.Now()
				out.Value, out.Err = do(ctx, target)
				out.Took = time.Since(began)
			}
			return out
		})
		indexed(yield)
	}
}

// fan runs do over the items of in with so many workers, and yields results as they come. It returns when every
// worker has ended.
func fan[K, T, R any](ctx context.Context, in iter.Seq2[K, T], workers int, delay time.Duration, do func(context.Context, K, T) R) iter.Seq[R] {
	type item struct {
		key K
		val T
	}
	return func(yield func(R) bool) {
		ctx, cancel := context.WithCancel(ctx)
		stopped := make(chan struct{}) // the caller wants no more
		work, results := make(chan item), make(chan R)
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				for it := range work {
					select {
					case results <- do(ctx, it.key, it.val):
					case <-stopped:
						return
					}
				}
			})
		}
		group.Go(func() {
			defer close(work)
			first := true
			for key, val := range in {
				if !first && delay > 0 {
					select {
					case <-time.After(delay):
					case <-ctx.Done():
					}
				}
				first = false
				select {
				case work <- item{key, val}:
				case <-stopped:
					return
				}
			}
		})
		done := make(chan struct{})
		go func() { group.Wait(); close(done) }()
		defer func() {
			close(stopped)
			cancel()
			<-done
		}()
		for {
			select {
			case r := <-results:
				if !yield(r) {
					return
				}
			case <-done:
				return
			}
		}
	}
}

// A PartialError says that some of many failed.
type PartialError struct {
	Failed, Total int
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("%d of %d machines failed", e.Failed, e.Total)
}

// Sum makes one error of the errors of many machines: nil if all went well, the error itself if there was but one
// machine, a [*PartialError] if some failed, and if all failed for one kind of reason the first error.
func Sum(errs []error) error {
	var first error
	failed, kinds := 0, map[Kind]bool{}
	for _, err := range errs {
		if err != nil {
			if first == nil {
				first = err
			}
			failed++
			kind, _ := Explain(err)
			kinds[kind] = true
		}
	}
	switch {
	case failed == 0:
		return nil
	case failed == len(errs) && len(kinds) == 1:
		return first
	}
	return &PartialError{Failed: failed, Total: len(errs)}
}
