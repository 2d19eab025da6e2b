package ider

import (
	"bytes"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/redir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// again makes of a parser one that writes again what it has read.
func again[M message](parse func([]byte) (M, []byte, error)) func([]byte) ([]byte, []byte, error) {
	return func(b []byte) ([]byte, []byte, error) {
		m, rest, err := parse(b)
		return m.Append(nil), rest, err
	}
}

var parsers = map[string]func([]byte) (again, rest []byte, err error){
	"open": again(ParseOpenRequest), "open reply": again(ParseOpenReply), "reset": again(ParseReset),
	"error": again(ParseErrorOccurred), "features": again(ParseFeatures), "features reply": again(ParseFeaturesReply),
	"command": again(ParseCommand), "command end": again(ParseCommandEnd), "get data": again(ParseGetData),
	"data from host": again(ParseDataFromHost), "data to host": again(ParseDataToHost), "message": again(ParseMessage),
}

// By the tables of spec ider.md sections 2 to 4.
var messages = []struct{ name, parser, wire string }{
	{"open", "open", "40000000 00000000 3075 0000 204e 01000000"},
	{"open with zeros", "open", "40000000 00000000 0000 0000 0000 00000000"},
	{"open reply", "open reply", "41000000 00000000 0100 0c00 00000000 0020 0020 00 00 000000 57010000 00"},
	{"open reply with OEM data", "open reply", "41000000 00000000 0100 0c00 00000000 0020 0020 00 00 000000 57010000 02 aabb"},
	{"close", "message", "42000000 07000000"},
	{"close reply", "message", "43000000 07000000"},
	{"ping", "message", "44000000 07000000"},
	{"pong", "message", "45000000 07000000"},
	{"heartbeat", "message", "4b000000 07000000"},
	{"reset", "reset", "46000000 09000000 01"},
	{"reset response", "message", "47000000 09000000"},
	{"features supported", "features", "48000000 01000000 01"},
	{"enable gracefully", "features", "48000000 01000000 03 11000000"},
	{"enabled", "features reply", "49000000 01000000 03 01000000"},
	{"error", "error", "4a000000 01000000 80 0000"},
	{"test unit ready, floppy", "command", "50000000 02000000 00 00 00 00 0000 a0 a0 000000000000000000000000"},
	{"read 1 block, CD, DMA", "command", "50000000 02000000 00 01 00 00 0008 b0 a0 28000000001000000100 0000"},
	{"success", "command end", "51000002 02000000 000000000000000000000000 c5 00 03 000000 b0 50 000000"},
	{"write protected", "command end", "51000002 02000000 000000000000000000000000 87 70 03 000000 a0 51 072700"},
	{"success of amtterm", "command end", "51000002 02000000 000000000000000000000000 85 00 03 000000 b0 50 000000"},
	{"get 512 bytes", "get data", "52000000 03000000 00 0002 00 b5 000000 0002 a0 58 0000000000000000000000"},
	{"4 bytes from host", "data from host", "53000000 04000000 00 0400 000000 01020304"},
	{"data, PIO, last", "data to host", "54000002 05000000 00 0200 00 b5 00 02 00 0200 a0 58 85000300 0000a050 000000 000000 0102"},
	{"data, PIO", "data to host", "54000000 05000000 00 0200 00 b5 00 02 00 0200 a0 58 00000000 00000000 000000 000000 0102"},
	{"data, DMA, last", "data to host", "54000003 05000000 00 0200 00 b4 00 02 00 0000 b0 58 85000300 0000b050 000000 000000 0102"},
	{"data, DMA", "data to host", "54000001 05000000 00 0200 00 b4 00 02 00 0000 b0 58 00000000 00000000 000000 000000 0102"},
}

func TestMessages(t *testing.T) {
	for _, tt := range messages {
		t.Run(tt.name, func(t *testing.T) {
			wire, parse := wiretest.Hex(t, tt.wire), parsers[tt.parser]
			got, rest, err := parse(append(bytes.Clone(wire), 0x77))
			if err != nil || !bytes.Equal(got, wire) || !bytes.Equal(rest, []byte{0x77}) {
				t.Fatalf("wrote % x, rest % x, %v; read % x", got, rest, err, wire)
			}
			for n := range wire {
				if _, rest, err := parse(wire[:n]); !errors.Is(err, redir.ErrShort) || len(rest) != n {
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
	c, _, err := ParseCommand(wiretest.Hex(t, "50000000 02000000 00 01 00 00 0008 b0 a0 28000000001000000100 0000"))
	if err != nil || c.Drive() != CD || !c.DMA() || c.ByteCount != 2048 || c.ATA != ataPacket || c.CDB[0] != scsiRead10 {
		t.Errorf("command: %+v, %v", c, err)
	}
	e, _, err := ParseCommandEnd(wiretest.Hex(t, "51000002 02000000 000000000000000000000000 87 70 03 000000 a0 51 072700"))
	if err != nil || !e.Failed() || e.Sense != SenseProtected || e != End(2, Floppy, SenseProtected) {
		t.Errorf("command end: %+v, %v", e, err)
	}
	// amtterm fills the byte count only for DMA, and the mask the other way round.
	d, _, err := ParseDataToHost(wiretest.Hex(t, "54000003 05000000 00 0200 00 b4 00 02 00 0200 b0 58 85000300 0000b050 000000 000000 0102"))
	if err != nil || !d.DMA || !d.Last || d.Drive != CD || !bytes.Equal(d.Data, []byte{1, 2}) {
		t.Errorf("data: %+v, %v", d, err)
	}
	if _, err := Length([]byte{0x4C}); !errors.Is(err, redir.ErrOpcode) {
		t.Errorf("unknown opcode: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range messages {
		f.Add(wiretest.Hex(f, m.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Length(b)
		if err == nil && n > dataToHostLen+MaxData {
			t.Fatalf("length %d", n)
		}
		for name, parse := range parsers {
			got, rest, err := parse(b)
			if err != nil {
				continue
			}
			if len(rest) != len(b)-n {
				t.Fatalf("%s: %d bytes left of %d, length says %d", name, len(rest), len(b), n)
			}
			if third, _, err := parse(got); err != nil || !bytes.Equal(third, got) {
				t.Fatalf("%s: % x is read as % x, %v", name, got, third, err)
			}
		}
	})
}

// Anything may arrive in any order at a console.
func FuzzStep(f *testing.F) {
	f.Add(wiretest.Hex(f, "41000000 00000000 0100 0c00 00000000 0020 0020 00 00 000000 57010000 00 49000000 01000000 03 01000000 46000000 02000000 01 50000000 03000000 00 01 00 00 0008 b0 a0 28000000001000000100 0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := console{state: openSent}
		for {
			n, err := Length(b)
			if err != nil || n == 0 || n > len(b) {
				return
			}
			got, err := c.step(b[:n])
			if err != nil {
				return
			}
			if (got.op == opCommand || got.op == opReset) && c.state == openSent || got.chunk > MaxBuffer {
				t.Fatalf("%+v while %s", got, c.state)
			}
			b = b[n:]
		}
	})
}

var _, _ Conn = (*redir.Conn)(nil), (*redir.Session)(nil)
