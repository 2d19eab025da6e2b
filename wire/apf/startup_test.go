package apf

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/outband/outband/wire/guid"
)

var machine = guid.FromSeed("apf")

// A line of a conversation: what arrives, and what that leads to.
type line struct {
	in    message
	out   []message
	event event
	err   error
}

func play(t *testing.T, s startup, begin []message, lines []line) {
	t.Helper()
	if got := s.begin(); !reflect.DeepEqual(got, begin) {
		t.Fatalf("begins with %+v, want %+v", got, begin)
	}
	for i, l := range lines {
		out, event, err := s.step(t.Context(), l.in.Append(nil))
		if !reflect.DeepEqual(out, l.out) || event != l.event || !errors.Is(err, l.err) {
			t.Fatalf("line %d, %+v: got %+v, %q, %v; want %+v, %q, %v", i, l.in, out, event, err, l.out, l.event, l.err)
		}
	}
}

var (
	deviceVersion = ProtocolVersion{1, 0, TriggerPeriodic, machine}
	hostVersion   = ProtocolVersion{Major: 1, Trigger: TriggerLME}
	askAuth       = ServiceRequest{ServiceAuth}
	askForward    = ServiceRequest{ServiceForward}
	yesAuth       = ServiceAccept{ServiceAuth}
	yesForward    = ServiceAccept{ServiceForward}
	credentials   = UserAuthRequest{"admin", ServiceForward, MethodPassword, "P@ssw0rd"}
)

func TestDeviceStart(t *testing.T) {
	cira := Config{Version: deviceVersion}
	user := Config{Version: deviceVersion, User: "admin", Password: "P@ssw0rd"}
	lme := Config{Version: deviceVersion, LME: true}
	for _, tt := range []struct {
		name  string
		cfg   Config
		begin []message
		lines []line
	}{
		{"with a certificate", cira, []message{deviceVersion, askForward}, []line{
			{yesForward, nil, opened, nil},
		}},
		{"with a password", user, []message{deviceVersion, askAuth}, []line{
			{yesAuth, []message{credentials}, nothing, nil},
			{UserAuthSuccess{}, []message{askForward}, nothing, nil},
			{yesForward, nil, opened, nil},
		}},
		{"with a wrong password", user, []message{deviceVersion, askAuth}, []line{
			{yesAuth, []message{credentials}, nothing, nil},
			{UserAuthFailure{MethodPassword, false}, nil, nothing, ErrAuth},
		}},
		{"another service accepted", user, []message{deviceVersion, askAuth}, []line{{yesForward, nil, nothing, ErrProtocol}}},
		{"auth accepted instead of forward", cira, []message{deviceVersion, askForward}, []line{{yesAuth, nil, nothing, ErrProtocol}}},
		{"success before it was asked for", user, []message{deviceVersion, askAuth}, []line{{UserAuthSuccess{}, nil, nothing, ErrProtocol}}},
		{"a gateway with a version", cira, []message{deviceVersion, askForward}, []line{{hostVersion, nil, nothing, ErrProtocol}}},
		{"a server's question", cira, []message{deviceVersion, askForward}, []line{{askForward, nil, nothing, ErrProtocol}}},
		{"LMS", lme, []message{deviceVersion}, []line{
			{hostVersion, []message{askForward}, nothing, nil},
			{yesForward, nil, opened, nil},
		}},
		{"rpc-go, which also sends our version back, twice over", lme, []message{deviceVersion}, []line{
			{hostVersion, []message{askForward}, nothing, nil},
			{deviceVersion, nil, nothing, nil},
			{yesForward, nil, opened, nil},
			{hostVersion, []message{deviceVersion, askForward}, restarted, nil},
			{deviceVersion, nil, nothing, nil},
			{yesForward, nil, opened, nil},
		}},
		{"MeshCentral's host program, which only sends it back", lme, []message{deviceVersion}, []line{
			{ProtocolVersion{Major: 1, Trigger: TriggerPeriodic}, []message{askForward}, nothing, nil},
			{yesForward, nil, opened, nil},
		}},
		{"old firmware on LME", Config{Version: deviceVersion, LME: true, User: "x"}, []message{deviceVersion}, []line{
			{hostVersion, []message{askAuth}, nothing, nil},
			{yesAuth, []message{UserAuthRequest{"x", ServiceForward, MethodPassword, ""}}, nothing, nil},
			{UserAuthSuccess{}, []message{askForward}, nothing, nil},
			{yesForward, nil, opened, nil},
		}},
		{"version 0", lme, []message{deviceVersion}, []line{{ProtocolVersion{Minor: 9}, nil, nothing, ErrVersion}}},
		{"service before version", lme, []message{deviceVersion}, []line{{yesForward, nil, nothing, ErrProtocol}}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, &deviceStart{cfg: tt.cfg}, tt.begin, tt.lines) })
	}
}

func TestServerStart(t *testing.T) {
	unknown := errors.New("not in the table")
	auth := func(_ context.Context, device guid.GUID, r UserAuthRequest) bool {
		return device == machine && r.User == "admin" && r.Password == "P@ssw0rd"
	}
	known := func(_ context.Context, v ProtocolVersion) error {
		if v.UUID != machine {
			return unknown
		}
		return nil
	}
	cira := Config{Auth: auth, OnVersion: known}
	lme := Config{LME: true}
	wrong := credentials
	wrong.Password = "admin"
	for _, tt := range []struct {
		name  string
		cfg   Config
		begin []message
		lines []line
	}{
		{"with a password", cira, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{askAuth, []message{yesAuth}, nothing, nil},
			{credentials, []message{UserAuthSuccess{}}, nothing, nil},
			{askForward, []message{yesForward}, opened, nil},
			{askForward, []message{yesForward}, nothing, nil},
		}},
		{"with a wrong password", cira, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{askAuth, []message{yesAuth}, nothing, nil},
			{wrong, []message{UserAuthFailure{MethodPassword, false}}, nothing, ErrAuth},
		}},
		{"without a password", cira, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{askForward, nil, nothing, ErrAuth},
		}},
		{"forward between service and password", cira, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{askAuth, []message{yesAuth}, nothing, nil},
			{askForward, nil, nothing, ErrProtocol},
		}},
		{"password without service", cira, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{credentials, nil, nothing, ErrProtocol},
		}},
		{"with a certificate", Config{SkipAuth: true}, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{askForward, []message{yesForward}, opened, nil},
		}},
		{"a password where only certificates count", Config{SkipAuth: true}, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{askAuth, []message{yesAuth}, nothing, nil},
			{credentials, []message{UserAuthFailure{MethodPassword, false}}, nothing, ErrAuth},
		}},
		{"unknown machine", cira, nil, []line{{hostVersion, nil, nothing, unknown}}},
		{"unknown machine, for the peer", cira, nil, []line{{hostVersion, nil, nothing, ErrRefused}}},
		{"version 0", cira, nil, []line{{ProtocolVersion{UUID: machine}, nil, nothing, ErrVersion}}},
		{"version twice", cira, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{deviceVersion, nil, nothing, ErrProtocol},
		}},
		{"service before version", cira, nil, []line{{askForward, nil, nothing, ErrProtocol}}},
		{"password before version", cira, nil, []line{{credentials, nil, nothing, ErrProtocol}}},
		{"another service", cira, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{ServiceRequest{"ssh-connection"}, nil, nothing, ErrService},
		}},
		{"a server's answer", cira, nil, []line{
			{deviceVersion, nil, nothing, nil},
			{yesForward, nil, nothing, ErrProtocol},
		}},
		{"LME", lme, []message{hostVersion}, []line{
			{deviceVersion, nil, nothing, nil},
			{askForward, []message{yesForward}, opened, nil},
		}},
		{"LME, old firmware", lme, []message{hostVersion}, []line{
			{deviceVersion, nil, nothing, nil},
			{askAuth, []message{yesAuth}, nothing, nil},
			{UserAuthRequest{"", ServiceForward, MethodNone, ""}, []message{UserAuthSuccess{}}, nothing, nil},
			{askForward, []message{yesForward}, opened, nil},
		}},
		{"LME, firmware starts over", lme, []message{hostVersion}, []line{
			{deviceVersion, nil, nothing, nil},
			{askForward, []message{yesForward}, opened, nil},
			{deviceVersion, []message{hostVersion}, restarted, nil},
			{askForward, []message{yesForward}, opened, nil},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, &serverStart{cfg: tt.cfg}, tt.begin, tt.lines) })
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cfg    Config
		server bool
		ok     bool
	}{
		{"device", Config{}, false, true},
		{"server on LME", Config{LME: true}, true, true},
		{"server that lets in everybody by mistake", Config{}, true, false},
		{"server with SkipAuth", Config{SkipAuth: true}, true, true},
		{"negative window", Config{Window: -1}, false, false},
		{"huge window", Config{Window: 1<<30 + 1}, false, false},
		{"huge data", Config{MaxData: MaxData + 1}, false, false},
		{"tiny MTU", Config{MaxMessage: 92}, false, false},
		{"many channels", Config{MaxChannels: 1 << 17}, false, false},
		{"long user", Config{User: string(make([]byte, MaxString+1))}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := tt.cfg.withDefaults(tt.server)
			if (err == nil) != tt.ok {
				t.Fatal(err)
			}
			if tt.ok && tt.cfg.LME && (cfg.MaxMessage != 4096 || cfg.MaxData != 4087 || cfg.Window != 4096) {
				t.Errorf("%+v", cfg)
			}
		})
	}
}
