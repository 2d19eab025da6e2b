package redir

import (
	"errors"
	"fmt"
)

// A Kind says what a session carries: four ASCII characters.
type Kind [4]byte

// The kinds.
var (
	SOL  = Kind{'S', 'O', 'L', ' '} // Serial-over-LAN
	IDER = Kind{'I', 'D', 'E', 'R'} // storage, also where AMT 11 and later call it USB-R
	KVM  = Kind{'K', 'V', 'M', 'R'} // screen, keyboard, mouse
)

// SocketPath is where the web server takes redirection in a web socket, since AMT 11. Source: spec redirection.md
// section 1.2.
const SocketPath = "/ws-redirection"

// Known tells whether k is one of the three.
func (k Kind) Known() bool { return k == SOL || k == IDER || k == KVM }

func (k Kind) String() string {
	switch k {
	case SOL:
		return "SOL"
	case IDER:
		return "IDE-R"
	case KVM:
		return "KVM"
	}
	return fmt.Sprintf("unknown (%q)", k[:])
}

// A Status answers the start of a session.
type Status uint8

// The values of Status.
const (
	StatusSuccess     Status = 0x00
	StatusUnknownKind Status = 0x01
	StatusBusy        Status = 0x02 // a session of that kind is open already
	StatusUnsupported Status = 0x03 // kind not present, or disabled
	StatusConsent     Status = 0x05 // the user at the machine has not agreed yet
	StatusInternal    Status = 0xFF
)

func (s Status) String() string {
	switch s {
	case StatusSuccess:
		return "success"
	case StatusUnknownKind:
		return "unknown kind"
	case StatusBusy:
		return "busy"
	case StatusUnsupported:
		return "unsupported or disabled"
	case StatusConsent:
		return "user consent required"
	case StatusInternal:
		return "internal error"
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// Meanings of a refusal, for errors.Is.
var (
	ErrUnknownKind = errors.New("kind of session unknown")
	ErrBusy        = errors.New("a session of this kind is open already")
	ErrDisabled    = errors.New("this kind of session is disabled or not present")
	ErrConsent     = errors.New("user consent required")
	ErrInternal    = errors.New("internal error")
)

// An Error is the machine's no to the start of a session, or a machine's own record of having said so.
type Error struct {
	Kind   Kind
	Status Status // as sent
}

func (e *Error) Error() string {
	return fmt.Sprintf("start %v session: refused with %v", e.Kind, e.Status)
}

// Is compares with [ErrUnknownKind], [ErrBusy], [ErrDisabled], [ErrConsent] and [ErrInternal].
func (e *Error) Is(target error) bool {
	switch e.Status {
	case StatusUnknownKind:
		return target == ErrUnknownKind
	case StatusBusy:
		return target == ErrBusy
	case StatusUnsupported:
		return target == ErrDisabled
	case StatusConsent:
		return target == ErrConsent
	case StatusInternal:
		return target == ErrInternal
	}
	return false
}
