package cli

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/host/events"
	"github.com/outband/outband/host/lms"
	"github.com/outband/outband/host/power"
	"github.com/outband/outband/host/upkeep"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/mei"
)

// Duties are what the operating system of a PC owes its AMT beside the ports.
type Duties struct {
	Power       string `placeholder:"HOW" default:"auto" help:"Who shuts down, reboots, sleeps and hibernates when AMT asks for it: logind (systemd), the path of a program that is run with shutdown, reboot, sleep or hibernate, or none. auto is logind, but none for a virtual machine (--bus unix:)."`
	SyncTime    bool   `default:"true" negatable:"" help:"Set AMT's clock to that of this PC, daily, if AMT lets it."`
	SyncAddress bool   `default:"true" negatable:"" help:"Tell AMT the IPv4 address of this PC where it was set by hand, if AMT wants it."`
	SyncWiFi    string `name:"sync-wifi" placeholder:"WHEN" enum:"auto,on,off" default:"auto" help:"Give AMT the wireless networks of NetworkManager with their keys, if AMT wants them: on, off, or auto (not for a virtual machine)."`
	DBus        string `name:"dbus" placeholder:"WHEN" enum:"auto,on,off" default:"auto" help:"Tell events of AMT on D-Bus as com.intel.amt.lms: on, off, or auto (where there is a system bus that allows it, and not for a virtual machine)."`
}

// duties are Duties at work.
type duties struct {
	Duties
	s     *service
	power *power.Service // nil: nobody
	bus   *events.Bus    // nil: nowhere

	mu   sync.Mutex // guards what follows
	open bool       // the ports of AMT
}

// start joins what is owed to l, and returns the services that do it.
func (c Duties) start(s *service, l *lms.Service, bus mei.Bus) (services []func(context.Context) error, err error) {
	_, real := bus.(*mei.Device)
	d := &duties{Duties: c, s: s}
	system, err := c.system(real)
	if err != nil {
		return nil, err
	}
	if system != nil {
		d.power = &power.Service{System: system, OnDone: d.fulfilled, Log: s.app.serviceLog()}
		l.Tasks = append(l.Tasks, lms.Task{Name: "tell power states", Do: d.power.Capabilities})
		services = append(services, d.power.Run)
	}
	if c.SyncTime {
		l.Tasks = append(l.Tasks, lms.Task{Name: "set AMT's clock", Every: upkeep.TimeEvery, Do: upkeep.Time})
	}
	if c.SyncAddress {
		l.Tasks = append(l.Tasks, lms.Task{Name: "tell address", Every: upkeep.AddressEvery, Do: upkeep.TellAddress(upkeep.HostAddress)})
	}
	if c.SyncWiFi == "on" || c.SyncWiFi == "auto" && real {
		l.Tasks = append(l.Tasks, lms.Task{Name: "tell wireless networks", Every: upkeep.WiFiEvery, Do: upkeep.TellWiFi((&upkeep.NetworkManager{}).Networks)})
	}
	if c.DBus == "on" || c.DBus == "auto" && real {
		d.bus = &events.Bus{Log: s.app.serviceLog(), OnUp: d.busUp}
		services = append(services, d.tell)
	}
	l.OnAlert = d.alert
	print := l.OnState
	l.OnState = func(now lms.State) {
		print(now)
		d.ports(len(now.Ports) > 0)
	}
	return services, nil
}

// system returns what AMT's wishes go to; nil: nothing.
func (c *Duties) system(real bool) (power.System, error) {
	switch {
	case c.Power == "logind" || c.Power == "auto" && real:
		return &power.Logind{}, nil
	case c.Power == "none" || c.Power == "auto":
		return nil, nil
	case strings.ContainsAny(c.Power, `/\`):
		return &power.Program{Path: c.Power}, nil
	}
	return nil, usage("auto, logind, none, or a program such as /usr/local/sbin/amt-power", "--power: %q is no path", c.Power)
}

// alert hears what the firmware has to say.
func (d *duties) alert(a eventing.Alert) {
	if d.power != nil {
		d.power.Alert(a)
	}
	if d.bus != nil {
		if e, ok := events.Of(a); ok {
			d.bus.Emit(e)
		}
	}
}

// ports hears of AMT's ports, and tells when they open or close.
func (d *duties) ports(open bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if open == d.open {
		return
	}
	d.open = open
	if open {
		d.emit(events.PortsOpen, "programs on this PC reach AMT")
	} else {
		d.emit(events.PortsClosed, "programs on this PC do not reach AMT")
	}
}

func (d *duties) emit(id uint32, text string) {
	if d.bus != nil {
		d.bus.Emit(events.Own(id, text, time.Now()))
	}
}

// fulfilled prints and tells what came of a wish.
func (d *duties) fulfilled(w power.Wish, err error) {
	r := serviceRecord{OK: err == nil, Service: "power", State: w.String()}
	text := "the operating system has taken the request for " + w.String()
	if err != nil {
		r.Error = problemOf(judge(err))
		text = err.Error()
	}
	d.s.print(r)
	numbers := map[power.Wish][2]uint32{
		power.ShutDown: {events.ShutDownDone, events.ShutDownFailed}, power.Reboot: {events.RebootDone, events.RebootFailed},
		power.Sleep: {0, events.SleepFailed}, power.Hibernate: {0, events.HibernateFailed},
	}[w]
	id := numbers[0]
	if err != nil {
		id = numbers[1]
	}
	if id != 0 {
		d.emit(id, text)
	}
}

func (d *duties) busUp(up bool) {
	state := "telling"
	if !up {
		state = "stopped"
	}
	d.s.print(serviceRecord{OK: up, Service: "dbus", State: state})
}

// tell runs D-Bus. Where there is none the rest goes on, unless it was asked for.
func (d *duties) tell(ctx context.Context) error {
	err := d.bus.Run(ctx)
	if ctx.Err() != nil {
		return err
	}
	hint := ""
	if errors.Is(err, events.ErrTaken) {
		hint = "Intel's LMS runs; end it, or use --dbus off"
	}
	if d.DBus == "on" {
		return &failure{exitFailed, err, hint}
	}
	d.s.app.serviceLog().Info("events are not told on D-Bus", "error", err)
	<-ctx.Done()
	return context.Cause(ctx)
}
