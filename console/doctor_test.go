package console

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
)

// healthy is a machine with nothing to complain about.
func healthy(t *testing.T, s *site) {
	s.close(PortHTTP, syscall.ECONNREFUSED)
	s.close(portVNC, syscall.ECONNREFUSED)
	edit(t, s.fake, func(v *amt.EthernetPortSettings) { v.LinkPolicy = []amt.EthernetPortSettingsLinkPolicy{1, 14} })
}

func TestDoctor(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sick   func(*testing.T, *site, *Config)
		check  string
		health Health
		detail string
	}{
		{"healthy", nil, "credentials", Healthy, "user admin"},
		{"ports", func(_ *testing.T, s *site, _ *Config) { s.close(PortHTTPS, syscall.ECONNREFUSED) }, "ports", Failing, "16993 connection refused"},
		{"no port, no certificate", func(_ *testing.T, s *site, _ *Config) { s.close(PortHTTPS, syscall.ECONNREFUSED) }, "certificate", Skipped, ""},
		{"no port, nothing else", func(_ *testing.T, s *site, _ *Config) { s.close(PortHTTPS, syscall.ECONNREFUSED) }, "event log", Skipped, "no access"},
		{"stranger", func(_ *testing.T, s *site, _ *Config) { s.server = "nginx" }, "amt", Warning, "nginx"},
		{"plain beside TLS", func(_ *testing.T, s *site, _ *Config) { s.close(PortHTTP, nil) }, "plaintext", Warning, "16992"},
		{"plain only", func(_ *testing.T, s *site, c *Config) {
			s.close(PortHTTP, nil)
			s.close(PortHTTPS, syscall.ECONNREFUSED)
			c.TLS.Pin = ""
		}, "tls", Warning, "plain HTTP only"},
		{"unknown certificate", func(_ *testing.T, _ *site, c *Config) { c.TLS.Pin = "" }, "certificate", Failing, "no known authority"},
		{"other certificate", func(_ *testing.T, _ *site, c *Config) { c.TLS.Pin = pinOfZeros }, "certificate", Failing, "pinned is 0000"},
		{"certificate ends soon", func(_ *testing.T, s *site, c *Config) {
			c.TLS.now = func() time.Time { return s.cert.NotAfter.Add(-5 * 24 * time.Hour) }
		}, "certificate", Warning, "expires in 5 days"},
		{"expired but pinned", func(_ *testing.T, s *site, c *Config) {
			c.TLS.now = func() time.Time { return s.cert.NotAfter.Add(time.Hour) }
		}, "certificate", Warning, "expired; pinned"},
		{"password", func(_ *testing.T, _ *site, c *Config) { c.Password = "wrong" }, "credentials", Failing, "refuses"},
		{"password, not locked", func(_ *testing.T, _ *site, c *Config) { c.Password = "wrong" }, "lockout", Healthy, "not locked"},
		{"somebody tries", func(_ *testing.T, s *site, _ *Config) { s.fake.records = []string{"Y8iYZf8GbwVoEP8mYaoKAAAAAAAA"} }, "lockout", Warning, "1 records of failed log-ins in the event log, the last of 2024-01-06"},
		{"client control mode", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *ips.HostBasedSetupService) { v.CurrentControlMode = new(ips.ControlModeClient) })
		}, "setup", Warning, "client control mode"},
		{"half set up", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.SetupAndConfigurationService) {
				v.ProvisioningState = new(amt.SetupAndConfigurationServiceProvisioningStateIn)
			})
		}, "setup", Warning, "not ended"},
		{"clock", func(_ *testing.T, s *site, _ *Config) { s.fake.skew = time.Hour }, "clock", Warning, "ahead"},
		{"session open", func(_ *testing.T, s *site, _ *Config) { s.fake.available = []Power{PowerReset} }, "power", Warning, "on, offers reset"},
		{"no agent", func(_ *testing.T, s *site, _ *Config) {
			s.fake.available = []Power{PowerReset, PowerOff, PowerCycleSoft, PowerNMI}
		}, "power", Warning, "on, offers"},
		{"stuck", func(_ *testing.T, s *site, _ *Config) {
			s.fake.state, s.fake.available = PowerOff, []Power{PowerReset}
		}, "power", Failing, "off, offers reset"},
		{"no SOL", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.RedirectionService) {
				v.EnabledState = new(amt.RedirectionServiceEnabledStateIDEREnabledSOLDisabled)
			})
		}, "sol", Warning, "SOL is switched off"},
		{"but IDE-R", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.RedirectionService) {
				v.EnabledState = new(amt.RedirectionServiceEnabledStateIDEREnabledSOLDisabled)
			})
		}, "ider", Healthy, "on"},
		{"listener off", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.RedirectionService) { v.ListenerEnabled = new(false) })
		}, "ider", Warning, "nothing listens"},
		{"redirection filtered", func(_ *testing.T, s *site, _ *Config) {
			s.close(PortRedirection, syscall.ECONNREFUSED)
			s.close(PortRedirectionTLS, syscall.ECONNREFUSED)
		}, "kvm", Warning, "neither port"},
		{"no KVM in the firmware", func(_ *testing.T, s *site, _ *Config) { s.fake.absent["CIM_KVMRedirectionSAP"] = true }, "kvm", Skipped, "no KVM"},
		{"VNC port", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *ips.KVMRedirectionSettingData) { v.Is5900PortEnabled = new(true) })
		}, "kvm", Warning, "5900"},
		{"consent", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *ips.OptInService) { v.OptInRequired = new(ips.OptInServiceOptInRequiredKVM) })
		}, "consent", Warning, "KVM needs a code"},
		{"boot left armed", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.BootSettingData) { v.BIOSSetup = new(true) })
			s.fake.role = cim.BootServiceSetBootConfigRoleRoleIsNextSingleUse
		}, "boot", Warning, "goes to bios"},
		{"boot", nil, "boot", Healthy, "can boot from pxe"},
		{"frozen log", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.MessageLog) { v.IsFrozen = new(true) })
		}, "event log", Warning, "frozen"},
		{"full log that does not wrap", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.MessageLog) {
				v.CurrentNumberOfRecords, v.OverwritePolicy = new(uint64(389)), new(uint16(7))
			})
		}, "event log", Warning, "nearly full: 389 of 390"},
		{"audit log locked", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.AuditLog) { v.AuditState = new(amt.AuditLogAuditStateLocked) })
		}, "audit log", Failing, "free"},
		{"AMT sleeps with the machine", func(t *testing.T, s *site, _ *Config) {
			edit(t, s.fake, func(v *amt.EthernetPortSettings) { v.LinkPolicy = []amt.EthernetPortSettingsLinkPolicy{1} })
		}, "network", Warning, "sleeps with the machine"},
		{"hole in the firmware", func(_ *testing.T, s *site, _ *Config) {
			s.fake.instances["CIM_SoftwareIdentity"] = nil
			s.fake.put(&cim.SoftwareIdentity{InstanceID: new("AMT"), VersionString: new("9.1.20")})
			s.fake.put(&cim.SoftwareIdentity{InstanceID: new("Build Number"), VersionString: new("1035")})
		}, "firmware", Failing, "9.1.20 build 1035"},
		{"hole that was closed", func(_ *testing.T, s *site, _ *Config) {
			s.fake.instances["CIM_SoftwareIdentity"] = nil
			s.fake.put(&cim.SoftwareIdentity{InstanceID: new("AMT"), VersionString: new("9.1.41")})
			s.fake.put(&cim.SoftwareIdentity{InstanceID: new("Build Number"), VersionString: new("3024")})
		}, "firmware", Healthy, "9.1.41"},
		{"generation", nil, "generation", Healthy, "port 5900"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			healthy(t, s)
			c := s.client(t, func(cfg *Config) {
				if tt.sick != nil {
					tt.sick(t, s, cfg)
				}
			})
			checks := slices.Collect(c.Doctor(t.Context()))
			if len(checks) != 23 {
				t.Errorf("%d checks", len(checks))
			}
			got := byName(checks, tt.check)
			if got.Health != tt.health || !strings.Contains(got.Detail, tt.detail) {
				t.Errorf("got %+v, want %s with %q", got, tt.health, tt.detail)
			}
			if (got.Health == Warning || got.Health == Failing) && got.Next == "" {
				t.Errorf("%s: no next step", got.Name)
			}
			if tt.sick == nil {
				for _, check := range checks {
					if check.Health == Warning || check.Health == Failing {
						t.Errorf("a healthy machine: %+v", check)
					}
				}
			}
			if wrong := byName(checks, "credentials").Health == Failing; wrong && s.fake.called("") != 0 {
				t.Error("asked after a refusal")
			}
		})
	}
}

// The doctor works without connections of its own too.
func TestDoctorOver(t *testing.T) {
	checks := slices.Collect(Over(newFake(), "x").Doctor(t.Context()))
	for _, name := range []string{"ports", "tls", "certificate"} {
		if got := byName(checks, name); got.Health != Skipped {
			t.Errorf("got %+v", got)
		}
	}
	if got := byName(checks, "setup"); got.Health != Healthy {
		t.Errorf("got %+v", got)
	}
}

func TestDoctorStops(t *testing.T) {
	n := 0
	for range Over(newFake(), "x").Doctor(t.Context()) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("got %d checks", n)
	}
}
