package amthi

import (
	"context"
	"errors"
	"fmt"

	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
)

// A Mux is the firmware's end: it answers requests by the handlers given to it. Build it before Serve; after that it may
// serve many connections at once. The zero value answers every command with Unsupported.
type Mux struct {
	// Disabled, if set, is asked before each request. While true the answer is empty, as when AMT is switched off.
	Disabled func() bool

	commands map[Number]func(ctx context.Context, data []byte) ([]byte, status.Status)
}

// Handle sets the answer to a command. h must be safe for concurrent use. With a status other than success the data is
// not sent.
func Handle[In, Out Data](m *Mux, command Command[In, Out], h func(ctx context.Context, in In) (Out, status.Status)) {
	if m.commands == nil {
		m.commands = map[Number]func(context.Context, []byte) ([]byte, status.Status){}
	}
	m.commands[command.Number] = func(ctx context.Context, data []byte) ([]byte, status.Status) {
		in, err := command.ParseRequest(data)
		if err != nil {
			return nil, status.InvalidMessageLength
		}
		out, code := h(ctx, in)
		if code != status.Success {
			return nil, code
		}
		return out.Append(nil), status.Success
	}
}

// Answer returns the answer to one message. Every message has one: a malformed one is refused, as a host waits for ever
// otherwise. What real firmware says to a wrong version is not known.
func (m *Mux) Answer(ctx context.Context, message []byte) []byte {
	if m.Disabled != nil && m.Disabled() {
		return nil
	}
	request, err := ParseRequest(message)
	answer := Response{Number: request.Number &^ answerBit}
	switch command := m.commands[request.Number]; {
	case errors.Is(err, ErrProtocol):
		answer.Status = status.UnsupportedVersion
	case err != nil:
		answer.Status = status.InvalidMessageLength
	case command == nil:
		answer.Status = status.Unsupported
	default:
		answer.Data, answer.Status = command(ctx, request.Data)
	}
	return answer.Append(nil)
}

// Serve answers on a connection until it ends or ctx does. It returns nil when the host has gone.
func (m *Mux) Serve(ctx context.Context, c mei.Conn) error {
	for {
		message, err := mei.Receive(ctx, c)
		if err == nil {
			err = mei.Send(ctx, c, m.Answer(ctx, message))
		}
		if errors.Is(err, mei.ErrDisconnected) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("amthi: serve: %w", err)
		}
	}
}
