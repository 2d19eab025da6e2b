package rmcp

import (
	"bytes"
	"errors"
	"testing"

	"github.com/outband/outband/internal/wiretest"
)

func TestPing(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		want       PresencePing
		err        error
	}{
		{"as MeshCentral sends it, tag 42", "06000006 000011be 80 2a 00 00", PresencePing{0, 42}, nil},
		{"no acknowledgement wanted", "0600ff06 000011be 80 00 00 00", PresencePing{NoAck, 0}, nil},
		{"empty", "", PresencePing{}, ErrShort},
		{"header only", "06000006", PresencePing{}, ErrShort},
		{"one byte missing", "06000006 000011be 80 2a 00", PresencePing{}, ErrShort},
		{"acknowledgement", "06000086", PresencePing{}, ErrOther},
		{"IPMI", "0600ff07 00000000 00000000 00", PresencePing{}, ErrOther},
		{"a pong", "0600ff06 000011be 40 2a 00 00", PresencePing{}, ErrOther},
		{"another enterprise", "0600ff06 00000157 80 2a 00 00", PresencePing{}, ErrOther},
		{"another version", "0500ff06 000011be 80 2a 00 00", PresencePing{}, ErrOther},
		{"data announced, not there", "0600ff06 000011be 80 2a 00 04", PresencePing{}, ErrShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := wiretest.Hex(t, tt.wire)
			got, err := ParsePing(wire)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("got %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
			if again := got.Append(nil); err == nil && (!bytes.Equal(again, wire) || len(again) != PingLen) {
				t.Errorf("wrote %x, read %x", again, wire)
			}
		})
	}
}

// Built by hand from the tables of DSP0136 3.2.4.3 and the vendor's guide; no recording of a real machine's pong was at hand.
func TestPong(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		want       Pong
		amt        AMT
		intel      bool
		err        error
	}{
		{"AMT 9.5, set up, TLS", "0600ff06 000011be 40 2a 00 10  00000157 4261 95 02 01 20 000000000000",
			Pong{NoAck, 42, EnterpriseIntel, [4]byte{0x42, 0x61, 0x95, 2}, 1, 0x20, [6]byte{}},
			AMT{Port: 16993, Major: 9, Minor: 5, State: Post, DASH: true}, true, nil},
		{"AMT 11.8, both ports", "0600ff06 000011be 40 00 00 10  00000157 4260 b8 06 01 20 000000000000",
			Pong{NoAck, 0, EnterpriseIntel, [4]byte{0x42, 0x60, 0xb8, 6}, 1, 0x20, [6]byte{}},
			AMT{Port: 16992, DualPorts: true, Major: 11, Minor: 8, State: Post, DASH: true}, true, nil},
		{"AMT 16.1, version in the last bytes", "0600ff06 000011be 40 01 00 10  00000157 4261 00 02 01 20 100100000000",
			Pong{NoAck, 1, EnterpriseIntel, [4]byte{0x42, 0x61, 0, 2}, 1, 0x20, [6]byte{16, 1}},
			AMT{Port: 16993, Major: 16, Minor: 1, State: Post, DASH: true}, true, nil},
		{"AMT 7.0 before setup", "0600ff06 000011be 40 01 00 10  00000157 0000 70 00 01 20 000000000000",
			Pong{NoAck, 1, EnterpriseIntel, [4]byte{0, 0, 0x70, 0}, 1, 0x20, [6]byte{}},
			AMT{Major: 7, State: Pre, DASH: true}, true, nil},
		{"IPMI controller", "0600ff06 000011be 40 01 00 10  000011be 00000000 81 00 000000000000",
			Pong{NoAck, 1, EnterpriseASF, [4]byte{}, 0x81, 0, [6]byte{}}, AMT{}, false, nil},
		{"one byte missing", "0600ff06 000011be 40 01 00 10  000011be 00000000 81 00 0000000000", Pong{}, AMT{}, false, ErrShort},
		{"short data", "0600ff06 000011be 40 01 00 0f  000011be 00000000 81 00 0000000000", Pong{}, AMT{}, false, ErrShort},
		{"a ping", "0600ff06 000011be 80 01 00 00", Pong{}, AMT{}, false, ErrOther},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := wiretest.Hex(t, tt.wire)
			got, err := ParsePong(wire)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("got %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
			if err != nil {
				return
			}
			if again := got.Append(nil); !bytes.Equal(again, wire) || len(again) != PongLen {
				t.Errorf("wrote %x, read %x", again, wire)
			}
			amt, intel := got.AMT()
			if amt != tt.amt || intel != tt.intel {
				t.Errorf("AMT: %+v, %t; want %+v", amt, intel, tt.amt)
			}
			if again := amt.Pong(PresencePing{Tag: got.Tag}); intel && again != got {
				t.Errorf("AMT wrote %+v, want %+v", again, got)
			}
		})
	}
}

// DASH sat in another byte in releases 4.x and 5.0, which told neither version nor port.
func TestOldDASH(t *testing.T) {
	a, ok := Pong{Enterprise: EnterpriseIntel, Entities: 0x21}.AMT()
	if !ok || a != (AMT{DASH: true}) {
		t.Errorf("%+v, %t", a, ok)
	}
}

func TestStateString(t *testing.T) {
	for s, want := range map[State]string{Pre: "pre", In: "in", Post: "post", 3: "unknown (3)"} {
		if got := s.String(); got != want {
			t.Errorf("%d: %q, want %q", uint8(s), got, want)
		}
	}
}

// What MeshCentral's scanner reads from a pong, written anew from its rules: it is the judge of AMT.Pong.
func TestMeshCentralReads(t *testing.T) {
	b := AMT{Port: 16993, DualPorts: true, Major: 12, Minor: 3, State: Post, DASH: true}.Pong(PresencePing{Tag: 7}).Append(nil)
	if len(b) < 20 || b[21]&32 == 0 || b[9] != 7 || int(b[16])<<8|int(b[17]) != 16993 || b[18]>>4 != 12 || b[18]&15 != 3 || b[19]&3 != 2 || b[19]&4 == 0 {
		t.Errorf("%x", b)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(wiretest.Hex(f, "06000006000011be802a0000"))
	f.Add(wiretest.Hex(f, "06000086"))
	f.Add(wiretest.Hex(f, "0600ff06000011be402a00100000015742619502012000000000000000"))
	f.Add(wiretest.Hex(f, "0600ff06000011be400100100000015742610002012010010000000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ParsePing(b); err == nil {
			if again, err := ParsePing(m.Append(nil)); again != m || err != nil {
				t.Errorf("%+v came back as %+v, %v", m, again, err)
			}
		}
		if m, err := ParsePong(b); err == nil {
			if again, err := ParsePong(m.Append(nil)); again != m || err != nil {
				t.Errorf("%+v came back as %+v, %v", m, again, err)
			}
			if a, ok := m.AMT(); ok {
				if again, ok := a.Pong(PresencePing{}).AMT(); again != a || !ok {
					t.Errorf("%+v came back as %+v", a, again)
				}
			}
		}
	})
}
