// Package power does on the managed PC what AMT asks its operating system for: a graceful shutdown or reboot, sleep,
// hibernation. AMT asks by local alert iAMT0067, which package lms receives; the operating system is asked through
// systemd-logind ([Logind]) or a program of the administrator's ([Program]). AMT is told before what the operating system
// can do ([Service.Capabilities]): it refuses the rest itself.
//
//	p := &power.Service{System: &power.Logind{}}
//	l := &lms.Service{Bus: bus, OnAlert: p.Alert, Tasks: []lms.Task{{Name: "power", Do: p.Capabilities}}}
//
// Whoever may ask AMT for these has logged in there, with the realm "remote control"; nothing is asked again here.
//
// Sources: spec lms.md sections 5, 7 and 8; intel/lms PowerOperationsService; org.freedesktop.login1(5).
package power

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/wsman"
)

// A Wish is what AMT asks for: the first argument of alert iAMT0067.
type Wish uint8

// The wishes.
const (
	ShutDown  Wish = 0
	Reboot    Wish = 1
	Sleep     Wish = 2
	Hibernate Wish = 3
)

func (w Wish) String() string {
	switch w {
	case ShutDown:
		return "shutdown"
	case Reboot:
		return "reboot"
	case Sleep:
		return "sleep"
	case Hibernate:
		return "hibernate"
	}
	return fmt.Sprintf("unknown (%d)", uint8(w))
}

// alertID is the alert that carries a wish.
const alertID = "iAMT0067"

// ParseAlert reads the wish of an alert; false: it carries none.
func ParseAlert(a eventing.Alert) (Wish, bool) {
	if a.MessageID != alertID || len(a.Arguments) == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(a.Arguments[0], 10, 8)
	return Wish(n), err == nil && Wish(n) <= Hibernate
}

// ErrUnsupported is what a System says to a wish that it cannot fulfil.
var ErrUnsupported = errors.New("the operating system cannot")

// A System is an operating system, as far as its power goes.
type System interface {
	// Can reports whether a wish can be fulfilled.
	Can(ctx context.Context, w Wish) (bool, error)

	// Do has a wish fulfilled, and returns when the operating system has taken it. What it cannot wraps ErrUnsupported.
	Do(ctx context.Context, w Wish) error
}

// Limits.
const (
	maxWishes = 4                // that wait; further ones are dropped
	wishTime  = 30 * time.Second // for the operating system to take one
)

// A Service fulfils wishes. Fields must not change once it is in use.
type Service struct {
	System System
	OnDone func(w Wish, err error) // if set, is told what came of each; calls come one at a time
	Log    *slog.Logger            // nil is silent

	setup  sync.Once
	wishes chan Wish
}

func (s *Service) init() { s.setup.Do(func() { s.wishes = make(chan Wish, maxWishes) }) }

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Alert takes an alert that the firmware has for the PC, and does not wait. Those without a wish are passed over.
func (s *Service) Alert(a eventing.Alert) {
	s.init()
	w, ok := ParseAlert(a)
	if !ok {
		return
	}
	select {
	case s.wishes <- w:
	default:
		s.log().Warn("AMT asks for too much at once", "wish", w)
	}
}

// Run fulfils wishes one after the other until ctx ends, and returns its cause.
func (s *Service) Run(ctx context.Context) error {
	s.init()
	for {
		select {
		case w := <-s.wishes:
			s.log().Info("AMT asks the operating system", "wish", w)
			err := s.do(ctx, w)
			if err != nil {
				s.log().Warn("not done", "wish", w, "error", err)
			}
			if s.OnDone != nil {
				s.OnDone(w, err)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// do fulfils one wish. That sleep and hibernation are still possible is asked first: they may have been when AMT was told.
func (s *Service) do(ctx context.Context, w Wish) error {
	ctx, cancel := context.WithTimeout(ctx, wishTime)
	defer cancel()
	if w == Sleep || w == Hibernate {
		can, err := s.System.Can(ctx, w)
		if err != nil {
			return fmt.Errorf("%v: %w", w, err)
		}
		if !can {
			return fmt.Errorf("%v: %w", w, ErrUnsupported)
		}
	}
	if err := s.System.Do(ctx, w); err != nil {
		return fmt.Errorf("%v: %w", w, err)
	}
	return nil
}

// states are the power states that AMT is told of, and what they come down to.
var states = [...]struct {
	state cim.PowerState
	wish  Wish
}{
	{cim.PowerStateSleepDeep, Sleep},
	{cim.PowerStateHibernate, Hibernate},
	{cim.PowerStateOffSoftGraceful, ShutDown},
	{cim.PowerStateMasterBusResetGraceful, Reboot},
}

// Capabilities tells AMT what the operating system can do: it writes PowerStatesSupported of
// CIM_PowerManagementCapabilities, if that is not so already, and reads it again.
func (s *Service) Capabilities(ctx context.Context, c *wsman.Client) error {
	now, err := class.Get[cim.PowerManagementCapabilities](ctx, c)
	if err != nil {
		return err
	}
	want := slices.Clone(now.PowerStatesSupported)
	for _, line := range states {
		can, err := s.System.Can(ctx, line.wish)
		if err != nil {
			return fmt.Errorf("whether the operating system can %v: %w", line.wish, err)
		}
		at := slices.Index(want, line.state)
		switch {
		case can && at < 0:
			want = append(want, line.state)
		case !can && at >= 0:
			want = slices.Delete(want, at, at+1)
		}
	}
	if slices.Equal(want, now.PowerStatesSupported) {
		return nil
	}
	now.PowerStatesSupported = want
	if _, err = class.Put(ctx, c, now); err != nil {
		return err
	}
	if now, err = class.Get[cim.PowerManagementCapabilities](ctx, c); err == nil && !slices.Equal(now.PowerStatesSupported, want) {
		err = errors.New("AMT did not take which power states the operating system can go to")
	}
	return err
}
