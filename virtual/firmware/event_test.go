package firmware_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// fill logs n events whose data count from 1.
func (w *world) fill(n int) {
	for i := range n {
		w.Log(eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.Fan, 0, eventlog.Monitor, eventlog.SystemBoard, byte((i+1)>>8), byte(i+1)))
	}
}

// pull reads from a position and returns the numbers that fill gave, and where the iteration is then.
func (w *world) pull(t *testing.T, id string, most uint32) (got []int, next string, done bool, c status.Status) {
	t.Helper()
	out, err := amt.MessageLogGetRecords.Invoke(t.Context(), w, amt.MessageLogGetRecordsIn{IterationIdentifier: &id, MaxReadRecords: &most})
	for _, text := range out.RecordArray {
		octets, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := eventlog.Parse(octets)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, int(r.Data[0])<<8|int(r.Data[1]))
	}
	return got, class.Value(out.IterationIdentifier), class.Value(out.NoMoreRecords), code(t, err)
}

func TestEventLogRing(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	_, err := amt.MessageLogPositionToFirstRecord.Invoke(t.Context(), w, amt.MessageLogPositionToFirstRecordIn{})
	if c := code(t, err); c != 2 {
		t.Errorf("first record of an empty log: got %v, want 2", c)
	}
	if _, _, _, c := w.pull(t, "1", 390); c != 3 {
		t.Errorf("records of an empty log: got %v, want 3", c)
	}
	w.fill(3)
	first, err := amt.MessageLogPositionToFirstRecord.Invoke(t.Context(), w, amt.MessageLogPositionToFirstRecordIn{})
	if err != nil || class.Value(first.IterationIdentifier) != "1" {
		t.Errorf("first: got %v, %v", first, err)
	}
	got, next, done, _ := w.pull(t, "1", 390)
	if !slices.Equal(got, []int{3, 2, 1}) || next != "3" || !done { // as recorded
		t.Errorf("got %v, %s, %v; want 3 2 1, 3, true", got, next, done)
	}
	w.fill(400)
	got, next, done, _ = w.pull(t, "1", 200)
	again, _, done2, _ := w.pull(t, next, 200)
	got = append(got, again...)
	if len(got) != 390 || got[0] != 400 || got[389] != 11 || done || !done2 || !slices.IsSortedFunc(got, func(a, b int) int { return b - a }) {
		t.Errorf("full: got %d records from %d to %d, %v, %v; want 390 from 400 to 11", len(got), got[0], got[len(got)-1], done, done2)
	}
	for _, id := range []string{"0", "391", "-1", "x", ""} {
		if _, _, _, c := w.pull(t, id, 1); c != 2 {
			t.Errorf("position %q: got %v, want 2", id, c)
		}
	}
	l, err := class.Get[amt.MessageLog](t.Context(), w)
	if err != nil || class.Value(l.CurrentNumberOfRecords) != 390 || class.Value(l.MaxNumberOfRecords) != 390 || class.Value(l.IsFrozen) {
		t.Errorf("got %+v, %v", l, err)
	}
	if got := w.Events(); len(got) != 390 || got[0].Data[1] != 400&0xff || got[0].Sensor != eventlog.Fan {
		t.Errorf("Events: %d, %+v", len(got), got[0])
	}
}

func TestEventLogSingleRecords(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	w.fill(5)
	get := func(id string, on bool) string {
		out, err := amt.MessageLogGetRecord.Invoke(t.Context(), w, amt.MessageLogGetRecordIn{IterationIdentifier: &id, PositionToNext: &on})
		if c := code(t, err); c != 0 {
			return fmt.Sprint("code ", uint32(c))
		}
		return fmt.Sprint(len(out.RecordData), " octets of ", out.RecordData[14], ", number ", *out.RecordNumber, ", at ", *out.IterationIdentifier)
	}
	move := func(id string, absolute bool, n int64) string {
		out, err := amt.MessageLogPositionAtRecord.Invoke(t.Context(), w, amt.MessageLogPositionAtRecordIn{IterationIdentifier: &id, MoveAbsolute: &absolute, RecordNumber: &n})
		if c := code(t, err); c != 0 {
			return fmt.Sprint("code ", uint32(c))
		}
		return fmt.Sprint("at ", *out.IterationIdentifier, ", number ", *out.RecordNumber)
	}
	for _, tt := range []struct{ what, got, want string }{
		{"the newest", get("1", false), "21 octets of 5, number 1, at 1"},
		{"and on", get("1", true), "21 octets of 5, number 1, at 2"},
		{"the oldest", get("5", true), "21 octets of 1, number 5, at 5"},
		{"beyond", get("6", true), "code 2"},
		{"to 4", move("1", true, 4), "at 4, number 4"},
		{"2 on", move("3", false, 2), "at 5, number 5"},
		{"2 back", move("3", false, -2), "at 1, number 1"},
		{"too far on", move("3", false, 3), "code 3"},
		{"too far back", move("3", false, -3), "code 3"},
		{"far too far", move("3", false, 1<<62), "code 3"},
		{"to 0", move("1", true, 0), "code 2"},
		{"to 6", move("1", true, 6), "code 2"},
		{"from nowhere", move("x", false, 1), "code 3"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.what, tt.got, tt.want)
		}
	}
	if _, err := amt.MessageLogCancelIteration.Invoke(t.Context(), w, amt.MessageLogCancelIterationIn{IterationIdentifier: new("3")}); err != nil {
		t.Errorf("cancel: got %v", err)
	}
}

func TestEventLogFreezeClearAndRealms(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	w.add(t, w.newUser("reader", "S3cret!pass", amt.RealmEventLogReader))
	reader := w.login(t, "reader", "S3cret!pass")
	w.fill(2)
	freeze := func(rt wsman.RoundTripper, on bool) status.Status {
		_, err := amt.MessageLogFreezeLog.Invoke(t.Context(), rt, amt.MessageLogFreezeLogIn{Freeze: &on})
		return code(t, err)
	}
	clear := func(rt wsman.RoundTripper) status.Status {
		_, err := amt.MessageLogClearLog.Invoke(t.Context(), rt, amt.MessageLogClearLogIn{})
		return code(t, err)
	}
	if _, err := amt.MessageLogGetRecords.Invoke(t.Context(), reader, amt.MessageLogGetRecordsIn{IterationIdentifier: new("1"), MaxReadRecords: new(uint32(1))}); err != nil {
		t.Errorf("reader reads: got %v", err)
	}
	if a, b := freeze(reader, true), clear(reader); a != status.NotPermitted || b != status.NotPermitted {
		t.Errorf("reader freezes, clears: got %v, %v", a, b)
	}
	if c := freeze(w, true); c != 0 {
		t.Errorf("freeze: got %v", c)
	}
	w.fill(1)
	if c := clear(w); c != status.EventLogFrozen || len(w.Events()) != 2 {
		t.Errorf("clear while frozen: got %v, %d records", c, len(w.Events()))
	}
	if a, b := freeze(w, false), clear(w); a != 0 || b != 0 || len(w.Events()) != 0 {
		t.Errorf("thaw, clear: got %v, %v, %d records", a, b, len(w.Events()))
	}
}

func TestEventLogIsKept(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	w.fill(3)
	var state bytes.Buffer
	if err := w.Dump(&state); err != nil {
		t.Fatal(err)
	}
	s, err := firmware.ReadState(bytes.NewReader(state.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld(t, firmware.Config{State: s}, pc.Options{})
	if d := cmp.Diff(w.Events(), again.Events()); d != "" || len(w.Events()) != 3 {
		t.Errorf("-saved +loaded\n%s", d)
	}
	for _, bad := range []string{`{"Records":["AAAA"]}`, `{"Records":["!"]}`, `{"Records":[` + strings.Repeat(`"Y8iYZf8GbwVoEP8mYaoKAAAAAAAA",`, 390) + `"Y8iYZf8GbwVoEP8mYaoKAAAAAAAA"]}`} {
		text := `{"format":"outband-dump/1","instances":{},"generation":12,"parts":{"events":` + bad + `}}`
		s, err := firmware.ReadState(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := firmware.New(firmware.Config{State: s}); err == nil {
			t.Errorf("%.60s: loaded", bad)
		}
	}
}

// told returns the texts of the log, oldest first.
func (w *world) told() []string {
	var out []string
	for _, r := range slices.Backward(w.Events()) {
		out = append(out, r.Text())
	}
	return out
}

func TestBootIsLogged(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    pc.Options
		plan func(*amt.BootSettingData)
		take bool // the media away
		want []string
	}{
		{name: "boot", want: []string{"firmware: initialising memory", "firmware: configuring PCI", "firmware: starting the operating system"}},
		{name: "setup", plan: func(s *amt.BootSettingData) { s.BIOSSetup = new(true) },
			want: []string{"firmware: initialising memory", "firmware: configuring PCI", "firmware: entering setup"}},
		{name: "nothing to boot from", take: true,
			want: []string{"firmware: initialising memory", "firmware: configuring PCI", "no bootable medium"}},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{}, tt.o)
			if tt.plan != nil {
				if err := w.put(t, tt.plan); err != nil {
					t.Fatal(err)
				}
				w.role(t, cim.BootServiceSetBootConfigRoleRoleIsNextSingleUse)
			}
			if tt.take {
				for _, s := range []firmware.BootSource{firmware.BootDisk, firmware.BootCD, firmware.BootPXE} {
					w.pc.Insert(s, false)
				}
			}
			if c := w.request(t, cim.PowerStateOn); c != 0 {
				t.Fatal(c)
			}
			w.settle()
			if d := cmp.Diff(tt.want, w.told()); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			for _, r := range w.Events() {
				if at := r.When(); time.Since(at) < 0 || time.Since(at) > time.Minute {
					t.Errorf("%s at %v", r.Text(), at)
				}
			}
		})
	}
}

func TestFailedEraseIsLogged(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{NoDisk: true})
		on := cim.BootServiceRequestStateChangeIn{RequestedState: new(cim.BootServiceRequestedState(32770))}
		if _, err := cim.BootServiceRequestStateChange.Invoke(t.Context(), w, on); err != nil {
			t.Fatal(err)
		}
		if err := w.put(t, func(d *amt.BootSettingData) { d.PlatformErase = new(true) }); err != nil {
			t.Fatal(err)
		}
		w.role(t, 1)
		w.request(t, cim.PowerStateOn)
		w.settle()
		if told := w.told(); !slices.Contains(told, "erase error: SSD not erased") {
			t.Errorf("got %q", told)
		}
	})
}

func TestRefusedLogOnsAreLogged(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		for range 11 {
			c := w.login(t, "admin", "wrong")
			if _, err := wsman.Identify(t.Context(), c); err == nil {
				t.Fatal("logged on")
			}
			c.Close()
			time.Sleep(2 * time.Minute)
			synctest.Wait()
		}
		if d := cmp.Diff([]string{"authentication failed 5 times", "authentication failed 10 times"}, w.told()); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
		octets := w.Events()[0].Append(nil)[4:]
		if got := base64.StdEncoding.EncodeToString(append([]byte{0x63, 0xc8, 0x98, 0x65}, octets...)); got != "Y8iYZf8GbwVoEP8mYaoKAAAAAAAA" {
			t.Errorf("got %s, which is not as recorded", got)
		}
	})
}
