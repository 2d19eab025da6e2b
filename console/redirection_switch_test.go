package console_test

import (
	"context"
	"errors"
	"testing"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/wsman"
)

// An interrupt in the moment in which a feature is switched on leaves it off.
func TestEnableInterrupted(t *testing.T) {
	for _, tt := range []struct {
		kind redir.Kind
		off  []console.Feature
		last string // what is asked of the machine last before the interrupt
	}{
		{redir.KVM, []console.Feature{console.FeatureKVM}, "CIM_KVMRedirectionSAP.RequestStateChange"},
		{redir.SOL, []console.Feature{console.FeatureSOL}, "AMT_RedirectionService.RequestStateChange"},
		{redir.IDER, []console.Feature{console.FeatureIDER, console.FeatureListener}, "AMT_RedirectionService.RequestStateChange"},
		{redir.IDER, []console.Feature{console.FeatureIDER, console.FeatureListener}, "AMT_RedirectionService.Put"},
	} {
		t.Run(tt.kind.String()+" "+tt.last, func(t *testing.T) {
			m := manage(t, lab.Machine{Profile: 12})
			if _, err := m.SetFeatures(t.Context(), false, tt.off...); err != nil {
				t.Fatal(err)
			}
			before, err := m.RedirectionOff(t.Context(), tt.kind)
			if err != nil || len(before) != len(tt.off) {
				t.Fatalf("off: %v, %v", before, err)
			}
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			asked := false
			c := console.Over(roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
				res, err := m.Client.RoundTrip(ctx, req)
				if wsman.ClassName(req.ResourceURI)+"."+wsman.ClassName(req.Action) == tt.last && !asked {
					asked = true
					interrupt()
				}
				return res, err
			}), m.machine.Address)
			if _, err := c.EnableRedirection(ctx, tt.kind); !errors.Is(err, context.Canceled) || !asked {
				t.Errorf("got %v; asked: %v", err, asked)
			}
			if after, err := m.RedirectionOff(t.Context(), tt.kind); err != nil || len(after) != len(before) {
				t.Errorf("off in the end: %v, %v; want %v", after, err, before)
			}
		})
	}
}
