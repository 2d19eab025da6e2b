package firmware

import (
	"context"
	"net"
	"slices"
	"strconv"

	"github.com/outband/outband/class"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// What is audited stands in two tables, and is put around what other files have registered: those know nothing of it.
// To have a method audited add it to auditedMethods, a Put, Create or Delete to auditedInstances.

// An act is an event with its data.
type act struct {
	id     auditlog.EventID
	fields []auditlog.Field
}

func acted(id auditlog.EventID, fields ...auditlog.Field) []act { return []act{{id, fields}} }

// An auditedMethod is a method whose calls are audited.
type auditedMethod struct {
	class, method string

	// ids are the events that may come of it. If one of them is critical and cannot be logged the call is refused.
	ids []auditlog.EventID

	// look is called before the method; what it returns is called after it, with the method's return value, and tells
	// what was done. nil: nothing that is audited.
	look func(ctx context.Context, m *Machine, in *wsman.Element) (then func(code status.Status) []act)

	// which returns ids by the inputs; nil: all.
	which func(in *wsman.Element) []auditlog.EventID

	// refuse is asked first, nil: nobody. What is not Success is the method's return value.
	refuse func(ctx context.Context, m *Machine) status.Status
}

// An auditedClass is a class whose instances are audited. done tells what was done: old is nil after Create, now after
// Delete.
type auditedClass struct {
	class string
	ids   []auditlog.EventID
	done  func(m *Machine, old, now *wsman.Element) []act
}

// auditAround puts the audit log around all that is registered. It comes after all registrations.
func auditAround(t *table) {
	for _, a := range auditedMethods {
		t.methods.Around(a.class, a.method, func(ctx context.Context, m *Machine, in *wsman.Element, next class.Next) (wsman.Element, error) {
			if code := a.mayCall(ctx, m, in); code != status.Success {
				uri := wsman.ClassURI(a.class)
				return wsman.Group(uri, a.method+"_OUTPUT", wsman.El(uri, "ReturnValue", itoa(code))), nil
			}
			then := a.look(ctx, m, in)
			out, err := next(ctx)
			if err != nil || then == nil {
				return out, err
			}
			code, err := strconv.ParseUint(out.ChildText("ReturnValue"), 10, 32)
			if err == nil {
				for _, act := range then(status.Status(code)) {
					m.note(ctx, act.id, act.fields...)
				}
			}
			return out, nil
		})
	}
	for _, a := range auditedClasses {
		a.around(t.class(a.class))
	}
	for port, s := range t.ports {
		serve := s.serve
		s.serve = func(ctx context.Context, m *Machine, conn net.Conn, from origin) error {
			return serve(withPeer(ctx, conn, from.local), m, conn, from)
		}
		t.ports[port] = s
	}
}

// around has Put, Create and Delete of a class audited.
func (a auditedClass) around(b *behaviour) {
	may := func(m *Machine, op string) error {
		if m.mayActAny(a.ids) {
			return nil
		}
		return &status.Error{Op: a.class + "." + op, Code: status.AuditFail}
	}
	onPut, onCreate, onDelete, after := b.onPut, b.onCreate, b.onDelete, b.after
	b.onPut = func(ctx context.Context, m *Machine, old, want *wsman.Element) error {
		if err := may(m, "Put"); err != nil || onPut == nil {
			return err
		}
		return onPut(ctx, m, old, want)
	}
	b.onCreate = func(ctx context.Context, m *Machine, want *wsman.Element) error {
		if err := may(m, "Create"); err != nil || onCreate == nil {
			return err
		}
		return onCreate(ctx, m, want)
	}
	b.onDelete = func(ctx context.Context, m *Machine, old *wsman.Element) error {
		if err := may(m, "Delete"); err != nil || onDelete == nil {
			return err
		}
		return onDelete(ctx, m, old)
	}
	b.after = func(ctx context.Context, m *Machine, old, now *wsman.Element) {
		if after != nil {
			after(ctx, m, old, now)
		}
		for _, act := range a.done(m, old, now) {
			m.note(ctx, act.id, act.fields...)
		}
	}
}

// mayActAny tells whether all of the events may happen now.
func (m *Machine) mayActAny(ids []auditlog.EventID) bool {
	return !slices.ContainsFunc(ids, func(id auditlog.EventID) bool { return !m.mayAct(id) })
}

// mayCall tells whether the method may be called now.
func (a *auditedMethod) mayCall(ctx context.Context, m *Machine, in *wsman.Element) status.Status {
	if a.refuse != nil {
		if code := a.refuse(ctx, m); code != status.Success {
			return code
		}
	}
	ids := a.ids
	if a.which != nil {
		ids = a.which(in)
	}
	if !m.mayActAny(ids) {
		return status.AuditFail
	}
	return status.Success
}

// withPeer notes where a connection comes from.
func withPeer(ctx context.Context, conn net.Conn, local bool) context.Context {
	return context.WithValue(ctx, peerKey{}, peer{conn, local})
}

// noteFailure audits a refused log-on. The firmware does not tell from where. Source: spec inventory-events-policies.md
// section 3.2.
func (m *Machine) noteFailure(user string) {
	ctx := withCaller(context.Background(), caller{user: user})
	m.note(ctx, auditlog.WrongCredentials, auditlog.Num(0))
}
