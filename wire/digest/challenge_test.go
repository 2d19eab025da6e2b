package digest

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

const recordedChallenge = `Digest realm="Digest:727734D63A1FC0423736E48DA554E462", nonce="B9AX94iAAAAAAAAAx6rrSfPHGUrx/3uA",stale="false",qop="auth"`

var recorded = Challenge{Realm: "Digest:727734D63A1FC0423736E48DA554E462", Nonce: "B9AX94iAAAAAAAAAx6rrSfPHGUrx/3uA", QOP: []string{"auth"}}

func with(c Challenge, change func(*Challenge)) Challenge { change(&c); return c }

var challengeTests = []struct {
	name, header string
	want         Challenge
	err          error
}{
	{"AMT before 14, recorded", recordedChallenge, recorded, nil},
	{"AMT 14 and newer, repetitions and blanks in qop",
		`Digest realm="Digest:727734D63A1FC0423736E48DA554E462", nonce="B9AX94iAAAAAAAAAx6rrSfPHGUrx/3uA",stale="true",qop="auth,auth-int, auth"`,
		with(recorded, func(c *Challenge) { c.Stale = true; c.QOP = []string{"auth", "auth-int"} }), nil},
	{"blanks in place of commas (NUC)",
		`Digest realm="Digest:727734D63A1FC0423736E48DA554E462" nonce="B9AX94iAAAAAAAAAx6rrSfPHGUrx/3uA" stale="false" qop="auth"`,
		recorded, nil},
	{"RFC 7616, unquoted values before others",
		`Digest algorithm=MD5, qop="auth, auth-int", realm="r", nonce="n", stale=TRUE, domain="/a /b", opaque="o"`,
		Challenge{Realm: "r", Nonce: "n", Opaque: "o", Algorithm: "MD5", Domain: "/a /b", QOP: []string{"auth", "auth-int"}, Stale: true}, nil},
	{"any case, odd blanks", "  dIGEST\tRealm = \"r\" ,,  NONCE=n ,", Challenge{Realm: "r", Nonce: "n"}, nil},
	{"unquoted qop list", `Digest qop=auth-int,auth, realm="r", nonce="n"`, Challenge{Realm: "r", Nonce: "n", QOP: []string{"auth-int", "auth"}}, nil},
	{"escapes, commas and equals signs in quotes", `Digest realm="a \"b\", c=\\d", nonce="n"`, Challenge{Realm: `a "b", c=\d`, Nonce: "n"}, nil},
	{"the first of two counts", `Digest realm="r", nonce="n", realm="s", nonce="m", qop="auth", qop="auth-int"`, Challenge{Realm: "r", Nonce: "n", QOP: []string{"auth"}}, nil},
	{"another scheme follows", `Digest realm="r", nonce="n", Negotiate`, Challenge{Realm: "r", Nonce: "n"}, nil},
	{"another scheme with parameters follows", `Digest nonce="n", realm="r", Basic realm="s"`, Challenge{Realm: "r", Nonce: "n"}, nil},
	{"empty realm", `Digest realm="", nonce="n"`, Challenge{Nonce: "n"}, nil},
	{"unknown parameter", `Digest realm="r", nonce="n", charset=UTF-8, userhash=false`, Challenge{Realm: "r", Nonce: "n"}, nil},

	{"Kerberos", "Negotiate", Challenge{}, ErrNotDigest},
	{"Basic", `Basic realm="r"`, Challenge{}, ErrNotDigest},
	{"longer name", `Digestive realm="r", nonce="n"`, Challenge{}, ErrNotDigest},
	{"empty", "", Challenge{}, ErrNotDigest},
	{"no parameters", "Digest", Challenge{}, ErrMalformed},
	{"no nonce", `Digest realm="r"`, Challenge{}, ErrMalformed},
	{"empty nonce", `Digest realm="r", nonce=""`, Challenge{}, ErrMalformed},
	{"no realm", `Digest nonce="n"`, Challenge{}, ErrMalformed},
	{"open quote", `Digest nonce="n", realm="r`, Challenge{}, ErrMalformed},
	{"ends in an escape", `Digest nonce="n", realm="r\`, Challenge{}, ErrMalformed},
	{"no name", `Digest nonce="n", ="r"`, Challenge{}, ErrMalformed},
	{"too long", `Digest realm="` + strings.Repeat("r", MaxHeader) + `", nonce="n"`, Challenge{}, ErrTooLong},
	{"too many", `Digest realm="r", nonce="n"` + strings.Repeat(",a=b", MaxParams), Challenge{}, ErrTooLong},
}

func TestParseChallenge(t *testing.T) {
	for _, tt := range challengeTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseChallenge(tt.header)
			if !reflect.DeepEqual(got, tt.want) || !errors.Is(err, tt.err) {
				t.Fatalf("got %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestChallengeString(t *testing.T) {
	if got := recorded.String(); got != recordedChallenge {
		t.Errorf("got  %s\nwant %s", got, recordedChallenge)
	}
	full := Challenge{Realm: `a"b`, Nonce: "n", Opaque: "o", Algorithm: "MD5", Domain: "/", QOP: []string{"auth", "auth-int"}, Stale: true}
	want := `Digest realm="a\"b", nonce="n",stale="true",qop="auth,auth-int",opaque="o",algorithm="MD5",domain="/"`
	if got := full.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	bare := Challenge{Realm: "r\r\nX: y", Nonce: "n"}
	if got, want := bare.String(), `Digest realm="r??X: y", nonce="n",stale="false"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzParseChallenge(f *testing.F) {
	for _, tt := range challengeTests {
		f.Add(tt.header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := ParseChallenge(header)
		if err != nil {
			if !reflect.DeepEqual(c, Challenge{}) {
				t.Errorf("%v, yet got %+v", err, c)
			}
			return
		}
		text := c.String()
		if strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("wrote %q", text)
		}
		again, err := ParseChallenge(text)
		if len(text) > MaxHeader && errors.Is(err, ErrTooLong) {
			return // quotes and escapes made it longer
		}
		if err != nil || again.String() != text {
			t.Errorf("wrote %q, read it as %+v, %v", text, again, err)
		}
	})
}
