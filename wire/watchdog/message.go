package watchdog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Timeouts. The Linux driver refuses others; so does this package's host end.
const (
	DefaultTimeout = 120 * time.Second
	MinTimeout     = 120 * time.Second
	MaxTimeout     = 65535 * time.Second
)

const (
	cmdManagement = 0x02 // MEI_MANAGEMENT_CONTROL
	cmdState      = 0x05 // state independence
	subStart      = 0x13 // MEI_MC_START_WD_TIMER_REQ
	subStarted    = 0x83 // MEI_MC_START_WD_TIMER_RES
	subStop       = 0x14 // MEI_MC_STOP_WD_TIMER_REQ
	subEnabled    = 0x51 // is change to AMT enabled
	subChange     = 0x52 // change to AMT
	subSet        = 0x53 // set AMT operational state
	version10     = 0x10
	headerLen     = 4
	startLen      = 23
	oldStartLen   = 20 // of the driver before Linux 4.6; firmware takes both
	startedLen    = 6
)

// Errors that parsers wrap.
var (
	ErrShort = errors.New("message too short")
	ErrOther = errors.New("not the expected message")
)

func appendHeader(b []byte, command, sub byte, rest int) []byte {
	return append(b, command, byte(headerLen-2+rest), sub, version10)
}

// check holds a message against what it should be.
func check(b []byte, command, sub byte, least int) error {
	if len(b) < headerLen {
		return fmt.Errorf("watchdog: header: %w (%d of %d bytes)", ErrShort, len(b), headerLen)
	}
	if b[0] != command || b[2] != sub || b[3] != version10 {
		return fmt.Errorf("watchdog: %w: % x", ErrOther, b[:headerLen])
	}
	if len(b) < least {
		return fmt.Errorf("watchdog: message %02x %02x: %w (%d of %d bytes)", command, sub, ErrShort, len(b), least)
	}
	return nil
}

// Start starts the timer, or winds it up. 23 bytes.
type Start struct{ Timeout uint16 } // seconds

func (m Start) Append(b []byte) []byte {
	b = appendHeader(b, cmdManagement, subStart, startLen-headerLen)
	b = binary.LittleEndian.AppendUint16(b, m.Timeout)
	return append(b, make([]byte, startLen-headerLen-2)...)
}

// ParseStart reads a whole message, in the older form of 20 bytes too.
func ParseStart(b []byte) (m Start, err error) {
	if err := check(b, cmdManagement, subStart, oldStartLen); err != nil {
		return m, err
	}
	return Start{binary.LittleEndian.Uint16(b[4:])}, nil
}

// StartReply answers Start. 6 bytes.
type StartReply struct {
	Status      uint8 // 0 is success
	NotRequired bool  // no policy of AMT wants the watchdog: stop sending
}

func (m StartReply) Append(b []byte) []byte {
	b = appendHeader(b, cmdManagement, subStarted, startedLen-headerLen)
	if m.NotRequired {
		return append(b, m.Status, 1)
	}
	return append(b, m.Status, 0)
}

// ParseStartReply reads a whole message. Like the driver it takes one that ends after the header as "success, required".
func ParseStartReply(b []byte) (m StartReply, err error) {
	if err := check(b, cmdManagement, subStarted, headerLen); err != nil {
		return m, err
	}
	if len(b) > 4 {
		m.Status = b[4]
	}
	if len(b) > 5 {
		m.NotRequired = b[5]&1 != 0
	}
	return m, nil
}

// Stop stops the timer. 4 bytes.
type Stop struct{}

func (Stop) Append(b []byte) []byte { return appendHeader(b, cmdManagement, subStop, 0) }

// ParseStop reads a whole message.
func ParseStop(b []byte) (Stop, error) { return Stop{}, check(b, cmdManagement, subStop, headerLen) }
