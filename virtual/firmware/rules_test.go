package firmware_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
	"github.com/outband/outband/wire/status"
)

// A session of some kind, as far as these tests need it.
type session interface {
	Done() <-chan struct{}
	Close() error
}

// start opens a session of a kind, and ends it with the test.
func (w *world) begin(t *testing.T, kind redir.Kind) session {
	t.Helper()
	switch kind {
	case redir.SOL:
		return w.line(t)
	case redir.KVM:
		return w.screen(t)
	}
	conn, err := w.open(t, redir.IDER)
	if err != nil {
		t.Fatal(err)
	}
	image := isoImage("DISC", "FILE")
	s, err := ider.Open(t.Context(), conn, ider.Options{CD: &ider.Medium{Image: bytes.NewReader(image), Size: int64(len(image))}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var kinds = []redir.Kind{redir.SOL, redir.IDER, redir.KVM}

// There is one session of each kind, and three of different kinds at once.
func TestOneSessionOfEachKind(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		var open []session
		for _, k := range kinds {
			open = append(open, w.begin(t, k))
		}
		if got := w.Sessions(); !slices.Equal(got, []string{"SOL", "IDE-R", "KVM"}) {
			t.Errorf("sessions %v", got)
		}
		for i, k := range kinds {
			if _, err := w.open(t, k); !errors.Is(err, redir.ErrBusy) {
				t.Errorf("a second %v: %v", k, err)
			}
			open[i].Close()
			synctest.Wait()
			w.begin(t, k).Close()
		}
	})
}

// Which kinds may be opened is said by the switches of redirection.
func TestSwitchesOfKinds(t *testing.T) {
	for _, tt := range []struct {
		state    amt.RedirectionServiceRequestedState
		listener bool
		kvm      bool
		want     []redir.Kind
	}{
		{32771, true, true, kinds},
		{32771, true, false, []redir.Kind{redir.SOL, redir.IDER}},
		{32770, true, false, []redir.Kind{redir.SOL}},
		{32769, true, true, []redir.Kind{redir.IDER, redir.KVM}},
		{32768, true, false, nil},
		{32771, false, true, []redir.Kind{redir.KVM}},
	} {
		inBubble(t, fmt.Sprint(tt.state, tt.listener, tt.kvm), func(t *testing.T) {
			w := listening(t, firmware.Config{}, pc.Options{On: true})
			if _, err := amt.RedirectionServiceRequestStateChange.Invoke(t.Context(), w, amt.RedirectionServiceRequestStateChangeIn{RequestedState: &tt.state}); err != nil {
				t.Fatal(err)
			}
			s, err := class.Get[amt.RedirectionService](t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			s.ListenerEnabled = &tt.listener
			if _, err := class.Put(t.Context(), w, s); err != nil {
				t.Fatal(err)
			}
			w.kvm(t, tt.kvm)
			for _, k := range kinds {
				if slices.Contains(tt.want, k) {
					w.begin(t, k).Close()
				} else if _, err := w.open(t, k); !errors.Is(err, redir.ErrDisabled) {
					t.Errorf("%v: %v", k, err)
				}
			}
		})
	}
}

// While any session is open the PC is neither switched off nor power-cycled; a reset is done, and the session outlives it.
func TestPowerDuringSessions(t *testing.T) {
	for _, k := range kinds {
		inBubble(t, k.String(), func(t *testing.T) {
			w := listening(t, firmware.Config{}, pc.Options{On: true})
			s := w.begin(t, k)
			for _, state := range []cim.PowerState{cim.PowerStateOffSoft, cim.PowerStateCycleSoft, cim.PowerStateOffSoftGraceful} {
				if got := w.request(t, state); got != 2 {
					t.Errorf("power state %d: ReturnValue %d, want 2", state, got)
				}
			}
			if got := w.request(t, cim.PowerStateMasterBusReset); got != 0 {
				t.Errorf("reset: ReturnValue %d", got)
			}
			w.settle()
			w.pc.Person().Hold() // somebody holds the power button: nobody asks the firmware
			w.settle()
			if got := w.pc.Power(); got != firmware.S5 {
				t.Fatalf("power %v", got)
			}
			if got := w.request(t, cim.PowerStateOn); got != 0 {
				t.Errorf("on: ReturnValue %d", got)
			}
			w.settle()
			select {
			case <-s.Done():
				t.Error("the session is gone")
			default:
			}
			s.Close()
			synctest.Wait()
			if got := w.request(t, cim.PowerStateOffSoft); got != 0 {
				t.Errorf("off, after the session: ReturnValue %d", got)
			}
		})
	}
}

// SessionTimeout ends a session of KVM in which nobody touches anything, and no other.
func TestSessionTimeout(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		v, err := class.Get[ips.KVMRedirectionSettingData](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		v.SessionTimeout, v.RFBPassword = new(uint16(3)), nil
		if _, err := class.Put(t.Context(), w, v); err != nil {
			t.Fatal(err)
		}
		c, l := w.screen(t), w.line(t)
		alive := func() bool {
			synctest.Wait()
			select {
			case <-c.Done():
				return false
			default:
				return true
			}
		}
		time.Sleep(179 * time.Second)
		c.Key(rfb.KeyShift, true)
		time.Sleep(179 * time.Second)
		c.Pointer(0, 5, 5)
		time.Sleep(179 * time.Second)
		if !alive() {
			t.Fatal("a session that is used has ended")
		}
		time.Sleep(2 * time.Second)
		if alive() {
			t.Error("three minutes without a key, and the session goes on")
		}
		select {
		case <-l.Done():
			t.Error("SOL has ended too")
		default:
		}
		w.screen(t) // another one may come
	})
}

// A console that is gone without a word holds its kind of session until the machine has waited long enough.
func TestSilentConsole(t *testing.T) {
	for _, tt := range []struct {
		kind  redir.Kind
		first []byte
	}{
		{redir.SOL, []byte{0x20, 0, 0, 0, 1, 0, 0, 0, 0x10, 0x27, 100, 0, 0, 0, 0x10, 0x27, 100, 0, 0, 0, 0, 0, 0, 0}}, // 10 s
		{redir.IDER, []byte{0x40, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x27, 0, 0, 0x20, 0x4e, 1, 0, 0, 0}},                      // 10 s
	} {
		inBubble(t, tt.kind.String(), func(t *testing.T) {
			w := listening(t, firmware.Config{}, pc.Options{On: true})
			conn, err := w.open(t, tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(tt.first); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				io.Copy(io.Discard, conn)
				close(ended)
			}()
			time.Sleep(9 * time.Second)
			if _, err := w.open(t, tt.kind); !errors.Is(err, redir.ErrBusy) {
				t.Errorf("after 9 s: %v", err)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			w.begin(t, tt.kind).Close()
			<-ended
		})
	}
}

// Consent is needed for what the policy names, for nothing else.
func TestConsentOfKinds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy ips.OptInServiceOptInRequired
		client bool
		need   []redir.Kind
	}{
		{"none", ips.OptInServiceOptInRequiredNone, false, nil},
		{"kvm", ips.OptInServiceOptInRequiredKVM, false, []redir.Kind{redir.KVM}},
		{"all", ips.OptInServiceOptInRequiredAll, false, []redir.Kind{redir.IDER, redir.KVM}},
		{"client control mode", ips.OptInServiceOptInRequiredAll, true, []redir.Kind{redir.IDER, redir.KVM}},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := listening(t, firmware.Config{Client: tt.client}, pc.Options{On: true})
			if !tt.client {
				o := w.optIn(t)
				o.OptInRequired = &tt.policy
				if _, err := class.Put(t.Context(), w, o); err != nil {
					t.Fatal(err)
				}
			}
			for _, k := range kinds {
				if !slices.Contains(tt.need, k) {
					w.begin(t, k).Close()
				} else if _, err := w.open(t, k); !errors.Is(err, redir.ErrConsent) {
					t.Errorf("%v: %v", k, err)
				}
			}
			if tt.need == nil {
				return
			}
			synctest.Wait()
			w.start(t)
			w.send(t, w.read(t))
			var open []session
			for _, k := range kinds {
				open = append(open, w.begin(t, k))
			}
			// Taken back, it ends the sessions that needed it.
			if got := w.cancel(t); got != 0 {
				t.Errorf("cancel: %d", got)
			}
			synctest.Wait()
			for i, k := range kinds {
				ended := false
				select {
				case <-open[i].Done():
					ended = true
				default:
				}
				if want := slices.Contains(tt.need, k); ended != want {
					t.Errorf("%v: ended %v, want %v", k, ended, want)
				}
			}
		})
	}
}

// What ends sessions from afar: their switch, their listener, and the end of management.
func TestWhatEndsSessions(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, w *world)
		left []string
	}{
		{"listener", func(t *testing.T, w *world) {
			s, err := class.Get[amt.RedirectionService](t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			s.ListenerEnabled = new(false)
			if _, err := class.Put(t.Context(), w, s); err != nil {
				t.Fatal(err)
			}
		}, []string{"KVM"}},
		{"SOL", func(t *testing.T, w *world) {
			state := amt.RedirectionServiceRequestedState(32769)
			if _, err := amt.RedirectionServiceRequestStateChange.Invoke(t.Context(), w, amt.RedirectionServiceRequestStateChangeIn{RequestedState: &state}); err != nil {
				t.Fatal(err)
			}
		}, []string{"IDE-R", "KVM"}},
		{"KVM", func(t *testing.T, w *world) { w.kvm(t, false) }, []string{"SOL", "IDE-R"}},
		{"unprovisioned", func(t *testing.T, w *world) {
			mode := amt.SetupAndConfigurationServiceUnprovisionProvisioningMode(1)
			_, err := amt.SetupAndConfigurationServiceUnprovision.Invoke(t.Context(), w, amt.SetupAndConfigurationServiceUnprovisionIn{ProvisioningMode: &mode})
			if err != nil && errors.As(err, new(*status.Error)) {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}, nil},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := listening(t, firmware.Config{}, pc.Options{On: true})
			for _, k := range kinds {
				w.begin(t, k)
			}
			tt.end(t, w)
			synctest.Wait()
			if got := w.Sessions(); !slices.Equal(got, tt.left) {
				t.Errorf("sessions %v, want %v", got, tt.left)
			}
		})
	}
}
