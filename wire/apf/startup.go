package apf

import (
	"context"
	"fmt"
)

// A message is what Append turns into bytes.
type message interface{ Append([]byte) []byte }

// A startup is what either end says until ports can be forwarded, and on LME again whenever the peer starts over. step
// does no I/O and reads no clock: what arrived in which state leads where, and what is answered.
//
//	CIRA  device: version, [auth service, user,] forward service    server: answers, never a version
//	LME   both: version; then the device as above                   server: answers
type startup interface {
	// begin says what goes out before anything has arrived.
	begin() []message
	// step takes a message of the start-up. With an error the reply is sent and the session ends.
	step(ctx context.Context, m []byte) (reply []message, event event, err error)
}

// event is what a step means for the session.
type event string

const (
	nothing   event = ""
	opened    event = "opened"    // ports can be forwarded from now on
	restarted event = "restarted" // the peer has forgotten all channels and forwards
)

type state string

const (
	wantVersion state = "waiting for the version"
	wantService state = "waiting for a service request"
	wantUser    state = "waiting for the user"
	wantAuth    state = "waiting for the auth service"
	wantVerdict state = "waiting for the verdict"
	wantForward state = "waiting for the forward service"
	isOpen      state = "open"
)

func unexpected(m []byte, s state) error {
	return fmt.Errorf("apf: %w: %v while %s", ErrProtocol, Kind(m[0]), s)
}

// deviceStart is the start-up of the firmware.
type deviceStart struct {
	cfg   Config
	state state
}

func (d *deviceStart) begin() []message {
	if d.cfg.LME {
		d.state = wantVersion
		return []message{d.cfg.Version}
	}
	return []message{d.cfg.Version, d.request()}
}

// request asks for the first service.
func (d *deviceStart) request() message {
	if d.cfg.User != "" {
		d.state = wantAuth
		return ServiceRequest{ServiceAuth}
	}
	d.state = wantForward
	return ServiceRequest{ServiceForward}
}

func (d *deviceStart) step(_ context.Context, m []byte) ([]message, event, error) {
	switch kind := Kind(m[0]); {
	case kind == KindProtocolVersion && d.cfg.LME:
		if err := checkVersion(m); err != nil {
			return nil, nothing, err
		}
		switch d.state {
		case wantVersion:
			return []message{d.request()}, nothing, nil
		case isOpen: // a program on the host starts over; rpc-go does so for each request
			return []message{d.cfg.Version, d.request()}, restarted, nil
		}
		return nil, nothing, nil // rpc-go and MeshCentral send ours back
	case kind == KindServiceAccept && d.state == wantAuth:
		accept, _, err := ParseServiceAccept(m)
		if err != nil {
			return nil, nothing, err
		}
		if accept.Service != ServiceAuth {
			return nil, nothing, fmt.Errorf("apf: %w: %.32q instead of authentication", ErrProtocol, accept.Service)
		}
		d.state = wantVerdict
		return []message{UserAuthRequest{d.cfg.User, ServiceForward, MethodPassword, d.cfg.Password}}, nothing, nil
	case kind == KindServiceAccept && d.state == wantForward:
		accept, _, err := ParseServiceAccept(m)
		if err != nil {
			return nil, nothing, err
		}
		if accept.Service != ServiceForward {
			return nil, nothing, fmt.Errorf("apf: %w: %.32q instead of port forwarding", ErrProtocol, accept.Service)
		}
		d.state = isOpen
		return nil, opened, nil
	case kind == KindUserAuthSuccess && d.state == wantVerdict:
		d.state = wantForward
		return []message{ServiceRequest{ServiceForward}}, nothing, nil
	case kind == KindUserAuthFailure && d.state == wantVerdict:
		return nil, nothing, fmt.Errorf("apf: user %q: %w", d.cfg.User, ErrAuth)
	}
	return nil, nothing, unexpected(m, d.state)
}

// serverStart is the start-up of a gateway or of LMS.
type serverStart struct {
	cfg    Config
	state  state
	spoken bool // our version is on its way and the machine's has not come
	peer   ProtocolVersion

	admitted bool
	user     string // that was admitted; may be empty
}

func (s *serverStart) begin() []message {
	s.state = wantVersion
	if !s.cfg.LME {
		return nil
	}
	s.spoken = true
	return []message{s.version()}
}

func (s *serverStart) version() ProtocolVersion {
	return ProtocolVersion{Major: 1, Minor: 0, Trigger: TriggerLME}
}

func (s *serverStart) step(ctx context.Context, m []byte) ([]message, event, error) {
	switch kind := Kind(m[0]); {
	case kind == KindProtocolVersion && (s.state == wantVersion || s.cfg.LME):
		return s.hello(ctx, m)
	case s.state == wantVersion:
	case kind == KindServiceRequest && (s.state != wantUser || s.cfg.LME):
		request, _, err := ParseServiceRequest(m)
		if err != nil {
			return nil, nothing, err
		}
		return s.serve(request)
	case kind == KindUserAuthRequest && (s.state == wantUser || s.cfg.LME):
		request, _, err := ParseUserAuthRequest(m)
		if err != nil {
			return nil, nothing, err
		}
		return s.admit(ctx, request)
	}
	return nil, nothing, unexpected(m, s.state)
}

func (s *serverStart) hello(ctx context.Context, m []byte) (reply []message, e event, err error) {
	if err := checkVersion(m); err != nil {
		return nil, nothing, err
	}
	s.peer, _, _ = ParseProtocolVersion(m) // has been checked
	if s.state == isOpen {
		e = restarted
	}
	if s.cfg.LME && !s.spoken {
		reply = []message{s.version()}
	}
	s.spoken, s.state = false, wantService
	s.admitted, s.user = false, ""
	if s.cfg.OnVersion != nil {
		if err := s.cfg.OnVersion(ctx, s.peer); err != nil {
			return nil, e, fmt.Errorf("apf: machine %v: %w: %w", s.peer.UUID, ErrRefused, err)
		}
	}
	return reply, e, nil
}

func (s *serverStart) serve(request ServiceRequest) ([]message, event, error) {
	accept := []message{ServiceAccept(request)}
	switch request.Service {
	case ServiceAuth:
		if s.state == wantService {
			s.state = wantUser
		}
		return accept, nothing, nil
	case ServiceForward:
		if s.state == isOpen {
			return accept, nothing, nil // again
		}
		if !s.cfg.LME && !s.admitted && !s.cfg.SkipAuth {
			return nil, nothing, fmt.Errorf("apf: machine %v does not authenticate: %w", s.peer.UUID, ErrAuth)
		}
		s.state = isOpen
		return accept, opened, nil
	}
	return nil, nothing, fmt.Errorf("apf: %w: %.32q", ErrService, request.Service)
}

func (s *serverStart) admit(ctx context.Context, request UserAuthRequest) ([]message, event, error) {
	var ok bool
	switch {
	case s.cfg.Auth != nil:
		ok = s.cfg.Auth(ctx, s.peer.UUID, request)
	case s.cfg.LME:
		ok = true
	}
	if !ok {
		return []message{UserAuthFailure{Methods: MethodPassword}}, nothing,
			fmt.Errorf("apf: machine %v, %v: %w", s.peer.UUID, request, ErrAuth)
	}
	s.admitted, s.user = true, request.User
	if s.state == wantUser {
		s.state = wantService
	}
	return []message{UserAuthSuccess{}}, nothing, nil
}

// checkVersion takes version 1 and newer, which speak 1.0 with us.
func checkVersion(m []byte) error {
	version, _, err := ParseProtocolVersion(m)
	if err == nil && version.Major < 1 {
		err = fmt.Errorf("apf: %w: %d.%d", ErrVersion, version.Major, version.Minor)
	}
	return err
}
