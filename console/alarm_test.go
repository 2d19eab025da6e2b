package console

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// An alarmFake is a fake with an alarm clock.
type alarmFake struct {
	*fake
	forgets bool // says yes to changes and keeps nothing
}

const alarmClass = "IPS_AlarmClockOccurrence"

func newAlarmFake(alarms ...ips.AlarmClockOccurrence) *alarmFake {
	f := &alarmFake{fake: newFake()}
	f.instances[alarmClass] = []wsman.Element{}
	for i := range alarms {
		f.fake.put(&alarms[i])
	}
	return f
}

func (f *alarmFake) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	name := wsman.ClassName(req.ResourceURI)
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(body *wsman.Element) (*wsman.Response, error) {
		f.calls = append(f.calls, wsman.ClassName(req.Action)+" "+name)
		return &wsman.Response{Action: req.Action + wsman.ResponseSuffix, ResourceURI: req.ResourceURI, Body: body}, nil
	}
	switch {
	case name == alarmClass && req.Action == wsman.ActionDelete:
		if !f.forgets {
			f.instances[name] = slices.DeleteFunc(f.instances[name], func(e wsman.Element) bool { return e.ChildText("InstanceID") == req.Selectors.Value("InstanceID") })
		}
		return answer(nil)
	case strings.HasSuffix(req.Action, "/AddAlarm"):
		var v ips.AlarmClockOccurrence
		if err := v.Decode(req.Body.Child("AlarmTemplate")); err != nil {
			return nil, err
		}
		if !f.forgets {
			f.instances[alarmClass] = append(f.instances[alarmClass], v.Element())
		}
		uri := req.ResourceURI
		return answer(new(wsman.Group(uri, "AddAlarm_OUTPUT", wsman.El(uri, "ReturnValue", "0"))))
	}
	f.mu.Unlock()
	defer f.mu.Lock()
	return f.fake.RoundTrip(ctx, req)
}

func minutes(n int) time.Time {
	return time.Now().Truncate(time.Minute).Add(time.Duration(n) * time.Minute)
}

func occurrence(id string, start time.Time) ips.AlarmClockOccurrence {
	return ips.AlarmClockOccurrence{InstanceID: &id, StartTime: new(wsman.At(start)), Interval: new(wsman.Every(0)), DeleteOnCompletion: new(false)}
}

func TestAddAlarm(t *testing.T) {
	f := newAlarmFake()
	want := Alarm{ID: "a", Start: minutes(10).UTC(), Every: 24 * time.Hour, Once: true}
	got, err := Over(f, "x").AddAlarm(t.Context(), want)
	want.Name = "a"
	if err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	e := f.instances[alarmClass][0]
	if e.ChildText("InstanceID") != "a" || e.Child("Interval").ChildText("Interval") != "P1DT0H0M0S" || e.Child("ElementName") != nil {
		t.Errorf("sent %+v", e)
	}
}

func TestAddAlarmRefusedBefore(t *testing.T) {
	full := []ips.AlarmClockOccurrence{}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		full = append(full, occurrence(id, minutes(60)))
	}
	for _, tt := range []struct {
		name string
		have []ips.AlarmClockOccurrence
		skew time.Duration
		a    Alarm
		want error
	}{
		{"no name", nil, 0, Alarm{Start: minutes(10)}, ErrUsage},
		{"a long name", nil, 0, Alarm{ID: strings.Repeat("x", 33), Start: minutes(10)}, ErrUsage},
		{"in the past", nil, 0, Alarm{ID: "a", Start: minutes(-1)}, ErrUsage},
		{"in the past by the machine's clock", nil, time.Hour, Alarm{ID: "a", Start: minutes(10)}, ErrUsage},
		{"off the minute", nil, 0, Alarm{ID: "a", Start: minutes(10).Add(time.Second)}, ErrUsage},
		{"again after seconds", nil, 0, Alarm{ID: "a", Start: minutes(10), Every: time.Second}, ErrUsage},
		{"taken", full[:1], 0, Alarm{ID: "1", Start: minutes(10)}, ErrUsage},
		{"a sixth", full, 0, Alarm{ID: "6", Start: minutes(10)}, ErrNotOffered},
	} {
		f := newAlarmFake(tt.have...)
		f.skew = tt.skew
		if _, err := Over(f, "x").AddAlarm(t.Context(), tt.a); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if len(f.instances[alarmClass]) != len(tt.have) {
			t.Errorf("%s: sent all the same", tt.name)
		}
	}
}

func TestAlarmsReadBack(t *testing.T) {
	f := newAlarmFake(occurrence("b", minutes(20)))
	f.forgets = true
	c := Over(f, "x")
	if _, err := c.AddAlarm(t.Context(), Alarm{ID: "a", Start: minutes(10)}); !errors.Is(err, ErrDiffers) {
		t.Errorf("add: %v", err)
	}
	if _, err := c.RemoveAlarms(t.Context(), "b"); !errors.Is(err, ErrDiffers) {
		t.Errorf("remove: %v", err)
	}
}

func TestRemoveAlarms(t *testing.T) {
	f := newAlarmFake(occurrence("c", minutes(30)), occurrence("a", minutes(10)), occurrence("b", minutes(20)))
	c := Over(f, "x")
	all, err := c.Alarms(t.Context())
	if err != nil || len(all) != 3 || all[0].ID != "a" || all[2].ID != "c" {
		t.Errorf("got %+v, %v", all, err)
	}
	if _, err := c.RemoveAlarms(t.Context(), "a", "x"); !errors.Is(err, ErrUsage) || len(f.instances[alarmClass]) != 3 {
		t.Errorf("a wrong name among others: %v, %d left", err, len(f.instances[alarmClass]))
	}
	if gone, err := c.RemoveAlarms(t.Context(), "b"); err != nil || !slices.Equal(gone, []string{"b"}) {
		t.Errorf("got %v, %v", gone, err)
	}
	if gone, err := c.RemoveAlarms(t.Context()); err != nil || len(gone) != 2 || len(f.instances[alarmClass]) != 0 {
		t.Errorf("got %v, %v", gone, err)
	}
}

// Releases 5.1 to 7 have one alarm, a property of the service; still older ones have none.
func TestAlarmOfOldReleases(t *testing.T) {
	f := newFake()
	f.put(&amt.AlarmClockService{Name: new("Intel(r) AMT Alarm Clock Service")})
	c := Over(f, "x")
	got, err := c.AddAlarm(t.Context(), Alarm{ID: "a", Start: minutes(10), Every: time.Hour})
	if err != nil || got.ID != oneAlarm || !got.Start.Equal(minutes(10)) || got.Every != time.Hour {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := c.AddAlarm(t.Context(), Alarm{ID: "b", Start: minutes(20)}); !errors.Is(err, ErrNotOffered) {
		t.Errorf("a second: %v", err)
	}
	if _, err := Over(newFake(), "x").Alarms(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("none at all: %v", err)
	}
}
