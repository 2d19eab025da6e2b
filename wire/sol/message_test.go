package sol

import (
	"bytes"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/redir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parsers, each of which writes again what it has read.
var parsers = map[string]func([]byte) (again, rest []byte, err error){
	"start": func(b []byte) ([]byte, []byte, error) { m, rest, err := ParseStart(b); return m.Append(nil), rest, err },
	"start reply": func(b []byte) ([]byte, []byte, error) {
		m, rest, err := ParseStartReply(b)
		return m.Append(nil), rest, err
	},
	"controls": func(b []byte) ([]byte, []byte, error) {
		m, rest, err := ParseControls(b)
		return m.Append(nil), rest, err
	},
	"line": func(b []byte) ([]byte, []byte, error) { m, rest, err := ParseLine(b); return m.Append(nil), rest, err },
	"data": func(b []byte) ([]byte, []byte, error) { m, rest, err := ParseData(b); return m.Append(nil), rest, err },
	"message": func(b []byte) ([]byte, []byte, error) {
		m, rest, err := ParseMessage(b)
		return m.Append(nil), rest, err
	},
}

// The conversation of spec sol.md section 8, with what known clients send besides.
var messages = []struct{ name, parser, wire string }{
	{"start of MeshCommander", "start", "20000000 01000000 1027 6400 0000 1027 6400 0000 00000000"},
	{"start of amtterm", "start", "20000000 00000000 e803 6400 0000 1027 0000 8813 00000000"},
	{"start reply", "start reply", "21000000 01000000 0100 1000 1027 00000000 57010000 00"},
	{"start reply with OEM data", "start reply", "21000000 01000000 0100 1000 1027 00000000 57010000 02 aabb"},
	{"controls of MeshCommander", "controls", "27000000 02000000 00001b000000"},
	{"RTS, DTR, powered", "line", "29000000 00000000 03 04"},
	{"heartbeat", "message", "2b000000 03000000"},
	{"screen cleared", "data", "2a000000 01000000 0500 1b5b324a3e"},
	{"enter", "data", "28000000 04000000 0100 0d"},
	{"nothing", "data", "28000000 04000000 0000"},
	{"end", "message", "22000000 05000000"},
	{"end reply", "message", "23000000 05000000"},
	{"ping", "message", "24000000 09000000"},
	{"pong", "message", "25000000 09000000"},
}

func TestMessages(t *testing.T) {
	for _, tt := range messages {
		t.Run(tt.name, func(t *testing.T) {
			wire, parse := wiretest.Hex(t, tt.wire), parsers[tt.parser]
			again, rest, err := parse(append(bytes.Clone(wire), 0x77))
			if err != nil || !bytes.Equal(again, wire) || !bytes.Equal(rest, []byte{0x77}) {
				t.Fatalf("wrote % x, rest % x, %v; read % x", again, rest, err, wire)
			}
			for n := range wire {
				if _, rest, err := parse(wire[:n]); !errors.Is(err, ErrShort) || len(rest) != n {
					t.Errorf("cut to %d bytes: %v", n, err)
				}
				if got, err := Length(wire[:n]); err != nil || got != 0 && got != len(wire) {
					t.Errorf("length of the first %d bytes: %d, %v", n, got, err)
				}
			}
			for name, other := range parsers {
				if _, _, err := other(wire); name != tt.parser && !errors.Is(err, redir.ErrOpcode) {
					t.Errorf("read as %s: %v", name, err)
				}
			}
		})
	}
}

func TestParsed(t *testing.T) {
	start, _, err := ParseStart(wiretest.Hex(t, messages[1].wire))
	if want := (Settings{MaxTxBuffer: 1000, TxBufferTimeout: 100, RxTimeout: 10000, Heartbeat: 5000}); err != nil || start.Settings != want {
		t.Errorf("got %+v, %v; want %+v", start.Settings, err, want)
	}
	start, _, err = ParseStart(wiretest.Hex(t, messages[0].wire))
	if want := (Settings{10000, 100, 0, 10000, 100, 0}); err != nil || start.Settings != want || start.Sequence != 1 {
		t.Errorf("got %+v, %v; want %+v", start, err, want)
	}
	for _, tt := range []struct{ wire, want string }{
		{"29000000 00000000 03 04", "RTS DTR powered"},
		{"29000000 00000000 00 00", "off"},
		{"29000000 00000000 04 1f", "break powered output lost input lost loopback test mode"},
	} {
		if line, _, err := ParseLine(wiretest.Hex(t, tt.wire)); err != nil || line.String() != tt.want {
			t.Errorf("%s: %v, %v, want %s", tt.wire, line, err, tt.want)
		}
	}
	data, _, err := ParseData(wiretest.Hex(t, "2a000000 01000000 0500 1b5b324a3e"))
	if err != nil || !data.FromHost || string(data.Bytes) != "\x1b[2J>" {
		t.Errorf("%+v, %v", data, err)
	}
	if _, err := Length([]byte{0x26}); !errors.Is(err, redir.ErrOpcode) {
		t.Errorf("unknown opcode: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range messages {
		f.Add(wiretest.Hex(f, m.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Length(b)
		if err == nil && n > dataLen+MaxData {
			t.Fatalf("length %d", n)
		}
		for name, parse := range parsers {
			again, rest, err := parse(b)
			if err != nil {
				continue
			}
			if len(rest) != len(b)-n {
				t.Fatalf("%s: %d bytes left of %d, length says %d", name, len(rest), len(b), n)
			}
			if third, _, err := parse(again); err != nil || !bytes.Equal(third, again) {
				t.Fatalf("%s: % x is read as % x, %v", name, again, third, err)
			}
		}
	})
}

// Anything may arrive in any order at either end.
func FuzzSteps(f *testing.F) {
	var all []byte
	for _, m := range messages {
		f.Add(wiretest.Hex(f, m.wire))
		all = append(all, wiretest.Hex(f, m.wire)...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, d := console{state: startSent}, device{state: wantStart}
		for {
			n, err := Length(b)
			if err != nil || n == 0 || n > len(b) {
				return
			}
			m := b[:n]
			b = b[n:]
			if got, err := c.step(m); err == nil && len(got.data) > 0 && (c.state != open || m[0] != opDataFromHost) {
				t.Fatalf("console: data out of %02xh while %s", m[0], c.state)
			}
			got, err := d.step(m)
			if err == nil && len(got.data) > 0 && (d.state != open || m[0] != opDataToHost) {
				t.Fatalf("device: data out of %02xh while %s", m[0], d.state)
			}
			if n, e := Length(got.reply); err == nil && (e != nil || n != len(got.reply)) {
				t.Fatalf("device: reply % x", got.reply)
			}
		}
	})
}

var _, _ Conn = (*redir.Conn)(nil), (*redir.Session)(nil)
