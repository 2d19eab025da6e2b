package firmware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// channelOpen and its answer stand between log-in and RFB. Source: spec kvm.md section 2.1.
const (
	channelOpen      = 0x40
	channelOpenReply = 0x41
	channelLen       = 8
)

var errNoScreen = errors.New("no screen")

func registerKVM(t *table) {
	t.port(PortRFB, service{
		on: func(m *Machine, _ bool) bool {
			return m.profile.Port5900 && m.ControlMode() != ModeNone && m.kvmEnabled() && m.secret("IPS_KVMRedirectionSettingData", "RFBPassword") != "" &&
				m.one("IPS_KVMRedirectionSettingData").ChildText("Is5900PortEnabled") == "true"
		},
		serve: func(ctx context.Context, m *Machine, conn net.Conn, _ origin) error { return m.serveVNC(ctx, conn) },
	})
	class.Handle(&t.methods, ips.KVMRedirectionSettingDataTerminateSession,
		func(_ context.Context, m *Machine, _ wsman.Selectors, _ ips.KVMRedirectionSettingDataTerminateSessionIn) (out ips.KVMRedirectionSettingDataTerminateSessionOut, _ status.Status, _ error) {
			if !m.endSessions(errTerminated, func(k redir.Kind) bool { return k == redir.KVM }) {
				return out, status.InternalError, nil
			}
			return out, 0, nil
		})
	class.Handle(&t.methods, ips.KVMRedirectionSettingDataDataChannelRead, readDataChannel)
	class.Handle(&t.methods, ips.KVMRedirectionSettingDataDataChannelWrite, writeDataChannel)
}

// serveKVMR serves KVM behind the log-in of redirection.
func (m *Machine) serveKVMR(ctx context.Context, s *redir.Session) error {
	b, err := s.Next(func(b []byte) (int, error) {
		if len(b) > 0 && b[0] != channelOpen {
			return 0, fmt.Errorf("%w %02xh", redir.ErrOpcode, b[0])
		}
		return channelLen, nil
	})
	if err != nil {
		return err
	}
	b[0] = channelOpenReply
	if _, err := s.Write(b); err != nil {
		return err
	}
	return m.showScreen(ctx, s, rfb.DeviceOptions{Redirect: true})
}

// serveVNC serves KVM on port 5900. Where consent is needed and was not given, the connection just ends: only the
// redirection protocol has words for that.
func (m *Machine) serveVNC(ctx context.Context, conn net.Conn) error {
	if s := m.allow(redir.KVM); s != redir.StatusSuccess {
		return fmt.Errorf("kvm: port 5900: %v", s)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	end, ok := m.opened(ctx, &redirected{kind: redir.KVM, cancel: cancel})
	if !ok {
		return nil
	}
	defer end()
	return m.showScreen(ctx, conn, rfb.DeviceOptions{Password: m.secret("IPS_KVMRedirectionSettingData", "RFBPassword")})
}

// showScreen serves the PC's screen to one console until the session ends.
func (m *Machine) showScreen(ctx context.Context, conn io.ReadWriteCloser, o rfb.DeviceOptions) error {
	pc, ok := m.platform.(Screen)
	if !ok {
		return errNoScreen
	}
	settings := m.one("IPS_KVMRedirectionSettingData")
	number := func(name string) int {
		n, _ := strconv.Atoi(settings.ChildText(name))
		return n
	}
	o.Old = m.profile.Before(12, 0)
	o.Compress = settings.ChildText("ZlibControlSupported") == "true"
	o.Idle = time.Duration(number("SessionTimeout")) * time.Minute
	o.Key, o.Pointer = pc.KeyEvent, pc.PointerEvent
	o.Data = m.message
	o.Decimate = uint8(number("InitialDecimationModeForLowRes"))
	clipboard, shared := m.platform.(Clipboard)
	if shared {
		o.Text = clipboard.SetClipboard
	}
	view := &m.redirection.view
	frame := view.open(pc, m.defaultScreen())
	defer view.end()
	d, err := rfb.Accept(ctx, conn, frame, o)
	if err != nil {
		return err
	}
	view.show(d)
	m.redirection.setScreen(d)
	if shared {
		defer clipboard.OnClipboard(func(text []byte) { d.SendText(text) })()
	}
	defer m.redirection.blank.set(m.platform, false, 0)
	defer m.redirection.setScreen(nil)
	m.showKVM(true)
	defer m.showKVM(false)
	<-d.Done()
	if err := d.Close(); !errors.Is(err, rfb.ErrCut) {
		return err
	}
	return nil
}

// showKVM has the access point say whether a session is open: enabled, or enabled but offline.
func (m *Machine) showKVM(open bool) {
	m.modify("CIM_KVMRedirectionSAP", nil, func(e *wsman.Element) {
		switch state := e.ChildText("EnabledState"); {
		case open && state == strconv.Itoa(stateOffline):
			set(e, "EnabledState", strconv.Itoa(stateEnabled))
		case !open && state == strconv.Itoa(stateEnabled):
			set(e, "EnabledState", strconv.Itoa(stateOffline))
		}
	})
}

func (r *redirection) setScreen(d *rfb.Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.screen, r.message = d, nil
}

// setMessage keeps what the console has sent for a program on the host, until that fetches it.
func (r *redirection) setMessage(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.message = data
}

// readDataChannel gives a program on the host what the console has sent. Source: spec kvm.md section 9.2.
func readDataChannel(_ context.Context, m *Machine, _ wsman.Selectors, _ ips.KVMRedirectionSettingDataDataChannelReadIn) (out ips.KVMRedirectionSettingDataDataChannelReadOut, _ status.Status, _ error) {
	r := &m.redirection
	r.mu.Lock()
	out.DataMessage, r.message = r.message, nil
	screen := r.screen
	r.mu.Unlock()
	if screen == nil || out.DataMessage == nil {
		return out, status.NotReady, nil
	}
	screen.Credit()
	return out, 0, nil
}

// writeDataChannel passes what a program on the host says on to the console.
func writeDataChannel(_ context.Context, m *Machine, _ wsman.Selectors, in ips.KVMRedirectionSettingDataDataChannelWriteIn) (out ips.KVMRedirectionSettingDataDataChannelWriteOut, _ status.Status, _ error) {
	r := &m.redirection
	r.mu.Lock()
	screen := r.screen
	r.mu.Unlock()
	if screen == nil || !screen.SendData(in.DataMessage) {
		return out, status.NotReady, nil
	}
	return out, 0, nil
}
