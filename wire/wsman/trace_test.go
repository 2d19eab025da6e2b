package wsman

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/outband/outband/wire/digest"
)

func TestTrace(t *testing.T) {
	g := newGuard(digest.ServerOptions{})
	m := &machine{answer: g.protect(serve(settings))}
	var mu sync.Mutex
	var events []TraceEvent
	c := m.client(t, &Client{Password: testPassword, Trace: func(e TraceEvent) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}})
	uri := NSIPS + "IPS_KVMRedirectionSettingData"
	instance := Group(uri, "IPS_KVMRedirectionSettingData", El(uri, "RFBPassword", "hunter<2"), El(uri, "Is5900PortEnabled", "true"))
	for range 2 {
		if _, err := Put(t.Context(), c, uri, nil, &instance); err != nil {
			t.Fatal(err)
		}
	}
	if len(events) != 3 || events[0].Status != 401 || events[1].Status != 200 || events[0].Reused || !events[2].Reused {
		t.Fatalf("got %+v", events)
	}
	text := fmt.Sprintf("%+v", events)
	for _, secret := range []string{"hunter", testPassword, "response=", "Authorization"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q in %s", secret, text)
		}
	}
	for _, shown := range []string{"RFBPassword>***</", "Is5900PortEnabled>true</", "Log on failed.", "PutResponse"} {
		if !strings.Contains(text, shown) {
			t.Errorf("no %q in %s", shown, text)
		}
	}
}

func TestRedact(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		{"", ""},
		{" \r\n", ""},
		{"user=admin&password=x", "(21 octets, not XML)"},
		{"<a><b:Password x='y'>secret</b:Password></a>", "<a><b:Password x='y'>***</b:Password></a>"},
		{"<a><Password></Password><Password/><x>y</x></a>", "<a><Password></Password><Password/><x>y</x></a>"},
		{"<PSKPassPhrase>a&lt;b</PSKPassPhrase>c", "<PSKPassPhrase>***</PSKPassPhrase>c"},
		{"<DigestPassword><![CDATA[<x>]]></DigestPassword>", "<DigestPassword>***</DigestPassword>"},
		{"<NetworkAdminPassword>secret", "<NetworkAdminPassword>***"},
		{"<x>y</x><UserPassword", "<x>y</x><UserPassword"},
		{"<SetMEBxPassword_INPUT><Password>s</Password></SetMEBxPassword_INPUT>", "<SetMEBxPassword_INPUT><Password>***</Password></SetMEBxPassword_INPUT>"},
		{"<a:KeyBlob>s</a:KeyBlob><SigningKeyMaterial>s</SigningKeyMaterial><Secret>s</Secret><PSK>s</PSK>", "<a:KeyBlob>***</a:KeyBlob><SigningKeyMaterial>***</SigningKeyMaterial><Secret>***</Secret><PSK>***</PSK>"},
		{"<KeyLength>2048</KeyLength><Nonce>x</Nonce>", "<KeyLength>2048</KeyLength><Nonce>x</Nonce>"},
		{"<Password>s</Passwords>t</Password>", "<Password>***</Password>"},
		{"cut <", "(5 octets, not XML)"},
		{"<a><", "<a><"},
	} {
		if got := redact([]byte(tt.doc)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.doc, got, tt.want)
		}
	}
}
