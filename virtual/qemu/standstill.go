package qemu

import (
	"time"

	"github.com/outband/outband/wire/qmp"
)

// When the file of a drive cannot grow, because the disk it is on is full, QEMU holds the processors before the guest hears
// of it, and repeats the write when they run again. So nothing is lost: the guest stands still until there is room.
const (
	retryTime = 5 * time.Second
	quietTime = time.Minute // without a failure: the next one is told again
)

// onDriveError hears that a drive has failed. If the processors were held for it they are let go again after a while; when
// the disk is full still, that ends here once more. mu is held.
func (m *Machine) onDriveError(p *process, e qmp.Event) {
	if e.Data.Action != "stop" {
		return // "report", "ignore": the guest has heard of it
	}
	if time.Since(m.still) > quietTime {
		m.log.Warn("the guest stands still: a drive fails; it goes on when there is room", "drive", e.Data.Device, "operation", e.Data.Operation, "reason", e.Data.Reason)
	}
	m.still = time.Now()
	m.wg.Go(func() {
		select {
		case <-time.After(m.retry):
		case <-p.exited:
			return
		case <-m.ctx.Done():
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.p != p || m.busy || m.closed { // a transition lets them go by itself
			return
		}
		if err := m.command(m.ctx, "cont"); err != nil {
			m.log.Warn("the guest cannot go on", "error", err)
		}
	})
}
