package firmware_test

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
)

// consentWorld is a world in which consent is needed for all.
func consentWorld(t *testing.T, o pc.Options) *world {
	w := newWorld(t, firmware.Config{}, o)
	s := w.optIn(t)
	s.OptInRequired = new(ips.OptInServiceOptInRequiredAll)
	if _, err := class.Put(t.Context(), w, s); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) optIn(t *testing.T) *ips.OptInService {
	t.Helper()
	s, err := class.Get[ips.OptInService](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) state(t *testing.T) ips.OptInServiceOptInState {
	t.Helper()
	return *w.optIn(t).OptInState
}

func (w *world) start(t *testing.T) status.Status {
	t.Helper()
	_, err := ips.OptInServiceStartOptIn.Invoke(t.Context(), w, ips.OptInServiceStartOptInIn{})
	return code(t, err)
}

func (w *world) cancel(t *testing.T) status.Status {
	t.Helper()
	_, err := ips.OptInServiceCancelOptIn.Invoke(t.Context(), w, ips.OptInServiceCancelOptInIn{})
	return code(t, err)
}

func (w *world) send(t *testing.T, optInCode uint32) status.Status {
	t.Helper()
	_, err := ips.OptInServiceSendOptInCode.Invoke(t.Context(), w, ips.OptInServiceSendOptInCodeIn{OptInCode: &optInCode})
	return code(t, err)
}

// read reads the code off the PC's screen.
func (w *world) read(t *testing.T) uint32 {
	t.Helper()
	text := w.pc.Code()
	n, err := strconv.ParseUint(text, 10, 32)
	if len(text) != 6 || err != nil || text != w.ConsentCode() {
		t.Fatalf("on the screen stands %q, the machine says %q", text, w.ConsentCode())
	}
	return uint32(n)
}

func TestConsent(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := consentWorld(t, pc.Options{On: true})
		if got := w.send(t, 1); got != 2 {
			t.Errorf("a code before any was asked for: %d, want 2", got)
		}
		if got := w.cancel(t); got != 2 {
			t.Errorf("cancel before anything: %d, want 2", got)
		}
		if got := w.start(t); got != 0 || w.state(t) != 2 {
			t.Fatalf("start: %d, state %v", got, w.state(t))
		}
		if got := w.start(t); got != 2 {
			t.Errorf("start again: %d, want 2", got)
		}
		right := w.read(t)
		if got := w.send(t, (right+1)%1_000_000); got == 0 || w.state(t) != 2 {
			t.Errorf("a wrong code: %d, state %v", got, w.state(t))
		}
		if got := w.send(t, right); got != 0 || w.state(t) != 3 || w.pc.Code() != "" {
			t.Errorf("the right code: %d, state %v, on the screen %q", got, w.state(t), w.pc.Code())
		}
		end := w.BeginSession()
		if got := w.state(t); got != 4 {
			t.Errorf("in a session: state %v", got)
		}
		time.Sleep(time.Hour) // a session may last
		if got := w.state(t); got != 4 {
			t.Errorf("in a long session: state %v", got)
		}
		end()
		end()
		time.Sleep(119 * time.Second)
		if got := w.state(t); got != 4 {
			t.Errorf("119 s after the session: state %v", got)
		}
		end = w.BeginSession() // in time: no new consent
		time.Sleep(time.Hour)
		if got := w.state(t); got != 4 {
			t.Errorf("in the next session: state %v", got)
		}
		end()
		time.Sleep(121 * time.Second)
		if got := w.state(t); got != 0 {
			t.Errorf("121 s after the session: state %v", got)
		}
	})
	inBubble(t, "three wrong codes", func(t *testing.T) {
		w := consentWorld(t, pc.Options{On: true})
		w.start(t)
		wrong := (w.read(t) + 1) % 1_000_000
		for i, want := range []status.Status{1, 1, 3} {
			if got := w.send(t, wrong); got != want {
				t.Errorf("wrong code %d: %d, want %d", i+1, got, want)
			}
		}
		if w.state(t) != 0 || w.pc.Code() != "" {
			t.Errorf("state %v, on the screen %q", w.state(t), w.pc.Code())
		}
		if got := w.start(t); got != 0 {
			t.Errorf("start anew: %d", got)
		}
	})
	inBubble(t, "cancel", func(t *testing.T) {
		w := consentWorld(t, pc.Options{On: true})
		w.start(t)
		if got := w.cancel(t); got != 0 || w.state(t) != 0 || w.pc.Code() != "" {
			t.Errorf("%d, state %v, on the screen %q", got, w.state(t), w.pc.Code())
		}
	})
	inBubble(t, "switched off", func(t *testing.T) {
		w := consentWorld(t, pc.Options{})
		if got := w.start(t); got != 0 || w.state(t) != 1 || w.pc.Code() != "" {
			t.Errorf("start: %d, state %v, on the screen %q", got, w.state(t), w.pc.Code())
		}
		w.request(t, cim.PowerStateOn)
		w.settle()
		if w.state(t) != 2 {
			t.Errorf("on: state %v", w.state(t))
		}
		w.read(t)
	})
	inBubble(t, "not needed", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		if got := w.start(t); got != 2 {
			t.Errorf("start: %d, want 2", got)
		}
	})
}

func TestConsentTimeouts(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := consentWorld(t, pc.Options{On: true})
		w.start(t)
		time.Sleep(299 * time.Second)
		if w.state(t) != 2 {
			t.Errorf("after 299 s: state %v", w.state(t))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w.state(t) != 0 || w.pc.Code() != "" {
			t.Errorf("after 301 s: state %v, on the screen %q", w.state(t), w.pc.Code())
		}
		w.start(t)
		w.send(t, w.read(t))
		time.Sleep(119 * time.Second)
		if w.state(t) != 3 {
			t.Errorf("119 s after the code: state %v", w.state(t))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w.state(t) != 0 {
			t.Errorf("121 s after the code: state %v", w.state(t))
		}
	})
	inBubble(t, "other values", func(t *testing.T) {
		w := consentWorld(t, pc.Options{On: true})
		s := w.optIn(t)
		s.OptInDisplayTimeout, s.OptInCodeTimeout = new(uint16(30)), new(uint32(10))
		if _, err := class.Put(t.Context(), w, s); err != nil {
			t.Fatal(err)
		}
		w.start(t)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if w.state(t) != 0 {
			t.Errorf("after 31 s: state %v", w.state(t))
		}
	})
}

// Boot options need consent where it is needed for all; plain power does not. When consent ends, they are dropped.
func TestConsentForBootOptions(t *testing.T) {
	setup := func(d *amt.BootSettingData) { d.BIOSSetup = new(true) }
	inBubble(t, "", func(t *testing.T) {
		w := consentWorld(t, pc.Options{On: true})
		const needed = 32768 + status.UserConsentRequired
		if got := w.order(t, pxe); got != needed {
			t.Errorf("order: %d, want %d", got, needed)
		}
		if got := w.order(t); got != 0 {
			t.Errorf("order cleared: %d", got)
		}
		if got := w.role(t, 1); got != needed {
			t.Errorf("role: %d, want %d", got, needed)
		}
		if err := w.put(t, func(*amt.BootSettingData) {}); err != nil {
			t.Errorf("put nothing: %v", err)
		}
		if err := w.put(t, setup); err == nil || *w.settings(t).BIOSSetup {
			t.Errorf("options: %v, BIOSSetup %v", err, *w.settings(t).BIOSSetup)
		}
		if got := w.request(t, cim.PowerStateMasterBusReset); got != 0 {
			t.Errorf("plain reset: %d", got)
		}
		w.settle()
		w.start(t)
		w.send(t, w.read(t))
		if got := w.order(t, pxe); got != 0 {
			t.Errorf("order with consent: %d", got)
		}
		if err := w.put(t, setup); err != nil || w.role(t, 1) != 0 {
			t.Errorf("options with consent: %v", err)
		}
		w.cancel(t)
		if d := w.settings(t); *d.BIOSSetup || !*d.OptionsCleared {
			t.Errorf("consent is over, and BIOSSetup %v, OptionsCleared %v", *d.BIOSSetup, *d.OptionsCleared)
		}
		w.request(t, cim.PowerStateMasterBusReset)
		w.settle()
		if boot := w.pc.LastBoot(); boot.From != firmware.BootDisk {
			t.Errorf("booted %+v", boot)
		}
	})
}

// In client control mode the policy is fixed: consent for all.
func TestConsentInClientMode(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Client: true}, pc.Options{On: true})
		s := w.optIn(t)
		if *s.OptInRequired != ips.OptInServiceOptInRequiredAll || *s.CanModifyOptInPolicy != 0 {
			t.Errorf("required %v, may be changed %v", *s.OptInRequired, *s.CanModifyOptInPolicy)
		}
		s.OptInRequired = new(ips.OptInServiceOptInRequiredNone)
		if _, err := class.Put(t.Context(), w, s); err == nil {
			t.Error("the policy was changed")
		}
		if got := w.order(t, pxe); got != 32768+status.UserConsentRequired {
			t.Errorf("order: %d", got)
		}
	})
	inBubble(t, "no such policy", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		s := w.optIn(t)
		s.OptInRequired = new(ips.OptInServiceOptInRequired(5))
		if _, err := class.Put(t.Context(), w, s); err == nil {
			t.Errorf("put: %v, want a fault", errors.Unwrap(err))
		}
	})
}
