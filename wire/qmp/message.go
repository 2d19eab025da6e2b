package qmp

import (
	"encoding/json"
	"fmt"
	"time"
)

// An Event is something that has happened to the machine.
type Event struct {
	Name string    // "SHUTDOWN"
	Time time.Time // of the host; zero if QEMU could not tell
	Data Data
}

// Data are the particulars of an event, those that matter here; absent ones are zero.
type Data struct {
	Guest  bool   `json:"guest"`  // SHUTDOWN, RESET: the guest has asked for it
	Reason string `json:"reason"` // SHUTDOWN, RESET: "guest-shutdown", "host-qmp-system-reset" ...; BLOCK_IO_ERROR: text
	Action string `json:"action"` // GUEST_PANICKED, WATCHDOG, BLOCK_IO_ERROR: what QEMU does about it

	Device    string `json:"device"`    // DEVICE_DELETED: identifier; BLOCK_IO_ERROR: the drive
	Path      string `json:"path"`      // DEVICE_DELETED: where it was
	Operation string `json:"operation"` // BLOCK_IO_ERROR: "read", "write"
}

// An Error is QEMU's own no to a command.
type Error struct {
	Command string // "device_add"
	Class   string // "GenericError", "CommandNotFound", "DeviceNotFound" ...
	Desc    string // in words
}

func (e *Error) Error() string { return fmt.Sprintf("qmp: %s: %s", e.Command, e.Desc) }

// Version is QEMU's.
type Version struct {
	Major, Minor, Micro int
	Package             string // of the distribution: "Debian 1:7.2+dfsg-7"
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro) }

// A message is anything that QEMU says; which of the fields are there tells what it is.
type message struct {
	Greeting *struct {
		Version struct {
			QEMU struct {
				Major int `json:"major"`
				Minor int `json:"minor"`
				Micro int `json:"micro"`
			} `json:"qemu"`
			Package string `json:"package"`
		} `json:"version"`
	} `json:"QMP"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	ID        uint64          `json:"id"`
	Event     string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	Timestamp struct {
		Seconds      int64 `json:"seconds"` // -1: unknown
		Microseconds int64 `json:"microseconds"`
	} `json:"timestamp"`
}

// parse reads one message. The error wraps [ErrProtocol].
func parse(line []byte) (m message, err error) {
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("%w: %v", ErrProtocol, err)
	}
	kinds := 0
	for _, is := range []bool{m.Greeting != nil, m.Return != nil, m.Error != nil, m.Event != ""} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return m, fmt.Errorf("%w: message is of %d kinds", ErrProtocol, kinds)
	}
	return m, nil
}

// event returns the message as an event, which it is. Particulars of a shape that is not known are left out.
func (m *message) event() Event {
	e := Event{Name: m.Event}
	if m.Timestamp.Seconds > 0 {
		e.Time = time.Unix(m.Timestamp.Seconds, m.Timestamp.Microseconds*1000)
	}
	if json.Unmarshal(m.Data, &e.Data) != nil {
		e.Data = Data{}
	}
	return e
}

// appendCommand appends a command and its line end.
func appendCommand(b []byte, id uint64, name string, arguments any) ([]byte, error) {
	text, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{name, arguments, id})
	if err != nil {
		return b, fmt.Errorf("qmp: %s: %w", name, err)
	}
	return append(append(b, text...), '\n'), nil
}
