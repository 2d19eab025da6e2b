package power

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Logind is a Linux system with systemd-logind, or something that speaks as it does (elogind), on the system bus.
type Logind struct {
	Address string        // of the bus; default is that of the system bus
	Grace   time.Duration // from the announcement to a shutdown or reboot; default 60 s, as Intel's LMS has it

	now func() time.Time // replaces time.Now in tests
}

// What logind is called on the bus. Source: org.freedesktop.login1(5).
const (
	loginName    = "org.freedesktop.login1"
	loginPath    = "/org/freedesktop/login1"
	loginManager = "org.freedesktop.login1.Manager."
)

const defaultGrace = time.Minute

// announcement is shown to all who are logged in.
const announcement = "The administrator of this computer has asked for a %s through Intel AMT."

// Can asks logind. "challenge" would mean that somebody has to enter a password: that is a no.
func (l *Logind) Can(ctx context.Context, w Wish) (bool, error) {
	method, ok := map[Wish]string{ShutDown: "CanPowerOff", Reboot: "CanReboot", Sleep: "CanSuspend", Hibernate: "CanHibernate"}[w]
	if !ok {
		return false, nil
	}
	answer := ""
	err := l.with(ctx, func(o dbus.BusObject) error { return o.CallWithContext(ctx, loginManager+method, 0).Store(&answer) })
	return answer == "yes", err
}

// Do schedules a shutdown or reboot and announces it; sleep and hibernation begin at once.
func (l *Logind) Do(ctx context.Context, w Wish) error {
	return l.with(ctx, func(o dbus.BusObject) error {
		call := func(method string, args ...any) error {
			return o.CallWithContext(ctx, loginManager+method, 0, args...).Err
		}
		switch w {
		case ShutDown, Reboot:
			if err := call("SetWallMessage", fmt.Sprintf(announcement, w), true); err != nil {
				return err
			}
			how := map[Wish]string{ShutDown: "poweroff", Reboot: "reboot"}[w]
			return call("ScheduleShutdown", how, uint64(l.at().UnixMicro()))
		case Sleep:
			return call("Suspend", false)
		case Hibernate:
			return call("Hibernate", false)
		}
		return ErrUnsupported
	})
}

// at is when a shutdown that is asked for now begins.
func (l *Logind) at() time.Time {
	now, grace := l.now, l.Grace
	if now == nil {
		now = time.Now
	}
	if grace <= 0 {
		grace = defaultGrace
	}
	return now().Add(grace)
}

// with connects to the bus for as long as do takes: wishes are rare.
func (l *Logind) with(ctx context.Context, do func(dbus.BusObject) error) error {
	connect := func() (*dbus.Conn, error) { return dbus.ConnectSystemBus(dbus.WithContext(ctx)) }
	if l.Address != "" {
		connect = func() (*dbus.Conn, error) { return dbus.Connect(l.Address, dbus.WithContext(ctx)) }
	}
	conn, err := connect()
	if err != nil {
		return fmt.Errorf("D-Bus: %w", err)
	}
	defer conn.Close()
	if err := do(conn.Object(loginName, loginPath)); err != nil {
		return fmt.Errorf("logind: %w", err)
	}
	return nil
}
