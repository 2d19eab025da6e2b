package conformance

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/wsman"
)

// The agent of these tests: its GUID as people write it, and as DeviceID has it.
const (
	agentGUID   = "24a86501-50a6-4c1d-9e2f-a1b2c3d4e5f6"
	agentDevice = "AWWoJKZQHUyeL6Gyw9Tl9g=="
	watchdogURI = "http://intel.com/wbem/wscim/1/amt-schema/1/AMT_AgentPresenceWatchdog"
)

// envelope is a request as a console writes it that is not ours: by hand, with other prefixes than ours.
func envelope(action, selectors, body string) string {
	return `<?xml version="1.0" encoding="utf-8"?><Envelope xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" ` +
		`xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns="http://www.w3.org/2003/05/soap-envelope"><Header><a:Action>` + action +
		`</a:Action><a:To>/wsman</a:To><w:ResourceURI>` + watchdogURI + `</w:ResourceURI><a:MessageID>7</a:MessageID><a:ReplyTo>` +
		`<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo><w:OperationTimeout>PT60S</w:OperationTimeout>` +
		selectors + `</Header><Body>` + body + `</Body></Envelope>`
}

// ask sends a request by curl, and returns the body of the answer.
func ask(t *testing.T, w *world, request string) *wsman.Element {
	t.Helper()
	_, body := heads(t, curl(t, w, "/wsman", password, request))
	doc, err := wsman.Parse([]byte(unchunk(t, body)))
	check(t, err)
	answer := doc.Child("Body")
	if answer == nil || len(answer.Children) != 1 || answer.Children[0].Local == "Fault" {
		t.Fatalf("answer to %s: %+v", request, doc)
	}
	return &answer.Children[0]
}

// invoke calls a method of the agent's watchdog.
func invokeWatchdog(t *testing.T, w *world, method, parameters string) *wsman.Element {
	t.Helper()
	out := ask(t, w, envelope(watchdogURI+"/"+method, `<w:SelectorSet><w:Selector Name="DeviceID">`+agentDevice+`</w:Selector></w:SelectorSet>`,
		`<r:`+method+`_INPUT xmlns:r="`+watchdogURI+`">`+parameters+`</r:`+method+`_INPUT>`))
	equal(t, out.Local, out.ChildText("ReturnValue"), "0")
	return out
}

// agents is what the machine itself holds of its agents.
func agents(t *testing.T, w *world) (out []struct {
	ID      string
	State   int
	Actions []struct {
		From, To int
		Event    bool
		Policy   *int
	}
}) {
	t.Helper()
	s, err := w.Firmware.State()
	check(t, err)
	if text := s.Parts["agents"]; text != nil {
		check(t, json.Unmarshal(text, &out))
	}
	return out
}

// TestCurlWatchdog has a foreign console add a watchdog and an action, and a foreign agent live and end. Our commands
// read it, and so does the machine itself; the library reads the links and the events.
func TestCurlWatchdog(t *testing.T) {
	for _, generation := range []int{8, 11, 12, 16, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, Power: "on"})
			created := ask(t, w, envelope("http://schemas.xmlsoap.org/ws/2004/09/transfer/Create", "", `<r:AMT_AgentPresenceWatchdog xmlns:r="`+watchdogURI+`">`+
				`<r:CreationClassName>0</r:CreationClassName><r:DeviceID>`+agentDevice+`</r:DeviceID><r:MonitoredEntityDescription>backup</r:MonitoredEntityDescription>`+
				`<r:StartupInterval>3600</r:StartupInterval><r:SystemCreationClassName>0</r:SystemCreationClassName><r:SystemName>0</r:SystemName>`+
				`<r:TimeoutInterval>60</r:TimeoutInterval></r:AMT_AgentPresenceWatchdog>`))
			equal(t, "the answer to Create", created.Local, "ResourceCreated")
			invokeWatchdog(t, w, "AddAction", `<r:OldState>31</r:OldState><r:NewState>31</r:NewState><r:EventOnTransition>true</r:EventOnTransition><r:ActionSd>0</r:ActionSd>`)
			list := w.instances(t, "AMT_AgentPresenceWatchdog")
			if len(list) != 1 || list[0].ChildText("DeviceID") != agentDevice || list[0].ChildText("SystemName") != "Intel(r) AMT" {
				t.Fatalf("the machine has %+v", list)
			}
			want := fmt.Sprintf(`{"host":"%s","ok":true,"agent":"%s","name":"backup","state":"not-started","startup_seconds":3600,"heartbeat_seconds":60,"actions":1}`+"\n", w.Address, agentGUID)
			if r := ourCommand(t, w, "presence", "watchdog", "list", w.Address, "-o", "json"); r.out != want {
				t.Errorf("got  %swant %s", r.out, want)
			}
			r := ourCommand(t, w, "presence", "action", "list", w.Address, "-o", "json")
			if !strings.Contains(r.out, `"to":["not-started","stopped","running","expired","suspended"],"event":true,"policy":"on","eac":false}`) {
				t.Errorf("got %s", r.out)
			}

			var n uint32
			_, err := fmt.Sscan(invokeWatchdog(t, w, "RegisterAgent", "").ChildText("SessionSequenceNumber"), &n)
			check(t, err)
			equal(t, "registered", agents(t, w)[0].State, 4)
			invokeWatchdog(t, w, "AssertPresence", fmt.Sprintf("<r:SequenceNumber>%d</r:SequenceNumber>", n+1))
			invokeWatchdog(t, w, "AssertShutdown", fmt.Sprintf("<r:SequenceNumber>%d</r:SequenceNumber>", n+2))
			equal(t, "shut down", agents(t, w)[0].State, 2)

			if generation >= 11 { // what the library can be asked for
				theirs := gowsman(t, w)
				begun, err := theirs.CIM.ConcreteDependency.Enumerate()
				check(t, err)
				pulled, err := theirs.CIM.ConcreteDependency.Pull(begun.Body.EnumerateResponse.EnumerationContext)
				check(t, err)
				linked := 0
				for _, item := range pulled.Body.PullResponse.Items {
					if item.Antecedent.ReferenceParameters.HasSelector("DeviceID", agentDevice) && item.Dependent.ReferenceParameters.GetSelectorValue("PolicyConditionName") != "" {
						linked++
					}
				}
				equal(t, "conditions that the library finds at the watchdog", linked, 1)
				records, err := theirs.AMT.MessageLog.GetRecords(1, 390)
				check(t, err)
				var told []string
				for _, e := range records.Body.GetRecordsResponse.RefinedEventData {
					if strings.HasPrefix(e.Description, "Agent watchdog") {
						told = append(told, e.Description)
					}
				}
				wantTold := []string{"Agent watchdog 24a8651-50a6-... changed to Stopped", "Agent watchdog 24a8651-50a6-... changed to Running"}
				equal(t, "events that the library reads", strings.Join(told, "; "), strings.Join(wantTold, "; "))
			}
			invokeWatchdog(t, w, "DeleteAllActions", "")
			equal(t, "actions left", len(agents(t, w)[0].Actions), 0)
		})
	}
}

// TestCurlReadsOurWatchdog has curl read what our commands have written.
func TestCurlReadsOurWatchdog(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 12, Power: "on"})
	ourCommand(t, w, "presence", "watchdog", "add", "backup", w.Address, "--agent", agentGUID, "--startup", "2h", "--heartbeat", "90s")
	ourCommand(t, w, "presence", "action", "add", "backup", w.Address, "--from", "running,not-started", "--to", "expired", "--event", "--policy", "off")
	selectors := `<w:SelectorSet><w:Selector Name="DeviceID">` + agentDevice + `</w:Selector></w:SelectorSet>`
	get := envelope("http://schemas.xmlsoap.org/ws/2004/09/transfer/Get", selectors, "")
	got := ask(t, w, get)
	for name, want := range map[string]string{"CreationClassName": "AMT_AgentPresenceWatchdog", "CurrentState": "1", "DeviceID": agentDevice,
		"MonitoredEntityDescription": "backup", "StartupInterval": "7200", "TimeoutInterval": "90", "SystemCreationClassName": "CIM_ComputerSystem"} {
		equal(t, name, got.ChildText(name), want)
	}
	held := agents(t, w)
	if len(held) != 1 || held[0].ID != agentGUID || len(held[0].Actions) != 1 {
		t.Fatalf("the machine holds %+v", held)
	}
	a := held[0].Actions[0]
	if a.From != 5 || a.To != 8 || !a.Event || a.Policy == nil || *a.Policy != 1 {
		t.Errorf("the machine holds action %+v", a)
	}
	ourCommand(t, w, "presence", "run", w.Address, "--agent", agentGUID, "--", "true")
	equal(t, "state after our program has ended", ask(t, w, get).ChildText("CurrentState"), "2")
	ourCommand(t, w, "presence", "action", "remove", "backup", w.Address)
	equal(t, "actions left", len(agents(t, w)[0].Actions), 0)
	ourCommand(t, w, "presence", "watchdog", "remove", "backup", w.Address)
	if list := w.instances(t, "AMT_AgentPresenceWatchdog"); len(list) != 0 {
		t.Errorf("left: %+v", list)
	}
	_, body := heads(t, curl(t, w, "/wsman", password, get))
	if !regexp.MustCompile(`InvalidSelectors`).MatchString(body) {
		t.Errorf("curl still finds it: %s", body)
	}
}
