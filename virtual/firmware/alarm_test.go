package firmware_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// alarmIn is an alarm that rings so many whole minutes from now.
func alarmIn(name string, after, every time.Duration, once bool) ips.AlarmClockOccurrence {
	return ips.AlarmClockOccurrence{InstanceID: &name, StartTime: new(wsman.At(time.Now().Truncate(time.Minute).Add(after))),
		Interval: new(wsman.Every(every)), DeleteOnCompletion: &once}
}

func addAlarm(t *testing.T, w *world, a ips.AlarmClockOccurrence) error {
	t.Helper()
	out, err := amt.AlarmClockServiceAddAlarm.Invoke(t.Context(), w, amt.AlarmClockServiceAddAlarmIn{AlarmTemplate: new(a.Element())})
	if err == nil && (out.AlarmClock == nil || out.AlarmClock.Selectors.Value("InstanceID") != class.Value(a.InstanceID)) {
		t.Errorf("got reference %+v", out.AlarmClock)
	}
	return err
}

func alarmNames(t *testing.T, w *world) (names []string) {
	t.Helper()
	all, err := class.All[ips.AlarmClockOccurrence](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		names = append(names, class.Value(a.InstanceID))
	}
	return names
}

func hostBootReason(t *testing.T, w *world) (reason uint32, details string, previous uint32) {
	t.Helper()
	r, err := class.Get[ips.HostBootReason](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(class.Value(r.Reason)), class.Value(r.ReasonDetails), class.Value(r.PreviousSxState)
}

func TestAlarmWakesOnce(t *testing.T) {
	for _, once := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, firmware.Config{}, pc.Options{})
			if err := addAlarm(t, w, alarmIn("morning", 10*time.Minute, 0, once)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(9 * time.Minute)
			synctest.Wait()
			if got := w.pc.Power(); got != firmware.S5 {
				t.Errorf("before the time: %v", got)
			}
			time.Sleep(time.Minute)
			w.settle()
			if b := w.pc.LastBoot(); b.Number != 1 || w.pc.Phase() != pc.Running {
				t.Fatalf("at the time: %s, %+v", w.pc.Phase(), b)
			}
			if reason, details, previous := hostBootReason(t, w); reason != 2 || details != "morning" || previous != 5 {
				t.Errorf("boot reason %d %q %d", reason, details, previous)
			}
			if got := alarmNames(t, w); (len(got) == 0) != once {
				t.Errorf("delete on completion %v, and alarms are %v", once, got)
			}
			w.pc.Person().Press()
			w.settle()
			time.Sleep(48 * time.Hour)
			synctest.Wait()
			if got := w.pc.LastBoot().Number; got != 1 {
				t.Errorf("it rang %d times", got)
			}
		})
	}
}

// A repeated alarm goes on, and wakes a PC that sleeps without a boot.
func TestAlarmRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		if err := addAlarm(t, w, alarmIn("daily", time.Hour, 24*time.Hour, true)); err != nil {
			t.Fatal(err)
		}
		for day := range 3 {
			w.pc.Person().Sleep()
			w.settle()
			if got := w.pc.Power(); got != firmware.S3 {
				t.Fatalf("day %d: %v", day, got)
			}
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			if got := w.pc.Power(); got != firmware.S0 {
				t.Fatalf("day %d: not woken: %v", day, got)
			}
			if reason, details, previous := hostBootReason(t, w); reason != 2 || details != "daily" || previous != 3 {
				t.Errorf("day %d: boot reason %d %q %d", day, reason, details, previous)
			}
			a, err := class.Get[ips.AlarmClockOccurrence](t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(a.StartTime.Time); left <= 0 || left > 24*time.Hour {
				t.Errorf("day %d: the next time is %v from now", day, left)
			}
		}
		if got := w.pc.LastBoot().Number; got != 0 {
			t.Errorf("%d boots", got)
		}
	})
}

// Options for the next boot wait for a boot that a client asks for.
func TestAlarmLeavesBootOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		d, err := class.Get[amt.BootSettingData](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		d.BIOSSetup, d.BIOSLastStatus, d.OptionsCleared = new(true), nil, nil
		if _, err := class.Put(t.Context(), w, d); err != nil {
			t.Fatal(err)
		}
		if err := addAlarm(t, w, alarmIn("a", time.Minute, 0, true)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		w.settle()
		if got := w.pc.Phase(); got != pc.Running {
			t.Errorf("the PC is at %q", got)
		}
	})
}

func TestAlarmRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		for _, tt := range []struct {
			name string
			a    ips.AlarmClockOccurrence
			want status.Status
		}{
			{"in the past", alarmIn("a", -time.Minute, 0, false), status.InvalidParameter},
			{"now", alarmIn("a", 0, 0, false), status.InvalidParameter},
			{"without a name", alarmIn("", time.Minute, 0, false), status.InvalidParameter},
			{"backwards", alarmIn("a", time.Minute, -time.Minute, false), status.InvalidParameter},
			{"without a time", ips.AlarmClockOccurrence{InstanceID: new("a")}, status.InvalidParameter},
		} {
			var refused *status.Error
			if err := addAlarm(t, w, tt.a); !errors.As(err, &refused) || refused.Code != tt.want {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
		}
		for _, name := range []string{"1", "2", "3", "4", "5"} {
			if err := addAlarm(t, w, alarmIn(name, time.Hour, 0, false)); err != nil {
				t.Fatal(err)
			}
		}
		var refused *status.Error
		if err := addAlarm(t, w, alarmIn("5", time.Hour, 0, false)); !errors.As(err, &refused) || refused.Code != status.Duplicate {
			t.Errorf("the same name: %v", err)
		}
		if err := addAlarm(t, w, alarmIn("6", time.Hour, 0, false)); !errors.As(err, &refused) || refused.Code != status.MaxLimitReached {
			t.Errorf("the sixth: %v", err)
		}
		past := alarmIn("1", -time.Hour, 0, false)
		if _, err := class.Put(t.Context(), w, &past); !errors.Is(err, wsman.ErrInvalidRepresentation) {
			t.Errorf("moved into the past: %v", err)
		}
	})
}

// An alarm can be moved and removed, and setting the clock moves what is between now and then.
func TestAlarmChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(25 * 366 * 24 * time.Hour) // a bubble begins in 2000, and clocks cannot be set to before 2004
		w := newWorld(t, firmware.Config{}, pc.Options{})
		for _, name := range []string{"a", "b"} {
			if err := addAlarm(t, w, alarmIn(name, time.Hour, 0, false)); err != nil {
				t.Fatal(err)
			}
		}
		if err := class.Delete[ips.AlarmClockOccurrence](t.Context(), w, wsman.Selector{Name: "InstanceID", Value: "a"}); err != nil {
			t.Fatal(err)
		}
		moved := alarmIn("b", 3*time.Hour, 0, false)
		if _, err := class.Put(t.Context(), w, &moved); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		w.settle()
		if got := w.pc.LastBoot().Number; got != 0 {
			t.Fatal("a removed or moved alarm has rung")
		}
		now := uint32(time.Now().Unix())
		_, err := amt.TimeSynchronizationServiceSetHighAccuracyTimeSynch.Invoke(t.Context(), w, amt.TimeSynchronizationServiceSetHighAccuracyTimeSynchIn{
			Ta0: &now, Tm1: new(now + 1800), Tm2: new(now + 1800)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Minute)
		w.settle()
		if got := w.pc.LastBoot().Number; got != 1 {
			t.Error("the clock is half an hour ahead, and the alarm is not")
		}
	})
}

// Alarms outlive a restart of the firmware, and an unprovision ends them.
func TestAlarmState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		if err := addAlarm(t, w, alarmIn("kept", time.Hour, 24*time.Hour, false)); err != nil {
			t.Fatal(err)
		}
		var saved bytes.Buffer
		if err := w.Dump(&saved); err != nil {
			t.Fatal(err)
		}
		w.Unprovision()
		time.Sleep(2 * time.Hour)
		w.settle()
		if got := w.pc.LastBoot().Number; got != 0 {
			t.Error("an alarm of before the unprovision has rung")
		}
		state, err := firmware.ReadState(&saved)
		if err != nil {
			t.Fatal(err)
		}
		again := newWorld(t, firmware.Config{State: state}, pc.Options{})
		if got := alarmNames(t, again); !slices.Equal(got, []string{"kept"}) {
			t.Errorf("alarms %v", got)
		}
		time.Sleep(24 * time.Hour)
		again.settle()
		if got := again.pc.LastBoot().Number; got != 1 {
			t.Errorf("%d boots after a day", got)
		}
	})
}

// Before 8.0 there was one alarm, a property of the service.
func TestAlarmOfOldReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{Version: "7.1.91"}, pc.Options{})
		s, err := class.Get[amt.AlarmClockService](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		s.NextAMTAlarmTime = new(wsman.At(time.Now().Add(time.Hour)))
		if _, err := class.Put(t.Context(), w, s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		w.settle()
		if got := w.pc.LastBoot().Number; got != 1 {
			t.Errorf("%d boots", got)
		}
		if s, err = class.Get[amt.AlarmClockService](t.Context(), w); err != nil || s.NextAMTAlarmTime != nil {
			t.Errorf("the alarm is still set: %v, %v", s.NextAMTAlarmTime, err)
		}
	})
}
