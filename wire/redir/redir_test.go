package redir

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/digest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The exchange of spec redirection.md section 4.3, whose hashes were computed with an independent MD5.
const (
	vectorUser     = "admin"
	vectorPassword = "P@ssw0rd"
	vectorRealm    = "Digest:A1B2C3D4E5F60718293A4B5C6D7E8F90"
	vectorNonce    = "0123456789abcdef0123456789abcdef"
	vectorCNonce   = "00112233445566778899aabbccddeeff"
	vectorResponse = "4b70662583051fc4f9e37d13f06ff64b"
	vectorOld      = "2dd506906c78405d83cd3142cec8da83" // of method 3

	vectorFirst = `13 00 00 00 04 20 00 00 00 05 61 64 6d 69 6e 00 00 13 2f 52 65 64 69 72 65 63 74 69 6f 6e
		53 65 72 76 69 63 65 00 00 00 00`
)

func vectorChallenge() []byte {
	b := []byte{0x14, 1, 0, 0, 4, 0x4E, 0, 0, 0, 0x27}
	b = append(append(b, vectorRealm...), 0x20)
	b = append(append(b, vectorNonce...), 4)
	return append(b, "auth"...)
}

func TestMessages(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		parse      func([]byte) (again, rest []byte, err error)
	}{
		{"start of SOL", "10000000 534f4c20", parseStart},
		{"start of IDE-R", "10000000 49444552", parseStart},
		{"start of KVM", "10010000 4b564d52", parseStart},
		{"reply of AMT 11.8", "11000000 01 00 0b 08 57010000 00", parseStartReply},
		{"reply of AMT 12.0", "11000000 01 00 0c 00 57010000 00", parseStartReply},
		{"reply with OEM data", "11000000 01 00 0c 00 57010000 03 aabbcc", parseStartReply},
		{"query", "13000000 00 00000000", parseAuth},
		{"digest only, AMT 15", "14000000 00 01000000 04", parseAuthReply},
		{"web socket login", "13000000 02 00000000", parseAuth},
		{"web socket login done", "14000000 02 00000000", parseAuthReply},
		{"first digest request", vectorFirst, parseAuth},
		{"challenge", hex.EncodeToString(vectorChallenge()), parseAuthReply},
		{"success", "14000000 04 00000000", parseAuthReply},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := wiretest.Hex(t, tt.wire)
			again, rest, err := tt.parse(append(bytes.Clone(wire), 0x77))
			if err != nil || !bytes.Equal(again, wire) || !bytes.Equal(rest, []byte{0x77}) {
				t.Fatalf("wrote % x, rest % x, %v; read % x", again, rest, err, wire)
			}
			for n := range wire {
				if _, rest, err := tt.parse(wire[:n]); !errors.Is(err, ErrShort) || len(rest) != n {
					t.Errorf("cut to %d bytes: %v", n, err)
				}
				if n > 0 {
					if got, err := Length(wire[:n]); err != nil || got != 0 && got != len(wire) {
						t.Errorf("length of the first %d bytes: %d, %v", n, got, err)
					}
				}
			}
		})
	}
}

func parseStart(b []byte) ([]byte, []byte, error) {
	m, rest, err := ParseStart(b)
	return m.Append(nil), rest, err
}

func parseStartReply(b []byte) ([]byte, []byte, error) {
	m, rest, err := ParseStartReply(b)
	return m.Append(nil), rest, err
}

func parseAuth(b []byte) ([]byte, []byte, error) {
	m, rest, err := ParseAuth(b)
	return m.Append(nil), rest, err
}

func parseAuthReply(b []byte) ([]byte, []byte, error) {
	m, rest, err := ParseAuthReply(b)
	return m.Append(nil), rest, err
}

func TestParsed(t *testing.T) {
	if m, _, err := ParseStart(wiretest.Hex(t, "10010000 4b564d52")); err != nil || m != (Start{Minor: 1, Kind: KVM}) {
		t.Errorf("start: %+v, %v", m, err)
	}
	m, _, err := ParseStartReply(wiretest.Hex(t, "11000000 01 00 0b 08 57010000 00"))
	if err != nil || m.Major != 1 || m.Firmware != [2]uint8{11, 8} || m.Enterprise != EnterpriseIntel {
		t.Errorf("start reply: %+v, %v", m, err)
	}
	// A refusal may be four bytes, and that is all there is to wait for.
	if m, rest, err := ParseStartReply(wiretest.Hex(t, "11020000")); err != nil || m.Status != StatusBusy || len(rest) != 0 {
		t.Errorf("refusal: %+v, rest %x, %v", m, rest, err)
	}
	if _, _, err := ParseAuth(wiretest.Hex(t, "13000000 02 ffffffff")); !errors.Is(err, ErrTooLong) {
		t.Errorf("4 GiB of data: %v", err)
	}
	if _, err := Length([]byte{0x7F}); !errors.Is(err, ErrOpcode) {
		t.Errorf("unknown opcode: %v", err)
	}
	if _, _, err := ParseStart([]byte{0x11}); !errors.Is(err, ErrOpcode) {
		t.Errorf("other opcode: %v", err)
	}
}

func TestDigestVector(t *testing.T) {
	reply, _, err := ParseAuthReply(vectorChallenge())
	if err != nil || reply.Status != AuthFailure {
		t.Fatalf("%+v, %v", reply, err)
	}
	c, err := ParseChallenge(reply.Data, MethodDigest)
	if want := (Challenge{vectorRealm, vectorNonce, "auth"}); err != nil || c != want {
		t.Fatalf("got %+v, %v; want %+v", c, err, want)
	}
	if again := c.Append(nil, MethodDigest); !bytes.Equal(again, reply.Data) {
		t.Errorf("wrote % x, read % x", again, reply.Data)
	}
	for _, tt := range []struct {
		method   Method
		response string
		length   int
	}{{MethodDigest, vectorResponse, 179}, {MethodRFC2069, vectorOld, 179 - 5}} {
		t.Run(tt.method.String(), func(t *testing.T) {
			d, err := c.answer(vectorUser, vectorPassword, vectorCNonce, tt.method)
			if err != nil || d.Response != tt.response {
				t.Fatalf("response %s, %v; want %s", d.Response, err, tt.response)
			}
			data := d.Append(nil, tt.method)
			if len(data) != tt.length {
				t.Errorf("%d bytes, want %d", len(data), tt.length)
			}
			again, err := ParseDigest(data, tt.method)
			if err != nil || again != d {
				t.Fatalf("read %+v, %v; wrote %+v", again, err, d)
			}
			creds, ok := again.credentials(tt.method)
			if ha1 := digest.HA1(vectorUser, vectorRealm, vectorPassword); !ok || !creds.Verify(ha1, digestMethod, nil) {
				t.Error("not verified")
			}
		})
	}
}

func TestFieldLimits(t *testing.T) {
	long := strings.Repeat("x", 33)
	for _, tt := range []struct {
		name string
		err  error
		data []byte
	}{
		{"user too long", ErrTooLong, Password{long, "p"}.Append(nil)},
		{"password too long", ErrTooLong, Password{"u", long}.Append(nil)},
		{"nothing", ErrShort, nil},
		{"cut in a field", ErrShort, []byte{5, 'a', 'b'}},
	} {
		if p, err := ParsePassword(tt.data); !errors.Is(err, tt.err) || p != (Password{}) {
			t.Errorf("%s: %v, %v", tt.name, p, err)
		}
	}
	p := Password{"admin", "secret"}
	if got, err := ParsePassword(p.Append(nil)); err != nil || got != p {
		t.Errorf("%v, %v", got, err)
	}
	if s := (Options{Password: "secret"}); strings.Contains(s.String()+s.GoString()+p.String()+p.GoString(), "secret") {
		t.Error("a password is printed")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"10000000534f4c20", "110000000100 0b08 57010000 00", "11020000", "12000000", "130000000000000000",
		"14000000000100000004", "130000000200000000", vectorFirst, "f0",
		hex.EncodeToString(vectorChallenge()), hex.EncodeToString(Password{"admin", "x"}.Append(nil)),
	} {
		f.Add(wiretest.Hex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Length(b)
		if err == nil && n > authLen+MaxAuthData {
			t.Fatalf("length %d", n)
		}
		for _, parse := range []func([]byte) ([]byte, []byte, error){parseStart, parseStartReply, parseAuth, parseAuthReply} {
			again, rest, err := parse(b)
			if err != nil {
				continue
			}
			if len(rest) != len(b)-n {
				t.Fatalf("%d bytes left of %d, length says %d", len(rest), len(b), n)
			}
			third, _, err := parse(again)
			if err != nil || !bytes.Equal(third, again) {
				t.Fatalf("% x is read as % x, %v", again, third, err)
			}
		}
		for _, m := range []Method{MethodDigest, MethodRFC2069} {
			if d, err := ParseDigest(b, m); err == nil && !bytes.HasPrefix(b, d.Append(nil, m)) {
				t.Fatalf("digest %+v", d)
			}
			if c, err := ParseChallenge(b, m); err == nil && !bytes.HasPrefix(b, c.Append(nil, m)) {
				t.Fatalf("challenge %+v", c)
			}
		}
		if p, err := ParsePassword(b); err == nil && !bytes.HasPrefix(b, p.Append(nil)) {
			t.Fatal(p)
		}
	})
}
