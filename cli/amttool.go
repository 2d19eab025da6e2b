package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// The program amttool, as Debian's amtterm 1.4 has it: what it prints and asks, byte for byte, over SOAP where the machine
// still answers it and over WS-Management where not. What differs: a call that fails ends with exit code 1, and so does
// an unknown command; a wrong password does not print S0; without a port TLS is used where the machine has it; netconf
// sends the second octet of an address right; power_cycle, which MAAS calls, is powercycle. Source: kraxel/amtterm
// amttool; spec soap-eoi.md section 5.

const amttoolUsage = `
This utility can talk to Intel AMT managed machines.

usage: amttool <hostname> [ <command> ] [ <arg(s)> ]
commands:
   info            - print some machine info (default).
   reset           - reset machine.
   powerup         - turn on machine.
   powerdown       - turn off machine.
   powercycle      - powercycle machine.

AMT 2.5+ only:
   netinfo         - print network config.
   netconf <args>  - configure network (check manpage).

Password is passed via AMT_PASSWORD environment variable.

`

func amttool(a *app, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(a.err, amttoolUsage)
		return 1
	}
	t := &amttoolRun{app: a, host: args[0]}
	command, rest := "info", args[1:]
	if len(rest) > 0 {
		command, rest = rest[0], rest[1:]
	}
	ctx := a.ctx
	err := t.connect(ctx)
	if err == nil {
		defer t.client.Close()
		err = t.run(ctx, command, rest)
	}
	if err != nil {
		fmt.Fprintf(a.err, "%s\n", oneLine(amttoolWords(err)))
		return 1
	}
	return 0
}

// amttoolWords begins an error with what the Perl program says, which MAAS looks for.
func amttoolWords(err error) string {
	switch {
	case errors.Is(err, errAmttool):
		return strings.TrimSuffix(err.Error(), errAmttool.Error())
	case errors.Is(err, console.ErrUnauthorized):
		return "401 Unauthorized: " + err.Error()
	case errors.Is(err, console.ErrUnreachable):
		return "500 Can't connect: " + err.Error()
	}
	return err.Error()
}

// errAmttool is the end of a run whose failure was printed as a result.
var errAmttool = errors.New("")

// An amttoolMachine is a machine as amttool sees it.
type amttoolMachine interface {
	CoreVersion(ctx context.Context) (string, error)
	HostName(ctx context.Context) (string, error)
	DomainName(ctx context.Context) (string, error)
	PowerState(ctx context.Context) (soap.SystemPowerState, error)
	Capabilities(ctx context.Context) (soap.Capabilities, error)
	RemoteControl(ctx context.Context, r soap.RemoteControlRequest) error
	Interfaces(ctx context.Context) ([]uint32, error)
	Interface(ctx context.Context, handle uint32) (*wsman.Element, error)
	SetInterface(ctx context.Context, handle uint32, d *soap.InterfaceDescriptor) error
}

type amttoolRun struct {
	app     *app
	host    string // as printed: without the port
	client  *console.Client
	machine amttoolMachine
	version string
}

// connect finds the machine, and which of the two interfaces it answers.
func (t *amttoolRun) connect(ctx context.Context) error {
	cfg := console.Config{
		Address: t.host, Password: t.app.env("AMT_PASSWORD"),
		TLS: console.TLSConfig{
			MinVersion: tls.VersionTLS10, LegacyCiphers: true,
			OnUnknown: func(context.Context, *x509.Certificate, error) bool { return true }, // as ever
		},
		AskPassword: func(context.Context) (string, error) { return "", errors.New("AMT_PASSWORD is not set") },
	}
	if host, port, err := net.SplitHostPort(t.host); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("port %q is not a number", port)
		}
		cfg.Address, cfg.Port, cfg.Scheme = host, int(n), console.HTTP
		if n == console.PortHTTPS {
			cfg.Scheme = console.HTTPS
		}
		t.host = host
	}
	if t.app.env("AMT_DEBUG") != "" && t.app.env("AMT_DEBUG") != "0" {
		cfg.Trace = func(e wsman.TraceEvent) { writeTrace(t.app.err, cfg.Address, e) }
	}
	err := t.open(ctx, cfg)
	if errors.Is(err, console.ErrHandshake) && cfg.Scheme == "" {
		cfg.Scheme = console.HTTP
		err = t.open(ctx, cfg)
	}
	return err
}

func (t *amttoolRun) open(ctx context.Context, cfg console.Config) error {
	client, err := console.New(cfg)
	if err != nil {
		return err
	}
	t.client = client
	t.machine = amttoolSOAP{client.Legacy()}
	t.version, err = t.machine.CoreVersion(ctx)
	if errors.Is(err, soap.ErrNoService) || errors.Is(err, soap.ErrMessage) {
		t.machine = &amttoolWSMan{client: client}
		t.version, err = t.machine.CoreVersion(ctx)
	}
	if err != nil {
		client.Close()
	}
	return err
}

func (t *amttoolRun) run(ctx context.Context, command string, args []string) error {
	switch command {
	case "info":
		return t.info(ctx)
	case "netinfo":
		if err := t.needs(2, 5); err != nil {
			return err
		}
		return t.netinfo(ctx)
	case "netconf":
		if err := t.needs(2, 5); err != nil {
			return err
		}
		if len(args) > 0 { // the program takes the first argument for the boot device of other commands
			args = args[1:]
		}
		return t.netconf(ctx, args)
	case "power_cycle", "power-cycle":
		command = "powercycle"
		fallthrough
	case "reset", "powerup", "powerdown", "powercycle":
		special := ""
		if len(args) > 0 {
			special = args[0]
		}
		return t.remoteControl(ctx, command, special)
	}
	t.print("unknown command: %s\n", command)
	return errAmttool
}

func (t *amttoolRun) print(format string, args ...any) { fmt.Fprintf(t.app.out, format, args...) }

// info reads everything before it prints anything: half an answer is none.
func (t *amttoolRun) info(ctx context.Context) error {
	name, err := t.fullName(ctx)
	if err != nil {
		return err
	}
	state, err := t.machine.PowerState(ctx)
	if err != nil {
		return err
	}
	caps, err := t.machine.Capabilities(ctx)
	if err != nil {
		return err
	}
	t.print("### AMT info on machine '%s' ###\n", t.host)
	t.print("AMT version:  %s\n", t.version)
	t.print("Hostname:     %s\n", name)
	t.print("Powerstate:   %s\n", amttoolState(state))
	t.print("Remote Control Capabilities:\n")
	t.print("    IanaOemNumber                   %x\n", caps.IANA)
	t.print("    OemDefinedCapabilities          %s\n", bitWords(caps.OEM, []bitWord{{soap.OEMIDER, "IDER"}, {soap.OEMSOL, "SOL"},
		{soap.OEMReflash, "BiosReflash"}, {soap.OEMSetup, "BiosSetup"}, {soap.OEMPause, "BiosPause"}}))
	t.print("    SpecialCommandsSupported        %s\n", bitWords(caps.Special, []bitWord{{soap.CanPXE, "PXE-boot"}, {soap.CanHD, "HD-boot"},
		{soap.CanHDSafe, "HD-boot-safemode"}, {soap.CanDiag, "diag-boot"}, {soap.CanCD, "cd-boot"}}))
	// The masks of powerup and reset are those of amttool.
	t.print("    SystemCapabilitiesSupported     %s\n", bitWords(caps.System, []bitWord{{1, "powercycle"}, {2, "powerdown"}, {3, "powerup"}, {4, "reset"}}))
	t.print("    SystemFirmwareCapabilities      %x\n", caps.Firmware)
	return nil
}

// amttoolState is how the program writes a state; one beyond its table is empty there.
func amttoolState(s soap.SystemPowerState) string {
	words := []string{"S0", "S1", "S2", "S3", "S4", "S5 (soft-off)", "S4/S5", "Off"}
	if i := int(s & 0xf); i < len(words) {
		return words[i]
	}
	return ""
}

type bitWord struct {
	mask uint32
	word string
}

// bitWords writes the words whose bits are set, each followed by a blank.
func bitWords(bits uint32, words []bitWord) string {
	var out strings.Builder
	for _, w := range words {
		if bits&w.mask != 0 {
			out.WriteString(w.word + " ")
		}
	}
	return out.String()
}

func (t *amttoolRun) fullName(ctx context.Context) (string, error) {
	host, err := t.machine.HostName(ctx)
	if err != nil {
		return "", err
	}
	domain, err := t.machine.DomainName(ctx)
	return host + "." + domain, err
}

// remoteControl asks, then does.
func (t *amttoolRun) remoteControl(ctx context.Context, command, special string) error {
	name, err := t.fullName(ctx)
	if err != nil {
		return err
	}
	t.print("host %s, %s [y/N] ? ", name, command)
	reply, _ := t.app.answer() // the end of input is a no
	if !slices.Contains([]string{"y", "yes"}, strings.ToLower(reply)) {
		t.print("canceled\n")
		return nil
	}
	t.print("execute: %s\n", command)
	r := soap.RemoteControlRequest{IANA: soap.IANAIntel}
	r.Command = map[string]soap.Command{"reset": soap.Reset, "powerup": soap.PowerUp, "powerdown": soap.PowerDown, "powercycle": soap.PowerCycle}[command]
	switch special {
	case "pxe":
		r.Special = soap.ForcePXE
	case "hd":
		r.Special = soap.ForceHD
	case "hdsafe":
		r.Special = soap.ForceHDSafe
	case "diag":
		r.Special = soap.ForceDiag
	case "cd":
		r.Special = soap.ForceCD
	case "bios":
		r.Special, r.SpecialParam = soap.IntelOEM, soap.OEMSetup
	}
	return t.result(t.machine.RemoteControl(ctx, r))
}

// result prints what became of a call, in the program's words.
func (t *amttoolRun) result(err error) error {
	var refusal *status.Error
	switch {
	case err == nil:
		t.print("result: pt_status: success\n")
		return nil
	case !errors.As(err, &refusal):
		t.print("result: soap failure\n")
		return err
	}
	if text := amttoolStatus[refusal.Code]; text != "" && refusal.Text == "" {
		t.print("result: pt_status: %s\n", text)
	} else if refusal.Text != "" {
		t.print("result: pt_status: %s\n", refusal.Text)
	} else {
		t.print("result: unknown pt_status code: 0x%x\n", uint32(refusal.Code))
	}
	return fmt.Errorf("%w%w", err, errAmttool)
}

// amttoolStatus are the words of the program for a status.
var amttoolStatus = map[status.Status]string{
	status.InternalError: "internal error", status.InvalidPTMode: "invalid pt_mode", status.InvalidName: "invalid name",
	status.InvalidByteCount: "invalid byte_count", status.NotPermitted: "not permitted", status.MaxLimitReached: "max limit_reached",
	status.InvalidAuthType: "invalid auth_type", status.InvalidDHCPMode: "invalid dhcp_mode", status.InvalidIPAddress: "invalid ip_address",
	status.InvalidDomainName: "invalid domain_name", status.InvalidProvisioningState: "invalid provisioning_state",
	status.InvalidTime: "invalid time", status.InvalidIndex: "invalid index", status.InvalidParameter: "invalid parameter",
	status.InvalidNetmask: "invalid netmask", status.FlashWriteLimitExceeded: "flash write_limit_exceeded",
	status.NetworkIFErrorBase: "network if_error_base", status.UnsupportedOEMNumber: "unsupported oem_number",
	status.UnsupportedBootOption: "unsupported boot_option", status.InvalidCommand: "invalid command",
	status.InvalidSpecialCommand: "invalid special_command", status.InvalidHandle: "invalid handle", status.InvalidPassword: "invalid password",
	status.InvalidRealm: "invalid realm", status.StorageACLEntryInUse: "storage acl_entry_in_use", status.DataMissing: "data missing",
	status.Duplicate: "duplicate", status.EventLogFrozen: "eventlog frozen", status.PKIMissingKeys: "pki missing_keys",
	status.PKIGeneratingKeys: "pki generating_keys", status.InvalidKey: "invalid key", status.InvalidCert: "invalid cert",
	status.CertKeyNotMatch: "cert key_not_match", status.MaxKerberosDomainReached: "max kerb_domain_reached",
	status.Unsupported: "unsupported", status.InvalidPriority: "invalid priority", status.NotFound: "not found",
	status.InvalidCredentials: "invalid credentials", status.InvalidPassphrase: "invalid passphrase", status.NoAssociation: "no association",
}
