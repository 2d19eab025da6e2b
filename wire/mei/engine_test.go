package mei

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/outband/outband/wire/guid"
)

// engined runs an Engine with the suite's clients, and those added, against a script that is the host.
func engined(t *testing.T, set func(e *Engine), play func(t *testing.T, v *virtual, s script)) {
	synctest.Test(t, func(t *testing.T) {
		host, me := Pipe()
		v := newVirtual(t)
		if set != nil {
			set(v.Engine)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			v.Run(ctx, me)
		}()
		play(t, v, script{t, host})
		cancel()
		<-done
	})
}

// begin brings the engine up to where connections can be made.
func (s script) begin() {
	s.t.Helper()
	s.raw(signal(signalReset))
	s.want(readySignal)
	s.hbm("01 00 02 02")
	s.want("81 01 02 02")
	s.hbm("04 03 00 00")
	if got := s.receive(); !strings.HasPrefix(got, "84000000") {
		s.t.Fatalf("got %s", got)
	}
}

// attach connects to address 32, which is many.
func (s script) attach() {
	s.t.Helper()
	s.begin()
	s.hbm("06 20 01 00")
	s.want("86 20 01 00")
	s.want("08 20 01 00 00000000")
}

// The observed conversation of the Linux 6.1 driver, from the host's side.
func TestEngineConversation(t *testing.T) {
	engined(t, nil, func(t *testing.T, v *virtual, s script) {
		s.hbm("01 00 02 02") // before the reset nothing counts
		s.raw(signal(signalReset))
		s.want(readySignal)
		s.hbm("01 00 02 02")
		s.want("81 01 02 02")
		s.hbm("13 05 00 00")
		s.want("93 00 00 00")
		s.hbm("12 000000" + strings.Repeat("00000000 00000010 00000200", 3))
		s.want("92 01 00 00")
		s.hbm("04 03 00 00")
		s.want("84 000000 00000000 07" + strings.Repeat("00", 27))
		s.hbm("05 20 00 00")
		s.want("85 20 00 00" + hex.EncodeToString(many[:]) + "01 14 00 00 00140000")
		s.hbm("05 40 00 00")
		s.want("85 40 01 00" + strings.Repeat("00", 24))
		s.hbm("06 20 01 00")
		s.want("86 20 01 00")
		s.want("08 20 01 00 00000000")
		s.hbm("10 20 01 01")
		s.want("90 20 01 00 01 000000")
		// A message; the next credit comes when it was taken, the answer when there is a credit.
		s.raw(Packet{ME: 32, Host: 1, Payload: []byte("in ")}.Append(nil))
		s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("parts")}.Append(nil))
		s.want("08 20 01 00 00000000")
		synctest.Wait()
		s.hbm("08 20 01 00 00000000")
		s.want("20 01 08 80" + hex.EncodeToString([]byte("in parts")))
		v.each(func(c Conn) { c.(Raiser).Raise() })
		s.want("11 20 01 00")
		s.hbm("07 20 01 00")
		s.want("87 20 01 00")
		s.hbm("07 20 01 00")
		s.want("87 20 01 01")
	})
}

func TestEngineVersions(t *testing.T) {
	for _, tt := range []struct {
		most         Version
		ask, answers string
	}{
		{Version{2, 2}, "01 00 00 01", "81 01 02 02"},
		{Version{2, 0}, "01 00 02 02", "81 00 00 02"},
		{Version{1, 1}, "01 00 01 01", "81 01 01 01"},
	} {
		engined(t, func(e *Engine) { e.Version = tt.most }, func(t *testing.T, v *virtual, s script) {
			s.raw(signal(signalReset))
			s.want(readySignal)
			s.hbm(tt.ask)
			s.want(tt.answers)
		})
	}
}

func TestEngineRefuses(t *testing.T) {
	fixed := guid.FromSeed("fixed")
	engined(t, func(e *Engine) {
		e.Add(Client{Properties: Properties{Client: fixed, Fixed: true, MaxMsgLen: 64}, Serve: serveAnswers})
		e.Admit = func(client guid.GUID) Status {
			if client == deaf {
				return StatusInvalid
			}
			return StatusSuccess
		}
	}, func(t *testing.T, v *virtual, s script) {
		s.attach()
		for ask, want := range map[string]string{
			"06 63 01 00": "86 63 01 01", // unknown
			"06 20 01 00": "86 20 01 02", // connected already
			"06 01 01 00": "86 01 01 05", // fixed: takes no connection
			"06 20 00 00": "86 20 00 05", // address 0 is not a connection's
			"06 22 01 00": "86 22 01 04", // as Admit says
		} {
			s.hbm(ask)
			s.want(want)
		}
		s.hbm("06 21 01 00")
		s.want("86 21 01 00")
		s.want("08 21 01 00 00000000")
		s.hbm("06 21 02 00") // single: another has it
		s.want("86 21 02 03")
		// A fixed client answers without connection and credit.
		s.raw(Packet{ME: 1, Complete: true, Payload: []byte("hello")}.Append(nil))
		s.want("01 00 05 80" + hex.EncodeToString([]byte("hello")) + "000000")
	})
}

// Hosts that break the rules lose the connection, or the link.
func TestEngineBadHost(t *testing.T) {
	for _, tt := range []struct {
		name string
		send []Packet
	}{
		{"without credit", []Packet{{Complete: true, Payload: []byte("silence")}, {Complete: true, Payload: []byte("silence")}}},
		{"too long", []Packet{{Payload: make([]byte, 508)}, {Complete: true, Payload: make([]byte, 508)}}},
		{"tag without capability", []Packet{{Complete: true, Extensions: withTag(3), Payload: []byte("x")}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			engined(t, nil, func(t *testing.T, v *virtual, s script) {
				s.begin()
				s.hbm("06 22 01 00") // deaf, which never takes a message
				s.want("86 22 01 00")
				s.want("08 22 01 00 00000000")
				for _, p := range tt.send {
					p.ME, p.Host = 34, 1
					s.raw(p.Append(nil))
				}
				s.want("07 22 01 00")
				s.hbm("87 22 01 00")
				s.hbm("06 22 01 00")
				s.want("86 22 01 00")
			})
		})
	}
	for _, tt := range []struct{ name, packet string }{
		{"reserved bit", "20 01 00 82"},
		{"DMA", "20 01 04 a0 00100000"},
		{"host bus message from a client", "00010480 01000202"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			engined(t, nil, func(t *testing.T, v *virtual, s script) {
				s.attach()
				s.raw(unhex(t, tt.packet))
				s.want(resetSignal)
				s.attach()
			})
		})
	}
	t.Run("what it does not know is ignored", func(t *testing.T) {
		engined(t, nil, func(t *testing.T, v *virtual, s script) {
			s.attach()
			s.hbm("7f 00 00 00")
			s.raw(Packet{ME: 99, Host: 9, Complete: true, Payload: []byte("x")}.Append(nil))
			s.hbm("08 63 01 00 00000000")
			s.hbm("05 20 00 00")
			if got := s.receive(); !strings.HasPrefix(got, "85200000") {
				t.Errorf("got %s", got)
			}
		})
	})
}

func TestEngineResetInMidMessage(t *testing.T) {
	engined(t, nil, func(t *testing.T, v *virtual, s script) {
		s.attach()
		s.raw(Packet{ME: 32, Host: 1, Payload: []byte("half of")}.Append(nil))
		s.attach()
		s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("whole")}.Append(nil))
		s.want("08 20 01 00 00000000")
		s.hbm("08 20 01 00 00000000")
		s.want("20 01 05 80" + hex.EncodeToString([]byte("whole")) + "000000")
		// Half of an answer, and the host resets: the rest never comes.
		s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: make([]byte, 508)}.Append(nil))
		s.want("08 20 01 00 00000000")
		s.attach()
	})
}

// Fragments for a host buffer of 32 slots have at most 120 bytes.
func TestEngineFragments(t *testing.T) {
	engined(t, func(e *Engine) { e.Depth = 32 }, func(t *testing.T, v *virtual, s script) {
		s.attach()
		s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: make([]byte, 250)}.Append(nil))
		s.want("08 20 01 00 00000000")
		s.hbm("08 20 01 00 00000000")
		for _, header := range []string{"20017800", "20017800", "20010a80"} {
			if got := s.receive(); got[:8] != header {
				t.Errorf("got %s, want %s", got[:8], header)
			}
		}
	})
}

// One receive buffer for all connections: one credit, of whoever writes first, granted again when the message is taken
// or its connection ends.
func TestEngineSharedBuffer(t *testing.T) {
	var take chan struct{}
	engined(t, func(e *Engine) {
		take = make(chan struct{}) // of the bubble
		e.Add(Client{Address: 80, Properties: Properties{Client: guid.FromSeed("shared"), MaxConnections: 2, SharedBuffer: true, MaxMsgLen: 64},
			Serve: func(ctx context.Context, c Conn) {
				for {
					select {
					case <-take:
					case <-ctx.Done():
						return
					}
					if _, err := Receive(ctx, c); err != nil {
						return
					}
				}
			}})
	}, func(t *testing.T, v *virtual, s script) {
		s.begin()
		s.hbm("06 50 01 00")
		s.want("86 50 01 00")
		s.want("08 50 00 00 00000000")
		s.hbm("06 50 02 00")
		s.want("86 50 02 00")
		s.raw(Packet{ME: 80, Host: 2, Complete: true, Payload: []byte("x")}.Append(nil))
		synctest.Wait()
		s.hbm("07 50 02 00") // it goes with its message untaken
		s.want("08 50 00 00 00000000")
		s.want("87 50 02 00")
		close(take)
	})
}

// Over a whole bus: both sides' books of the shared credit agree.
func TestSharedBuffer(t *testing.T) {
	host, me := Pipe()
	h, e := NewHost(), NewEngine()
	client := guid.FromSeed("shared")
	e.Add(Client{Properties: Properties{Client: client, MaxConnections: 8, SharedBuffer: true, MaxMsgLen: 2000}, Serve: serveAnswers})
	run(t, h, e, host, me)
	h.Ready(t.Context())
	suiteMany(t, world{bus: aliased{h, client}})
}

// aliased has one client only, under every GUID.
type aliased struct {
	Bus
	client guid.GUID
}

func (a aliased) Connect(ctx context.Context, _ guid.GUID) (Conn, error) {
	return a.Bus.Connect(ctx, a.client)
}

func TestEnginePowerGate(t *testing.T) {
	engined(t, nil, func(t *testing.T, v *virtual, s script) {
		s.attach()
		s.hbm("10 20 01 01")
		s.want("90 20 01 00 01 000000")
		s.hbm("0a 00 00 00")
		s.want("8a 00 00 00")
		synctest.Wait() // the client has begun its work
		v.each(func(c Conn) { c.(Raiser).Raise() })
		s.want("0b 00 00 00") // awake first
		synctest.Wait()
		s.hbm("8b 00 00 00")
		s.want("11 20 01 00")
	})
}

func TestEngineAdd(t *testing.T) {
	late := Client{Properties: Properties{Client: LME, Version: 2, MaxConnections: 1, MaxMsgLen: 5120}, Serve: serveAnswers}
	engined(t, nil, func(t *testing.T, v *virtual, s script) {
		s.attach()
		if err := v.Add(late); err != nil {
			t.Fatal(err)
		}
		s.want("0f 23 00 00 DBA43367 7604 7B4E B3AF BCFC29BEE7A7 02 01 00 00 00140000")
		s.hbm("8f 23 00 00")
		s.hbm("06 23 02 00")
		s.want("86 23 02 00")
		s.want("08 23 02 00 00000000")
		v.Add(late) // the client came up again
		s.want("07 23 02 00")
		if got := s.receive(); !strings.HasPrefix(got, "0f23") {
			t.Errorf("got %s", got)
		}
	})
	engined(t, nil, func(t *testing.T, v *virtual, s script) {
		s.raw(signal(signalReset))
		s.want(readySignal)
		s.hbm("01 00 01 01")
		s.want("81 01 02 02")
		s.hbm("04 00 00 00")
		s.receive()
		if err := v.Add(late); !errors.Is(err, ErrUnsupported) {
			t.Errorf("HBM 1.1: %v", err)
		}
	})
	e := NewEngine()
	for _, c := range []Client{{}, {Properties: late.Properties}, {Properties: Properties{Client: LME}, Serve: serveAnswers}} {
		if err := e.Add(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", c.Properties, err)
		}
	}
	if err := errors.Join(e.Add(late)); err != nil {
		t.Error(err)
	}
	if err := e.Add(late); !errors.Is(err, ErrInvalid) {
		t.Errorf("twice: %v", err)
	}
}

func TestEngineStopAndIgnore(t *testing.T) {
	engined(t, func(e *Engine) {
		e.Ignore = func(m Message) bool { _, ok := m.(PropertiesRequest); return ok }
	}, func(t *testing.T, v *virtual, s script) {
		s.attach()
		s.hbm("05 20 00 00") // no answer
		v.Stop(StopS3)
		s.want("03 06 00 00")
		s.hbm("02 06 00 00")
		s.want("82 00 00 00")
		s.attach()
		v.Reset()
		s.want(resetSignal)
	})
}

// Tags: three connections over one of the client's, each with its own conversation.
func TestTags(t *testing.T) {
	host, me := Pipe()
	h, e := NewHost(), NewEngine()
	e.Capabilities = CapTags
	tagged, plain := guid.FromSeed("tagged"), guid.FromSeed("plain")
	e.Add(Client{Properties: Properties{Client: tagged, MaxConnections: 1, Tags: true, MaxMsgLen: 2000}, Serve: serveAnswers})
	e.Add(Client{Properties: Properties{Client: plain, MaxConnections: 1, MaxMsgLen: 2000}, Serve: serveAnswers})
	run(t, h, e, host, me)
	h.Ready(t.Context())
	var conns []Conn
	for tag := range uint8(3) {
		c, err := h.ConnectTag(t.Context(), tagged, tag+1)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for i, c := range conns {
		c.Write([]byte{byte(i), 1})
		c.Write(make([]byte, 1500))
	}
	for i, c := range conns {
		if got, err := Receive(t.Context(), c); err != nil || string(got) != string([]byte{byte(i), 1}) {
			t.Errorf("tag %d: got % x, %v", i+1, got, err)
		}
	}
	conns[0].Close() // the others go on
	for _, c := range conns[1:] {
		if got, err := Receive(t.Context(), c); err != nil || len(got) != 1500 {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	}
	for _, tt := range []struct {
		client guid.GUID
		tag    uint8
		want   error
	}{{tagged, 0, ErrInvalid}, {tagged, 2, ErrInvalid}, {plain, 1, ErrUnsupported}, {nobody, 1, ErrNoClient}} {
		if _, err := h.ConnectTag(t.Context(), tt.client, tt.tag); !errors.Is(err, tt.want) {
			t.Errorf("tag %d: %v, want %v", tt.tag, err, tt.want)
		}
	}
	conns[1].Close()
	conns[2].Close()
	if c, err := h.Connect(t.Context(), tagged); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// Whatever a host sends, the engine stands; and it comes up after a reset.
func FuzzEngine(f *testing.F) {
	f.Add(unhex(f, "00000480 01000202 00000480 04030000 00000480 06200100 20010580 0102030405 000000"))
	f.Add(unhex(f, "00000480 06210100 00000880 08210100 00000000 20010200 01020000 00000000 00000480 07210100"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := newVirtual(t)
		v.m.log, v.m.most, v.m.payload = logger(nil), latest, 504
		v.m.opened = func(_ *engineClient, c *conn) { c.pump = v.pump }
		v.m.begin(past)
		v.m.receive(signal(signalReset), past)
		feed(b, func(p []byte) { v.m.receive(p, past) }, v.m.next)
		v.m.receive(signal(signalReset), past)
		if got := v.m.next(nil); !isSignal(got, signalReady) {
			t.Fatalf("got % x", got)
		}
	})
}

// Whatever firmware sends, the host stands.
func FuzzHost(f *testing.F) {
	f.Add(unhex(f, "0000000e 00000480 81010202 00000480 93000000 00002480 84000000 0000000001"+strings.Repeat("00", 27)+
		"00001c80"+strings.Join(strings.Fields(amthi32), "")+" 00000480 86200100 00000880 08200100 00000000 20010580 0102030405 000000 00000480 07200100"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := NewHost()
		h.m.log, h.m.most, h.m.times = logger(nil), latest, patience(false)
		h.m.begin(past)
		c := &conn{pump: h.pump}
		feed(b, func(p []byte) {
			h.m.receive(p, past)
			if c.ch == nil {
				h.m.open(c, AMTHI, ENOTTY, past)
			} else if c.ch.phase == connected {
				h.m.want(c)
			}
		}, h.m.next)
		if h.m.state == Enabled && h.m.step != started {
			t.Fatalf("state %v, step %v", h.m.state, h.m.step)
		}
	})
}

// feed cuts b into packets as a stream does, and takes what is sent.
func feed(b []byte, receive func([]byte), next func([]byte) []byte) {
	for len(b) >= headerLen {
		n := headerLen + pad((int(b[2])|int(b[3])<<8)&maxLength)
		if n > len(b) {
			return
		}
		receive(b[:n])
		b = b[n:]
		for next(nil) != nil {
		}
	}
}
