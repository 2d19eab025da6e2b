package firmware

import (
	"context"

	"github.com/outband/outband/wire/auditlog"
)

// How a machine was set up, in the audit log. Source: spec inventory-events-policies.md section 3.2, event 16/1; what
// client control mode would be is not known, and not logged.
const (
	setUpRemotely = 2
	setUpByMEBx   = 3
	setUpByHost   = 5
)

// noteSetup notes that the machine was set up, by the certificate of r if that is not nil.
func (m *Machine) noteSetup(method uint32, r *provisioningRecord) {
	fields := []auditlog.Field{auditlog.Num(method), auditlog.Num(0), auditlog.Bytes(nil), auditlog.Num(0), auditlog.Bytes(nil), auditlog.Num(0), auditlog.Str("")}
	if r != nil && len(r.Hash) > 0 {
		const most, size = 8, 16
		var serials []byte
		count := min(len(r.Serials), most)
		for _, serial := range r.Serials[:count] {
			var s [size]byte
			copy(s[max(0, size-len(serial)):], serial[max(0, len(serial)-size):])
			serials = append(serials, s[:]...)
		}
		further := uint32(0)
		if len(r.Serials) > most {
			further = 1
		}
		fields = []auditlog.Field{auditlog.Num(method), auditlog.Num(uint32(r.Algorithm)), auditlog.Bytes(r.Hash), auditlog.Num(uint32(count)), auditlog.Bytes(serials),
			auditlog.Num(further), auditlog.Str(r.Name)}
	}
	m.note(withCaller(context.Background(), caller{user: LocalUser}), auditlog.ProvisioningCompleted, fields...)
}
