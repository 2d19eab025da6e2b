package eventing

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/wsman"
)

// As Intel's guide shows an event of a real machine, "Identifying Received Events", with values of spec classes.json.
const recorded = `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:c="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:d="http://schemas.xmlsoap.org/ws/2005/02/trust" xmlns:e="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" xmlns:f="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" xmlns:g="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_AlertIndication" xmlns:h="http://schemas.dmtf.org/wbem/wscim/1/common"><a:Header><b:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</b:To><b:ReplyTo><b:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</b:Address></b:ReplyTo><c:AckRequested></c:AckRequested><b:Action a:mustUnderstand="true">http://schemas.dmtf.org/wbem/wsman/1/wsman/Event</b:Action><b:MessageID>uuid:00000000-8086-8086-8086-000000000013</b:MessageID><c:ResourceURI>http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_AlertIndication</c:ResourceURI><m:Hello xmlns:m="http://mynamespace.com">Here</m:Hello></a:Header><a:Body><g:CIM_AlertIndication><g:AlertType>8</g:AlertType><g:IndicationFilterName>Intel(r) AMT:AllEvents</g:IndicationFilterName><g:IndicationIdentifier>Intel(r):2950234687</g:IndicationIdentifier><g:IndicationTime><h:Datetime>2017-01-31T15:40:09.000Z</h:Datetime></g:IndicationTime><g:Message></g:Message><g:MessageArguments>0</g:MessageArguments><g:MessageArguments>Interop:CIM_ComputerSystem.CreationClassName=CIM_ComputerSystem,Name=Intel(r) AMT</g:MessageArguments><g:MessageID>iAMT0005</g:MessageID><g:OwningEntity>Intel(r) AMT</g:OwningEntity><g:PerceivedSeverity>2</g:PerceivedSeverity><g:SystemName>Intel(r) AMT</g:SystemName></g:CIM_AlertIndication></a:Body></a:Envelope>`

func TestDelivery(t *testing.T) {
	got, err := ParseDelivery([]byte(recorded))
	if err != nil {
		t.Fatal(err)
	}
	want := Alert{MessageID: "iAMT0005", Arguments: []string{"0", ArgumentPath}, Owner: Owner, Severity: Information, Type: 8, Filter: "Intel(r) AMT:AllEvents",
		Identifier: "Intel(r):2950234687", Time: time.Date(2017, 1, 31, 15, 40, 9, 0, time.UTC), System: Owner}
	if !reflect.DeepEqual(got.Alert, want) || !got.Ack || got.MessageID != "uuid:00000000-8086-8086-8086-000000000013" || len(got.Parameters) != 1 || got.Parameters[0].Text != "Here" {
		t.Errorf("got %+v", got)
	}
	if text := got.Alert.Text(); text != "agent 0 expired" {
		t.Errorf("text: %q", text)
	}
	wire := got.Append(nil)
	if again, err := ParseDelivery(wire); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("wrote and read %+v, %v", again, err)
	}
	head, _, _ := strings.Cut(recorded, "<a:Header>")
	if !strings.HasPrefix(string(wire), strings.TrimSuffix(head, ">")) {
		t.Errorf("another beginning:\n%.900s\nwant\n%s", wire, head)
	}
	for _, bad := range []string{"", "<x/>", strings.Replace(recorded, "CIM_AlertIndication>", "CIM_Chip>", -1), recorded[:500]} {
		if _, err := ParseDelivery([]byte(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%.40q: got %v", bad, err)
		}
	}
	if _, err := ParseDelivery(make([]byte, MaxEvent+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too long: got %v", err)
	}
}

func TestAck(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		want      bool
	}{
		{"ours", string(Ack("uuid:1", "uuid:2")), true},
		{"nothing", " \r\n", true},
		{"of another message", string(Ack("uuid:3", "uuid:2")), false},
		{"not XML", "OK", false},
	} {
		if got := IsAck([]byte(tt.doc), "uuid:1"); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func TestSubscribe(t *testing.T) {
	want := Subscription{Mode: PushWithAck, Address: "http://192.0.2.9:5000/path", Parameters: []wsman.Element{wsman.El("urn:x", "arg", "text")},
		Username: "sink", Password: "Sink$ecret1", Expires: time.Hour}
	req := wsman.Request{Action: wsman.ActionSubscribe, ResourceURI: wsman.ClassURI("CIM_FilterCollection"), Header: want.Header(), Body: want.Body()}
	read, err := wsman.ParseRequest(req.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSubscribe(read.Body, read.Header)
	if err != nil || got.Address != want.Address || got.Mode != want.Mode || got.Username != want.Username || got.Password != want.Password || got.Expires != want.Expires ||
		len(got.Parameters) != 1 || got.Parameters[0].Text != "text" {
		t.Errorf("got %+v, %v", got, err)
	}
	change := func(f func(body *wsman.Element)) *wsman.Element {
		body := want.Body()
		f(body)
		return body
	}
	for name, tt := range map[string]struct {
		body *wsman.Element
		want error
	}{
		"nothing":     {nil, ErrInvalidMessage},
		"no receiver": {change(func(b *wsman.Element) { b.Child("Delivery").Children = nil }), ErrInvalidMessage},
		"a filter":    {change(func(b *wsman.Element) { b.Children = append(b.Children, wsman.El(wsman.NSEventing, "Filter", "")) }), ErrFiltering},
		"heartbeats": {change(func(b *wsman.Element) {
			d := b.Child("Delivery")
			d.Children = append(d.Children, wsman.El(wsman.NSWSMan, "Heartbeats", "PT1M"))
		}), wsman.ErrUnsupportedFeature},
		"no such time":       {change(func(b *wsman.Element) { b.Child("Expires").Text = "soon" }), ErrInvalidExpiration},
		"a time in the past": {change(func(b *wsman.Element) { b.Child("Expires").Text = "2001-01-01T00:00:00Z" }), ErrInvalidExpiration},
		"Auth without name":  {want.Body(), ErrInvalidMessage},
	} {
		if _, err := ParseSubscribe(tt.body, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	manager := wsman.Ref("CIM_FilterCollectionSubscription", "Filter", "x")
	if m, d, err := ParseAnswer(Answer(manager, time.Minute)); err != nil || d != time.Minute || !m.Same(manager) {
		t.Errorf("answer: got %v, %v, %v", m, d, err)
	}
	if _, _, err := ParseAnswer(nil); !errors.Is(err, ErrFormat) {
		t.Errorf("no answer: got %v", err)
	}
}

func TestFromRecord(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	record := func(s eventlog.Sensor, offset uint8, data ...byte) eventlog.Record {
		return eventlog.NewRecord(at, s, offset, eventlog.NonCritical, eventlog.BIOS, data...)
	}
	over := record(eventlog.Intrusion, 0)
	over.Deasserted = true
	for _, tt := range []struct {
		r        eventlog.Record
		id, text string
	}{
		{record(eventlog.SystemEvent, 0, 0xaa, 1, 2, 3, 4, 5, 6, 8), "iAMT0005", "agent 04030201-0605-... expired"},
		{record(eventlog.UserNotification, 0, 0xaa, 0x30, 3), "iAMT0050", "IDE-R session closed"},
		{record(eventlog.AMTNotification, 0, 0xaa, 0x30, 0, 0), "iAMT0036", "remote connection asked for"},
		{record(eventlog.PlatformAlert, 0, 0xaa, 0, 0, 0, 7), "iAMT0001", "System Defense policy triggered: filter 7 matched on the wired interface"},
		{record(eventlog.Authentication, 5, 0xaa, 10, 0), "PLAT0032", "wrong management passwords: authentication failed 10 times"},
		{record(eventlog.Intrusion, 0), "PLAT0004", "case opened"},
		{over, "PLAT0005", "case closed"},
		{record(eventlog.Firmware, 2, 0x40, 19), "PLAT0760", "BIOS progress: starting the operating system"},
		{record(eventlog.Firmware, 2, 0x40, 5), "PLAT0188", "BIOS progress: entering setup"},
		{record(eventlog.Firmware, 0, 0x40, 3), "PLAT0184", ""},
		{record(eventlog.BootError, 0), "PLAT0286", "no bootable medium"},
		{record(eventlog.WatchdogReset, 0, 64), "", ""}, // a BIOS that hangs: a trap only
		{record(eventlog.Firmware, 1, 0x40, 3), "", ""},
		{record(eventlog.Fan, 0), "", ""},
	} {
		a, ok := FromRecord(tt.r)
		if a.MessageID != tt.id || ok != (tt.id != "") {
			t.Errorf("%v: got %q, %v; want %q", tt.r.Text(), a.MessageID, ok, tt.id)
		}
		if got := a.Text(); ok && tt.text != "" && got != tt.text {
			t.Errorf("%s: got %q, want %q", tt.id, got, tt.text)
		}
	}
	if got := (&Alert{MessageID: "iAMT0999", Arguments: []string{"7"}}).Text(); got != "message iAMT0999, 7" {
		t.Errorf("an unknown message: %q", got)
	}
}

func FuzzParseDelivery(f *testing.F) {
	f.Add([]byte(recorded))
	f.Add([]byte("<a/>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, err := ParseDelivery(doc)
		if err != nil {
			return
		}
		d.Alert.Text()
		if len(d.Parameters) > MaxParameters {
			t.Errorf("%d parameters", len(d.Parameters))
		}
	})
}

func FuzzParseSubscribe(f *testing.F) {
	s := Subscription{Mode: Push, Address: "http://192.0.2.9/", Username: "u", Password: "p", Expires: time.Second}
	req := wsman.Request{Action: wsman.ActionSubscribe, ResourceURI: "x", Header: s.Header(), Body: s.Body()}
	f.Add(req.Append(nil))
	f.Fuzz(func(t *testing.T, doc []byte) {
		req, err := wsman.ParseRequest(doc)
		if err != nil {
			return
		}
		if s, err := ParseSubscribe(req.Body, req.Header); err == nil && (len(s.Address) > MaxAddress || s.Address == "" || s.Expires < 0) {
			t.Errorf("took %+v", s)
		}
	})
}
