package eventing

import (
	"fmt"
	"strings"

	"github.com/outband/outband/wire/eventlog"
)

// Text puts the event into words. AMT itself sends a text with few messages only.
func (a *Alert) Text() string {
	if a.Message != "" {
		return a.Message
	}
	first := ""
	if len(a.Arguments) > 0 && !strings.HasPrefix(a.Arguments[0], "Interop:") {
		first = a.Arguments[0]
	}
	if text, ok := texts[a.MessageID+"-"+first]; ok {
		return text
	}
	text, ok := texts[a.MessageID]
	switch {
	case !ok && first != "":
		return fmt.Sprintf("message %s, %s", a.MessageID, first)
	case !ok:
		return "message " + a.MessageID
	case strings.Contains(text, "%s"):
		return strings.Join(strings.Fields(fmt.Sprintf(text, first)), " ")
	case first != "":
		return text + " (" + first + ")"
	}
	return text
}

// texts are our words for messages, by MessageID or by that and the first argument. Sources: intel/lms
// CimToEventTranslator.cpp; Ylianst/MeshCommander amt-lme; DSP8007 for PLAT messages; spec inventory-events-policies.md
// section 4.2.
var texts = map[string]string{
	"iAMT0001": "System Defense policy triggered: %s",
	"iAMT0002": "agent %s not started",
	"iAMT0003": "agent %s stopped",
	"iAMT0004": "agent %s running",
	"iAMT0005": "agent %s expired",
	"iAMT0006": "agent %s suspended",
	"iAMT0007": "the operating system tries to take AMT's network link down",
	"iAMT0008": "the operating system tries to take AMT's network link down, and is kept from the network",
	"iAMT0009": "protection against flash wear-out is off",
	"iAMT0010": "heuristics: slow threshold exceeded on interface %s",
	"iAMT0011": "heuristics: fast threshold exceeded on interface %s",
	"iAMT0012": "heuristics: factory threshold exceeded on interface %s",
	"iAMT0013": "heuristics: encounter over on interface %s",
	"iAMT0014": "certificate error",
	"iAMT0015": "certificate expired",
	"iAMT0016": "no trusted root certificate",
	"iAMT0017": "not set up for a server certificate",
	"iAMT0018": "certificate revoked",
	"iAMT0019": "RSA exponent too large",
	"iAMT0020": "RSA modulus too large",
	"iAMT0021": "digest not supported",
	"iAMT0022": "distinguished name too long",
	"iAMT0023": "key usage missing",
	"iAMT0024": "TLS handshake failed",
	"iAMT0025": "802.1X error",
	"iAMT0026": "network access control error",
	"iAMT0027": "posture requested while network access control is off",
	"iAMT0028": "posture of unsupported type requested",
	"iAMT0029": "audit log half full",
	"iAMT0030": "audit log 75 % full",
	"iAMT0031": "audit log 85 % full",
	"iAMT0032": "audit log 95 % full",
	"iAMT0033": "audit log full",
	"iAMT0034": "firmware updated in part",
	"iAMT0035": "firmware update failed",
	"iAMT0036": "remote connection asked for",
	"iAMT0037": "management engine present",
	"iAMT0038": "unprovisioning",
	"iAMT0039": "hardware assembly error",
	"iAMT0050": "notification",

	"iAMT0050-16": "System Defense: drop filter matched what is sent",
	"iAMT0050-17": "System Defense: rate filter matched what is sent",
	"iAMT0050-18": "System Defense: drop filter matched what is received",
	"iAMT0050-19": "System Defense: rate filter matched what is received",
	"iAMT0050-32": "network access control: notification",
	"iAMT0050-48": "SOL session opened",
	"iAMT0050-49": "SOL session closed",
	"iAMT0050-50": "IDE-R session opened",
	"iAMT0050-51": "IDE-R session closed",
	"iAMT0050-66": "wireless: profiles of host and engine differ, the engine's interface is left out",
	"iAMT0050-67": "wireless: the engine takes the radio",
	"iAMT0050-68": "wireless: security of host and engine profiles differs",
	"iAMT0050-69": "wireless: the engine gives the radio back",
	"iAMT0051":    "secure on-screen output",
	"iAMT0052":    "KVM session",
	"iAMT0052-0":  "KVM session asked for",
	"iAMT0052-1":  "KVM session started",
	"iAMT0052-2":  "KVM session stopped",
	"iAMT0052-3":  "KVM data channel",
	"iAMT0053":    "remote connection service: notification",
	"iAMT0054":    "wireless profile synchronisation changed",
	"iAMT0055":    "provisioning state changed",
	"iAMT0055-0":  "not provisioned",
	"iAMT0055-1":  "provisioning",
	"iAMT0055-2":  "provisioned",
	"iAMT0055-3":  "unprovisioning started",
	"iAMT0056":    "System Defense changed",
	"iAMT0057":    "network state changed",
	"iAMT0058":    "remote access",
	"iAMT0058-0":  "remote access tunnel closed",
	"iAMT0058-1":  "remote access tunnel open",
	"iAMT0059":    "KVM switched",
	"iAMT0059-0":  "KVM disabled",
	"iAMT0059-1":  "KVM enabled",
	"iAMT0060":    "secure on-screen output configured",
	"iAMT0061":    "management engine was reset",
	"iAMT0062":    "IP synchronisation",
	"iAMT0062-0":  "IP synchronisation off",
	"iAMT0062-1":  "IP synchronisation on",
	"iAMT0063":    "proxy synchronisation",
	"iAMT0063-0":  "proxy synchronisation off",
	"iAMT0063-1":  "proxy synchronisation on",
	"iAMT0064":    "user consent",
	"iAMT0064-1":  "user consent given",
	"iAMT0064-2":  "user consent ended",
	"iAMT0064-3":  "user consent asked for",
	"iAMT0064-4":  "user consent policy changed",
	"iAMT0066":    "wireless control",
	"iAMT0066-0":  "the host takes the wireless interface",
	"iAMT0066-1":  "the engine takes the wireless interface",
	"iAMT0067":    "graceful operation",
	"iAMT0067-0":  "graceful shut-down",
	"iAMT0067-1":  "graceful reboot",
	"iAMT0067-2":  "graceful sleep",
	"iAMT0067-3":  "graceful hibernation",
	"iAMT0068":    "link protection",
	"iAMT0068-0":  "link protection off",
	"iAMT0068-1":  "link protection passive",
	"iAMT0068-2":  "link protection high",
	"iAMT0069":    "local time synchronisation",
	"iAMT0069-0":  "local time synchronisation off",
	"iAMT0069-1":  "local time synchronisation on",
	"iAMT0070":    "PC reset as a watchdog expired",
	"iAMT0071":    "somebody tries to disable AMT",
	"iAMT0080":    "local management service active",

	"PLAT0004": "case opened",
	"PLAT0005": "case closed",
	"PLAT0012": "network cable pulled",
	"PLAT0013": "network cable plugged in",
	"PLAT0032": "wrong management passwords: %s",
	"PLAT0184": "BIOS self-test error: %s",
	"PLAT0188": "BIOS progress: %s",
	"PLAT0286": "no bootable medium",
	"PLAT0320": "boot of the operating system failed",
	"PLAT0322": "operating system stopped",
	"PLAT0368": "watchdog expired",
	"PLAT0720": "BIOS progress: initialising memory",
	"PLAT0722": "BIOS progress: initialising disks",
	"PLAT0724": "BIOS progress: waiting for a password",
	"PLAT0730": "BIOS progress: configuring PCI",
	"PLAT0732": "BIOS progress: running option ROMs",
	"PLAT0734": "BIOS progress: initialising video",
	"PLAT0736": "BIOS progress: initialising cache",
	"PLAT0740": "BIOS progress: initialising the board",
	"PLAT0760": "BIOS progress: starting the operating system",
	"PLAT0762": "BIOS progress: waking the operating system",
}

// Words of the firmware progress codes that have a message of their own.
var progress = map[byte]string{1: "PLAT0720", 2: "PLAT0722", 4: "PLAT0724", 7: "PLAT0730", 8: "PLAT0732", 9: "PLAT0734", 10: "PLAT0736", 18: "PLAT0762",
	19: "PLAT0760", 20: "PLAT0740"}

// agentMessages are the messages of agent presence, by state.
var agentMessages = map[eventlog.AgentState]string{eventlog.NotStarted: "iAMT0002", eventlog.Stopped: "iAMT0003", eventlog.Running: "iAMT0004",
	eventlog.Expired: "iAMT0005", eventlog.Suspended: "iAMT0006"}

// FromRecord returns the alert of an event of the log, and false if AMT sends none: for a BIOS that hangs and for events
// whose message is not known. Which record makes which message is partly our reading of the two lists.
func FromRecord(r eventlog.Record) (Alert, bool) {
	a := Alert{Owner: Owner, System: Owner, Severity: severityOf(r.Severity), Time: r.When(), Type: 5}
	d := r.Data
	own := d[0] == 0xAA
	switch r.Sensor {
	case eventlog.SystemEvent:
		a.MessageID = agentMessages[eventlog.AgentState(d[7])]
		a.Arguments, a.Type = []string{eventlog.AgentID(r)}, 8
	case eventlog.PlatformAlert:
		a.MessageID, a.Arguments, a.Type = "iAMT0001", []string{strings.TrimPrefix(r.Text(), "System Defense: ")}, 8
	case eventlog.UserNotification:
		a.MessageID, a.Arguments, a.Type = "iAMT0050", []string{fmt.Sprint(d[1]&0xf0 | d[2]&0x0f)}, 8
	case eventlog.AMTNotification:
		switch [4]byte(d[:4]) {
		case [4]byte{0xAA, 0x30, 0, 0}:
			a.MessageID = "iAMT0036"
		case [4]byte{0xAA, 0x20, 3, 1}:
			a.MessageID = "iAMT0027"
		case [4]byte{0xAA, 0x20, 4, 0}:
			a.MessageID = "iAMT0039"
		}
	case eventlog.Authentication:
		a.MessageID, a.Arguments, a.Type = "PLAT0032", []string{r.Text()}, 8
	case eventlog.Intrusion:
		a.MessageID, a.Type = "PLAT0004", 8
		if r.Deasserted {
			a.MessageID = "PLAT0005"
		}
	case eventlog.Firmware:
		switch {
		case r.Offset == 1: // hang
		case r.Offset == 0 || r.Offset == 3:
			a.MessageID, a.Arguments = "PLAT0184", []string{strings.TrimPrefix(r.Text(), "firmware: ")}
		case !own && progress[d[1]] != "":
			a.MessageID = progress[d[1]]
		default:
			a.MessageID, a.Arguments = "PLAT0188", []string{strings.TrimPrefix(r.Text(), "firmware: ")}
		}
	case eventlog.BootError:
		a.MessageID = "PLAT0286"
	case eventlog.OSBoot:
		a.MessageID = "PLAT0320"
	case eventlog.OSStop:
		a.MessageID = "PLAT0322"
	case eventlog.WatchdogReset:
		if d[0] != 64 { // else the BIOS hangs
			a.MessageID = "PLAT0368"
		}
	case eventlog.EntityPresence:
		a.MessageID, a.Arguments = "PLAT0188", []string{r.Text()}
	case eventlog.LAN:
		a.MessageID = "PLAT0013"
		if r.Deasserted {
			a.MessageID = "PLAT0012"
		}
	}
	if strings.HasPrefix(a.MessageID, "PLAT") {
		a.Owner = "DMTF"
	}
	a.Arguments = append(a.Arguments, ArgumentPath)
	return a, a.MessageID != ""
}

func severityOf(s eventlog.Severity) Severity {
	switch s {
	case eventlog.Monitor, eventlog.Information, eventlog.OK:
		return Information
	case eventlog.NonCritical:
		return Warning
	case eventlog.Critical:
		return Critical
	case eventlog.NonRecoverable:
		return Fatal
	}
	return Unknown
}

// Groups returns the collections that a message belongs to beside "All": alerts of the hardware are "Platform", those of
// AMT's functions "Features", those for whoever sits at the PC "User". Which message is in which is likely, not certain.
func Groups(messageID string) []string {
	switch {
	case strings.HasPrefix(messageID, "PLAT"):
		return []string{"All", "Platform"}
	case messageID >= "iAMT0050" && messageID < "iAMT0071":
		return []string{"All", "Features", "User"}
	}
	return []string{"All", "Features"}
}
