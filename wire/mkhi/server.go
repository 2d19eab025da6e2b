package mkhi

import (
	"context"

	"github.com/outband/outband/wire/mei"
)

// resultRefused says no. Which number real firmware has for what it does not know is not known; 0 is yes.
const resultRefused = 1

// A Server is the firmware's end.
type Server struct {
	Versions []mei.FirmwareVersion // one to three
	// OnSystem, if set, is told what operating system has started.
	OnSystem func(System)
}

// Serve answers on one connection until it ends or ctx does, whose cause is the error then. It does not close c.
func (s *Server) Serve(ctx context.Context, c mei.Conn) error {
	for {
		request, err := mei.Receive(ctx, c)
		if err != nil {
			return err
		}
		if answer := s.answer(request); answer != nil {
			if err := mei.Send(ctx, c, answer); err != nil {
				return err
			}
		}
	}
}

// answer returns nil for what is no request.
func (s *Server) answer(request []byte) []byte {
	h, rest, err := ParseHeader(request)
	if err != nil || h.Answer {
		return nil
	}
	h = Header{Group: h.Group, Command: h.Command, Answer: true}
	var data []byte
	switch {
	case h.Group == groupGeneral && h.Command == commandVersions:
		for _, v := range s.Versions[:min(len(s.Versions), maxVersions)] {
			data = AppendVersion(data, v)
		}
	case h.Group == groupCapabilities && h.Command == commandSystem:
		system, ok, err := ParseSystem(rest)
		switch {
		case err != nil || !ok:
			h.Result = resultRefused
		case s.OnSystem != nil:
			s.OnSystem(system)
		}
	default:
		h.Result = resultRefused
	}
	return append(h.Append(nil), data...)
}
