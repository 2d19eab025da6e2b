package firmware_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
)

// threeMonitors are of different sizes.
var threeMonitors = []firmware.Monitor{{W: 1024, H: 768}, {W: 1280, H: 800}, {W: 800, H: 600}}

func (w *world) useScreen(t *testing.T, n uint8) error {
	t.Helper()
	s, err := class.Get[ips.KVMRedirectionSettingData](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	s.DefaultScreen, s.RFBPassword = &n, nil
	_, err = class.Put(t.Context(), w, s)
	return err
}

// DefaultScreen says which monitor is shown, also in the middle of a session; what is not there shows the first.
func TestSwitchMonitor(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true, Monitors: threeMonitors})
		c := w.screen(t)
		for _, tt := range []struct {
			screen uint8
			want   string
		}{{0, "1024x768"}, {1, "1280x800"}, {2, "800x600"}, {3, "1024x768"}, {1, "1280x800"}, {255, "1024x768"}} {
			if err := w.useScreen(t, tt.screen); err != nil {
				t.Fatal(err)
			}
			w.settle()
			width, height := c.Frame.Size()
			if got := fmt.Sprintf("%dx%d", width, height); got != tt.want {
				t.Errorf("screen %d is %s, want %s", tt.screen, got, tt.want)
			}
		}
		if err := w.useScreen(t, 4); err == nil {
			t.Error("screen 4 of 0 to 3 was accepted")
		}
		// The mouse is where somebody looks.
		if err := w.useScreen(t, 1); err != nil {
			t.Fatal(err)
		}
		c.Pointer(0, 1200, 700)
		w.settle()
		if p := c.Frame.Image().RGBAAt(1202, 703); p.R < 200 || p.G < 200 {
			t.Errorf("no pointer on the second monitor: %v", p)
		}
		c.Close()
		w.settle()
		if c = w.screen(t); c.Init.Width != 1280 {
			t.Errorf("a new session begins with a screen %d wide, want that of the second monitor", c.Init.Width)
		}
	})
}

func TestScreenGeometry(t *testing.T) {
	for _, tt := range []struct {
		generation int
		active     []bool
		x          []int32
	}{
		{8, []bool{true, true, false, false}, []int32{0, 1024, -1, -1}},
		{12, []bool{true, true, true, false}, []int32{0, 1024, 2304, -1}},
	} {
		inBubble(t, fmt.Sprint(tt.generation), func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: tt.generation}, pc.Options{On: true, Monitors: threeMonitors})
			s, err := class.Get[ips.ScreenSettingData](t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(s.IsActive, tt.active) || !slices.Equal(s.UpperLeftX, tt.x) || s.ResolutionX[1] != 1280 || s.ResolutionY[1] != 800 {
				t.Errorf("%v at %v, %vx%v", s.IsActive, s.UpperLeftX, s.ResolutionX, s.ResolutionY)
			}
			s.PrimaryIndex, s.SecondaryIndex = new(uint8(2)), new(uint8(1))
			if _, err := class.Put(t.Context(), w, s); err != nil {
				t.Fatal(err)
			}
			if _, err := ips.ScreenSettingDataResetToDefault.Invoke(t.Context(), w, ips.ScreenSettingDataResetToDefaultIn{}); err != nil {
				t.Error(err)
			}
			if s, err = class.Get[ips.ScreenSettingData](t.Context(), w); err != nil || *s.PrimaryIndex != 1 || *s.SecondaryIndex != 2 {
				t.Errorf("not as at first: %+v, %v", s, err)
			}
		})
	}
}

// blank asks for dark monitors, or for a picture on them.
func (w *world) blank(t *testing.T, open bool, reboots uint8) status.Status {
	t.Helper()
	state := ips.ScreenConfigurationServiceSetSessionStateSessionStateClose
	if open {
		state = ips.ScreenConfigurationServiceSetSessionStateSessionStateOpen
	}
	_, err := ips.ScreenConfigurationServiceSetSessionState.Invoke(t.Context(), w, ips.ScreenConfigurationServiceSetSessionStateIn{SessionState: &state, ConsecutiveRebootsNum: &reboots})
	if err == nil {
		return 0
	}
	return code(t, err)
}

// Monitors are dark during a session only, and for so many boots at most; the session sees the picture all the time.
func TestBlanking(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		if s := w.blank(t, true, 3); s != status.NotPermitted || w.pc.Blanked() {
			t.Errorf("without a session: %v, dark %v", s, w.pc.Blanked())
		}
		c := w.screen(t)
		if s := w.blank(t, true, 1); s != 0 || !w.pc.Blanked() {
			t.Fatalf("status %v, dark %v", s, w.pc.Blanked())
		}
		w.settle()
		if p := c.Frame.Image().RGBAAt(900, 700); p.R == 0 && p.G == 0 {
			t.Error("the session sees a dark screen")
		}
		current := func(want ips.ScreenConfigurationServiceCurrentState, reboots uint16) {
			t.Helper()
			v, err := class.Get[ips.ScreenConfigurationService](t.Context(), w)
			if err != nil || *v.CurrentState != want || *v.RemainingConsecutiveRebootsNum != reboots {
				t.Errorf("state %v, %d reboots, %v; want %v, %d", v.CurrentState, *v.RemainingConsecutiveRebootsNum, err, want, reboots)
			}
		}
		current(ips.ScreenConfigurationServiceCurrentStateOpen, 1)
		w.request(t, cim.PowerStateMasterBusReset)
		w.settle()
		current(ips.ScreenConfigurationServiceCurrentStateOpen, 0)
		if !w.pc.Blanked() {
			t.Error("one boot was to be outlasted")
		}
		w.request(t, cim.PowerStateMasterBusReset)
		w.settle()
		current(ips.ScreenConfigurationServiceCurrentStateClosed, 0)
		if w.pc.Blanked() {
			t.Error("dark after the second boot")
		}
		w.blank(t, true, 3)
		if s := w.blank(t, false, 0); s != 0 || w.pc.Blanked() {
			t.Errorf("taken back: %v, dark %v", s, w.pc.Blanked())
		}
		w.blank(t, true, 3)
		c.Close()
		w.settle()
		if w.pc.Blanked() {
			t.Error("dark after the session")
		}
	})
	inBubble(t, "not allowed", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		c := w.screen(t)
		defer c.Close()
		w.blank(t, true, 3)
		for _, tt := range []struct {
			state cim.RequestedState
			want  status.Status
		}{{3, 1}, {32768, 0}} {
			_, err := ips.ScreenConfigurationServiceRequestStateChange.Invoke(t.Context(), w, ips.ScreenConfigurationServiceRequestStateChangeIn{RequestedState: &tt.state})
			var got status.Status
			if err != nil {
				got = code(t, err)
			}
			if got != tt.want {
				t.Errorf("state %d: %v, want %v", tt.state, got, tt.want)
			}
		}
		if w.pc.Blanked() {
			t.Error("dark although it is not allowed any more")
		}
		if s := w.blank(t, true, 3); s != status.NotPermitted {
			t.Errorf("%v", s)
		}
	})
}
