// Package events tells the programs of a PC what its AMT has to say: the local alerts that package lms receives, as events
// with the numbers that Intel's LMS gives them, on D-Bus under its name. Programs that listen to Intel's LMS there hear
// the same.
//
// Only the signal is there. The methods that Intel's LMS also has on D-Bus are those of AMTHI and WS-Management, which
// "outband local info" and consoles speak.
//
// Sources: spec lms.md sections 7 and 10; intel/lms CimToEventTranslator, DBusService.
package events

import (
	"strings"
	"time"

	"github.com/outband/outband/wire/eventing"
)

// A Category is what an event is about.
type Category uint32

// The categories.
const (
	General        Category = 1
	SystemDefense  Category = 2
	EndpointAccess Category = 3 // EAC
	Redirection    Category = 4
	Wireless       Category = 5
	SecureIO       Category = 6
	KVM            Category = 7
	RemoteAccess   Category = 8
	Service        Category = 9 // this one
	AddressSync    Category = 10
	ProxySync      Category = 11
	Consent        Category = 13
	FirmwareUpdate Category = 14
	Power          Category = 15
	TimeSync       Category = 16
)

// An Event is something that AMT, or the service, tells.
type Event struct {
	Category  Category
	ID        uint32 // its number: 272, a shutdown is asked for
	Message   string // for people
	Arguments string // of the alert, joined by ", "
	MessageID string // of the alert: "iAMT0067"; "" for events of the service
	Time      time.Time
}

// number is what an alert is called here.
type number struct {
	category Category
	id       uint32
}

// numbers are those of the alerts: by message, or by message and first argument, as "iAMT0055 - 0". Source: spec lms.md
// section 7.
var numbers = map[string]number{
	"iAMT0002": {General, 191},
	"iAMT0003": {General, 192},
	"iAMT0005": {General, 193},

	"iAMT0050 - 0": {General, 160},
	"iAMT0071":     {General, 283},
	"iAMT0055 - 0": {General, 11},
	"iAMT0055 - 1": {General, 12},
	"iAMT0055 - 2": {General, 13},
	"iAMT0055 - 3": {General, 15},
	"iAMT0055 - 4": {General, 16},
	"iAMT0057 - 0": {General, 14},

	"iAMT0050 - 16": {SystemDefense, 20},
	"iAMT0050 - 17": {SystemDefense, 21},
	"iAMT0050 - 18": {SystemDefense, 22},
	"iAMT0050 - 19": {SystemDefense, 23},
	"iAMT0056 - 0":  {SystemDefense, 24},

	"iAMT0050 - 32": {EndpointAccess, 30},
	"iAMT0050 - 33": {EndpointAccess, 31},
	"iAMT0050 - 34": {EndpointAccess, 32},

	"iAMT0050 - 48": {Redirection, 40},
	"iAMT0050 - 49": {Redirection, 41},
	"iAMT0050 - 50": {Redirection, 42},
	"iAMT0050 - 51": {Redirection, 43},

	"iAMT0050 - 66": {Wireless, 50},
	"iAMT0050 - 67": {Wireless, 52},
	"iAMT0050 - 68": {Wireless, 51},
	"iAMT0050 - 69": {Wireless, 53},
	"iAMT0054 - 70": {Wireless, 54},
	"iAMT0049 - 0":  {Wireless, 55},
	"iAMT0049 - 1":  {Wireless, 56},
	"iAMT0068 - 2":  {Wireless, 47},
	"iAMT0068 - 1":  {Wireless, 48},
	"iAMT0068 - 0":  {Wireless, 49},
	"iAMT0066 - 1":  {Wireless, 57},
	"iAMT0066 - 0":  {Wireless, 58},

	"iAMT0060 - 0": {SecureIO, 63},

	"iAMT0052 - 0": {KVM, 70},
	"iAMT0052 - 1": {KVM, 71},
	"iAMT0052 - 2": {KVM, 72},
	"iAMT0052 - 3": {KVM, 76},
	"iAMT0059 - 0": {KVM, 73},
	"iAMT0059 - 1": {KVM, 74},

	"iAMT0058 - 0": {RemoteAccess, 84},
	"iAMT0058 - 1": {RemoteAccess, 85},

	"iAMT0062 - 0": {AddressSync, 110},
	"iAMT0062 - 1": {AddressSync, 111},
	"iAMT0065 - 0": {AddressSync, 118},
	"iAMT0065 - 1": {AddressSync, 119},

	"iAMT0063 - 0": {ProxySync, 120},
	"iAMT0063 - 1": {ProxySync, 121},

	"iAMT0064 - 1": {Consent, 131},
	"iAMT0064 - 2": {Consent, 130},
	"iAMT0064 - 3": {Consent, 132},
	"iAMT0064 - 4": {Consent, 134},

	"iAMT0069 - 0": {TimeSync, 270},
	"iAMT0069 - 1": {TimeSync, 271},

	"iAMT0067 - 0": {Power, 272},
	"iAMT0067 - 1": {Power, 273},
	"iAMT0067 - 2": {Power, 278},
	"iAMT0067 - 3": {Power, 279},
}

// Of returns the event that an alert is; false: it has no number.
func Of(a eventing.Alert) (Event, bool) {
	key := a.MessageID
	n, ok := numbers[key]
	if !ok && len(a.Arguments) > 0 {
		n, ok = numbers[key+" - "+a.Arguments[0]]
	}
	if !ok {
		return Event{}, false
	}
	var arguments []string
	for _, argument := range a.Arguments {
		if argument != eventing.ArgumentPath {
			arguments = append(arguments, argument)
		}
	}
	return Event{Category: n.category, ID: n.id, Message: a.Text(), Arguments: strings.Join(arguments, ", "), MessageID: a.MessageID, Time: a.Time}, true
}

// Events of the service itself.
const (
	PortsOpen       uint32 = 95 // programs on the PC reach AMT
	PortsClosed     uint32 = 96
	ShutDownDone    uint32 = 274
	ShutDownFailed  uint32 = 275
	RebootDone      uint32 = 276
	RebootFailed    uint32 = 277
	SleepFailed     uint32 = 280
	HibernateFailed uint32 = 281
	WatchdogError   uint32 = 284
)

// Own returns an event of the service.
func Own(id uint32, message string, at time.Time) Event {
	category := Service
	switch id {
	case ShutDownDone, ShutDownFailed, RebootDone, RebootFailed, SleepFailed, HibernateFailed:
		category = Power
	case WatchdogError:
		category = General
	}
	return Event{Category: category, ID: id, Message: message, Time: at}
}
