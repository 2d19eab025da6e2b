package firmware

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// maxAlarms is how many alarms there can be. Source: go-wsman-messages pkg/wsman/amt/alarmclock; spec power-and-boot.md
// section 8.
const maxAlarms = 5

// alarms wakes the PC. What is to come stands in the store: instances of IPS_AlarmClockOccurrence, or, before 8.0, the
// one alarm of AMT_AlarmClockService. This is the timer that runs towards the next of them, by the machine's own clock.
type alarms struct {
	mu     sync.Mutex // guards what follows
	seen   time.Time  // what was due until then has been seen to
	timer  *time.Timer
	turn   int // number of the timer that counts
	closed bool
	timers sync.WaitGroup
}

// dump writes nothing: the alarms are instances.
func (a *alarms) dump() (json.RawMessage, error) { return nil, nil }
func (a *alarms) load(json.RawMessage) error     { return nil }

// stop voids the timer. mu is held.
func (a *alarms) stop() {
	a.turn++
	if a.timer != nil && a.timer.Stop() {
		a.timers.Done()
	}
	a.timer = nil
}

// close stops the timer for good and waits for it.
func (a *alarms) close() {
	a.mu.Lock()
	a.closed = true
	a.stop()
	a.mu.Unlock()
	a.timers.Wait()
}

// An alarm is one alarm as it is stored.
type alarm struct {
	name  string
	next  time.Time // to the minute, as the BIOS has it; seconds are ignored
	every time.Duration
	once  bool // gone when it has rung
	at    *instance
}

// alarmsStored returns all alarms.
func (m *Machine) alarmsStored() (out []alarm) {
	if ci := m.catalogue.classes["IPS_AlarmClockOccurrence"]; ci != nil {
		for _, i := range m.store.of(ci) {
			var v ips.AlarmClockOccurrence
			if v.Decode(&i.element) == nil && v.StartTime != nil {
				a := alarm{name: class.Value(v.ElementName), next: v.StartTime.Time, once: class.Value(v.DeleteOnCompletion), at: i}
				if v.Interval != nil {
					a.every = v.Interval.Interval
				}
				out = append(out, a)
			}
		}
	} else if ci := m.catalogue.classes["AMT_AlarmClockService"]; ci != nil {
		for _, i := range m.store.of(ci) {
			var v amt.AlarmClockService
			if v.Decode(&i.element) == nil && v.NextAMTAlarmTime != nil {
				a := alarm{next: v.NextAMTAlarmTime.Time, once: true, at: i}
				if v.AMTAlarmClockInterval != nil {
					a.every = v.AMTAlarmClockInterval.Interval
				}
				out = append(out, a)
			}
		}
	}
	for i := range out {
		out[i].next = out[i].next.Truncate(time.Minute)
		out[i].every = out[i].every.Truncate(time.Minute)
	}
	return out
}

// armAlarms sets the timer to the next alarm. What lies in the past by now stays silent; a repeated one goes on with its
// next time. It is called when alarms or the clock have changed.
func (m *Machine) armAlarms() {
	m.alarms.mu.Lock()
	defer m.alarms.mu.Unlock()
	m.alarms.seen = m.now()
	m.armNext()
}

// armNext sets the timer. The caller holds alarms.mu.
func (m *Machine) armNext() {
	a := &m.alarms
	a.stop()
	var next time.Time
	for _, x := range m.alarmsStored() {
		if at := x.after(a.seen); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() || a.closed {
		return
	}
	turn := a.turn
	a.timers.Add(1)
	a.timer = time.AfterFunc(next.Sub(m.now()), func() {
		defer a.timers.Done()
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.turn != turn || a.closed {
			return
		}
		a.timer = nil
		until := m.now()
		m.ring(a.seen, until)
		a.seen = until
		m.armNext()
	})
}

// after returns when the alarm rings first after a moment; zero if it does not any more.
func (a *alarm) after(t time.Time) time.Time {
	if a.next.After(t) {
		return a.next
	}
	if a.every <= 0 {
		return time.Time{}
	}
	return a.next.Add((t.Sub(a.next)/a.every + 1) * a.every)
}

// ring sees to the alarms that are due in the time after from, up to until. The caller holds alarms.mu.
func (m *Machine) ring(from, until time.Time) {
	for _, x := range m.alarmsStored() {
		at := x.after(from)
		if at.IsZero() || at.After(until) {
			continue
		}
		m.log.Info("alarm", "name", x.name, "time", at)
		m.wake(x.name)
		m.rang(&x, x.after(until))
	}
}

// rang moves an alarm to its next time, or ends it: next is zero.
func (m *Machine) rang(x *alarm, next time.Time) {
	ci, e := x.at.class, x.at.element
	e.Children = slices.Clone(e.Children)
	occurrence := ci.Name == "IPS_AlarmClockOccurrence"
	switch {
	case !next.IsZero() && occurrence:
		setElements(&e, "StartTime", wsman.At(next).Element(e.Space, "StartTime"))
	case !next.IsZero():
		setElements(&e, "NextAMTAlarmTime", wsman.At(next).Element(e.Space, "NextAMTAlarmTime"))
	case !x.once:
		return // stays, and never rings again
	case occurrence:
		m.store.update(ci, x.at, nil)
		return
	default:
		set(&e, "NextAMTAlarmTime")
		set(&e, "AMTAlarmClockInterval")
	}
	ci.Order(e.Children)
	m.store.update(ci, x.at, ci.instance(e)) // unless somebody has just changed it
}

// wake switches the PC on. Options for the next boot are not for this one: they act on boots that a client asks for.
func (m *Machine) wake(name string) {
	if m.platform == nil {
		return
	}
	was := m.platform.Power()
	if was == S0 || was == G3 || !m.power.claim(PowerUp) {
		return // on already, on its way, or without power
	}
	reason := hostBootReason{Reason: reasonAlarm, Details: name, Previous: uint32(was)}
	err := m.platform.Do(context.Background(), PowerUp, func() BootPlan {
		m.noteBoot(reason)
		return BootPlan{}
	})
	switch {
	case err != nil:
		m.log.Debug("alarm: the platform does not wake", "error", err)
		m.power.release()
	case was == S3: // no boot follows that would ask for a plan
		m.noteBoot(reason)
	}
}

// reasonAlarm is IPS_HostBootReason.Reason after an alarm.
const reasonAlarm = 2

// registerAlarms gives the alarm clock its life. Source: spec power-and-boot.md section 8.
func registerAlarms(t *table) {
	class.Handle(&t.methods, amt.AlarmClockServiceAddAlarm, addAlarm)
	rearm := func(_ context.Context, m *Machine, _, _ *wsman.Element) { m.armAlarms() }
	b := t.class("IPS_AlarmClockOccurrence")
	b.after = rearm
	b.onPut = func(_ context.Context, m *Machine, _, want *wsman.Element) error {
		var v ips.AlarmClockOccurrence
		if err := v.Decode(want); err != nil {
			return wsman.ErrInvalidRepresentation.With(err.Error())
		}
		if m.badAlarm(v.StartTime, v.Interval) {
			return badValue()
		}
		return nil
	}
	b = t.class("AMT_AlarmClockService")
	b.after = rearm
	b.onPut = func(_ context.Context, m *Machine, _, want *wsman.Element) error {
		var v amt.AlarmClockService
		if err := v.Decode(want); err != nil {
			return wsman.ErrInvalidRepresentation.With(err.Error())
		}
		if v.NextAMTAlarmTime != nil && m.badAlarm(v.NextAMTAlarmTime, v.AMTAlarmClockInterval) {
			return badValue()
		}
		return nil
	}
}

// badAlarm reports what firmware does not take: a start that is no moment or has passed, an interval that is none.
func (m *Machine) badAlarm(start, every *wsman.Datetime) bool {
	return start == nil || start.IsInterval() || !start.Time.Truncate(time.Minute).After(m.now()) ||
		every != nil && (!every.IsInterval() || every.Interval < 0)
}

// addAlarm makes a new alarm.
func addAlarm(_ context.Context, m *Machine, _ wsman.Selectors, in amt.AlarmClockServiceAddAlarmIn) (out amt.AlarmClockServiceAddAlarmOut, _ status.Status, _ error) {
	ci := m.catalogue.classes["IPS_AlarmClockOccurrence"]
	var v ips.AlarmClockOccurrence
	if ci == nil || in.AlarmTemplate == nil || v.Decode(in.AlarmTemplate) != nil || len(v.Extra) > 0 ||
		class.Value(v.InstanceID) == "" || m.badAlarm(v.StartTime, v.Interval) {
		return out, status.InvalidParameter, nil
	}
	if v.ElementName == nil {
		v.ElementName = v.InstanceID
	}
	if v.Interval == nil {
		v.Interval = new(wsman.Every(0))
	}
	if v.DeleteOnCompletion == nil {
		v.DeleteOnCompletion = new(false)
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	e := v.Element()
	ci.Order(e.Children)
	now := ci.instance(e)
	list := m.store.of(ci)
	for _, other := range list {
		if other.keys.Equal(now.keys) {
			return out, status.Duplicate, nil
		}
	}
	if len(list) >= maxAlarms {
		return out, status.MaxLimitReached, nil
	}
	m.store.update(ci, nil, now)
	m.armAlarms()
	out.AlarmClock = new(now.epr())
	return out, status.Success, nil
}
