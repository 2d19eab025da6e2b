package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// An audited machine is a fake that has an audit log, which it gives out in pages of three.
type auditedFake struct {
	*fake
	log    [][]byte
	before func(a *auditedFake, start int) // each page
	stuck  bool                            // gives no page but the first
	deaf   bool                            // clears nothing
	state  amt.AuditLogAuditState
	rules  map[uint32]string
	sent   []string // policy calls
}

func newAudited(n int) *auditedFake {
	a := &auditedFake{fake: newFake(), rules: map[uint32]string{}}
	for i := range n {
		a.add(auditlog.UserAdded, i)
	}
	return a
}

func (a *auditedFake) add(id auditlog.EventID, at int) {
	octets, err := auditlog.Record{ID: id, Initiator: auditlog.Initiator{User: "admin"}, Time: uint32(at), Location: auditlog.NoLocation}.Append(nil)
	if err != nil {
		panic(err)
	}
	a.log = append(a.log, octets)
}

func (a *auditedFake) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	el := func(name, text string) wsman.Element { return wsman.El(req.ResourceURI, name, text) }
	class := wsman.ClassName(req.ResourceURI)
	method, called := strings.CutPrefix(req.Action, req.ResourceURI+"/")
	answer := func(code status.Status, out ...wsman.Element) (*wsman.Response, error) {
		body := wsman.Group(req.ResourceURI, method+"_OUTPUT", append(out, el("ReturnValue", strconv.Itoa(int(code))))...)
		return &wsman.Response{Body: &body}, nil
	}
	switch {
	case class == "AMT_AuditLog" && req.Action == wsman.ActionGet:
		a.instances[class] = nil
		a.put(&amt.AuditLog{Name: new("log"), AuditState: &a.state, PercentageFree: new(uint32(50))})
	case class == "AMT_AuditPolicyRule" && req.Action == wsman.ActionGet:
		rule := &amt.AuditPolicyRule{PolicyRuleName: new("rule")}
		for id, kind := range a.rules {
			n, _ := strconv.Atoi(kind)
			rule.AuditApplicationEventID = append(rule.AuditApplicationEventID, id)
			rule.PolicyType = append(rule.PolicyType, amt.AuditPolicyRulePolicyType(n))
		}
		a.instances[class] = nil
		a.put(rule)
	case !called || !strings.HasPrefix(class, "AMT_Audit"):
	case method == "ReadRecords":
		start, _ := strconv.Atoi(req.Body.ChildText("StartIndex"))
		if a.before != nil {
			a.before(a, start)
		}
		if start > max(1, len(a.log)) {
			return answer(status.InvalidIndex)
		}
		page := a.log[start-1:]
		if a.stuck && start > 1 {
			page = nil
		}
		out := []wsman.Element{el("TotalRecordCount", strconv.Itoa(len(a.log)))}
		for _, r := range page[:min(3, len(page))] {
			out = append(out, el("EventRecords", base64.StdEncoding.EncodeToString(r)))
		}
		return answer(0, out...)
	case method == "ClearLog":
		if !a.deaf {
			a.log = nil
			a.add(auditlog.LogCleared, 1)
		}
		return answer(0)
	case method == "RequestStateChange", method == "SetAuditLock":
		return answer(0) // and nothing comes of it
	case method == "ExportAuditLogSignature":
		return answer(status.PKIMissingKeys)
	case strings.HasPrefix(method, "SetAuditPolicy"):
		a.sent = append(a.sent, method)
		var apps, events, on, kinds []string
		for i := range req.Body.Children {
			switch e := &req.Body.Children[i]; e.Local {
			case "AuditedAppID":
				apps = append(apps, e.Text)
			case "EventID":
				events = append(events, e.Text)
			case "Enable":
				on = append(on, e.Text)
			case "PolicyType":
				kinds = append(kinds, e.Text)
			}
		}
		for i := range apps {
			app, _ := strconv.Atoi(apps[i])
			event, _ := strconv.Atoi(events[i])
			if id := uint32(app<<16 | event); on[i] == "true" && !a.deaf {
				a.rules[id] = kinds[i]
			} else if !a.deaf {
				delete(a.rules, id)
			}
		}
		return answer(0)
	}
	return a.fake.RoundTrip(ctx, req)
}

func TestAuditPages(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 10} {
		log, err := Over(newAudited(n), "desk-7").Audit(t.Context())
		if err != nil || len(log.Records) != n || log.State.Free != 50 {
			t.Errorf("%d records: got %d, %v", n, len(log.Records), err)
		}
	}
	a := newAudited(10)
	a.stuck = true
	if _, err := Over(a, "desk-7").Audit(t.Context()); err == nil || !strings.Contains(err.Error(), "does not go on: 3 of 10") {
		t.Errorf("stuck: got %v", err)
	}
}

// A log that is cleared while it is read is read again.
func TestAuditClearedMeanwhile(t *testing.T) {
	a := newAudited(10)
	a.before = func(a *auditedFake, start int) {
		if start == 7 {
			a.log = nil
			a.add(auditlog.LogCleared, 99)
		}
	}
	log, err := Over(a, "desk-7").Audit(t.Context())
	if err != nil || len(log.Records) != 1 || !bytes.Equal(log.Records[0], a.log[0]) {
		t.Errorf("got %d records, %v", len(log.Records), err)
	}
	a = newAudited(10)
	logged := 10
	a.before = func(a *auditedFake, _ int) { // rolls over under our hands, for ever
		logged++
		a.add(auditlog.UserAdded, logged)
		a.log = a.log[1:]
	}
	if _, err := Over(a, "desk-7").Audit(t.Context()); err == nil || !strings.Contains(err.Error(), "changed each of") {
		t.Errorf("rolling over: got %v", err)
	}
}

// What is accepted is read again before it is called done.
func TestAuditReadsAgain(t *testing.T) {
	a := newAudited(4)
	c := Over(a, "desk-7")
	if n, err := c.ClearAudit(t.Context()); err != nil || n != 4 {
		t.Errorf("clear: got %d, %v", n, err)
	}
	a = newAudited(4)
	a.deaf = true
	c = Over(a, "desk-7")
	rule := AuditRule{ID: auditlog.WasReset, Logged: true}
	_, policyErr := c.SetAuditPolicy(t.Context(), rule)
	_, clearErr := c.ClearAudit(t.Context())
	_, lockErr := c.LockAudit(t.Context(), MaxAuditLock, 0)
	for name, err := range map[string]error{"policy": policyErr, "clear": clearErr, "lock": lockErr, "disable": c.EnableAudit(t.Context(), false)} {
		if !errors.Is(err, ErrDiffers) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := c.LockAudit(t.Context(), MaxAuditLock+1, 0); !errors.Is(err, ErrUsage) {
		t.Errorf("a lock too long: got %v", err)
	}
}

func TestAuditPolicyCalls(t *testing.T) {
	a := newAudited(0)
	c := Over(a, "desk-7")
	now, err := c.SetAuditPolicy(t.Context(), AuditRule{ID: auditlog.WasReset, Logged: true, Critical: true})
	if err != nil || len(now) != len(auditlog.Events()) {
		t.Fatalf("got %d rules, %v", len(now), err)
	}
	if _, err := c.SetAuditPolicy(t.Context(), AuditRule{ID: auditlog.WasReset}, AuditRule{ID: auditlog.TimeSet, Logged: true}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.sent, a.rules); got != "[SetAuditPolicy SetAuditPolicyBulk] map[1376256:0]" {
		t.Errorf("got %s", got)
	}
	for _, bad := range []AuditRule{{ID: auditlog.LogCleared, Logged: true, Critical: true}, {ID: auditlog.WasReset, Critical: true}} {
		if _, err := c.SetAuditPolicy(t.Context(), bad); !errors.Is(err, ErrUsage) || len(a.sent) != 2 {
			t.Errorf("%+v: got %v, sent %v", bad, err, a.sent)
		}
	}
}

func TestAuditExportFile(t *testing.T) {
	x, err := Over(newAudited(4), "desk-7").ExportAudit(t.Context(), auditlog.RSASHA256)
	if err != nil || x.Signature != nil || len(x.Records) != 4 {
		t.Fatalf("got %+v, %v", x, err)
	}
	var file bytes.Buffer
	if err := x.Write(&file); err != nil {
		t.Fatal(err)
	}
	again, err := ReadAuditExport(&file)
	if err != nil || len(again.Records) != 4 || again.Host != "desk-7" {
		t.Errorf("got %+v, %v", again, err)
	}
	if _, err := again.Verify(nil); !errors.Is(err, ErrUnsigned) {
		t.Errorf("unsigned: got %v", err)
	}
	for _, bad := range []string{"", "{}", `{"format":"other"}`, "[1]"} {
		if _, err := ReadAuditExport(strings.NewReader(bad)); !errors.Is(err, ErrNoExport) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	if err := Over(newAudited(0), "desk-7").SetAuditKey(t.Context(), []byte("no key"), nil); !errors.Is(err, ErrUsage) {
		t.Errorf("no key: got %v", err)
	}
}
