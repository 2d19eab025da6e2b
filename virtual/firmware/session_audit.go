package firmware

import (
	"context"

	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/redir"
)

// A sessionTrace is what a kind of session leaves in the logs. Source: spec inventory-events-policies.md sections 2.3 and
// 3.2.
type sessionTrace struct {
	opened, closed auditlog.EventID

	// Of the event log, data 2 of a user notification; KVM is not in it.
	event               bool
	eventOpen, eventEnd byte
}

var sessionTraces = map[redir.Kind]sessionTrace{
	redir.SOL:  {opened: auditlog.SOLOpened, closed: auditlog.SOLClosed, event: true, eventOpen: 0, eventEnd: 1},
	redir.IDER: {opened: auditlog.IDEROpened, closed: auditlog.IDERClosed, event: true, eventOpen: 2, eventEnd: 3},
	redir.KVM:  {opened: auditlog.KVMStarted, closed: auditlog.KVMEnded},
}

// ownSession is data 1 of the events of sessions.
const ownSession = 0x30

// traceSession notes a session in the logs, and returns what notes its end.
func (m *Machine) traceSession(ctx context.Context, s *redirected) (over func()) {
	ctx = withCaller(ctx, caller{user: s.user, vnc: s.user == ""})
	trace := sessionTraces[s.kind]
	note := func(id auditlog.EventID, code byte) {
		m.note(ctx, id)
		if trace.event {
			m.Log(eventlog.NewRecord(m.now(), eventlog.UserNotification, 0, eventlog.Monitor, eventlog.Engine, ownEvent, ownSession, code))
		}
	}
	note(trace.opened, trace.eventOpen)
	return func() { note(trace.closed, trace.eventEnd) }
}
