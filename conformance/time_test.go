package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/outband/outband/lab"
)

// TestGoWsmanReadsTime has the library put a clock a year ahead, our command put it right, and the library read it.
func TestGoWsmanReadsTime(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			clock := func() int64 {
				t.Helper()
				answer, err := m.AMT.TimeSynchronizationService.GetLowAccuracyTimeSynch()
				check(t, err)
				return answer.Body.GetLowAccuracyTimeSynchResponse.Ta0
			}
			const year = 365 * 24 * 3600
			ta0, now := clock(), time.Now().Unix()
			answer, err := m.AMT.TimeSynchronizationService.SetHighAccuracyTimeSynch(ta0, now+year, now+year)
			check(t, err)
			equal(t, "SetHighAccuracyTimeSynch", int(answer.Body.SetHighAccuracyTimeSynchResponse.ReturnValue), 0)
			if off := clock() - time.Now().Unix(); off < year/2 {
				t.Fatalf("the clock is %d s ahead", off)
			}
			ourCommand(t, w, "time", "sync", w.Address)
			if off := clock() - time.Now().Unix(); off < -year/2 || off > year/2 { // how near it is is told by others
				t.Errorf("after it the clock is %d s ahead", off)
			}
		})
	}
}
