package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/pet"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const allEvents = "Intel(r) AMT:All"

// subscribe subscribes to a collection and returns the reference to the subscription.
func subscribe(t *testing.T, rt wsman.RoundTripper, filter string, s eventing.Subscription) (wsman.EPR, error) {
	t.Helper()
	resp, err := rt.RoundTrip(t.Context(), &wsman.Request{Action: wsman.ActionSubscribe, ResourceURI: wsman.ClassURI("CIM_FilterCollection"),
		Selectors: wsman.Selectors{{Name: "InstanceID", Value: filter}}, Header: s.Header(), Body: s.Body()})
	if err != nil {
		return wsman.EPR{}, err
	}
	manager, expires, err := eventing.ParseAnswer(resp.Body)
	if err == nil && expires != s.Expires {
		t.Errorf("expires in %v, want %v", expires, s.Expires)
	}
	return manager, err
}

func intrusion() eventlog.Record {
	return eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.Intrusion, 0, eventlog.Critical, eventlog.SystemBoard)
}

// Events come by HTTP, with the parameters of the subscription, to a receiver that wants a password; the subscription is
// seen, and removed.
func TestEventDelivery(t *testing.T) {
	server := digest.NewServer("sink", digest.ServerOptions{QOP: []string{"auth"}})
	got := make(chan eventing.Delivery, 10)
	var challenges sync.WaitGroup
	challenges.Add(1)
	once := sync.OnceFunc(challenges.Done)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, err := server.Admit(r.Header.Get("Authorization"), r.Method, r.RequestURI, body, func(user string) ([16]byte, bool) {
			return digest.HA1("sink", "sink", "Sink$ecret1"), user == "sink"
		})
		if err != nil {
			once()
			w.Header().Set("WWW-Authenticate", server.Challenge(false).String())
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		d, err := eventing.ParseDelivery(body)
		if err != nil {
			t.Error(err)
		}
		w.Write(eventing.Ack(d.MessageID, "uuid:1"))
		got <- d
	}))
	defer sink.Close()
	w := newWorld(t, firmware.Config{}, pc.Options{})
	parameter := wsman.El("urn:x", "Tag", "desk-7")
	manager, err := subscribe(t, w, "Intel(r) AMT:Platform", eventing.Subscription{Mode: eventing.PushWithAck, Address: sink.URL + "/events",
		Parameters: []wsman.Element{parameter}, Username: "sink", Password: "Sink$ecret1"})
	if err != nil {
		t.Fatal(err)
	}
	w.Log(eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.UserNotification, 0, eventlog.Information, eventlog.Engine, 0xaa, 0x30, 0)) // of no interest
	w.Log(intrusion())
	d := <-got
	challenges.Wait()
	a := d.Alert
	if !d.Ack || a.MessageID != "PLAT0004" || a.Text() != "case opened" || a.Severity != eventing.Critical || !a.Time.Equal(time.Unix(1_700_000_000, 0)) ||
		a.Filter != "Intel(r) AMT:Platform" {
		t.Errorf("got %+v", d)
	}
	if len(d.Parameters) != 1 || d.Parameters[0].Local != "Tag" || d.Parameters[0].Text != "desk-7" {
		t.Errorf("parameters: got %v", d.Parameters)
	}
	listeners, err := class.All[cim.ListenerDestinationWSManagement](t.Context(), w)
	if err != nil || len(listeners) != 1 || *listeners[0].Destination != sink.URL+"/events" || *listeners[0].DeliveryMode != 3 {
		t.Errorf("listeners: got %v, %v", listeners, err)
	}
	subscriptions, err := class.All[cim.FilterCollectionSubscription](t.Context(), w)
	if err != nil || len(subscriptions) != 1 || subscriptions[0].Filter.Selectors.Value("InstanceID") != "Intel(r) AMT:Platform" {
		t.Errorf("subscriptions: got %v, %v", subscriptions, err)
	}
	var file bytes.Buffer
	if err := w.Dump(&file); err != nil {
		t.Fatal(err)
	}
	state, err := firmware.ReadState(&file)
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld(t, firmware.Config{State: state, Password: firmware.DefaultPassword}, pc.Options{})
	again.Log(intrusion())
	if d := <-got; d.Alert.MessageID != "PLAT0004" || len(d.Parameters) != 1 {
		t.Errorf("after a restart: got %+v", d)
	}
	body := wsman.Group(wsman.NSEventing, "Unsubscribe")
	gone := &wsman.Request{Action: wsman.ActionUnsubscribe, ResourceURI: manager.ResourceURI, Selectors: manager.Selectors, Body: &body}
	if _, err := w.RoundTrip(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RoundTrip(t.Context(), gone); !errors.Is(err, wsman.ErrInvalidSelectors) {
		t.Errorf("unsubscribed twice: got %v", err)
	}
	if listeners, err := class.All[cim.ListenerDestinationWSManagement](t.Context(), w); err != nil || len(listeners) != 0 {
		t.Errorf("listeners: got %v, %v", listeners, err)
	}
}

func TestSubscribeRefused(t *testing.T) {
	w := newWorld(t, firmware.Config{Generation: 8}, pc.Options{})
	for _, tt := range []struct {
		name   string
		filter string
		s      eventing.Subscription
		want   *wsman.Fault
	}{
		{"no such collection", "Intel(r) AMT:None", eventing.Subscription{Mode: eventing.Push, Address: "http://192.0.2.1/"}, wsman.ErrInvalidSelectors},
		{"mode", allEvents, eventing.Subscription{Mode: "urn:pull", Address: "http://192.0.2.1/"}, eventing.ErrModeUnavailable},
		{"no address", allEvents, eventing.Subscription{Mode: eventing.Push, Address: "nowhere"}, eventing.ErrInvalidMessage},
		{"https before 11.0", allEvents, eventing.Subscription{Mode: eventing.Push, Address: "https://192.0.2.1/"}, eventing.ErrInvalidMessage},
		{"long address", allEvents, eventing.Subscription{Mode: eventing.Push, Address: "http://192.0.2.1/" + strings.Repeat("x", 253)}, eventing.ErrInvalidMessage},
	} {
		var got *wsman.Fault // by local name: the client does not know the faults of eventing
		if _, err := subscribe(t, w, tt.filter, tt.s); !errors.As(err, &got) || got.Subcode.Local != tt.want.Subcode.Local {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	for range 9 {
		if _, err := subscribe(t, w, allEvents, eventing.Subscription{Mode: eventing.Push, Address: "http://192.0.2.1/"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := subscribe(t, w, allEvents, eventing.Subscription{Mode: eventing.Push, Address: "http://192.0.2.1/"}); !errors.Is(err, wsman.ErrInternal) {
		t.Errorf("the tenth: got %v", err)
	}
	if c := w.addUser(t, "ops", amt.RealmGeneralInfo); c != status.Success {
		t.Fatal(c)
	}
	ops := w.login(t, "ops", firmware.DefaultPassword)
	if _, err := subscribe(t, ops, allEvents, eventing.Subscription{Mode: eventing.Push, Address: "http://192.0.2.1/"}); !errors.Is(err, wsman.ErrAccessDenied) {
		t.Errorf("without the realm: got %v", err)
	}
}

// A receiver that does not answer is tried again; one that never does keeps nobody waiting.
func TestEventRetry(t *testing.T) {
	inBubble(t, "retry", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		began := time.Now()
		var mu sync.Mutex
		var tries []time.Duration
		w.DialAlerts(func(context.Context, string, string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			tries = append(tries, time.Since(began))
			if len(tries) < 3 {
				return nil, errors.New("refused")
			}
			here, there := net.Pipe()
			go func() {
				io.ReadAtLeast(there, make([]byte, 1<<16), 1)
				io.WriteString(there, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				io.Copy(io.Discard, there)
				there.Close()
			}()
			return here, nil
		})
		if _, err := subscribe(t, w, allEvents, eventing.Subscription{Mode: eventing.PushWithAck, Address: "http://192.0.2.1/", Expires: time.Hour}); err != nil {
			t.Fatal(err)
		}
		w.Log(intrusion())
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		if want := []time.Duration{0, time.Second, 3 * time.Second}; !slices.Equal(tries, want) {
			t.Errorf("tried after %v, want %v", tries, want)
		}
		tries = nil
		mu.Unlock()
		time.Sleep(time.Hour)
		w.Log(intrusion())
		time.Sleep(time.Minute)
		synctest.Wait()
		if tries != nil {
			t.Errorf("tried after it had expired: %v", tries)
		}
	})
}

// Renewed, a subscription goes on.
func TestRenew(t *testing.T) {
	inBubble(t, "renew", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		manager, err := subscribe(t, w, allEvents, eventing.Subscription{Mode: eventing.Push, Address: "http://192.0.2.1/", Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Minute)
		body := wsman.Group(wsman.NSEventing, "Renew", wsman.El(wsman.NSEventing, "Expires", "PT1H"))
		if _, err := w.RoundTrip(t.Context(), &wsman.Request{Action: wsman.ActionRenew, ResourceURI: manager.ResourceURI, Selectors: manager.Selectors, Body: &body}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			time.Sleep(30 * time.Minute)
			if all, err := class.All[cim.FilterCollectionSubscription](t.Context(), w); err != nil || len(all) != want {
				t.Errorf("got %d, %v; want %d", len(all), err, want)
			}
			time.Sleep(time.Minute * 30)
		}
	})
}

// What passes a filter goes to the receivers of its policy, by UDP.
func TestTraps(t *testing.T) {
	inBubble(t, "traps", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		got := make(chan []byte, 10)
		w.DialAlerts(func(_ context.Context, network, address string) (net.Conn, error) {
			if network != "udp" || address != "192.0.2.9:162" {
				t.Errorf("dialled %s %s", network, address)
			}
			here, there := net.Pipe()
			go func() {
				b := make([]byte, 2000)
				n, _ := there.Read(b)
				got <- b[:n]
			}()
			return here, nil
		})
		any := new(uint8(255))
		filter := &amt.PETFilterSetting{EnableFilter: new(true), OEMFilter: new(false), LogOnEvent: new(true), SendAlert: new(true), PolicyID: new(uint8(3)), DeviceAddress: any,
			EventSensorType: new(uint8(eventlog.Intrusion)), EventType: any, EventOffset: any, EventSourceType: any, EventSeverity: any, SensorNumber: any, Entity: any, EntityInstance: any}
		if _, err := class.Create(t.Context(), w, filter); err != nil {
			t.Fatal(err)
		}
		for policy, address := range map[uint8]string{3: "192.0.2.9", 4: "192.0.2.10"} {
			s := &amt.SNMPEventSubscriber{PolicyID: &policy, CommunityString: new("secret"), AccessInfo: &address, InfoFormat: new(uint16(3))}
			if _, err := class.Create(t.Context(), w, s); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := class.Create(t.Context(), w, &amt.SNMPEventSubscriber{PolicyID: new(uint8(1)), AccessInfo: new("desk-7")}); !errors.Is(err, wsman.ErrInvalidRepresentation) {
			t.Errorf("a name for an address: got %v", err)
		}
		fan := eventlog.NewRecord(time.Unix(1_700_000_000, 0), eventlog.Fan, 0, eventlog.Monitor, eventlog.SystemBoard)
		w.Log(fan)
		w.Log(intrusion())
		time.Sleep(time.Second)
		synctest.Wait()
		if len(got) != 1 {
			t.Fatalf("%d traps, want 1", len(got))
		}
		trap, err := pet.Parse(<-got)
		if err != nil || trap.Community != "secret" || trap.Agent != netip.IPv4Unspecified() {
			t.Errorf("got %+v, %v", trap, err)
		}
		event, err := trap.Event()
		if err != nil || event.Event != intrusion() || event.GUID != w.Identity().UUID || event.Sequence != 1 {
			t.Errorf("got %+v, %v", event, err)
		}
	})
}
