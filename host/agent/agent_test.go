package agent_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/internal/setupcert"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "N3w$ecret"

// newAgent returns an agent on the PC of a machine.
func newAgent(t *testing.T, c firmware.Config) (*agent.Agent, *firmware.Machine) {
	t.Helper()
	c.Domain = "corp.example.com"
	m, err := firmware.New(c)
	if err != nil {
		t.Fatal(err)
	}
	bus, stop := m.MEBus()
	t.Cleanup(func() {
		stop()
		m.Close()
	})
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &agent.Agent{Bus: bus}, m
}

// setupCert returns a certificate for setup, and has the machine trust its root.
func setupCert(t *testing.T, m *firmware.Machine, name string, change func(*x509.Certificate)) *agent.Certificate {
	t.Helper()
	chain := setupcert.New(t, name, change)
	if err := m.TrustRoot(chain.Root()); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(chain.Certs[1:]) // any order will do
	c, err := agent.NewCertificate(chain.Key, chain.Certs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestClient: client control mode and back, twice the same is nothing, with another password an error.
func TestClient(t *testing.T) {
	for _, generation := range []int{8, 12, 16, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, m := newAgent(t, firmware.Config{Generation: generation, Factory: true})
				goal := agent.Goal{Mode: amthi.ClientControl, Password: password}
				plan, err := a.Plan(t.Context(), goal)
				if err != nil || len(plan.Steps) < 2 || m.ControlMode() != firmware.ModeNone || len(plan.Warnings) == 0 {
					t.Fatalf("plan %+v, %v", plan, err)
				}
				r, err := a.Reach(t.Context(), goal)
				if err != nil || r.Mode != amthi.ClientControl || !slices.Equal(r.Done, plan.Steps) {
					t.Fatalf("%+v, %v", r, err)
				}
				if m.ControlMode() != firmware.ModeClient || len(m.Ports()) == 0 {
					t.Errorf("machine in %v, ports %v", m.ControlMode(), m.Ports())
				}
				r, err = a.Reach(t.Context(), goal)
				if err != nil || len(r.Done) != 0 {
					t.Errorf("again: %+v, %v", r, err)
				}
				goal.Password = "0ther$ecret"
				if _, err = a.Reach(t.Context(), goal); !errors.Is(err, agent.ErrPassword) {
					t.Errorf("another password: %v", err)
				}
				r, err = a.Reach(t.Context(), agent.Goal{})
				if err != nil || r.Mode != amthi.NotProvisioned || m.ControlMode() != firmware.ModeNone {
					t.Errorf("unprovisioned: %+v, %v, %v", r, err, m.ControlMode())
				}
				r, err = a.Reach(t.Context(), agent.Goal{})
				if err != nil || len(r.Done) != 0 {
					t.Errorf("unprovisioned again: %+v, %v", r, err)
				}
			})
		})
	}
}

// TestAdmin: admin control mode with a certificate, by signature or over TLS as the release has it, and back with the
// password only.
func TestAdmin(t *testing.T) {
	for _, tt := range []struct {
		generation int
		steps      []agent.Step
	}{
		{12, []agent.Step{agent.StepChain, agent.StepAdmin, agent.StepVerify}},
		{16, []agent.Step{agent.StepChain, agent.StepAdmin, agent.StepVerify}},
		{19, []agent.Step{agent.StepBeginTLS, agent.StepPassword, agent.StepMEBx, agent.StepCommit, agent.StepVerify}},
	} {
		t.Run(fmt.Sprint(tt.generation), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, m := newAgent(t, firmware.Config{Generation: tt.generation, Factory: true})
				goal := agent.Goal{Mode: amthi.AdminControl, Password: password, Certificate: setupCert(t, m, "amt.example.com", nil)}
				r, err := a.Reach(t.Context(), goal)
				if err != nil || r.Mode != amthi.AdminControl || !slices.Equal(r.Done, tt.steps) {
					t.Fatalf("%+v, %v", r, err)
				}
				if m.ControlMode() != firmware.ModeAdmin {
					t.Errorf("machine in %v", m.ControlMode())
				}
				if _, err := a.Reach(t.Context(), agent.Goal{Password: "0ther$ecret"}); !errors.Is(err, agent.ErrPassword) || m.ControlMode() != firmware.ModeAdmin {
					t.Errorf("unprovisioned with another password: %v", err)
				}
				if _, err := a.Reach(t.Context(), agent.Goal{Mode: amthi.ClientControl, Password: password}); !errors.Is(err, agent.ErrState) {
					t.Errorf("to client control mode: %v", err)
				}
				if _, err := a.Reach(t.Context(), agent.Goal{Password: password}); err != nil || m.ControlMode() != firmware.ModeNone {
					t.Errorf("unprovisioned: %v, %v", err, m.ControlMode())
				}
			})
		})
	}
}

// TestUpgrade: from client to admin control mode; password and all else stays.
func TestUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAgent(t, firmware.Config{Generation: 12, Client: true, Password: password})
		goal := agent.Goal{Mode: amthi.AdminControl, Password: password, Certificate: setupCert(t, m, "amt.example.com", nil)}
		r, err := a.Reach(t.Context(), goal)
		if err != nil || !slices.Equal(r.Done, []agent.Step{agent.StepChain, agent.StepUpgrade, agent.StepVerify}) || m.ControlMode() != firmware.ModeAdmin {
			t.Errorf("%+v, %v, machine in %v", r, err, m.ControlMode())
		}
	})
}

// TestRefusedBefore: what AMT would refuse is refused before anything is changed.
func TestRefusedBefore(t *testing.T) {
	notForSetup := func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }
	unit := func(c *x509.Certificate) {
		c.UnknownExtKeyUsage = nil
		c.Subject.OrganizationalUnit = []string{"Intel(R) Client Setup Certificate"}
	}
	for _, tt := range []struct {
		name   string
		goal   func(t *testing.T, m *firmware.Machine) agent.Goal
		change func(m *firmware.Machine)
		want   error
	}{
		{"weak password", func(*testing.T, *firmware.Machine) agent.Goal {
			return agent.Goal{Mode: amthi.ClientControl, Password: "password"}
		}, nil, agent.ErrWeak},
		{"no certificate", func(*testing.T, *firmware.Machine) agent.Goal {
			return agent.Goal{Mode: amthi.AdminControl, Password: password}
		}, nil, agent.ErrCertificate},
		{"root not trusted", func(t *testing.T, m *firmware.Machine) agent.Goal {
			c := setupcert.New(t, "amt.example.com", nil)
			return agent.Goal{Mode: amthi.AdminControl, Password: password, Certificate: &agent.Certificate{Chain: c.Certs, Key: c.Key}}
		}, nil, activation.ErrRoot},
		{"other domain", func(t *testing.T, m *firmware.Machine) agent.Goal {
			return agent.Goal{Mode: amthi.AdminControl, Password: password, Certificate: setupCert(t, m, "amt.example.org", nil)}
		}, nil, activation.ErrDomain},
		{"not for setup", func(t *testing.T, m *firmware.Machine) agent.Goal {
			return agent.Goal{Mode: amthi.AdminControl, Password: password, Certificate: setupCert(t, m, "amt.example.com", notForSetup)}
		}, nil, activation.ErrUsage},
		{"by unit", func(t *testing.T, m *firmware.Machine) agent.Goal {
			return agent.Goal{Mode: amthi.AdminControl, Password: password, Certificate: setupCert(t, m, "amt.example.com", unit)}
		}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, m := newAgent(t, firmware.Config{Generation: 16, Factory: true})
				r, err := a.Reach(t.Context(), tt.goal(t, m))
				if !errors.Is(err, tt.want) || len(r.Done) > 0 != (tt.want == nil) {
					t.Errorf("%+v, %v; want %v", r.Done, err, tt.want)
				}
				if want := map[bool]firmware.ControlMode{true: firmware.ModeAdmin, false: firmware.ModeNone}[tt.want == nil]; m.ControlMode() != want {
					t.Errorf("machine in %v", m.ControlMode())
				}
			})
		})
	}
}

// TestTakenBack: what fails on the way is taken back, so that nobody has to guess a password.
func TestTakenBack(t *testing.T) {
	for _, tt := range []struct {
		name       string
		generation int
		mode       amthi.ControlMode
		refuse     string
	}{
		{"commit of client control mode", 19, amthi.ClientControl, "CommitChanges"},
		{"commit over TLS", 19, amthi.AdminControl, "CommitChanges"},
		{"password over TLS", 19, amthi.AdminControl, "SetAdminAclEntryEx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refuse := true
				a, m := newAgent(t, firmware.Config{Generation: tt.generation, Factory: true, Hooks: firmware.Hooks{
					OnInvoke: func(_ context.Context, _, method string) status.Status {
						if refuse && method == tt.refuse {
							return status.InternalError
						}
						return status.Success
					}}})
				goal := agent.Goal{Mode: tt.mode, Password: password}
				if tt.mode == amthi.AdminControl {
					goal.Certificate = setupCert(t, m, "amt.example.com", nil)
				}
				r, err := a.Reach(t.Context(), goal)
				var refused *status.Error
				if !errors.As(err, &refused) || !r.TakenBack || r.Mode != amthi.NotProvisioned || m.ControlMode() != firmware.ModeNone {
					t.Fatalf("%+v, %v, machine in %v", r, err, m.ControlMode())
				}
				info, err := a.Info(t.Context())
				if err != nil || info.State != amthi.PreProvisioning {
					t.Errorf("state %v, %v", info.State, err)
				}
				refuse = false
				if goal.Certificate != nil { // an unprovision forgets roots that were added
					m.TrustRoot(goal.Certificate.Chain[2])
				}
				if r, err := a.Reach(t.Context(), goal); err != nil || r.Mode != tt.mode {
					t.Errorf("next try: %+v, %v", r, err)
				}
			})
		})
	}
}

// TestResume: a setup that somebody has left half done is stopped and begun anew; certificates that were left are no
// obstacle.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAgent(t, firmware.Config{Generation: 19, Factory: true})
		goal := agent.Goal{Mode: amthi.AdminControl, Password: password, Certificate: setupCert(t, m, "amt.example.com", nil)}
		ctx, cancel := context.WithCancel(t.Context())
		a.OnStep = func(s agent.Step) {
			if s == agent.StepPassword {
				cancel() // as Ctrl-C does
			}
		}
		r, err := a.Reach(ctx, goal)
		if !errors.Is(err, context.Canceled) || !r.TakenBack {
			t.Fatalf("%+v, %v", r, err)
		}
		a.OnStep = nil
		c, err := amthi.Dial(t.Context(), a.Bus)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for err = errors.New("none yet"); err != nil; { // the firmware rests first
			time.Sleep(time.Second)
			_, err = c.StartConfigurationHBased(t.Context(), amthi.HostBased{Algorithm: amthi.SHA256, Hash: make([]byte, 32)})
			if err != nil && !refusedWith(err, status.NotReady) {
				t.Fatal(err)
			}
		}
		r, err = a.Reach(t.Context(), goal)
		if err != nil || r.Done[0] != agent.StepStopSetup || r.Mode != amthi.AdminControl {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func refusedWith(err error, code status.Status) bool {
	var refused *status.Error
	return errors.As(err, &refused) && refused.Code == code
}

// TestSwitchedOff: AMT that is off is switched on first.
func TestSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAgent(t, firmware.Config{Generation: 19, Factory: true})
		c, err := amthi.Dial(t.Context(), a.Bus)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := amthi.Do(t.Context(), c, amthi.DisableAndClear, amthi.None{}); err != nil {
			t.Fatal(err)
		}
		if info, err := a.Info(t.Context()); err != nil || !info.Off || !info.CanTurn {
			t.Errorf("%+v, %v", info, err)
		}
		r, err := a.Reach(t.Context(), agent.Goal{Mode: amthi.ClientControl, Password: password})
		if err != nil || r.Done[0] != agent.StepSwitchOn || m.ControlMode() != firmware.ModeClient {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestThroughLMS: where another program has the port forwarding, the agent goes through it.
func TestThroughLMS(t *testing.T) {
	a, m := newAgent(t, firmware.Config{Generation: 12, Factory: true})
	lme, err := a.Bus.Connect(t.Context(), mei.LME)
	if err != nil {
		t.Fatal(err)
	}
	defer lme.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 100)
	n := 0
	defer func() {
		cancel()
		for range n {
			<-done
		}
	}()
	a.Dial = func(_ context.Context, port int) (net.Conn, error) {
		here, there := net.Pipe()
		n++
		go func() {
			m.ServeLocalConn(ctx, there, port)
			done <- struct{}{}
		}()
		return here, nil
	}
	r, err := a.Reach(t.Context(), agent.Goal{Mode: amthi.ClientControl, Password: password})
	if err != nil || m.ControlMode() != firmware.ModeClient || n == 0 {
		t.Errorf("%+v, %v, %d connections", r, err, n)
	}
}

// TestCertificateFiles: PEM in any order; what is wrong is told.
func TestCertificateFiles(t *testing.T) {
	chain := setupcert.New(t, "amt.example.com", nil)
	text, err := chain.PEM()
	if err != nil {
		t.Fatal(err)
	}
	c, err := agent.ParsePEM(text)
	if err != nil || len(c.Chain) != 3 || c.Chain[2].Subject.CommonName != "Test Setup Root" {
		t.Fatalf("%v, %v", c, err)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); !strings.Contains(text, "amt.example.com") || strings.Contains(text, "Key") {
		t.Errorf("prints as %s", text)
	}
	other := setupcert.New(t, "amt.example.com", nil)
	blocks := strings.SplitAfter(string(text), "-----END CERTIFICATE-----\n")
	for _, tt := range []struct{ name, text string }{
		{"no root", blocks[0] + blocks[1] + blocks[3]},
		{"no key", blocks[0] + blocks[1] + blocks[2]},
		{"no certificate", blocks[3]},
		{"nothing", ""},
		{"of another key", string(other.RootPEM()) + blocks[3]},
	} {
		if _, err := agent.ParsePEM([]byte(tt.text)); !errors.Is(err, agent.ErrCertificate) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
