package mkhi

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/wire/mei"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The answer for which the unmodified driver of Linux 6.1 shows 0:16.1.27.2176 in fw_ver, and what that driver says of
// the operating system. Source: spec mei.md section 14.
const (
	askVersions  = "FF 02 00 00"
	tellVersions = "FF 82 00 00  01 00 10 00 80 08 1B 00"
	tellSystem   = "03 06 00 00  00 00 10 00  08  00 00 00 00 02 00 00 00"
)

var version16 = mei.FirmwareVersion{Major: 16, Minor: 1, Hotfix: 27, Build: 2176}

func TestAnswers(t *testing.T) {
	var told []System
	s := Server{Versions: []mei.FirmwareVersion{version16}, OnSystem: func(s System) { told = append(told, s) }}
	for _, tt := range []struct{ name, request, answer string }{
		{"versions", askVersions, tellVersions},
		{"operating system", tellSystem, "03 86 00 00"},
		{"operating system, cut", tellSystem[:30], "03 86 00 01"},
		{"another rule", strings.Replace(tellSystem, "10 00", "11 00", 1), "03 86 00 01"},
		{"unknown command", "FF 7E 00 00", "FF FE 00 01"},
		{"unknown group", "77 02 00 00 01", "77 82 00 01"},
		{"an answer", tellVersions, ""},
		{"cut", "FF 02 00", ""},
	} {
		if got := s.answer(unhex(t, tt.request)); !bytes.Equal(got, unhex(t, tt.answer)) {
			t.Errorf("%s: got % X, want %s", tt.name, got, tt.answer)
		}
	}
	if want := []System{{Kind: Linux}}; !slices.Equal(told, want) {
		t.Errorf("told %+v, want %+v", told, want)
	}
	if got := append((Header{Group: groupCapabilities, Command: commandSystem}).Append(nil), System{Kind: Linux}.Append(nil)...); !bytes.Equal(got, unhex(t, tellSystem)) {
		t.Errorf("wrote % X, want %s", got, tellSystem)
	}
}

func TestParseVersions(t *testing.T) {
	block := "01 00 10 00 80 08 1B 00"
	for _, tt := range []struct {
		name, wire string
		want       int
		err        error
	}{
		{"none", "", 0, ErrShort},
		{"less than one", block[:20], 0, ErrShort},
		{"one", block, 1, nil},
		{"one and a half", block + block[:12], 1, nil},
		{"three", block + block + block, 3, nil},
		{"four", block + block + block + block, 3, nil},
	} {
		got, err := ParseVersions(unhex(t, tt.wire))
		if len(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, %v; want %d, %v", tt.name, got, err, tt.want, tt.err)
		}
		for _, v := range got {
			if v != version16 {
				t.Errorf("%s: got %v, want %v", tt.name, v, version16)
			}
		}
	}
}

// Both ends over a link, connected and fixed.
func TestVersions(t *testing.T) {
	s := Server{Versions: []mei.FirmwareVersion{version16, {Major: 1}}}
	e := mei.NewEngine()
	serve := func(ctx context.Context, c mei.Conn) { s.Serve(ctx, c) }
	for _, p := range []mei.Properties{
		{Client: mei.MKHI, Version: 1, MaxConnections: 5, MaxMsgLen: 2048},
		{Client: mei.MKHIFixed, Version: 1, Fixed: true, MaxMsgLen: 2048},
	} {
		if err := e.Add(mei.Client{Properties: p, Serve: serve}); err != nil {
			t.Fatal(err)
		}
	}
	there, here := mei.Pipe()
	bus := mei.NewHost()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { e.Run(ctx, there); done <- struct{}{} }()
	go func() { bus.Run(ctx, here); done <- struct{}{} }()
	defer func() { cancel(); <-done; <-done }()
	if err := bus.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	for _, client := range []struct {
		name string
		conn func() (mei.Conn, error)
	}{
		{"connected", func() (mei.Conn, error) { return bus.Connect(ctx, mei.MKHI) }},
		{"fixed", func() (mei.Conn, error) { return bus.Connect(ctx, mei.MKHIFixed) }},
	} {
		c, err := client.conn()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := Versions(ctx, c); err != nil || !slices.Equal(got, s.Versions) {
				t.Errorf("%s: got %v, %v; want %v", client.name, got, err, s.Versions)
			}
		}
		c.Close()
	}
}

func FuzzParse(f *testing.F) {
	for _, wire := range []string{askVersions, tellVersions, tellSystem} {
		f.Add(unhex(f, wire))
	}
	s := Server{Versions: []mei.FirmwareVersion{version16}}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := ParseHeader(b)
		if err != nil {
			return
		}
		if again, _, err := ParseHeader(h.Append(nil)); again != h || err != nil {
			t.Fatal(again, err)
		}
		if all, err := ParseVersions(rest); err == nil {
			for i, v := range all {
				if got := AppendVersion(nil, v); !bytes.Equal(got, rest[i*versionLen:(i+1)*versionLen]) {
					t.Fatalf("wrote % X of % X", got, rest)
				}
			}
		}
		if system, ok, err := ParseSystem(rest); ok && err == nil {
			if again, _, err := ParseSystem(system.Append(nil)); again != system || err != nil {
				t.Fatal(again, err)
			}
		}
		s.answer(b)
	})
}
