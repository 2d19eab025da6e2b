package watchdog

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
)

// ChangeFlags say whether AMT can be switched on. Old firmware answers a number of 32 bits, 0 or 1, which reads the same.
type ChangeFlags uint8

// The flags. Operational, CIRATimer and TLSEnforced count only if NewInterface is set.
const (
	ChangeAllowed ChangeFlags = 1 << 0 // now
	Operational   ChangeFlags = 1 << 1 // AMT is on
	CIRATimer     ChangeFlags = 1 << 5 // firmware starts periodic tunnels by itself
	TLSEnforced   ChangeFlags = 1 << 6 // on the local ports
	NewInterface  ChangeFlags = 1 << 7 // SetOperational must be used, not ChangeToAMT
)

// Has tells whether a flag is set and counts.
func (f ChangeFlags) Has(flag ChangeFlags) bool {
	if flag != ChangeAllowed && f&NewInterface == 0 {
		return false
	}
	return f&flag != 0
}

func (f ChangeFlags) Append(b []byte) []byte { return append(b, byte(f)) }

// ParseChangeFlags reads an answer of 1 or 4 bytes.
func ParseChangeFlags(b []byte) (ChangeFlags, error) {
	if len(b) == 0 {
		return 0, fmt.Errorf("watchdog: change flags: %w (empty)", ErrShort)
	}
	return ChangeFlags(b[0]), nil
}

// changeRefused is ChangeToAMT's no.
const changeRefused = 0x9e

// A Request is a state command.
type Request struct {
	Kind Kind
	On   bool // KindSet: switch AMT on, or off
}

// A Kind is which one.
type Kind uint8

// The kinds.
const (
	KindEnabled Kind = subEnabled // may AMT be switched on? 4 bytes
	KindChange  Kind = subChange  // switch it on, before release 9. 4 bytes
	KindSet     Kind = subSet     // switch it on or off. 5 bytes
)

func (m Request) Append(b []byte) []byte {
	if m.Kind != KindSet {
		return appendHeader(b, cmdState, byte(m.Kind), 0)
	}
	b = appendHeader(b, cmdState, subSet, 1)
	if m.On {
		return append(b, 1)
	}
	return append(b, 0)
}

// ParseRequest reads a whole message.
func ParseRequest(b []byte) (m Request, err error) {
	if len(b) < headerLen {
		return m, fmt.Errorf("watchdog: request: %w (%d of %d bytes)", ErrShort, len(b), headerLen)
	}
	least := headerLen
	if m.Kind = Kind(b[2]); m.Kind == KindSet {
		least++
	} else if m.Kind != KindEnabled && m.Kind != KindChange {
		return Request{}, fmt.Errorf("watchdog: request: %w: sub-command %02x", ErrOther, b[2])
	}
	if err := check(b, cmdState, b[2], least); err != nil {
		return Request{}, err
	}
	m.On = m.Kind == KindSet && b[4] != 0
	return m, nil
}

// SetReply answers KindSet. The vendor's guide has the status only; rpc-go expects the request's header in front, and so
// it is written. Both are read. 8 bytes.
type SetReply struct{ Status status.Status }

func (m SetReply) Append(b []byte) []byte {
	b = appendHeader(b, cmdState, subSet, 1)
	return binary.LittleEndian.AppendUint32(b, uint32(m.Status))
}

// ParseSetReply reads a whole message.
func ParseSetReply(b []byte) (m SetReply, err error) {
	if len(b) >= 8 && b[0] == cmdState && b[3] == version10 {
		b = b[headerLen:]
	}
	if len(b) < 4 {
		return m, fmt.Errorf("watchdog: set reply: %w (%d of 4 bytes)", ErrShort, len(b))
	}
	return SetReply{status.Status(binary.LittleEndian.Uint32(b))}, nil
}

// ChangeEnabled asks whether AMT may be switched on. c must not be in use for anything else.
func ChangeEnabled(ctx context.Context, c mei.Conn) (ChangeFlags, error) {
	b, err := mei.Call(ctx, c, Request{Kind: KindEnabled}.Append(nil))
	if err != nil {
		return 0, fmt.Errorf("is change to AMT enabled: %w", err)
	}
	return ParseChangeFlags(b)
}

// SetOperational switches AMT on or off, on firmware with NewInterface. A refusal is a *status.Error: InvalidPTMode if
// AMT is provisioned, NotPermitted.
func SetOperational(ctx context.Context, c mei.Conn, on bool) error {
	b, err := mei.Call(ctx, c, Request{Kind: KindSet, On: on}.Append(nil))
	if err != nil {
		return fmt.Errorf("set AMT operational state: %w", err)
	}
	reply, err := ParseSetReply(b)
	if err != nil {
		return err
	}
	return status.Check("set AMT operational state", reply.Status)
}

// ChangeToAMT switches AMT on, on firmware without NewInterface. A refusal is a *status.Error, NotPermitted where
// the firmware says 0x9e.
func ChangeToAMT(ctx context.Context, c mei.Conn) error {
	b, err := mei.Call(ctx, c, Request{Kind: KindChange}.Append(nil))
	if err != nil {
		return fmt.Errorf("change to AMT: %w", err)
	}
	if len(b) < 4 {
		return fmt.Errorf("watchdog: change to AMT: %w (%d of 4 bytes)", ErrShort, len(b))
	}
	code := status.Status(binary.LittleEndian.Uint32(b))
	if code == changeRefused {
		code = status.NotPermitted
	}
	return status.Check("change to AMT", code)
}
