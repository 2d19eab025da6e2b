package eventlog

import "fmt"

// A Severity is how grave an event is.
type Severity uint8

// The severities.
const (
	Unspecified    Severity = 0
	Monitor        Severity = 1
	Information    Severity = 2
	OK             Severity = 4
	NonCritical    Severity = 8
	Critical       Severity = 16
	NonRecoverable Severity = 32
)

func (s Severity) String() string {
	switch s {
	case Unspecified:
		return "unspecified"
	case Monitor:
		return "monitor"
	case Information:
		return "information"
	case OK:
		return "OK"
	case NonCritical:
		return "non-critical"
	case Critical:
		return "critical"
	case NonRecoverable:
		return "non-recoverable"
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// A Source is who found the event.
type Source uint8

// Sources. The first is the one in AMT's log; [Trap] events of AMT carry the second.
const (
	ASF            Source = 0x68 // ASF 1.0
	ManagementCard Source = 0x58
)

func (s Source) String() string {
	switch {
	case s == ASF:
		return "ASF"
	case s < 96:
		return [...]string{"platform firmware", "SMI handler", "ISV management software", "alert ASIC", "IPMI", "BIOS vendor", "board vendor",
			"system integrator", "add-in vendor", "OS vendor", "NIC", "management card"}[s/8]
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// An EventType says what the offset means.
type EventType uint8

// Event types. 2 to 12 are generic states, 70h to 7Fh a vendor's own.
const (
	Threshold      EventType = 0x01
	Discrete       EventType = 0x0A
	SensorSpecific EventType = 0x6F
	Notification   EventType = 0x70 // user notifications of AMT
)

func (t EventType) String() string {
	switch {
	case t == Threshold:
		return "threshold"
	case t >= 2 && t <= 12:
		return fmt.Sprintf("generic (%d)", uint8(t))
	case t == SensorSpecific:
		return "sensor specific"
	case t >= 0x70 && t <= 0x7f:
		return fmt.Sprintf("vendor specific (%d)", uint8(t))
	}
	return fmt.Sprintf("unknown (%d)", uint8(t))
}

// A Sensor is a type of sensor, by IPMI.
type Sensor uint8

// Sensor types.
const (
	Temperature       Sensor = 1
	Voltage           Sensor = 2
	Current           Sensor = 3
	Fan               Sensor = 4
	Intrusion         Sensor = 5
	Authentication    Sensor = 6
	Processor         Sensor = 7
	PowerSupply       Sensor = 8
	PowerUnit         Sensor = 9
	Memory            Sensor = 12
	DriveBay          Sensor = 13
	Firmware          Sensor = 15 // errors and progress of the BIOS
	Logging           Sensor = 16
	Watchdog          Sensor = 17
	SystemEvent       Sensor = 18 // agent presence
	CriticalInterrupt Sensor = 19
	Button            Sensor = 20
	AddInCard         Sensor = 23
	Chipset           Sensor = 25
	Cable             Sensor = 27
	BootInitiated     Sensor = 29
	BootError         Sensor = 30
	OSBoot            Sensor = 31
	OSStop            Sensor = 32
	Slot              Sensor = 33
	ACPIState         Sensor = 34
	WatchdogReset     Sensor = 35
	PlatformAlert     Sensor = 36 // System Defense
	EntityPresence    Sensor = 37
	MonitorASIC       Sensor = 38
	LAN               Sensor = 39
	UserNotification  Sensor = 192
	AMTNotification   Sensor = 193
)

func (s Sensor) String() string {
	switch s {
	case Temperature:
		return "temperature"
	case Voltage:
		return "voltage"
	case Current:
		return "current"
	case Fan:
		return "fan"
	case Intrusion:
		return "case intrusion"
	case Authentication:
		return "authentication"
	case Processor:
		return "processor"
	case PowerSupply:
		return "power supply"
	case PowerUnit:
		return "power unit"
	case Memory:
		return "memory"
	case DriveBay:
		return "drive bay"
	case Firmware:
		return "system firmware"
	case Logging:
		return "event logging"
	case Watchdog:
		return "watchdog"
	case SystemEvent:
		return "system event"
	case CriticalInterrupt:
		return "critical interrupt"
	case Button:
		return "button"
	case AddInCard:
		return "add-in card"
	case Chipset:
		return "chip set"
	case Cable:
		return "cable"
	case BootInitiated:
		return "boot initiated"
	case BootError:
		return "boot error"
	case OSBoot:
		return "OS boot"
	case OSStop:
		return "OS stop"
	case Slot:
		return "slot"
	case ACPIState:
		return "ACPI state"
	case WatchdogReset:
		return "watchdog reset"
	case PlatformAlert:
		return "platform alert"
	case EntityPresence:
		return "entity presence"
	case MonitorASIC:
		return "monitor ASIC"
	case LAN:
		return "LAN"
	case UserNotification:
		return "user notification"
	case AMTNotification:
		return "AMT notification"
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// An Entity is the part of the machine that the event is about, by IPMI.
type Entity uint8

// Entities that AMT's own events name.
const (
	SystemBoard Entity = 7
	BIOS        Entity = 34
	Engine      Entity = 38 // the management engine
)

// entities by number. IPMI 2.0 table 43-13; 35 and 38 as MeshCentral and Intel's guide have them.
var entities = [...]string{"unspecified", "other", "unknown", "processor", "disk", "peripheral bay device", "system management module", "system board",
	"memory module", "processor module", "power supply", "add-in card", "front panel board", "back panel board", "power system board", "drive backplane",
	"internal expansion board", "other system board", "processor board", "power unit", "power module", "power distribution board",
	"chassis back panel board", "system chassis", "sub-chassis", "other chassis board", "disk drive bay", "peripheral bay", "device bay", "fan",
	"cooling unit", "cable", "memory device", "system management software", "BIOS", "operating system or engine", "system bus", "group",
	"management engine", "external environment", "battery", "processing blade", "connectivity switch", "processor/memory module", "I/O module",
	"processor/I/O module", "management controller firmware", "IPMI channel", "PCI bus", "PCI Express bus", "SCSI bus", "SATA/SAS bus", "processor front-side bus"}

func (e Entity) String() string {
	if int(e) < len(entities) {
		return entities[e]
	}
	return fmt.Sprintf("unknown (%d)", uint8(e))
}
