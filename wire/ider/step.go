package ider

import (
	"bytes"
	"fmt"
	"io"

	"github.com/outband/outband/wire/redir"
)

// The states of a console.
type consoleState string

const (
	openSent    consoleState = "open sent"
	featureSent consoleState = "enabling sent"
	running     consoleState = "running"
)

// A console is the protocol at the console's end; what commands mean is a unit's.
type console struct {
	state consoleState
	seq   uint32 // of the next message
}

// received is what a message means for a console. op 0 is nothing.
type received struct {
	op      uint8
	mask    uint8
	again   bool // of a features reply: ask again
	chunk   int  // of an open reply
	command Command
	data    []byte
}

// step is the whole protocol: what arrived in which state, and what it means. It does no I/O.
func (c *console) step(m []byte) (got received, err error) {
	switch m[0] {
	case opRecorded:
		return got, nil
	case opEndSession:
		return got, io.EOF
	}
	if n := sequence(m); n != c.seq {
		return got, fmt.Errorf("storage redirection: %w: %02xh has number %d, not %d", ErrSequence, m[0], n, c.seq)
	}
	c.seq++
	got.op = m[0]
	switch {
	case m[0] == opCloseReply || m[0] == opPing:
		return got, nil
	case m[0] == opHeartbeat || m[0] == opPong:
		return received{}, nil
	case c.state == openSent && m[0] == opOpenReply:
		return c.opened(m)
	case c.state == openSent:
	case m[0] == opFeaturesReply:
		return c.featured(m)
	case m[0] == opReset:
		got.mask = m[8]
		return got, nil
	case m[0] == opError:
		got.mask = m[8]
		return got, nil
	case m[0] == opCommand:
		got.command, _, err = ParseCommand(m)
		return got, err
	case m[0] == opDataFromHost && c.state == running:
		d, _, err := ParseDataFromHost(m)
		got.data = bytes.Clone(d.Data)
		return got, err
	}
	return got, unexpected(m[0], "while "+string(c.state))
}

func (c *console) opened(m []byte) (got received, err error) {
	r, _, err := ParseOpenReply(m)
	switch {
	case err != nil:
		return got, err
	case r.Status != redir.StatusSuccess:
		return got, fmt.Errorf("storage redirection: %w: %v", ErrRefused, r.Status)
	case r.Proto != 0 || r.ReadBuffer > MaxBuffer || r.WriteBuffer > MaxBuffer:
		return got, fmt.Errorf("storage redirection: %w: protocol %d, buffers of %d and %d bytes",
			redir.ErrProtocol, r.Proto, r.ReadBuffer, r.WriteBuffer)
	}
	c.state = featureSent
	got = received{op: opOpenReply, chunk: int(r.ReadBuffer)}
	if got.chunk == 0 {
		got.chunk = MaxBuffer
	}
	return got, nil
}

func (c *console) featured(m []byte) (got received, err error) {
	r, _, err := ParseFeaturesReply(m)
	switch {
	case err != nil || c.state == running:
		return got, err
	case r.Sub == FeatureSupported && r.Value&1 != 0:
		return received{op: opFeaturesReply, again: true}, nil
	case r.Sub == FeatureSet && r.Value == 1:
		c.state = running
		return received{op: opFeaturesReply}, nil
	case r.Sub == FeatureSet:
		return got, fmt.Errorf("storage redirection: %w: drives cannot be enabled (%d)", ErrRefused, r.Value)
	}
	return got, nil
}
