package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/alarmclock"

	"github.com/outband/outband/lab"
)

// trusted are the flags with which our command trusts a machine.
func trusted(t testing.TB, w *world) []string {
	if w.Firmware.Profile().Plain {
		return nil
	}
	return []string{"--pin", w.fingerprint(t)}
}

// ourCommand runs our command against a machine. It must succeed.
func ourCommand(t testing.TB, w *world, args ...string) result {
	t.Helper()
	env := []string{"AMT_PASSWORD=" + password, "OUTBAND_HOSTS=" + t.TempDir() + "/hosts.json"}
	r := run(t, env, "", outband(t), append(args, trusted(t, w)...)...)
	if r.code != 0 {
		t.Fatalf("outband %q: exit code %d: %s", args, r.code, r.err)
	}
	return r
}

// TestGoWsmanAlarms has the library set an alarm that our command reads, read one that our command sets, and remove it.
func TestGoWsmanAlarms(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			start := time.Now().UTC().Truncate(time.Minute).Add(48 * time.Hour)
			theirs := alarmclock.AlarmClockOccurrence{InstanceID: "theirs", ElementName: "theirs", StartTime: start, Interval: 1530, DeleteOnCompletion: true}
			answer, err := m.AMT.AlarmClockService.AddAlarm(theirs)
			check(t, err)
			if got := answer.Body.AddAlarmOutput.ReturnValue; got != 0 {
				t.Fatalf("AddAlarm: return value %d", got)
			}
			r := ourCommand(t, w, "alarm", "list", w.Address, "-o", "json")
			want := fmt.Sprintf(`{"host":"%s","ok":true,"id":"theirs","name":"theirs","start":"%s","every_seconds":91800,"delete_after":true}`+"\n", w.Address, start.Format(time.RFC3339))
			if r.out != want {
				t.Errorf("got  %swant %s", r.out, want)
			}
			if answer, err = m.AMT.AlarmClockService.AddAlarm(theirs); err == nil && answer.Body.AddAlarmOutput.ReturnValue != 2058 {
				t.Errorf("the same name: return value %d", answer.Body.AddAlarmOutput.ReturnValue)
			}

			ourCommand(t, w, "alarm", "add", "ours", w.Address, "--at", start.Add(time.Hour).Format(time.RFC3339), "--every", "1d")
			begun, err := m.IPS.AlarmClockOccurrence.Enumerate()
			check(t, err)
			pulled, err := m.IPS.AlarmClockOccurrence.Pull(begun.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			items := pulled.Body.PullResponse.Items
			if len(items) != 2 {
				t.Fatalf("the library reads %d alarms", len(items))
			}
			ours := items[1]
			if ours.InstanceID != "ours" || ours.ElementName != "ours" || !ours.StartTime.Datetime.Equal(start.Add(time.Hour)) || ours.Interval.Interval != "P1DT0H0M0S" || ours.DeleteOnCompletion {
				t.Errorf("the library reads %+v", ours)
			}
			_, err = m.IPS.AlarmClockOccurrence.Delete("theirs")
			check(t, err)
			ourCommand(t, w, "alarm", "remove", "ours", w.Address)
			if r := ourCommand(t, w, "alarm", "list", w.Address, "-o", "json"); r.out != "" {
				t.Errorf("left: %s", r.out)
			}
		})
	}
}
