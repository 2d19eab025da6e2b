package class_test

import (
	"context"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

func TestAround(t *testing.T) {
	var mux class.Mux[*[]string]
	class.Handle(&mux, amt.AuditLogClearLog, func(_ context.Context, log *[]string, _ wsman.Selectors, _ amt.AuditLogClearLogIn) (out amt.AuditLogClearLogOut, _ status.Status, _ error) {
		*log = append(*log, "clear")
		return out, status.NotPermitted, nil
	})
	if mux.Around("AMT_AuditLog", "ReadRecords", nil) {
		t.Error("a method that nobody handles was found")
	}
	around := func(ctx context.Context, log *[]string, _ *wsman.Element, next class.Next) (wsman.Element, error) {
		*log = append(*log, "before")
		out, err := next(ctx)
		*log = append(*log, "after "+out.ChildText("ReturnValue"))
		return out, err
	}
	if !mux.Around("AMT_AuditLog", "ClearLog", around) {
		t.Fatal("the method was not found")
	}
	var log []string
	if _, found, err := mux.Invoke(t.Context(), &log, "AMT_AuditLog", "ClearLog", nil, nil); !found || err != nil {
		t.Fatal(found, err)
	}
	if len(log) != 3 || log[0] != "before" || log[1] != "clear" || log[2] != "after 16" {
		t.Errorf("got %q", log)
	}
}
