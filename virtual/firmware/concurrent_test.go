package firmware

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"testing"

	"github.com/outband/outband/wire/wsman"
)

// TestManyAtOnce has several sessions read, write, create, delete and dump at the same time. No Put may be lost: each
// writes a property of its own.
func TestManyAtOnce(t *testing.T) {
	m := newMachine(t, Config{})
	ctx := context.Background()
	do := func(s *session, action, class string, sel wsman.Selectors, body *wsman.Element) (*wsman.Element, error) {
		resp, err := s.ServeWSMan(ctx, &wsman.Request{Action: action, ResourceURI: wsman.ClassURI(class), Selectors: sel, Body: body})
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}
	const class = "AMT_GeneralSettings"
	uri := wsman.ClassURI(class)
	properties := []string{"DDNSTTL", "DDNSPeriodicUpdateInterval", "IdleWakeTimeout", "PresenceNotificationInterval"}
	const rounds = 50
	var wg sync.WaitGroup
	for _, property := range properties {
		wg.Go(func() {
			s := as(m)
			for i := range rounds {
				body := wsman.Group(uri, class, wsman.El(uri, "PingResponseEnabled", "true"), wsman.El(uri, "WsmanOnlyMode", "false"), wsman.El(uri, property, strconv.Itoa(1000+i)))
				if _, err := do(s, wsman.ActionPut, class, nil, &body); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			s := as(m)
			furi := wsman.ClassURI("AMT_IPHeadersFilter")
			for range rounds {
				body := wsman.Group(furi, "AMT_IPHeadersFilter", wsman.El(furi, "Name", "f"),
					wsman.El(furi, "ActionEventOnMatch", "false"), wsman.El(furi, "FilterProfile", "0"), wsman.El(furi, "FilterDirection", "0"), wsman.El(furi, "HdrIPVersion", "4"))
				e, err := do(s, wsman.ActionCreate, "AMT_IPHeadersFilter", nil, &body)
				if err != nil {
					t.Errorf("create: %v", err)
					continue
				}
				ref, err := wsman.ParseEPR(e)
				if err == nil {
					_, err = do(s, wsman.ActionDelete, "AMT_IPHeadersFilter", ref.Selectors, nil)
				}
				if err != nil {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		s := as(m)
		for range rounds {
			body := wsman.Group(wsman.NSEnumeration, "Enumerate")
			e, err := do(s, wsman.ActionEnumerate, "CIM_ManagedElement", nil, &body)
			if err != nil {
				t.Errorf("enumerate: %v", err)
				continue
			}
			pull := wsman.Group(wsman.NSEnumeration, "Pull", contextElement(e.ChildText("EnumerationContext")))
			if _, err := do(s, wsman.ActionPull, "CIM_ManagedElement", nil, &pull); err != nil && !errors.Is(err, wsman.ErrInvalidEnumerationContext) {
				t.Errorf("pull: %v", err)
			}
			if err := m.Dump(io.Discard); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	e, err := do(as(m), wsman.ActionGet, class, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, property := range properties {
		if got := e.ChildText(property); got != strconv.Itoa(1000+rounds-1) {
			t.Errorf("%s is %s", property, got)
		}
	}
	if n := len(m.store.of(m.catalogue.classes["AMT_IPHeadersFilter"])); n != 0 {
		t.Errorf("%d filters left", n)
	}
}

// BenchmarkGet is one Get without HTTP: document in, document out.
func BenchmarkGet(b *testing.B) {
	for _, class := range []string{"CIM_Chassis", "AMT_GeneralSettings", "CIM_AssociatedPowerManagementService"} {
		b.Run(class, func(b *testing.B) {
			m := newMachine(b, Config{})
			s, doc := as(m), []byte(getDocument(class, "1"))
			b.ReportAllocs()
			for b.Loop() {
				if code, _ := wsman.Serve(b.Context(), s, doc, m.messageID); code != 200 {
					b.Fatal(code)
				}
			}
		})
	}
}

// BenchmarkConversation is one Get with digest over a kept connection.
func BenchmarkConversation(b *testing.B) {
	m := newMachine(b, Config{})
	c := client(b, m)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wsman.Get(b.Context(), c, wsman.ClassURI("AMT_GeneralSettings"), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNew makes a machine.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		m, err := New(Config{})
		if err != nil {
			b.Fatal(err)
		}
		m.Close()
	}
}
