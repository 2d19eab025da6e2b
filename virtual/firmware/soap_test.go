package firmware_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/status"
)

// poster lets a SOAP client use the HTTP of a WS-Management client.
type poster struct{ w *world }

func (p poster) Post(ctx context.Context, path, soapAction string, body []byte) (int, []byte, error) {
	reply, err := p.w.HTTP(ctx, http.MethodPost, path, body, soap.ContentType)
	if err != nil {
		return 0, nil, err
	}
	return reply.Status, reply.Body, nil
}

func TestSOAPInformation(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 8, HostName: "pc7", Domain: "lab.example", MAC: "0123456789ab", Wireless: &firmware.Wireless{}}, pc.Options{})
		c := &soap.Client{Poster: poster{w}}
		if got, err := c.GetCoreVersion(t.Context()); got != "8.1.40" || err != nil {
			t.Errorf("version %q, %v", got, err)
		}
		if got, err := c.GetHostName(t.Context()); got != "pc7" || err != nil {
			t.Errorf("host name %q, %v", got, err)
		}
		if got, err := c.GetDomainName(t.Context()); got != "lab.example" || err != nil {
			t.Errorf("domain %q, %v", got, err)
		}
		for _, step := range []struct {
			do   func()
			want soap.SystemPowerState
		}{
			{func() {}, soap.S5},
			{w.pc.Person().Press, soap.S0},
			{w.pc.Person().Sleep, soap.S3},
			{w.pc.Person().Press, soap.S0},
			{w.pc.Person().Hibernate, soap.S4},
		} {
			step.do()
			w.settle()
			if got, err := c.GetSystemPowerState(t.Context()); got != step.want || err != nil {
				t.Errorf("state %v, %v; want %v", got, err, step.want)
			}
		}
		want := soap.Capabilities{IANA: 343, OEM: 0x0f, Special: 0x1300, System: 0x0f, Firmware: 0x1820}
		if got, err := c.GetRemoteControlCapabilities(t.Context()); got != want || err != nil {
			t.Errorf("capabilities %#x, %v; want %#x", got, err, want)
		}
		handles, err := c.EnumerateInterfaces(t.Context())
		if err != nil || len(handles) != 2 {
			t.Errorf("interfaces %v, %v", handles, err)
		}
		d, err := c.GetInterfaceSettings(t.Context(), soap.Wired)
		if err != nil || d.Mode != soap.SharedMAC || d.HardwareAddress != "01-23-45-67-89-ab" || d.IPv4.Mask.String() != "255.255.255.0" {
			t.Errorf("interface 0: %+v, %v", d, err)
		}
		var refusal *status.Error
		if _, err := c.GetInterfaceSettings(t.Context(), 7); !errors.As(err, &refusal) || refusal.Code != status.InvalidHandle {
			t.Errorf("interface 7: %v, want %v", err, status.InvalidHandle)
		}
	})
}

func TestSOAPRemoteControl(t *testing.T) {
	for _, tt := range []struct {
		name  string
		on    bool
		r     soap.RemoteControlRequest
		code  status.Status
		power firmware.Sx
		boots int
		from  firmware.BootSource
		phase pc.Phase
	}{
		{name: "up", r: soap.RemoteControlRequest{Command: soap.PowerUp}, boots: 1, from: firmware.BootDisk, phase: pc.Running},
		{name: "up, PXE", r: soap.RemoteControlRequest{Command: soap.PowerUp, Special: soap.ForcePXE}, boots: 1, from: firmware.BootPXE, phase: pc.Running},
		{name: "up, CD", r: soap.RemoteControlRequest{Command: soap.PowerUp, Special: soap.ForceCD}, boots: 1, from: firmware.BootCD, phase: pc.Running},
		{name: "up, setup", r: soap.RemoteControlRequest{Command: soap.PowerUp, Special: soap.IntelOEM, SpecialParam: soap.OEMSetup}, boots: 1, phase: pc.Setup},
		{name: "up while on", on: true, r: soap.RemoteControlRequest{Command: soap.PowerUp}, code: status.NotPermitted, phase: pc.Running},
		{name: "down", on: true, r: soap.RemoteControlRequest{Command: soap.PowerDown}, power: firmware.S5, phase: pc.Off},
		{name: "down with an option", on: true, r: soap.RemoteControlRequest{Command: soap.PowerDown, Special: soap.ForcePXE}, code: status.InvalidParameter, phase: pc.Running},
		{name: "cycle", on: true, r: soap.RemoteControlRequest{Command: soap.PowerCycle}, boots: 1, from: firmware.BootDisk, phase: pc.Running},
		{name: "reset", on: true, r: soap.RemoteControlRequest{Command: soap.Reset}, boots: 1, from: firmware.BootDisk, phase: pc.Running},
		{name: "reset, ASF", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, IANA: soap.IANAASF}, boots: 1, from: firmware.BootDisk, phase: pc.Running},
		{name: "reset, IDE-R without a session", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, Special: soap.IntelOEM, SpecialParam: soap.OEMIDER | soap.OEMIDERCD}, boots: 1, from: firmware.BootDisk, phase: pc.Running},
		{name: "diagnostics", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, Special: soap.ForceDiag}, code: status.UnsupportedBootOption, phase: pc.Running},
		{name: "safe mode", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, Special: soap.ForceHDSafe}, code: status.UnsupportedBootOption, phase: pc.Running},
		{name: "pause", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, Special: soap.IntelOEM, SpecialParam: soap.OEMPause}, code: status.UnsupportedBootOption, phase: pc.Running},
		{name: "power button", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, BootOptions: soap.OptionLockPower}, code: status.UnsupportedBootOption, phase: pc.Running},
		{name: "verbose", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, BootOptions: soap.OptionVerbose}, code: status.UnsupportedBootOption, phase: pc.Running},
		{name: "no such command", on: true, r: soap.RemoteControlRequest{Command: 20}, code: status.InvalidCommand, phase: pc.Running},
		{name: "no such special command", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, Special: 6}, code: status.InvalidSpecialCommand, phase: pc.Running},
		{name: "no such organization", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, IANA: 1}, code: status.UnsupportedOEMNumber, phase: pc.Running},
		{name: "Intel's command, ASF's number", on: true, r: soap.RemoteControlRequest{Command: soap.Reset, IANA: soap.IANAASF, Special: soap.IntelOEM}, code: status.InvalidParameter, phase: pc.Running},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{On: tt.on})
			if tt.r.IANA == 0 {
				tt.r.IANA = soap.IANAIntel
			}
			err := (&soap.Client{Poster: poster{w}}).RemoteControl(t.Context(), tt.r)
			if got := code(t, err); got != tt.code {
				t.Errorf("status %v, want %v", got, tt.code)
			}
			w.settle()
			boot := w.pc.LastBoot()
			if w.pc.Power() != tt.power || boot.Number != tt.boots || boot.From != tt.from || w.pc.Phase() != tt.phase {
				t.Errorf("%v, %d boots, from %v, %v; want %v, %d, from %v, %v", w.pc.Power(), boot.Number, boot.From, w.pc.Phase(), tt.power, tt.boots, tt.from, tt.phase)
			}
		})
	}
}

// SetBootOptions alone does nothing; the next command, whoever gives it, boots by them.
func TestSOAPSetBootOptions(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{On: true})
		c := &soap.Client{Poster: poster{w}}
		if err := c.RemoteControl(t.Context(), soap.RemoteControlRequest{Command: soap.SetBootOptions, IANA: soap.IANAIntel, Special: soap.ForcePXE}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if boot := w.pc.LastBoot(); boot.Number != 0 {
			t.Errorf("booted %+v", boot)
		}
		for _, want := range []firmware.BootSource{firmware.BootPXE, firmware.BootDisk} { // it is for one boot
			if err := c.RemoteControl(t.Context(), soap.RemoteControlRequest{Command: soap.Reset, IANA: soap.IANAIntel}); err != nil {
				t.Fatal(err)
			}
			w.settle()
			if boot := w.pc.LastBoot(); boot.From != want {
				t.Errorf("booted from %v, want %v", boot.From, want)
			}
		}
	})
}

// A command without boot parts goes by what WS-Management has set; a redirection session keeps the PC on either way.
func TestSOAPSharesStateWithWSMan(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{On: true})
		c := &soap.Client{Poster: poster{w}}
		w.role(t, 1)
		w.order(t, cd)
		if err := c.RemoteControl(t.Context(), soap.RemoteControlRequest{Command: soap.Reset, IANA: soap.IANAIntel}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if boot := w.pc.LastBoot(); boot.From != firmware.BootCD {
			t.Errorf("booted from %v, want CD", boot.From)
		}
		defer w.BeginSession()()
		err := c.RemoteControl(t.Context(), soap.RemoteControlRequest{Command: soap.PowerDown, IANA: soap.IANAIntel})
		if got := code(t, err); got != status.NotPermitted {
			t.Errorf("down in a session: %v, want %v", got, status.NotPermitted)
		}
	})
}

func TestSOAPConsent(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{On: true})
		s := w.optIn(t)
		s.OptInRequired = new(ips.OptInServiceOptInRequiredAll)
		if _, err := class.Put(t.Context(), w, s); err != nil {
			t.Fatal(err)
		}
		c := &soap.Client{Poster: poster{w}}
		err := c.RemoteControl(t.Context(), soap.RemoteControlRequest{Command: soap.Reset, IANA: soap.IANAIntel, Special: soap.ForcePXE})
		if got := code(t, err); got != status.UserConsentRequired {
			t.Errorf("status %v, want %v", got, status.UserConsentRequired)
		}
	})
}

// What a test has refused is refused here too, and nothing is done.
func TestSOAPRefuse(t *testing.T) {
	for _, tt := range []struct {
		name string
		want status.Status
	}{
		{"RemoteControl", 5},
		{"RemoteControl.RemoteControl", 36},
		{"RequestPowerStateChange", 0}, // is WS-Management's
		{"NetworkAdministration.RemoteControl", 0},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{})
			w.SetFaults(&firmware.Faults{Refuse: map[string]status.Status{tt.name: max(tt.want, 1)}})
			c := &soap.Client{Poster: poster{w}}
			err := c.RemoteControl(t.Context(), soap.RemoteControlRequest{Command: soap.PowerUp, IANA: soap.IANAIntel})
			if got := code(t, err); got != tt.want {
				t.Errorf("status %v, want %v", got, tt.want)
			}
			if got, err := c.GetCoreVersion(t.Context()); got != "8.1.40" || err != nil {
				t.Errorf("another method: %q, %v", got, err)
			}
			w.settle()
			if on := w.pc.Power() == firmware.S0; on != (tt.want == 0) {
				t.Errorf("the PC is %v", w.pc.Power())
			}
		})
	}
}

func TestSOAPIsThereOrNot(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 11}, pc.Options{})
		if _, err := (&soap.Client{Poster: poster{w}}).GetCoreVersion(t.Context()); !errors.Is(err, soap.ErrNoService) {
			t.Errorf("release 11: %v, want %v", err, soap.ErrNoService)
		}
		w = newWorld(t, firmware.Config{Generation: 8}, pc.Options{})
		c := &soap.Client{Poster: poster{w}}
		for _, only := range []bool{true, false} {
			g, err := class.Get[amt.GeneralSettings](t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			g.WsmanOnlyMode = &only
			if _, err := class.Put(t.Context(), w, g); err != nil {
				t.Fatal(err)
			}
			if _, err := c.GetCoreVersion(t.Context()); errors.Is(err, soap.ErrNoService) != only {
				t.Errorf("WsmanOnlyMode %v: %v", only, err)
			}
		}
	})
}

func TestSOAPRealms(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{On: true})
		w.add(t, w.newUser("mallory", "x", amt.RealmGeneralInfo))
		c := &soap.Client{Poster: poster{&world{Machine: w.Machine, Client: w.login(t, "mallory", "x")}}}
		if _, err := c.GetHostName(t.Context()); err != nil {
			t.Errorf("host name: %v", err)
		}
		if err := c.RemoteControl(t.Context(), soap.RemoteControlRequest{Command: soap.PowerDown, IANA: soap.IANAIntel}); err == nil {
			t.Error("power down without the realm was accepted")
		}
		w.settle()
		if w.pc.Power() != firmware.S0 {
			t.Errorf("PC in %v", w.pc.Power())
		}
	})
}

// The bytes of amttool's requests, as recorded, through HTTP.
func TestSOAPRecordedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{})
		for file, path := range map[string]string{
			"GetCoreVersion": "/SecurityAdministrationService", "GetHostName": "/NetworkAdministrationService",
			"GetSystemPowerState": "/RemoteControlService", "GetRemoteControlCapabilities": "/RemoteControlService",
			"EnumerateInterfaces": "/NetworkAdministrationService", "GetInterfaceSettings": "/NetworkAdministrationService",
			"netconf_static": "/NetworkAdministrationService", "netconf_dhcp": "/NetworkAdministrationService", "powerup_pxe": "/RemoteControlService",
		} {
			body, err := os.ReadFile(filepath.Join("../../wire/soap/testdata", "amttool_"+file+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			reply, err := w.HTTP(t.Context(), http.MethodPost, path, body, soap.ContentType)
			if err != nil || reply.Status != http.StatusOK || !strings.Contains(string(reply.Body), "Status>0</") {
				t.Errorf("%s: %+v, %v", file, reply, err)
			}
		}
		w.settle()
		if boot := w.pc.LastBoot(); boot.From != firmware.BootPXE {
			t.Errorf("booted %+v, want PXE", boot)
		}
	})
}
