package power_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/host/lms"
	"github.com/outband/outband/host/power"
	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/wsman"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A system is an operating system that can do some of it.
type system struct {
	can  []power.Wish
	done chan power.Wish
}

func (s *system) Can(_ context.Context, w power.Wish) (bool, error) {
	return slices.Contains(s.can, w), nil
}

func (s *system) Do(_ context.Context, w power.Wish) error {
	s.done <- w
	return nil
}

// manage returns a machine that is on and whose operating system has no agent of its own, with the services that a PC
// has. told receives a token each time AMT has been told what the operating system can do.
func manage(t *testing.T, p *power.Service) (m *firmware.Machine, told <-chan error) {
	t.Helper()
	platform := pc.New(pc.Options{On: true, NoAgent: true})
	m, err := firmware.New(firmware.Config{Generation: 12, Platform: platform})
	if err != nil {
		t.Fatal(err)
	}
	bus, stop := m.MEBus()
	news := make(chan error, 16)
	at := netip.AddrFrom4([4]byte{127, byte(100 + rand.N(100)), byte(rand.N(256)), byte(1 + rand.N(254))})
	l := &lms.Service{Bus: bus, Addresses: []netip.Addr{at}, OnAlert: p.Alert, Tasks: []lms.Task{{Name: "power", Do: func(ctx context.Context, c *wsman.Client) error {
		err := p.Capabilities(ctx, c)
		news <- err
		return err
	}}}}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { l.Run(ctx) })
	work.Go(func() { p.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
		stop()
		m.Close()
		platform.Close()
	})
	return m, news
}

// ask asks a machine for a power state, as a console does.
func ask(t *testing.T, m *firmware.Machine, want cim.PowerState) error {
	t.Helper()
	_, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(t.Context(), console(t, m),
		cim.PowerManagementServiceRequestPowerStateChangeIn{PowerState: new(want)})
	return err
}

// What a console asks for comes to the operating system; what that cannot, AMT refuses itself.
func TestWishes(t *testing.T) {
	s := &system{can: []power.Wish{power.ShutDown, power.Reboot, power.Sleep}, done: make(chan power.Wish, 1)}
	m, told := manage(t, &power.Service{System: s})
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		state cim.PowerState
		want  power.Wish
	}{
		{cim.PowerStateOffSoftGraceful, power.ShutDown},
		{cim.PowerStateMasterBusResetGraceful, power.Reboot},
		{cim.PowerStateSleepDeep, power.Sleep},
	} {
		if err := ask(t, m, tt.state); err != nil {
			t.Fatalf("%v: %v", tt.state, err)
		}
		if got := <-s.done; got != tt.want {
			t.Errorf("%v came as %v", tt.state, got)
		}
	}
	if err := ask(t, m, cim.PowerStateHibernate); err == nil {
		t.Error("AMT took a request for hibernation, which the operating system cannot")
	}
}

// After a restart of the management engine AMT is told again.
func TestToldAgain(t *testing.T) {
	s := &system{can: []power.Wish{power.ShutDown}, done: make(chan power.Wish, 1)}
	m, told := manage(t, &power.Service{System: s})
	for range 2 {
		if err := <-told; err != nil {
			t.Fatal(err)
		}
		c, err := class.Get[cim.PowerManagementCapabilities](t.Context(), console(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if states := c.PowerStatesSupported; !slices.Contains(states, cim.PowerStateOffSoftGraceful) || slices.Contains(states, cim.PowerStateMasterBusResetGraceful) ||
			!slices.Contains(states, cim.PowerStateOn) {
			t.Errorf("AMT has %v", states)
		}
		m.ResetME()
	}
}

// What the operating system no longer can is not done, and told.
func TestNoLonger(t *testing.T) {
	type result struct {
		w   power.Wish
		err error
	}
	results := make(chan result, 4)
	s := &system{done: make(chan power.Wish, 4)}
	p := &power.Service{System: s, OnDone: func(w power.Wish, err error) { results <- result{w, err} }}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { p.Run(ctx) })
	defer work.Wait()
	defer cancel()
	for _, a := range []eventing.Alert{{MessageID: "iAMT0055", Arguments: []string{"0"}}, {MessageID: "iAMT0067"}, {MessageID: "iAMT0067", Arguments: []string{"4"}},
		{MessageID: "iAMT0067", Arguments: []string{"-1"}}, {MessageID: "iAMT0067", Arguments: []string{"3", "x"}}} {
		p.Alert(a)
	}
	if r := <-results; r.w != power.Hibernate || !errors.Is(r.err, power.ErrUnsupported) {
		t.Errorf("%v: %v", r.w, r.err)
	}
	if len(s.done) != 0 || len(results) != 0 {
		t.Errorf("%d wishes were done, %d more results", len(s.done), len(results))
	}
}

// A program gets the wish as its argument; when it fails, what it says is told.
func TestProgram(t *testing.T) {
	need.File(t, "/bin/sh")
	dir := t.TempDir()
	path := filepath.Join(dir, "power")
	script := "#!/bin/sh\n[ $# = 1 ] || exit 9\n[ \"$1\" = sleep ] && { echo no sleep here; exit 3; }\necho $1 >" + filepath.Join(dir, "out") + "\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	p := &power.Program{Path: path}
	for _, w := range []power.Wish{power.ShutDown, power.Reboot, power.Hibernate} {
		if err := p.Do(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "out")); strings.TrimSpace(string(got)) != fmt.Sprint(w) {
			t.Errorf("%v came as %s", w, got)
		}
	}
	if err := p.Do(t.Context(), power.Sleep); err == nil || !strings.Contains(err.Error(), "no sleep here") {
		t.Errorf("sleep: %v", err)
	}
	if err := (&power.Program{Path: filepath.Join(dir, "none")}).Do(t.Context(), power.Reboot); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
}
