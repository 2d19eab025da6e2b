package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
)

// TestGoWsmanReadsTheEventLog has our command freeze, thaw and clear a log, and the library read it after each step. Before
// it is cleared, both tell the same records.
func TestGoWsmanReadsTheEventLog(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			w.PC.Person().Press()
			w.wait(t, "on", booted(1)) // the BIOS has told how it went
			ourCommand(t, w, "event", "freeze", w.Address)

			log := func(what string, frozen bool) (records []string) {
				t.Helper()
				answer, err := m.AMT.MessageLog.GetRecords(1, 390)
				check(t, err)
				records = answer.Body.GetRecordsResponse.RecordArray
				sequence, err := m.AMT.MessageLog.Enumerate()
				check(t, err)
				pulled, err := m.AMT.MessageLog.Pull(sequence.Body.EnumerateResponse.EnumerationContext)
				check(t, err)
				now := pulled.Body.PullResponse.MessageLogItems
				if len(now) != 1 || now[0].IsFrozen != frozen || now[0].CurrentNumberOfRecords != len(records) {
					t.Errorf("%s: %d records, and %+v", what, len(records), now)
				}
				return records
			}
			records := log("frozen", true)
			if len(records) == 0 {
				t.Fatal("a boot has left no record")
			}
			r := ourCommand(t, w, "event", "list", w.Address, "-o", "json")
			equal(t, "records that our command lists", strings.Count(r.out, "\n"), len(records))
			for _, raw := range records {
				if !strings.Contains(r.out, `"raw":"`+raw+`"`) {
					t.Errorf("our command does not list %s", raw)
				}
			}
			ourCommand(t, w, "event", "unfreeze", w.Address)
			log("thawed", false)
			ourCommand(t, w, "event", "clear", w.Address)
			if records := log("cleared", false); len(records) > 0 {
				t.Errorf("cleared, and %d records are there", len(records))
			}
		})
	}
}
