package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"
)

// How Intel's LMS is called on the bus. Source: spec lms.md section 10.
const (
	busName   = "com.intel.amt.lms"
	busPath   = "/com/intel/amt/lms"
	busSignal = busName + ".Alert"
)

// Limits and times.
const (
	maxEvents = 64               // that wait for the bus; further ones are dropped
	busAgain  = 30 * time.Second // before the bus is tried again
)

// ErrTaken is returned when another program has the name: Intel's LMS.
var ErrTaken = errors.New("another program has the name " + busName)

// A Bus tells events on D-Bus. Fields must not change once it is in use.
type Bus struct {
	Address string       // default is that of the system bus
	Log     *slog.Logger // nil is silent

	// OnUp, if set, is told when the name is there and when it is lost; calls come one at a time.
	OnUp func(up bool)

	setup  sync.Once
	events chan Event
}

func (b *Bus) init() { b.setup.Do(func() { b.events = make(chan Event, maxEvents) }) }

func (b *Bus) log() *slog.Logger {
	if b.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return b.Log
}

// Emit tells an event, and does not wait. While there is no bus, the first of them are kept.
func (b *Bus) Emit(e Event) {
	b.init()
	select {
	case b.events <- e:
	default:
		b.log().Warn("event was not told", "id", e.ID)
	}
}

// Run tells events until ctx ends, and returns its cause. It connects again when the bus restarts. An error says that this
// cannot work here: there is no bus, the name may not be had, or another program has it (ErrTaken).
func (b *Bus) Run(ctx context.Context) error {
	b.init()
	worked := false
	for {
		up, err := b.session(ctx)
		worked = worked || up
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !worked {
			return fmt.Errorf("D-Bus: %w", err)
		}
		b.log().Warn("D-Bus is gone; trying again", "error", err)
		timer := time.NewTimer(busAgain)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// session tells events on one connection. up says that the name was had.
func (b *Bus) session(ctx context.Context) (up bool, err error) {
	connect := func() (*dbus.Conn, error) { return dbus.ConnectSystemBus() }
	if b.Address != "" {
		connect = func() (*dbus.Conn, error) { return dbus.Connect(b.Address) }
	}
	conn, err := connect()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.Export(introspect.NewIntrospectable(description), busPath, "org.freedesktop.DBus.Introspectable"); err != nil {
		return false, err
	}
	reply, err := conn.RequestName(busName, dbus.NameFlagDoNotQueue)
	if err != nil {
		return false, err
	}
	if reply != dbus.RequestNameReplyPrimaryOwner {
		return false, ErrTaken
	}
	if b.OnUp != nil {
		b.OnUp(true)
		defer b.OnUp(false)
	}
	for {
		select {
		case e := <-b.events:
			err := conn.Emit(busPath, busSignal, uint32(e.Category), e.ID, e.Message, e.Arguments, e.MessageID, e.Time.UTC().Format(time.RFC3339))
			if err != nil {
				return true, err
			}
		case <-conn.Context().Done():
			return true, context.Cause(conn.Context())
		case <-ctx.Done():
			return true, context.Cause(ctx)
		}
	}
}

// description is what the bus tells those who ask what is there.
var description = &introspect.Node{Name: busPath, Interfaces: []introspect.Interface{
	introspect.IntrospectData,
	{Name: busName, Signals: []introspect.Signal{{Name: "Alert", Args: []introspect.Arg{
		{Name: "Category", Type: "u"}, {Name: "ID", Type: "u"}, {Name: "Message", Type: "s"},
		{Name: "MessageArgument", Type: "s"}, {Name: "MessageID", Type: "s"}, {Name: "DateTime", Type: "s"},
	}}}},
}}
