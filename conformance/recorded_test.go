package conformance

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/registry"
	"github.com/outband/outband/wire/wsman"
)

// invented are the recordings with something in them that no device ever sent: it was written by hand for a test of
// theirs. left are the elements that a decoder of the real classes cannot use. Sources: spec classes.md section 4 for
// the names; the vendor's class definitions (intel/lms CPPClasses) for the types of the values.
var invented = map[string]struct {
	left string
	why  string
}{
	"amt/eventlogentry/get":                            {"AMT_EventLogEntry.CreationClassName AMT_EventLogEntry.EventData AMT_EventLogEntry.TimeStamp", "two are no properties; EventData is an array of octets, here it is hex in one string"},
	"amt/eventlogentry/pull":                           {"AMT_EventLogEntry.CreationClassName AMT_EventLogEntry.EventData AMT_EventLogEntry.TimeStamp", "the same"},
	"amt/hdr8021filter/get":                            {"AMT_Hdr8021Filter.FilterEnabled AMT_Hdr8021Filter.VLANID AMT_Hdr8021Filter.VLANPriority", "the properties are HdrVLANID, HdrPriorityValue8021P ..."},
	"amt/hdr8021filter/pull":                           {"AMT_Hdr8021Filter.FilterEnabled AMT_Hdr8021Filter.VLANID AMT_Hdr8021Filter.VLANPriority", "the same"},
	"amt/publickey/management/generatepkcs10requestex": {"AMT_PublicKeyManagementService.GeneratePKCS10RequestEx", `the request is "test?", which is not base64`},
	"amt/setupandconfiguration/getuuid":                {"AMT_SetupAndConfigurationService.GetUuid", "a method's output without ReturnValue; message id 0"},
	"amt/setupandconfiguration/getuuid-bad":            {"AMT_SetupAndConfigurationService.GetUuid", "the same, and a UUID of 5 octets"},
	"cim/wifi/endpointsettings/delete":                 {"CIM_WiFiEndpointSettings", "the body of an answer to Delete is empty, not a ReturnValue"},
	"ips/alarmclock/get":                               {"IPS_AlarmClockOccurrence.Interval IPS_AlarmClockOccurrence.StartTime", `the time is "testdatetime", the interval "0"`},
	"ips/alarmclock/pull":                              {"IPS_AlarmClockOccurrence.Interval IPS_AlarmClockOccurrence.StartTime", "the same, and properties in the namespace of WS-Enumeration"},
}

// A tally counts what came of a set of recordings.
type tally struct {
	documents, instances, outputs int
	decoded                       int      // elements: properties of instances, parameters of methods
	left                          []string // those that could not be used: "AMT_EventLogEntry.TimeStamp"
}

func (a *tally) add(b tally) {
	a.documents += b.documents
	a.instances += b.instances
	a.outputs += b.outputs
	a.decoded += b.decoded
	a.left = append(a.left, b.left...)
}

func (a *tally) String() string {
	return fmt.Sprintf("%d answers: %d instances, %d method outputs, %d elements decoded, %d left over",
		a.documents, a.instances, a.outputs, a.decoded, len(a.left))
}

// TestRecordedAnswers reads every recorded answer with the generated types. Each instance and each method's output
// must decode with nothing left over and come back as the elements that it was made of.
func TestRecordedAnswers(t *testing.T) {
	var real, fake tally
	for _, r := range corpus(t) {
		t.Run(r.name, func(t *testing.T) {
			resp, err := wsman.ParseResponse(r.doc)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Fault != nil {
				t.Fatal(resp.Fault)
			}
			sum := tally{documents: 1}
			judge(t, &sum, resp)
			list := &real
			if _, ok := invented[r.name]; ok {
				list = &fake
			}
			list.add(sum)
			if got, want := strings.Join(sum.left, " "), invented[r.name].left; got != want {
				t.Errorf("left over %q, want %q", got, want)
			}
		})
	}
	t.Logf("recorded: %v", &real)
	t.Logf("invented: %v", &fake)
	for _, tt := range []struct {
		name string
		got  tally
		want string
	}{
		{"recorded", real, "288 answers: 170 instances, 47 method outputs, 1590 elements decoded, 0 left over"},
		{"invented", fake, "10 answers: 6 instances, 3 method outputs, 28 elements decoded, 20 left over"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func judge(t *testing.T, sum *tally, resp *wsman.Response) {
	t.Helper()
	switch body := resp.Body; {
	case body == nil: // of Delete
	case body.Space == wsman.NSEnumeration:
		if items := body.Child("Items"); items != nil {
			for i := range items.Children {
				judgeInstance(t, sum, &items.Children[i])
			}
		}
	case body.Space == wsman.NSTransfer:
		if _, err := wsman.ParseEPR(body); err != nil {
			t.Error(err)
		}
	case strings.HasSuffix(body.Local, "_OUTPUT"):
		judgeOutput(t, sum, body)
	default:
		judgeInstance(t, sum, body)
	}
}

func judgeInstance(t *testing.T, sum *tally, e *wsman.Element) {
	t.Helper()
	name := class.Of(e)
	v := registry.New(name)
	if v == nil || e.Local != name {
		sum.left = append(sum.left, name)
		return
	}
	sum.instances++
	good := *e
	if v.Decode(e) != nil { // find the elements that are to blame
		good.Children = nil
		for _, c := range e.Children {
			if v.Decode(&wsman.Element{Name: e.Name, Children: []wsman.Element{c}}) != nil {
				sum.left = append(sum.left, name+"."+c.Local)
			} else {
				good.Children = append(good.Children, c)
			}
		}
		if err := v.Decode(&good); err != nil {
			t.Fatal(err)
		}
	}
	extra := reflect.ValueOf(v).Elem().FieldByName("Extra").Interface().([]wsman.Element)
	for _, c := range extra {
		sum.left = append(sum.left, name+"."+c.Local)
	}
	slices.Sort(sum.left)
	sum.decoded += len(good.Children) - len(extra)
	if len(sum.left) == 0 {
		same(t, name, good.Children, v.Element().Children)
	}
}

func judgeOutput(t *testing.T, sum *tally, e *wsman.Element) {
	t.Helper()
	op := class.Of(e) + "." + strings.TrimSuffix(e.Local, "_OUTPUT")
	call, ok := outputs[op]
	if !ok {
		t.Fatalf("%s is not in the table of methods", op)
	}
	sum.outputs++
	back, err := call(e)
	if err != nil {
		sum.left = append(sum.left, op)
		return
	}
	sum.decoded += len(back)
	same(t, op, e.Children, back)
}

// same compares what was read with what is written again. The order is a matter of its own: classes have tests for it.
func same(t *testing.T, owner string, read, written []wsman.Element) {
	t.Helper()
	have, want := lines(written), lines(read)
	for _, line := range want {
		if !slices.Contains(have, line) {
			t.Errorf("%s: read but not written: %s", owner, line)
		}
	}
	for _, line := range have {
		if !slices.Contains(want, line) {
			t.Errorf("%s: written but not read: %s", owner, line)
		}
	}
	if len(have) != len(want) {
		t.Errorf("%s: %d elements written, %d read", owner, len(have), len(want))
	}
}

// lines renders elements for comparison, sorted.
func lines(list []wsman.Element) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = render(list[i])
	}
	slices.Sort(out)
	return out
}

// render writes an element without the white space that the recordings were indented with. A SelectorSet without
// selectors says as much as none.
func render(e wsman.Element) string {
	text := strings.Join(strings.Fields(e.Text), " ")
	for _, a := range e.Attrs {
		text = fmt.Sprintf("@%s=%q", a.Local, a.Value) + text
	}
	for _, c := range e.Children {
		if c.Local != "SelectorSet" || len(c.Children) > 0 {
			text += render(c)
		}
	}
	return fmt.Sprintf("<%s %s>%s", e.Space, e.Local, text)
}
