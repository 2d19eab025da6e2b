package firmware

import (
	"encoding/binary"

	"github.com/outband/outband/wire/eventlog"
)

// Conditions of the sensor type "system firmware", and its progress codes, as the BIOS has the engine log them. Source:
// IPMI Platform Event Trap Format 1.0 table 6; recorded: 40 07 and 40 13 with offset 2.
const (
	firmwareVendor   = 3 // a vendor's error
	firmwareProgress = 2

	coded         = 0x40 // in data 0: data 1 is a code
	progMemory    = 1
	progSetup     = 5
	progPCI       = 7
	progOS        = 19
	ownEvent      = 0xAA // in data 0: an event of AMT's own
	ownErase      = 0x40 // in data 1
	eraseSSDError = 1    // in data 2
)

// bios logs an event of the BIOS.
func (m *Machine) bios(sensor eventlog.Sensor, offset uint8, severity eventlog.Severity, data ...byte) {
	m.Log(eventlog.NewRecord(m.now(), sensor, offset, severity, eventlog.BIOS, data...))
}

// progress logs how far the BIOS has come.
func (m *Machine) progress(code byte) {
	m.bios(eventlog.Firmware, firmwareProgress, eventlog.Monitor, coded, code)
}

// logPlatform logs what happens to the PC.
func (m *Machine) logPlatform(e Event) {
	switch e.Kind {
	case EventBoot:
		m.progress(progMemory)
	case EventBooted:
		m.progress(progPCI)
		if e.Boot.Status != 0 { // only erasing can fail
			m.bios(eventlog.Firmware, firmwareVendor, eventlog.Critical, ownEvent, ownErase, eraseSSDError)
		}
	case EventSetup:
		m.progress(progSetup)
	case EventHandover:
		m.progress(progOS)
	case EventNoMedium:
		m.bios(eventlog.BootError, 0, eventlog.Critical)
	}
}

// failuresPerEvent is how many refused log-ons in a row make one event. Recorded is one for 10; the real step is not
// known.
const failuresPerEvent = freeFailures

// logFailure logs refused log-ons of a user. Source: recorded, spec inventory-events-policies.md section 2.2.
func (m *Machine) logFailure(user string) {
	m.lockouts.mu.Lock()
	n := m.lockouts.byUser[user].failures
	m.lockouts.mu.Unlock()
	m.noteFailure(user)
	if n == 0 || n%failuresPerEvent != 0 {
		return
	}
	data := binary.LittleEndian.AppendUint16([]byte{ownEvent}, uint16(min(n, 0xffff)))
	r := eventlog.NewRecord(m.now(), eventlog.Authentication, 5, eventlog.Critical, eventlog.Engine, data...)
	r.Instance = 0x61 // as recorded
	m.Log(r)
}
