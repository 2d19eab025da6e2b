package console

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A leaver is a fake that can be unprovisioned.
type leaver struct {
	*fake
	blocking []string // values of Component
	code     status.Status
	then     func() // what happens when it is asked to
	lost     bool   // the answer
	gone     error  // of all requests from then on
}

func newLeaver() *leaver {
	f := &leaver{fake: newFake()}
	f.setup(amt.SetupAndConfigurationServiceProvisioningStatePost)
	f.then = func() { f.setup(amt.SetupAndConfigurationServiceProvisioningStatePre) }
	return f
}

func (f *leaver) setup(state amt.SetupAndConfigurationServiceProvisioningState) {
	v := amt.SetupAndConfigurationService{Name: new("x"), ProvisioningState: &state, ProvisioningMode: new(amt.SetupAndConfigurationServiceProvisioningModeAdminControlMode)}
	f.instances[v.ClassName()] = []wsman.Element{v.Element()}
}

func (f *leaver) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	f.mu.Lock()
	gone := f.gone
	f.mu.Unlock()
	if gone != nil {
		return nil, gone
	}
	method := req.Action[strings.LastIndexByte(req.Action, '/')+1:]
	var values []wsman.Element
	uri := req.ResourceURI
	switch method {
	case "GetUnprovisionBlockingComponents":
		for _, c := range f.blocking {
			values = append(values, wsman.El(uri, "Component", c))
		}
		values = append(values, wsman.El(uri, "ReturnValue", "0"))
	case "Unprovision", "PartialUnprovision":
		f.mu.Lock()
		f.calls = append(f.calls, method)
		if f.code == 0 {
			f.then()
		}
		f.mu.Unlock()
		if f.lost {
			return nil, ErrIndeterminate
		}
		values = append(values, wsman.El(uri, "ReturnValue", strconv.Itoa(int(f.code))))
	default:
		return f.fake.RoundTrip(ctx, req)
	}
	return &wsman.Response{Action: req.Action + wsman.ResponseSuffix, ResourceURI: uri, Body: new(wsman.Group(uri, method+"_OUTPUT", values...))}, nil
}

func TestUnprovision(t *testing.T) {
	for _, tt := range []struct {
		name    string
		partial bool
		setup   func(f *leaver)
		proof   Proof
		want    error
		calls   int
	}{
		{"tells itself", false, func(*leaver) {}, ProofSetup, nil, 1},
		{"partially", true, func(f *leaver) {
			f.then = func() { f.setup(amt.SetupAndConfigurationServiceProvisioningStateIn) }
		}, ProofSetup, nil, 1},
		{"knows the account no more", false, func(f *leaver) { f.then = func() { f.gone = ErrUnauthorized } }, ProofVoid, nil, 1},
		{"the answer is lost", false, func(f *leaver) { f.lost = true }, ProofSetup, nil, 1},
		{"the answer is lost, and nothing has happened", false, func(f *leaver) { f.lost, f.then = true, func() {} }, "", ErrIndeterminate, 1},
		{"says yes and does nothing", false, func(f *leaver) { f.then = func() {} }, "", ErrNotReached, 1},
		{"blocked", false, func(f *leaver) { f.blocking = []string{"1"} }, "", ErrBlocked, 0},
		{"blocked after all", false, func(f *leaver) { f.code = status.BlockingComponent }, "", ErrBlocked, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newLeaver()
				tt.setup(f)
				res, err := Over(f, "x").Unprovision(context.Background(), tt.partial, 10*time.Second)
				if !errors.Is(err, tt.want) || res.Proof != tt.proof {
					t.Errorf("got %+v, %v", res, err)
				}
				verb := "Unprovision"
				if tt.partial {
					verb = "PartialUnprovision"
				}
				if got := f.called(verb); got != tt.calls {
					t.Errorf("%s was sent %d times, want %d", verb, got, tt.calls)
				}
			})
		})
	}
}
