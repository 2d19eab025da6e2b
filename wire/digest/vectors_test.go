package digest

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Requests whose response is published: the RFCs' own examples, and one of AMT's redirection port.
// The auth-int and -sess rows were computed with another implementation (Python's hashlib) from the formulas of RFC 7616.
var vectors = []struct {
	name, password, method string
	body                   string
	c                      Credentials
}{
	{"RFC 2617 3.5", "Circle Of Life", "GET", "", Credentials{
		Username: "Mufasa", Realm: "testrealm@host.com", Nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", URI: "/dir/index.html",
		QOP: "auth", NC: 1, CNonce: "0a4f113b", Opaque: "5ccc069c403ebaf9f0171e9517f40e41",
		Response: "6629fae49393a05397450978507c4ef1"}},
	{"RFC 2069 2.4, corrected by erratum 749", "CircleOfLife", "GET", "", Credentials{
		Username: "Mufasa", Realm: "testrealm@host.com", Nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", URI: "/dir/index.html",
		Response: "1949323746fe6a43ef61f9606e7febea"}},
	{"RFC 7616 3.9.1, MD5", "Circle of Life", "GET", "", Credentials{
		Username: "Mufasa", Realm: "http-auth@example.org", Nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", URI: "/dir/index.html",
		QOP: "auth", NC: 1, CNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", Algorithm: "MD5",
		Response: "8ca523f5e9506fed4657c9700eebdbec"}},
	{"RFC 7616 3.9.1, SHA-256", "Circle of Life", "GET", "", Credentials{
		Username: "Mufasa", Realm: "http-auth@example.org", Nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", URI: "/dir/index.html",
		QOP: "auth", NC: 1, CNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", Algorithm: "SHA-256",
		Response: "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"}},
	{"AMT redirection port, spec redirection.md section 4.3", "P@ssw0rd", "POST", "", Credentials{
		Username: "admin", Realm: "Digest:A1B2C3D4E5F60718293A4B5C6D7E8F90", Nonce: "0123456789abcdef0123456789abcdef",
		URI: "/RedirectionService", QOP: "auth", NC: 1, CNonce: "00112233445566778899aabbccddeeff",
		Response: "4b70662583051fc4f9e37d13f06ff64b"}},
	{"AMT redirection port, method 3", "P@ssw0rd", "POST", "", Credentials{
		Username: "admin", Realm: "Digest:A1B2C3D4E5F60718293A4B5C6D7E8F90", Nonce: "0123456789abcdef0123456789abcdef",
		URI: "/RedirectionService", Response: "2dd506906c78405d83cd3142cec8da83"}},
	{"auth-int", "P@ssw0rd", "POST", "<a/>", Credentials{
		Username: "admin", Realm: "Digest:727734D63A1FC0423736E48DA554E462", Nonce: "B9AX94iAAAAAAAAAx6rrSfPHGUrx/3uA",
		URI: "/wsman", QOP: "auth-int", NC: 0x2a, CNonce: "c0ffee", Response: "3367acd694a8996ccb359f0ee7660df2"}},
	{"MD5-sess", "P@ssw0rd", "POST", "", Credentials{
		Username: "admin", Realm: "Digest:727734D63A1FC0423736E48DA554E462", Nonce: "B9AX94iAAAAAAAAAx6rrSfPHGUrx/3uA",
		URI: "/wsman", QOP: "auth", NC: 2, CNonce: "c0ffee", Algorithm: "MD5-sess", Response: "fe1046e13fd59a616fd740f671c25265"}},
	{"SHA-256-sess", "P@ssw0rd", "POST", "", Credentials{
		Username: "admin", Realm: "Digest:727734D63A1FC0423736E48DA554E462", Nonce: "B9AX94iAAAAAAAAAx6rrSfPHGUrx/3uA",
		URI: "/wsman", QOP: "auth", NC: 2, CNonce: "c0ffee", Algorithm: "SHA-256-sess", Response: "fbc913171039ecd875595f91e188c9b6125c6a24c44ceeea0f8fd9271e227819"}},
}

func TestVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.name, func(t *testing.T) {
			alg, err := parseAlgorithm(tt.c.Algorithm)
			if err != nil {
				t.Fatal(err)
			}
			ha1 := alg.appendHex(nil, appendA1(nil, tt.c.Username, tt.c.Realm, tt.password))
			key := alg.appendKey(nil, ha1, tt.c.Nonce, tt.c.CNonce)
			if got := alg.appendResponse(nil, key, &tt.c, tt.method, []byte(tt.body)); string(got) != tt.c.Response {
				t.Errorf("response %s, want %s", got, tt.c.Response)
			}
		})
	}
}

func TestVerifyAndSign(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.name, func(t *testing.T) {
			sha := strings.HasPrefix(tt.c.Algorithm, "SHA")
			ha1 := HA1(tt.c.Username, tt.c.Realm, tt.password)
			if got := tt.c.Verify(ha1, tt.method, []byte(tt.body)); got == sha {
				t.Fatalf("Verify: %t", got)
			}
			signed, err := tt.c.Sign(ha1, tt.method, []byte(tt.body))
			if sha {
				if err == nil {
					t.Error("signed for an algorithm that HA1 cannot serve")
				}
				return
			}
			if err != nil || signed.Response != tt.c.Response {
				t.Errorf("Sign: %s, %v; want %s", signed.Response, err, tt.c.Response)
			}
			upper := tt.c
			upper.Response = strings.ToUpper(upper.Response)
			if !upper.Verify(ha1, tt.method, []byte(tt.body)) {
				t.Error("upper-case digits refused")
			}
			for name, spoil := range map[string]func(*Credentials){
				"response":       func(c *Credentials) { c.Response = strings.Repeat("0", 32) },
				"short response": func(c *Credentials) { c.Response = c.Response[:31] },
				"empty response": func(c *Credentials) { c.Response = "" },
				"not hex":        func(c *Credentials) { c.Response = "g" + c.Response[1:] },
				"last not hex":   func(c *Credentials) { c.Response = c.Response[:31] + "g" },
				"nonce":          func(c *Credentials) { c.Nonce += "x" },
				"uri":            func(c *Credentials) { c.URI += "/" },
				"algorithm":      func(c *Credentials) { c.Algorithm = "MD4" },
				"qop":            func(c *Credentials) { c.QOP = "auth-conf" },
			} {
				c := tt.c
				spoil(&c)
				if c.Verify(ha1, tt.method, []byte(tt.body)) {
					t.Errorf("verified with another %s", name)
				}
			}
			if tt.c.Verify(ha1, "PUT", []byte(tt.body)) {
				t.Error("verified for another method")
			}
			if got := tt.c.Verify(ha1, tt.method, []byte("other")); got == (tt.c.QOP == "auth-int") {
				t.Errorf("with another body: %t", got)
			}
			ha1[0] ^= 1
			if tt.c.Verify(ha1, tt.method, []byte(tt.body)) {
				t.Error("verified with another password")
			}
		})
	}
}

func TestHA1(t *testing.T) {
	for _, tt := range []struct{ user, realm, password, want string }{
		{"Mufasa", "testrealm@host.com", "Circle Of Life", "939e7578ed9e3c518a452acee763bce9"}, // of the example in RFC 2617 3.5
		{"admin", "Digest:A1B2C3D4E5F60718293A4B5C6D7E8F90", "P@ssw0rd", "2dd27e52dab78fa3732f7accb948813e"},
	} {
		got := HA1(tt.user, tt.realm, tt.password)
		if hex.EncodeToString(got[:]) != tt.want {
			t.Errorf("%s: got %x, want %s", tt.user, got, tt.want)
		}
	}
}
