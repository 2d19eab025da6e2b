package console

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// logged is a machine with an event log that it gives out in pages.
type logged struct {
	*fake
	guard  sync.Mutex // guards what follows
	log    []string   // newest first
	page   int        // records per answer
	reads  int        // GetRecords so far
	before func(l *logged)
	frozen bool
	stuck  bool  // gives the same position again and again
	deaf   bool  // does not clear
	err    error // of every request
}

func newLogged(n int) *logged {
	l := &logged{fake: newFake(), page: 1000}
	l.add(n)
	return l
}

// add logs n events. Their data count on.
func (l *logged) add(n int) {
	for range n {
		r := eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.Fan, 0, eventlog.Monitor, eventlog.SystemBoard)
		r.Data[0], r.Data[1] = byte(l.next()>>8), byte(l.next())
		l.log = slices.Insert(l.log, 0, base64.StdEncoding.EncodeToString(r.Append(nil)))
	}
}

// next is the number of the next event.
func (l *logged) next() int {
	for _, text := range l.log {
		if r, err := parseEvent(text); err == nil && !r.Empty() {
			return numberOf(r) + 1
		}
	}
	return 1
}

func numberOf(r eventlog.Record) int { return int(r.Data[0])<<8 | int(r.Data[1]) }

func numbers(records []eventlog.Record) []int {
	var out []int
	for _, r := range records {
		out = append(out, numberOf(r))
	}
	return out
}

// down counts from high to low.
func down(high, low int) []int {
	var out []int
	for n := high; n >= low; n-- {
		out = append(out, n)
	}
	return out
}

func (l *logged) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	l.guard.Lock()
	defer l.guard.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	method, ok := strings.CutPrefix(req.Action, wsman.ClassURI("AMT_MessageLog")+"/")
	if !ok {
		if req.Action == wsman.ActionGet {
			l.instances["AMT_MessageLog"] = nil
			l.put(&amt.MessageLog{Name: new("log"), MaxNumberOfRecords: new(uint64(390)), IsFrozen: &l.frozen})
		}
		return l.fake.RoundTrip(ctx, req)
	}
	answer := func(code status.Status, out ...wsman.Element) (*wsman.Response, error) {
		out = append(out, wsman.El(req.ResourceURI, "ReturnValue", strconv.Itoa(int(code))))
		body := wsman.Group(req.ResourceURI, method+"_OUTPUT", out...)
		return &wsman.Response{Action: req.Action + wsman.ResponseSuffix, RelatesTo: req.MessageID, ResourceURI: req.ResourceURI, Body: &body}, nil
	}
	el := func(name, text string) wsman.Element { return wsman.El(req.ResourceURI, name, text) }
	switch method {
	case "PositionToFirstRecord":
		if len(l.log) == 0 {
			return answer(2)
		}
		return answer(0, el("IterationIdentifier", "1"))
	case "GetRecords":
		l.reads++
		if l.before != nil {
			l.before(l)
		}
		at, _ := strconv.Atoi(req.Body.ChildText("IterationIdentifier"))
		most, _ := strconv.Atoi(req.Body.ChildText("MaxReadRecords"))
		rest := l.log[at-1:]
		n := min(len(rest), most, l.page)
		next := at + n
		if l.stuck {
			next = at
		}
		out := []wsman.Element{el("IterationIdentifier", strconv.Itoa(next)), el("NoMoreRecords", strconv.FormatBool(n == len(rest) && !l.stuck))}
		for _, text := range rest[:n] {
			out = append(out, el("RecordArray", text))
		}
		return answer(0, out...)
	case "ClearLog":
		if l.frozen {
			return answer(status.EventLogFrozen)
		}
		if !l.deaf {
			l.log = nil
		}
		return answer(0)
	case "FreezeLog":
		l.frozen = !l.deaf && req.Body.ChildText("Freeze") == "true"
		return answer(0)
	}
	return nil, wsman.ErrActionNotSupported
}

func TestEvents(t *testing.T) {
	zeros := base64.StdEncoding.EncodeToString(make([]byte, eventlog.Size))
	for _, tt := range []struct {
		name  string
		how   func(l *logged)
		want  []int
		wrong int // damaged
	}{
		{"one page", func(l *logged) { l.add(390) }, down(390, 1), 0},
		{"many pages", func(l *logged) { l.add(390); l.page = 7 }, down(390, 1), 0},
		{"one record", func(l *logged) { l.add(1) }, []int{1}, 0},
		{"empty", func(*logged) {}, nil, 0},
		{"slots without events", func(l *logged) { l.add(2); l.log = append(l.log, zeros, zeros) }, []int{2, 1}, 0},
		{"what is no record", func(l *logged) { l.add(2); l.log = append(l.log, "AAAA", "!") }, []int{2, 1}, 2},
		{"grows while it is read", func(l *logged) {
			l.add(10)
			l.page = 4
			l.before = func(l *logged) {
				if l.reads == 2 {
					l.add(1)
				}
			}
		}, down(11, 1), 0},
	} {
		l := newLogged(0)
		tt.how(l)
		got, err := Over(l, "desk-7").Events(t.Context())
		if d := cmp.Diff(tt.want, numbers(got.Records)); d != "" || err != nil || got.Damaged != tt.wrong || got.Most != 390 {
			t.Errorf("%s: %v, %d damaged, -want +got\n%s", tt.name, err, got.Damaged, d)
		}
	}
	l := newLogged(10)
	l.stuck, l.page = true, 4
	if _, err := Over(l, "desk-7").Events(t.Context()); err == nil {
		t.Error("a log that does not go on: no error")
	}
	l = newLogged(10)
	l.page, l.before = 4, func(l *logged) { l.add(1) }
	if _, err := Over(l, "desk-7").Events(t.Context()); err == nil || !strings.Contains(err.Error(), "it changed") {
		t.Errorf("a log that never rests: got %v", err)
	}
}

func TestClearAndFreezeEvents(t *testing.T) {
	l := newLogged(3)
	c := Over(l, "desk-7")
	if err := c.FreezeEvents(t.Context(), true); err != nil {
		t.Error(err)
	}
	var refusal *status.Error
	if _, err := c.ClearEvents(t.Context()); !errors.As(err, &refusal) || refusal.Code != status.EventLogFrozen {
		t.Errorf("frozen: got %v", err)
	}
	if err := c.FreezeEvents(t.Context(), false); err != nil {
		t.Error(err)
	}
	if n, err := c.ClearEvents(t.Context()); n != 3 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	l.add(1)
	l.deaf = true
	if _, err := c.ClearEvents(t.Context()); !errors.Is(err, ErrDiffers) {
		t.Errorf("a log that stays: got %v", err)
	}
	if err := c.FreezeEvents(t.Context(), true); !errors.Is(err, ErrDiffers) {
		t.Errorf("a log that does not freeze: got %v", err)
	}
}

// Every step happens between two looks, five seconds apart.
func TestWatchEvents(t *testing.T) {
	gone := &UnreachableError{Address: "desk-7", Reason: TimedOut}
	for _, tt := range []struct {
		name    string
		backlog int
		steps   []func(l *logged)
		want    []int
		trouble int
		last    error
	}{
		{name: "nothing new"},
		{name: "backlog", backlog: 2, want: []int{2, 3}},
		{name: "more backlog than there is", backlog: 50, want: []int{1, 2, 3}},
		{name: "one by one", steps: []func(*logged){func(l *logged) { l.add(1) }, func(*logged) {}, func(l *logged) { l.add(2) }}, want: []int{4, 5, 6}},
		{name: "more than a look shows", steps: []func(*logged){func(l *logged) { l.add(100) }, func(l *logged) { l.add(1) }}, want: func() []int {
			out := down(104, 4)
			slices.Reverse(out)
			return out
		}()},
		{name: "cleared", steps: []func(*logged){func(l *logged) { l.log = nil }, func(l *logged) { l.add(2) }}, want: []int{1, 2}},
		{name: "alike", steps: []func(*logged){func(l *logged) { l.log = append([]string{l.log[0]}, l.log...) }}, want: []int{3}},
		{name: "away and back", steps: []func(*logged){func(l *logged) { l.err = gone }, func(*logged) {}, func(l *logged) { l.err = nil; l.add(1) }, func(l *logged) { l.err = gone }},
			want: []int{4}, trouble: 2},
		{name: "no access", steps: []func(*logged){func(l *logged) { l.err = wsman.ErrAccessDenied }}, last: wsman.ErrAccessDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLogged(3)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var got []int
				var last error
				trouble := 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					o := WatchOptions{Backlog: tt.backlog, OnTrouble: func(error) { trouble++ }}
					for r, err := range Over(l, "desk-7").WatchEvents(ctx, o) {
						if err != nil {
							last = err
							continue
						}
						got = append(got, numberOf(r))
					}
				}()
				time.Sleep(time.Second)
				for _, step := range tt.steps {
					synctest.Wait()
					l.guard.Lock()
					step(l)
					l.guard.Unlock()
					time.Sleep(5 * time.Second)
				}
				synctest.Wait()
				cancel()
				<-done
				if !slices.Equal(got, tt.want) || trouble != tt.trouble || !errors.Is(last, tt.last) {
					t.Errorf("got %v, %d times trouble, %v; want %v, %d, %v", got, trouble, last, tt.want, tt.trouble, tt.last)
				}
			})
		})
	}
}

// Whoever has seen enough stops, and the watch ends.
func TestWatchEventsStops(t *testing.T) {
	l := newLogged(9)
	n := 0
	for range Over(l, "desk-7").WatchEvents(t.Context(), WatchOptions{Backlog: 5}) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 || l.reads != 1 {
		t.Errorf("got %d records, %d reads", n, l.reads)
	}
}

func FuzzNewer(f *testing.F) {
	f.Add([]byte{3, 2, 1}, []byte{5, 4})
	f.Add([]byte{1, 1, 1}, []byte{1})
	f.Add([]byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, was, added []byte) {
		records := func(b []byte) (out []eventlog.Record) {
			for _, n := range b {
				out = append(out, eventlog.Record{Time: 1, Offset: n})
			}
			return out
		}
		old := records(was)
		now := append(records(added), old...)
		n := newer(old, now)
		if n > len(added) && len(old) > 0 || n > len(now) {
			t.Fatalf("%d of %v are new after %v", n, added, was)
		}
		// What is taken for old is old.
		if len(old) > 0 && !slices.Equal(now[n:][:min(len(old), len(now)-n)], old[:min(len(old), len(now)-n)]) {
			t.Fatalf("%v: %d after %v", fmt.Sprint(added), n, was)
		}
	})
}
