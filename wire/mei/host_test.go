package mei

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/guid"
)

// A script plays one side of a link by hand against the real other.
type script struct {
	t    *testing.T
	link Link
}

// want receives a packet of these bytes. HBM messages are written without their header.
func (s script) want(wire string) {
	s.t.Helper()
	got := s.receive()
	if want := strings.ToLower(strings.Join(strings.Fields(wire), "")); got != want {
		s.t.Fatalf("got %s, want %s", got, want)
	}
}

// receive returns the next packet: an HBM message without its header, else all of it.
func (s script) receive() string {
	s.t.Helper()
	b, err := s.link.Receive()
	if err != nil {
		s.t.Fatalf("receive: %v", err)
	}
	p, _, err := ParsePacket(b)
	if err == nil && p.ME == 0 && p.Host == 0 && p.Complete {
		b = p.Payload
	}
	return hex.EncodeToString(b)
}

// hbm sends a host bus message.
func (s script) hbm(wire string) { s.t.Helper(); s.raw(control(raw(unhex(s.t, wire)))) }

func (s script) raw(b []byte) {
	s.t.Helper()
	if err := s.link.Send(b); err != nil {
		s.t.Fatal(err)
	}
}

// raw bytes are a Message.
type raw []byte

func (r raw) Append(b []byte) []byte { return append(b, r...) }

const (
	resetSignal = "00000000"
	readySignal = "0000000e"
	bitmap32    = "84 000000 00000000 01" + "000000000000000000000000000000000000000000000000000000"
	amthi32     = "85 20 00 00 2800F812 B7B4 2D4B ACA8 46E0FF65814C 01 03 00 00 00140000"
)

// start brings the host up, as the observed conversation with HBM 2.2 and one client, AMTHI at address 32.
func (s script) start() {
	s.t.Helper()
	s.want(resetSignal)
	s.raw(signal(signalReady))
	s.want("01 00 02 02")
	s.hbm("81 01 02 02")
	s.want("13 01 00 00") // tags; the driver also offers client DMA
	s.hbm("93 00 00 00")
	s.want("04 03 00 00")
	s.hbm(bitmap32)
	s.want("05 20 00 00")
	s.hbm(amthi32)
}

// hosted runs a Host against a script, in fake time. It returns how Run ended.
func hosted(t *testing.T, set func(h *Host), play func(t *testing.T, h *Host, s script)) {
	synctest.Test(t, func(t *testing.T) {
		host, me := Pipe()
		h := NewHost()
		if set != nil {
			set(h)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.Run(ctx, host)
		}()
		play(t, h, script{t, me})
		cancel()
		<-done
	})
}

func TestHostConversation(t *testing.T) {
	hosted(t, nil, func(t *testing.T, h *Host, s script) {
		s.start()
		if err := h.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h.State() != Enabled || h.HBMVersion() != (Version{2, 2}) || len(h.Clients()) != 1 || h.Clients()[32].Client != AMTHI {
			t.Errorf("%v, %v, %v", h.State(), h.HBMVersion(), h.Clients())
		}
		go func() {
			s.want("06 20 01 00")
			s.hbm("86 20 01 00")
			s.hbm("08 20 01 00 00000000")
		}()
		c, err := h.Connect(t.Context(), AMTHI)
		if err != nil {
			t.Fatal(err)
		}
		// One credit: the second message waits for the next.
		c.Write(unhex(t, "01010000 1A000004 00000000"))
		c.Write([]byte("second"))
		s.want("20 01 0c 80 01010000 1A000004 00000000")
		synctest.Wait()
		s.hbm("08 20 01 00 00000000")
		s.want("20 01 06 80" + hex.EncodeToString([]byte("second")) + "0000")
		// Reading lets the firmware send.
		go func() {
			s.want("08 20 01 00 00000000")
			s.raw(Packet{ME: 32, Host: 1, Payload: []byte("in two ")}.Append(nil))
			s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("parts")}.Append(nil))
		}()
		if got, err := Receive(t.Context(), c); string(got) != "in two parts" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		c.Close()
		s.want("07 20 01 00")
		s.hbm("87 20 01 00")
	})
}

// With firmware of HBM 2.0 the host leaves capabilities out. Observed of Linux 6.1.
func TestHostOlderFirmware(t *testing.T) {
	for _, tt := range []struct{ answer, enumerate, version string }{
		{"81 00 00 02", "04 03 00 00", "2.0"},
		{"81 00 01 01", "04 00 00 00", "1.1"},
	} {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			s.want(resetSignal)
			s.raw(signal(signalReady))
			s.want("01 00 02 02")
			s.hbm(tt.answer)
			s.want(tt.enumerate)
			if h.HBMVersion().String() != tt.version || h.State() != InitClients {
				t.Errorf("got %v, %v", h.HBMVersion(), h.State())
			}
		})
	}
}

func TestHostGivesUp(t *testing.T) {
	t.Run("newer firmware", func(t *testing.T) {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			s.want(resetSignal)
			s.raw(signal(signalReady))
			s.want("01 00 02 02")
			s.hbm("81 00 00 03")
			s.want("02 00 00 00")
			if err := h.Ready(t.Context()); !errors.Is(err, ErrDisconnected) || h.State() != Disabled {
				t.Errorf("%v, %v", err, h.State())
			}
		})
	})
	t.Run("silence", func(t *testing.T) {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			start := time.Now()
			if err := h.Ready(t.Context()); !errors.Is(err, ErrDisconnected) || h.State() != Disabled {
				t.Errorf("%v, %v", err, h.State())
			}
			if took := time.Since(start); took != 6*time.Second {
				t.Errorf("gave up after %v", took)
			}
			for range 3 {
				s.want(resetSignal)
			}
		})
	})
	t.Run("no start answer", func(t *testing.T) {
		for _, slow := range []bool{false, true} {
			hosted(t, func(h *Host) { h.Slow = slow }, func(t *testing.T, h *Host, s script) {
				s.want(resetSignal)
				s.raw(signal(signalReady))
				s.want("01 00 02 02")
				start := time.Now()
				s.want(resetSignal)
				want := time.Second
				if slow {
					want = 5 * time.Second
				}
				if took := time.Since(start); took != want {
					t.Errorf("reset after %v, want %v", took, want)
				}
			})
		}
	})
}

// What makes the host reset the link. Spec mei.md sections 7, 9, 10.
func TestHostResets(t *testing.T) {
	for _, tt := range []struct{ name, packet string }{
		{"reserved bit", "20 01 00 82"},
		{"firmware down", resetSignal},
		{"answer nobody asked for", "00000480 81010202"},
		{"unknown message", "00000480 7f000000"},
		{"data for an unknown connection", "20 05 01 80 ff000000"},
		{"credit for an unknown connection", "00000880 08200500 00000000"},
		{"host bus message to a host client", "00010480 81010202"},
		{"DMA ring", "20 01 04 a0 00100000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hosted(t, nil, func(t *testing.T, h *Host, s script) {
				s.start()
				h.Ready(t.Context())
				s.raw(unhex(t, tt.packet))
				s.want(resetSignal)
				if _, err := h.Connect(t.Context(), AMTHI); !errors.Is(err, ErrDisconnected) {
					t.Errorf("connect: %v", err)
				}
				s.raw(signal(signalReady))
				s.want("01 00 02 02")
			})
		})
	}
	t.Run("ME stop", func(t *testing.T) {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			s.start()
			h.Ready(t.Context())
			s.hbm("03 00 00 00")
			s.want("02 00 00 00")
			s.want(resetSignal)
		})
	})
}

func TestHostConnectRefused(t *testing.T) {
	for status, want := range map[string]Errno{"01": ENOTTY, "02": EBUSY, "03": EBUSY, "04": EINVAL, "05": EBUSY, "06": EBUSY, "07": EINVAL, "63": EINVAL} {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			s.start()
			h.Ready(t.Context())
			go func() {
				s.want("06 20 01 00")
				s.hbm("86 20 01" + status)
			}()
			if _, err := h.Connect(t.Context(), AMTHI); !errors.Is(err, want) {
				t.Errorf("status %s: got %v, want %v", status, err, want)
			}
		})
	}
}

func TestHostConnectUnanswered(t *testing.T) {
	hosted(t, nil, func(t *testing.T, h *Host, s script) {
		s.start()
		h.Ready(t.Context())
		start := time.Now()
		_, err := h.Connect(t.Context(), AMTHI)
		if took := time.Since(start); !errors.Is(err, EFAULT) || !errors.Is(err, ErrNoAnswer) || took != 15*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		s.want("06 20 01 00")
		s.want("07 20 01 00")
		// The firmware wakes up: its late answers are nobody's, and no reason for a reset.
		s.hbm("86 20 01 00")
		s.hbm("08 20 01 00 00000000")
		s.hbm("87 20 01 00")
		synctest.Wait()
		if h.State() != Enabled {
			t.Errorf("state %v", h.State())
		}
		// Given up by its caller.
		ctx, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		if _, err := h.Connect(ctx, AMTHI); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		s.want("06 20 01 00")
		s.want("07 20 01 00")
	})
}

func TestHostUnknownClientProfile(t *testing.T) {
	hosted(t, func(h *Host) { h.UnknownClient = ENODEV }, func(t *testing.T, h *Host, s script) {
		s.start()
		h.Ready(t.Context())
		if _, err := h.Connect(t.Context(), LME); !errors.Is(err, ENODEV) {
			t.Errorf("got %v", err)
		}
	})
}

// bring brings the host up with one connection to AMTHI.
func bring(t *testing.T, h *Host, s script) Conn {
	t.Helper()
	s.start()
	h.Ready(t.Context())
	go func() {
		s.want("06 20 01 00")
		s.hbm("86 20 01 00")
		s.hbm("08 20 01 00 00000000")
	}()
	c, err := h.Connect(t.Context(), AMTHI)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return c
}

func TestHostReceives(t *testing.T) {
	t.Run("without credit it is dropped", func(t *testing.T) {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			c := bring(t, h, s)
			s.raw(Packet{ME: 32, Host: 1, Payload: []byte("un")}.Append(nil))
			s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("asked")}.Append(nil))
			synctest.Wait()
			go func() {
				s.want("08 20 01 00 00000000")
				s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("asked for")}.Append(nil))
			}()
			if got, err := Receive(t.Context(), c); string(got) != "asked for" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	})
	t.Run("too long", func(t *testing.T) {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			c := bring(t, h, s)
			go func() {
				s.want("08 20 01 00 00000000")
				for i := range 11 {
					s.raw(Packet{ME: 32, Host: 1, Complete: i == 10, Payload: make([]byte, 508)}.Append(nil))
				}
				s.want("08 20 01 00 00000000")
				s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("fits")}.Append(nil))
			}()
			if _, err := Receive(t.Context(), c); !errors.Is(err, EMSGSIZE) || !errors.Is(err, ErrTooLong) {
				t.Errorf("got %v", err)
			}
			if got, err := Receive(t.Context(), c); string(got) != "fits" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	})
	t.Run("a tag nobody has", func(t *testing.T) {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			c := bring(t, h, s)
			go func() {
				s.want("08 20 01 00 00000000")
				s.raw(Packet{ME: 32, Host: 1, Complete: true, Extensions: withTag(7), Payload: []byte("x")}.Append(nil))
			}()
			if _, err := Receive(t.Context(), c); !errors.Is(err, EPROTO) || !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("reset in mid message", func(t *testing.T) {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			c := bring(t, h, s)
			go func() {
				s.want("08 20 01 00 00000000")
				s.raw(Packet{ME: 32, Host: 1, Payload: []byte("half of")}.Append(nil))
				s.raw(signal(signalReset))
				s.start()
				s.want("06 20 01 00")
				s.hbm("86 20 01 00")
				s.hbm("08 20 01 00 00000000")
				s.want("08 20 01 00 00000000")
				s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("whole")}.Append(nil))
			}()
			if _, err := Receive(t.Context(), c); !errors.Is(err, ErrDisconnected) {
				t.Errorf("got %v", err)
			}
			h.Ready(t.Context())
			c, err := h.Connect(t.Context(), AMTHI)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := Receive(t.Context(), c); string(got) != "whole" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	})
	t.Run("an answer that came before the firmware hung up", func(t *testing.T) {
		hosted(t, nil, func(t *testing.T, h *Host, s script) {
			c := bring(t, h, s)
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(make([]byte, 10)); err == nil {
				t.Fatal("no error")
			}
			c.SetReadDeadline(time.Time{})
			s.want("08 20 01 00 00000000") // the credit is out although nobody reads any more
			s.raw(Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("last")}.Append(nil))
			s.hbm("07 20 01 00")
			s.want("87 20 01 00")
			if got, err := Receive(t.Context(), c); string(got) != "last" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			if _, err := Receive(t.Context(), c); !errors.Is(err, ErrDisconnected) {
				t.Errorf("got %v", err)
			}
			if _, err := c.(Notifier), c.(Notifier).Notify(true); !errors.Is(err, ErrDisconnected) {
				t.Errorf("got %v", err)
			}
		})
	})
}

func TestHostNewClient(t *testing.T) {
	hosted(t, nil, func(t *testing.T, h *Host, s script) {
		s.start()
		h.Ready(t.Context())
		s.hbm("0f 21 00 00 DBA43367 7604 7B4E B3AF BCFC29BEE7A7 02 01 00 00 00140000")
		s.want("8f 21 00 00")
		if len(h.Clients()) != 2 || h.Clients()[33].Client != LME {
			t.Errorf("got %v", h.Clients())
		}
		s.hbm("0f 22 00 00 DBA43367 7604 7B4E B3AF BCFC29BEE7A7 03 01 00 00 00140000") // back at another address
		s.want("8f 22 00 00")
		if len(h.Clients()) != 2 || h.Clients()[34].Version != 3 {
			t.Errorf("got %v", h.Clients())
		}
	})
}

func TestHostNotifyRefused(t *testing.T) {
	hosted(t, nil, func(t *testing.T, h *Host, s script) {
		n := bring(t, h, s).(Notifier)
		go func() {
			s.want("10 20 01 01")
			s.hbm("90 20 01 05 01 000000")
			s.want("10 20 01 01") // and no answer to the second
		}()
		if err := n.Notify(true); !errors.Is(err, EFAULT) {
			t.Errorf("got %v", err)
		}
		start := time.Now()
		if err := n.Notify(true); !errors.Is(err, ErrNoAnswer) || time.Since(start) != 15*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestHostPowerGate(t *testing.T) {
	hosted(t, nil, func(t *testing.T, h *Host, s script) {
		s.start()
		h.Ready(t.Context())
		go func() {
			s.want("0a 00 00 00")
			s.hbm("8a 00 00 00")
		}()
		if err := h.PowerGate(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.hbm("0b 00 00 00")
		s.want("8b 00 00 00")
		start := time.Now()
		go h.PowerGate(t.Context())
		s.want("0a 00 00 00")
		s.want(resetSignal)
		if took := time.Since(start); took != time.Second {
			t.Errorf("reset after %v", took)
		}
	})
}

// Every address in use: the driver says EMFILE.
func TestHostTooMany(t *testing.T) {
	host, me := Pipe()
	h, e := NewHost(), NewEngine()
	client := guid.FromSeed("x")
	e.Add(Client{Properties: Properties{Client: client, MaxConnections: 255, MaxMsgLen: 64}, Serve: serveAnswers})
	run(t, h, e, host, me)
	h.Ready(t.Context())
	for i := range 255 {
		c, err := h.Connect(t.Context(), client)
		if err != nil {
			t.Fatal(i, err)
		}
		defer c.Close()
	}
	if _, err := h.Connect(t.Context(), client); !errors.Is(err, ErrTooMany) || !errors.Is(err, EMFILE) {
		t.Errorf("got %v", err)
	}
}
