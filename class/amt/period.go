package amt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A Period is when a periodic policy of remote access opens the tunnel: AMT_RemoteAccessPolicyRule.ExtendedData. Integers
// are big-endian.
//
//	0  4  type: 0 every so many seconds, 1 daily
//	4  4  type 0: seconds; type 1: hour
//	8  4  type 1: minute
//
// Source: spec inventory-events-policies.md section 12; recorded "AAAAAAAAABk=" is every 25 s.
type Period struct {
	Every time.Duration // in whole seconds; 0: daily

	Hour, Minute uint32 // daily: by the clock of the machine
}

const (
	periodInterval = 0
	periodDaily    = 1
)

// ErrPeriod is the error of data that is no [Period].
var ErrPeriod = errors.New("no interval and no time of day")

// Append writes a period. One of more than 2^32-1 seconds is cut to that.
func (p Period) Append(b []byte) []byte {
	if p.Every > 0 {
		b = binary.BigEndian.AppendUint32(b, periodInterval)
		return binary.BigEndian.AppendUint32(b, uint32(min(p.Every/time.Second, 1<<32-1)))
	}
	b = binary.BigEndian.AppendUint32(b, periodDaily)
	b = binary.BigEndian.AppendUint32(b, p.Hour)
	return binary.BigEndian.AppendUint32(b, p.Minute)
}

// ParsePeriod reads ExtendedData. What follows the period is not looked at: the field may be padded. An hour of 25 is
// read as it is; see [Period.Valid].
func ParsePeriod(b []byte) (p Period, err error) {
	if len(b) < 8 {
		return p, fmt.Errorf("amt: extended data: %w (%d octets)", ErrPeriod, len(b))
	}
	switch kind := binary.BigEndian.Uint32(b); {
	case kind == periodInterval:
		p.Every = time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Second
		if p.Every == 0 {
			return p, fmt.Errorf("amt: extended data: %w (every 0 s)", ErrPeriod)
		}
		return p, nil
	case kind == periodDaily && len(b) >= 12:
		p.Hour, p.Minute = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
		return p, nil
	default:
		return p, fmt.Errorf("amt: extended data: %w (type %d, %d octets)", ErrPeriod, kind, len(b))
	}
}

// Valid reports whether a daily period has a time of day.
func (p Period) Valid() bool { return p.Every > 0 || p.Hour < 24 && p.Minute < 60 }

// String returns "every 25s" or "daily at 02:30".
func (p Period) String() string {
	if p.Every > 0 {
		return "every " + p.Every.String()
	}
	return fmt.Sprintf("daily at %02d:%02d", p.Hour, p.Minute)
}
