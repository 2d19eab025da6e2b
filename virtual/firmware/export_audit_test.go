package firmware

import (
	"context"

	"github.com/outband/outband/wire/auditlog"
)

// FillAudit writes into the audit log until no more than one record of the greatest size is left free.
func (m *Machine) FillAudit() {
	for free := auditCapacity; free >= auditlog.MaxSize; {
		m.note(withCaller(context.Background(), caller{user: "filler"}), auditlog.HostNameSet, auditlog.Str("a-host-name-of-some-length"))
		m.audit.mu.Lock()
		free = auditCapacity - m.audit.used
		m.audit.mu.Unlock()
	}
}
