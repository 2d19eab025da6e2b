package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/pet"
	"github.com/outband/outband/wire/wsman"
)

// A sinkTest is a sink with what it was told.
func newSink(username, password string) (s *Sink, got chan ReceivedAlert, bad chan error) {
	got, bad = make(chan ReceivedAlert, 10), make(chan error, 10)
	return &Sink{Username: username, Password: password, OnAlert: func(r ReceivedAlert) { got <- r }, OnBad: func(_ netip.Addr, err error) { bad <- err }}, got, bad
}

func event() []byte {
	a, _ := eventing.FromRecord(eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.Intrusion, 0, eventlog.Critical, eventlog.SystemBoard))
	d := eventing.Delivery{MessageID: "uuid:1", Ack: true, Alert: a}
	return d.Append(nil)
}

func TestSinkAcknowledges(t *testing.T) {
	s, got, bad := newSink("", "")
	for _, tt := range []struct {
		method string
		body   []byte
		status int
	}{{"POST", event(), 200}, {"GET", event(), 405}, {"POST", []byte("<x/>"), 400}, {"POST", make([]byte, eventing.MaxEvent+1), 413}} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(tt.method, "/", bytes.NewReader(tt.body)))
		if w.Code != tt.status {
			t.Errorf("%s of %d octets: got %d, want %d", tt.method, len(tt.body), w.Code, tt.status)
		}
		if w.Code == 200 && !eventing.IsAck(w.Body.Bytes(), "uuid:1") {
			t.Errorf("not acknowledged: %s", w.Body)
		}
	}
	if r := <-got; r.Event.Alert.MessageID != "PLAT0004" || r.From != netip.MustParseAddr("192.0.2.1") || len(got) != 0 {
		t.Errorf("got %+v, and %d more", r, len(got))
	}
	if len(bad) != 2 {
		t.Errorf("told of %d bad requests, want 2", len(bad))
	}
}

func TestSinkAsksForPassword(t *testing.T) {
	s, got, bad := newSink("sink", "Sink$ecret1")
	post := func(c *digest.Client) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(event()))
		if header, ok := c.Authorize("POST", "/", event()); ok {
			r.Header.Set("Authorization", header)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		c.Challenged(w.Header().Values("WWW-Authenticate"))
		return w
	}
	for _, tt := range []struct {
		password string
		want     int
	}{{"wrong", 401}, {"Sink$ecret1", 200}} {
		c := &digest.Client{Username: "sink", Password: tt.password}
		if w := post(c); w.Code != 401 {
			t.Errorf("without a password: got %d", w.Code)
		}
		if w := post(c); w.Code != tt.want {
			t.Errorf("password %q: got %d, want %d", tt.password, w.Code, tt.want)
		}
	}
	if len(got) != 1 || len(bad) != 1 || !errors.Is(<-bad, ErrSinkPassword) {
		t.Errorf("told of %d events and %d bad requests", len(got), len(bad))
	}
}

// The sink ends with its context, by HTTP and by UDP, and takes what comes until then.
func TestSinkServes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, got, bad := newSink("", "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- s.Serve(ctx, l) }()
	go func() { ended <- s.ServeTraps(ctx, conn) }()
	resp, err := http.Post("http://"+l.Addr().String()+"/", "application/soap+xml", bytes.NewReader(event()))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if r := <-got; r.Event == nil || r.Trap != nil {
		t.Errorf("got %+v", r)
	}
	out, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	out.Write([]byte("no trap"))
	if err := <-bad; !errors.Is(err, pet.ErrFormat) {
		t.Errorf("got %v", err)
	}
	record := eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.Fan, 0, eventlog.Critical, eventlog.SystemBoard)
	trap, err := pet.New("public", netip.MustParseAddr("192.0.2.7"), 1, eventlog.NewTrap(guid.FromSeed("a"), 1, record)).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(trap)
	if r := <-got; r.PET == nil || r.PET.Event != record || r.From != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("got %+v", r)
	}
	foreign, err := pet.Trap{Community: "public", Enterprise: "1.3.6.1.4.1.1", Agent: netip.IPv4Unspecified()}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(foreign)
	if r := <-got; r.PET != nil || r.Trap == nil || r.Trap.Enterprise != "1.3.6.1.4.1.1" {
		t.Errorf("got %+v", r)
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestSubscribeChecks(t *testing.T) {
	f := newFake()
	f.put(&cim.FilterCollection{InstanceID: new("Intel(r) AMT:All")})
	f.instances["CIM_ListenerDestinationWSManagement"], f.instances["CIM_FilterCollectionSubscription"] = []wsman.Element{}, []wsman.Element{}
	c := Over(f, "desk-7")
	for _, s := range []Subscribe{{To: "desk-7"}, {To: "ftp://desk-7/"}, {To: "http://u:p@desk-7/"}, {To: "http://" + strings.Repeat("x", 250)},
		{To: "http://desk-7/", Filter: "None"}, {To: "http://desk-7/", Expires: -1}} {
		if _, err := c.Subscribe(t.Context(), s); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: got %v", s, err)
		}
	}
	if _, err := c.SubscribeTraps(t.Context(), "desk-7", ""); !errors.Is(err, ErrUsage) {
		t.Errorf("a name for an address: got %v", err)
	}
	f.absent["AMT_SNMPEventSubscriber"] = true
	if _, err := c.SubscribeTraps(t.Context(), "192.0.2.9", ""); !errors.Is(err, ErrUnsupported) {
		t.Errorf("no traps: got %v", err)
	}
	if _, err := c.Unsubscribe(t.Context(), "Listener 1"); !errors.Is(err, ErrUsage) {
		t.Errorf("no such subscription: got %v", err)
	}
	for _, call := range f.calls {
		if !strings.Contains(call, "CIM_") && !strings.Contains(call, "AMT_SNMP") || strings.Contains(call, wsman.ActionSubscribe) {
			t.Errorf("sent %s", call)
		}
	}
}
