package console

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// forgetful is old firmware: it keeps four enumerations open, and forgets the oldest for a new one.
type forgetful struct {
	*paged
	mu   sync.Mutex
	kept []string
	lost int
}

func (f *forgetful) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	time.Sleep(time.Millisecond) // on the clock of the bubble: whatever runs at once does
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Action == wsman.ActionPull && !slices.Contains(f.kept, req.Body.ChildText("EnumerationContext")) {
		f.lost++
		return nil, wsman.ErrInvalidEnumerationContext
	}
	resp, err := f.paged.RoundTrip(ctx, req)
	if err != nil {
		return nil, err
	}
	switch id := resp.Body.ChildText("EnumerationContext"); {
	case req.Action == wsman.ActionEnumerate:
		if f.kept = append(f.kept, id); len(f.kept) > 4 {
			f.kept = f.kept[1:]
		}
	case resp.Body.Child("EndOfSequence") != nil:
		done := req.Body.ChildText("EnumerationContext")
		f.kept = slices.DeleteFunc(f.kept, func(k string) bool { return k == done })
	}
	return resp, nil
}

// Reports that read many classes at once do not have old firmware forget the first of them.
func TestFewEnumerationsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{paged: &paged{fake: inventoried(), open: map[string][]wsman.Element{}}}
		got, err := Over(f, "desk-7").Hardware(t.Context())
		if err != nil || f.lost > 0 {
			t.Fatalf("%d enumerations lost: %v", f.lost, err)
		}
		if len(got.Disks) != 2 || len(got.Memory) != 2 || len(got.Batteries) != 1 || len(got.Fans) != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

// What a machine has forgotten half way, as other consoles have it enumerate too, is an error and not the end of a list.
func TestLostEnumerationIsTold(t *testing.T) {
	f := inventoried()
	f.fail = func(req *wsman.Request) error {
		if req.Action == wsman.ActionEnumerate && wsman.ClassName(req.ResourceURI) == "CIM_MediaAccessDevice" {
			return wsman.ErrInvalidEnumerationContext
		}
		return nil
	}
	if _, err := Over(f, "desk-7").Hardware(t.Context()); !errors.Is(err, wsman.ErrInvalidEnumerationContext) {
		t.Errorf("got %v", err)
	}
}

// A loop that waits for its turn ends with its context.
func TestEnumerationWaitsNoLongerThanItsContext(t *testing.T) {
	c := Over(newFake(), "desk-7")
	for range maxEnumerations {
		if _, err := c.BeginEnumeration(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range wsman.Enumerate(ctx, c, wsman.ClassURI("CIM_Fan"), nil, nil) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}
