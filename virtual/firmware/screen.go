package firmware

import (
	"context"
	"strconv"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/rfb"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A Screen is a [Platform] with monitors, a keyboard and a mouse.
type Screen interface {
	// OpenScreen begins to draw monitor n, from 0, and goes on until close. There is always a picture; one that does not
	// exist shows the first.
	OpenScreen(n int) (frame *rfb.Frame, close func())

	KeyEvent(k rfb.KeyEvent)         // keysyms of the US keyboard
	PointerEvent(p rfb.PointerEvent) // pixels of the monitor that was opened last
}

// Monitors is a [Screen] that tells which monitors it has, and can darken them.
type Monitors interface {
	Screen

	// Monitors returns where the monitors are, at least one.
	Monitors() []Monitor

	// Blank darkens the monitors, or shows the picture on them again. Who looks by KVM sees it all the time.
	Blank(dark bool)
}

// A Monitor is one of the monitors, as the operating system has arranged them; pixels.
type Monitor struct {
	X, Y int // of the upper left corner, from that of the first
	W, H int
}

// Classes of this noun.
const (
	classScreens  = "IPS_ScreenSettingData"
	classBlanking = "IPS_ScreenConfigurationService"
	classKVM      = "IPS_KVMRedirectionSettingData"
)

// screenSlots is the length of the arrays of IPS_ScreenSettingData.
const screenSlots = 4

// noScreen is the DefaultScreen of firmware that does not know which monitor is shown.
const noScreen = 255

// registerScreen has firmware tell of the PC's monitors, switch between them and darken them. Source: spec kvm.md section
// 10. How many monitors a release can show is likely, not certain.
func registerScreen(t *table) {
	t.class(classScreens).patch = func(m *Machine, e *wsman.Element) {
		if list := m.monitors(); list != nil {
			describeMonitors(e, list)
		}
	}
	class.Handle(&t.methods, ips.ScreenSettingDataResetToDefault,
		func(_ context.Context, m *Machine, _ wsman.Selectors, _ ips.ScreenSettingDataResetToDefaultIn) (out ips.ScreenSettingDataResetToDefaultOut, _ status.Status, _ error) {
			m.modify(classScreens, nil, func(e *wsman.Element) {
				for i, name := range []string{"PrimaryIndex", "SecondaryIndex", "TertiaryIndex", "QuadraryIndex"} {
					set(e, name, strconv.Itoa(i+1))
				}
			})
			return out, 0, nil
		})
	blank := t.class(classBlanking)
	blank.patch = func(m *Machine, e *wsman.Element) {
		dark, reboots := m.redirection.blank.now()
		state := ips.ScreenConfigurationServiceCurrentStateClosed
		if dark {
			state = ips.ScreenConfigurationServiceCurrentStateOpen
		}
		set(e, "CurrentState", strconv.Itoa(int(state)))
		set(e, "RemainingConsecutiveRebootsNum", strconv.Itoa(reboots))
	}
	class.Handle(&t.methods, ips.ScreenConfigurationServiceRequestStateChange,
		func(_ context.Context, m *Machine, _ wsman.Selectors, in ips.ScreenConfigurationServiceRequestStateChangeIn) (out ips.ScreenConfigurationServiceRequestStateChangeOut, _ status.Status, _ error) {
			want := uint16(class.Value(in.RequestedState))
			s := m.switchTo(classBlanking, want, in.TimeoutPeriod, want == blankingOff || want == blankingOn)
			if s == stateDone && want == blankingOff {
				m.redirection.blank.set(m.platform, false, 0)
			}
			return out, s, nil
		})
	class.Handle(&t.methods, ips.ScreenConfigurationServiceSetSessionState, setBlanking)
}

// States of IPS_ScreenConfigurationService: bit 0 allows blanking. They are written in the way of AMT_RedirectionService.
const (
	blankingOff = 32768
	blankingOn  = 32769
)

// monitors returns what the PC has, as many as the release can show; nil if the PC does not tell.
func (m *Machine) monitors() []Monitor {
	pc, ok := m.platform.(Monitors)
	if !ok {
		return nil
	}
	most := screenSlots
	switch {
	case m.profile.Before(10, 0):
		most = 2
	case m.profile.Before(16, 0):
		most = 3
	}
	list := pc.Monitors()
	return list[:min(len(list), most)]
}

// describeMonitors writes where they are. What is not there has a size of 0, at -1,-1.
func describeMonitors(e *wsman.Element, list []Monitor) {
	var active, x, y, w, h []string
	for i := range screenSlots {
		m := Monitor{X: -1, Y: -1}
		if i < len(list) {
			m = list[i]
		}
		active = append(active, strconv.FormatBool(i < len(list)))
		x, y = append(x, strconv.Itoa(m.X)), append(y, strconv.Itoa(m.Y))
		w, h = append(w, strconv.Itoa(m.W)), append(h, strconv.Itoa(m.H))
	}
	set(e, "IsActive", active...)
	set(e, "UpperLeftX", x...)
	set(e, "UpperLeftY", y...)
	set(e, "ResolutionX", w...)
	set(e, "ResolutionY", h...)
}

// defaultScreen is the monitor to show, from 0.
func (m *Machine) defaultScreen() int {
	n, err := strconv.Atoi(m.one(classKVM).ChildText("DefaultScreen"))
	if list := m.monitors(); err != nil || list != nil && n >= len(list) {
		return 0
	}
	return n
}

// goodScreen reports whether DefaultScreen can have that value.
func goodScreen(text string) bool {
	n, err := strconv.Atoi(text)
	return text == "" || err == nil && (n >= 0 && n < screenSlots || n == noScreen)
}

// A monitorView is what an open session shows.
type monitorView struct {
	mu     sync.Mutex // guards what follows
	device *rfb.Device
	pc     Screen
	number int
	close  func()
}

// open begins to draw a monitor. show must follow, or end.
func (v *monitorView) open(pc Screen, n int) *rfb.Frame {
	v.mu.Lock()
	defer v.mu.Unlock()
	var frame *rfb.Frame
	v.pc, v.number = pc, n
	frame, v.close = pc.OpenScreen(n)
	return frame
}

// show tells which session it is that looks.
func (v *monitorView) show(d *rfb.Device) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.device = d
}

// turn shows another monitor; the console learns its size.
func (v *monitorView) turn(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.device == nil || v.number == n {
		return
	}
	frame, done := v.pc.OpenScreen(n)
	v.device.Show(frame)
	v.close()
	v.number, v.close = n, done
}

// end stops drawing.
func (v *monitorView) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.close()
	v.device, v.pc, v.close = nil, nil, nil
}

// A blanking is whether the monitors are dark while somebody looks by KVM.
type blanking struct {
	mu      sync.Mutex // guards what follows
	dark    bool
	reboots int // it outlasts
}

func (b *blanking) now() (dark bool, reboots int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dark, b.reboots
}

func (b *blanking) set(p Platform, dark bool, reboots int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dark != dark {
		if pc, ok := p.(Monitors); ok {
			pc.Blank(dark)
		}
	}
	b.dark, b.reboots = dark, reboots
}

// boot counts a boot: when there were as many as it was to outlast, the monitors show the next one.
func (b *blanking) boot(p Platform) {
	dark, reboots := b.now()
	if dark {
		b.set(p, reboots > 0, max(reboots-1, 0))
	}
}

// setBlanking darkens the monitors for the session of KVM that is open, and for so many boots at most.
func setBlanking(_ context.Context, m *Machine, _ wsman.Selectors, in ips.ScreenConfigurationServiceSetSessionStateIn) (out ips.ScreenConfigurationServiceSetSessionStateOut, _ status.Status, _ error) {
	dark := false
	switch class.Value(in.SessionState) {
	case ips.ScreenConfigurationServiceSetSessionStateSessionStateOpen:
		dark = true
	case ips.ScreenConfigurationServiceSetSessionStateSessionStateClose:
	default:
		return out, status.InvalidParameter, nil
	}
	state, _ := strconv.Atoi(m.one(classBlanking).ChildText("EnabledState"))
	r := &m.redirection
	r.mu.Lock()
	open := r.screen != nil
	r.mu.Unlock()
	if dark && (state&1 == 0 || !open) {
		return out, status.NotPermitted, nil
	}
	reboots := 0
	if dark {
		reboots = int(class.Value(in.ConsecutiveRebootsNum))
	}
	r.blank.set(m.platform, dark, reboots)
	return out, 0, nil
}
