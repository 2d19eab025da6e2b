package eventlog

import (
	"strings"
	"testing"
)

func pad(data string) (d [8]byte) { copy(d[:], data); return d }

// Each row of the tables that have wording of their own.
var texts = []struct {
	sensor Sensor
	offset uint8
	data   string
	want   string
}{
	{Intrusion, 0, "", "case opened"},
	{Intrusion, 1, "", "case intrusion: sensor specific event, offset 1, data 0000000000000000"},
	{Authentication, 5, "\xaa\x0a\x01", "authentication failed 266 times"},
	{Firmware, 2, "\xeb\x07", "system firmware: data not valid"},
	{Firmware, 0, "\x40\x00", "firmware error: unspecified"},
	{Firmware, 0, "\x40\x01", "firmware error: no memory"},
	{Firmware, 0, "\x40\x08", "firmware error: removable boot medium missing"},
	{Firmware, 0, "\x40\x0d", "firmware error: processor speeds do not match"},
	{Firmware, 0, "\x40\x0e", "firmware error: unknown (14)"},
	{Firmware, 2, "\x40\x01", "firmware: initialising memory"},
	{Firmware, 2, "\x40\x13", "firmware: starting the operating system"},
	{Firmware, 2, "\x40\x15", "firmware: unknown (21)"},
	{Firmware, 2, "\x40\x19", "firmware: initialising primary processor"},
	{Firmware, 2, "\x40\x1a", "firmware: unknown (26)"},
	{Firmware, 1, "\x40\x05", "firmware: entering setup"},
	{Firmware, 3, "\xaa\x30\x01", "recovery boot error: no network"},
	{Firmware, 3, "\xaa\x30\x08", "recovery boot error: file not found"},
	{Firmware, 3, "\xaa\x30\x00", "recovery boot error: unknown (0)"},
	{Firmware, 3, "\xaa\x40\x02", "erase error: TPM cannot be erased"},
	{Firmware, 3, "\xaa\x40\x04", "erase error: unknown (4)"},
	{Firmware, 3, "\x01\x02", "vendor's firmware error, data 0102000000000000"},
	{Firmware, 5, "\xaa\x30\x00", "recovery boot: parameters received"},
	{Firmware, 5, "\xaa\x30\x01\x02", "recovery boot: boot option added, HTTPS"},
	{Firmware, 5, "\xaa\x30\x01\x04", "recovery boot: boot option added, local pre-boot application"},
	{Firmware, 5, "\xaa\x30\x01\x08", "recovery boot: boot option added, Windows recovery"},
	{Firmware, 5, "\xaa\x30\x01\x09", "recovery boot: boot option added, source 9"},
	{Firmware, 5, "\xaa\x30\x06", "recovery boot: boot services left"},
	{Firmware, 5, "\xaa\x30\x07", "recovery boot: unknown (7)"},
	{Firmware, 5, "\xaa\x40\x01\x02", "erase: started, SSD"},
	{Firmware, 5, "\xaa\x40\x02\x03", "erase: finished, TPM"},
	{Firmware, 5, "\xaa\x40\x02\x05", "erase: finished, BIOS settings, by the golden configuration"},
	{Firmware, 5, "\xaa\x40\x02\x06", "erase: finished, device 6"},
	{Firmware, 5, "\xaa\x40\x03", "erase: platform erase begins"},
	{Firmware, 5, "\xaa\x40\x04", "erase: reserved parameters cleared"},
	{Firmware, 5, "\xaa\x40\x05", "erase: all settings decremented"},
	{Firmware, 5, "\xaa\x40\x06", "erase: unknown (6)"},
	{Firmware, 5, "\x01", "vendor's firmware progress, data 0100000000000000"},
	{SystemEvent, 0, "\xaa\x70\x6c\xd4\x3b\x85\x98\x08", "agent 3bd46c70-9885-... expired"},
	{SystemEvent, 0, "\xaa\x70\x6c\xd4\x3b\x85\x98\x10", "agent 3bd46c70-9885-... suspended"},
	{SystemEvent, 0, "\xaa\x70\x6c\xd4\x3b\x85\x98\x03", "agent 3bd46c70-9885-... unknown (3)"},
	{SystemEvent, 0, "\x01", "system event: sensor specific event, offset 0, data 0100000000000000"},
	{BootError, 0, "", "no bootable medium"},
	{OSStop, 1, "", "operating system stopped, or power was interrupted"},
	{WatchdogReset, 3, "\x40\x02\xfc\x54\x59", "BIOS did not finish its power-on self-test in time"},
	{WatchdogReset, 3, "\x41", "boot failed"},
	{PlatformAlert, 0, "\xaa\x00\x00\x01\x02", "System Defense: filter 258 matched on the wired interface"},
	{PlatformAlert, 0, "\x01\xff\xff\xff\xfd", "System Defense: filter for all that is received matched on interface 1"},
	{PlatformAlert, 0, "\xaa\xff\xff\xff\xfc", "System Defense: filter for all that is sent matched on the wired interface"},
	{PlatformAlert, 0, "\xaa\xff\xff\xff\xfa", "System Defense: anti-spoofing filter matched on the wired interface"},
	{EntityPresence, 0, "", "system firmware started, a processor is running"},
	{UserNotification, 0, "\xaa\x00\x07", "notification 7"},
	{UserNotification, 0, "\xaa\x20\x01", "network access control: notification 1"},
	{UserNotification, 0, "\xaa\x30\x00", "SOL session opened"},
	{UserNotification, 0, "\xaa\x30\x01", "SOL session closed"},
	{UserNotification, 0, "\xaa\x30\x02", "IDE-R session opened"},
	{UserNotification, 0, "\xaa\x30\x03", "IDE-R session closed"},
	{UserNotification, 0, "\xaa\x30\x04", "remote diagnostics: notification 4"},
	{UserNotification, 0, "\xaa\x40\x02", "wireless: profiles of host and engine differ, the engine's interface is left out"},
	{UserNotification, 0, "\xaa\x40\x03", "wireless: notification 3"},
	{UserNotification, 0, "\xaa\x10\x00", "security policy invoked: traffic to the network stopped"},
	{UserNotification, 0, "\xaa\x10\x02", "security policy invoked: traffic from the network stopped"},
	{UserNotification, 0, "\xaa\x10\x01", "security policy invoked"},
	{AMTNotification, 0, "\xaa\x30\x00\x00", "user asks for a remote connection"},
	{AMTNotification, 0, "\xaa\x20\x03\x01", "posture requested while network access control is off"},
	{AMTNotification, 0, "\xaa\x20\x04\x00", "hardware assembly error"},
	{AMTNotification, 0, "\xaa\x20\x05", "AMT notification: sensor specific event, offset 0, data aa20050000000000"},
	{200, 0, "", "unknown (200): sensor specific event, offset 0, data 0000000000000000"},
}

func TestText(t *testing.T) {
	for _, tt := range texts {
		r := Record{Time: 1, Sensor: tt.sensor, EventType: SensorSpecific, Offset: tt.offset, Data: pad(tt.data)}
		if got := r.Text(); got != tt.want {
			t.Errorf("%v, offset %d, data %x: %q, want %q", tt.sensor, tt.offset, tt.data, got, tt.want)
		}
		r.Deasserted = true
		if got := r.Text(); got != tt.want+" (over)" {
			t.Errorf("deasserted: %q", got)
		}
	}
}

func TestGenericText(t *testing.T) {
	for _, tt := range []struct {
		sensor Sensor
		kind   EventType
		offset uint8
		want   string
	}{
		{Temperature, Threshold, 9, "temperature: upper critical, going high"},
		{Fan, Threshold, 2, "fan: lower critical, going low"},
		{PowerSupply, 7, 2, "power supply: critical, from less"},
		{Memory, 4, 1, "memory: failure predicted"},
		{Chipset, 12, 3, "chip set: device power state D3"},
		{Voltage, Threshold, 12, "voltage: threshold event, offset 12, data 0000000000000000"},
		{LAN, 0, 0, "LAN: unknown (0) event, offset 0, data 0000000000000000"},
		{Slot, 13, 0, "slot: unknown (13) event, offset 0, data 0000000000000000"},
		{Button, 0x75, 1, "button: vendor specific (117) event, offset 1, data 0000000000000000"},
	} {
		if got := (Record{Time: 1, Sensor: tt.sensor, EventType: tt.kind, Offset: tt.offset}).Text(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		Unspecified.String(): "unspecified", Monitor.String(): "monitor", Information.String(): "information", OK.String(): "OK",
		NonCritical.String(): "non-critical", Critical.String(): "critical", NonRecoverable.String(): "non-recoverable", Severity(3).String(): "unknown (3)",
		ASF.String(): "ASF", Source(0).String(): "platform firmware", Source(15).String(): "SMI handler", Source(40).String(): "BIOS vendor",
		ManagementCard.String(): "management card", Source(96).String(): "unknown (96)",
		Entity(0).String(): "unspecified", SystemBoard.String(): "system board", BIOS.String(): "BIOS", Engine.String(): "management engine",
		Entity(48).String(): "PCI bus", Entity(52).String(): "processor front-side bus", Entity(53).String(): "unknown (53)",
		Threshold.String(): "threshold", Discrete.String(): "generic (10)", SensorSpecific.String(): "sensor specific",
		Running.String(): "running", Stopped.String(): "stopped", NotStarted.String(): "not started",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if len(entities) != 53 {
		t.Errorf("%d entities", len(entities))
	}
	names := map[string]Sensor{}
	for _, s := range []Sensor{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 18, 19, 20, 23, 25, 27, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 192, 193} {
		name := s.String()
		if have, again := names[name]; again || strings.HasPrefix(name, "unknown") {
			t.Errorf("sensors %d and %d: %q", have, s, name)
		}
		names[name] = s
	}
}
