package firmware

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// tryPassword asks for something with a password and tells how long the answer took.
func tryPassword(t *testing.T, m *Machine, user, password string) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 8)
	n := 0
	c := &wsman.Client{Username: user, Password: password, MaxConns: 1, Timeout: 5 * time.Minute, Dial: func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		n++
		go func() { done <- m.ServeConn(ctx, there, PortHTTP) }()
		return here, nil
	}}
	begin := time.Now()
	_, err := wsman.Identify(ctx, c)
	d := time.Since(begin)
	c.Close()
	cancel()
	for range n {
		<-done
	}
	return d, err
}

func TestLockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, Config{})
		want := []time.Duration{0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60}
		for i, d := range want {
			got, err := tryPassword(t, m, "admin", "wrong")
			if !errors.Is(err, wsman.ErrUnauthorized) || got != d*time.Second {
				t.Errorf("failure %d: refused after %v, %v; want %v", i+1, got, err, d*time.Second)
			}
			if locked := d > 0; errors.Is(err, wsman.ErrLockedOut) != locked {
				t.Errorf("failure %d: ErrLockedOut is %v", i+1, !locked)
			}
		}
		if got := m.AuthFailures(); got != uint64(len(want)) {
			t.Errorf("%d failures counted, want %d", got, len(want))
		}
		// While one wrong password waits for its answer, the right one is not tried either.
		slow := make(chan error)
		go func() {
			_, err := tryPassword(t, m, "admin", "wrong")
			slow <- err
		}()
		time.Sleep(20 * time.Second)
		if d, err := tryPassword(t, m, "admin", DefaultPassword); !errors.Is(err, wsman.ErrUnauthorized) || d != 40*time.Second {
			t.Errorf("the right password while locked out: after %v, %v", d, err)
		}
		<-slow
		if d, err := tryPassword(t, m, "admin", DefaultPassword); err != nil || d != 0 {
			t.Errorf("the right password afterwards: after %v, %v", d, err)
		}
		if d, err := tryPassword(t, m, "admin", "wrong"); !errors.Is(err, wsman.ErrUnauthorized) || d != 0 {
			t.Errorf("the count did not begin anew: after %v, %v", d, err)
		}
	})
}

// TestLockoutIsPerUser: names that nobody has share a count, and none of it touches admin.
func TestLockoutIsPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, Config{})
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			tryPassword(t, m, name, "x")
		}
		if n := len(m.lockouts.byUser); n != 1 {
			t.Errorf("%d counts for unknown names, want 1", n)
		}
		if d, err := tryPassword(t, m, "admin", DefaultPassword); err != nil || d != 0 {
			t.Errorf("admin: after %v, %v", d, err)
		}
	})
}

// TestOldNonceIsNoGuess: a client that signs with a nonce or realm of before a reset is challenged, not counted.
func TestOldNonceIsNoGuess(t *testing.T) {
	m := newMachine(t, Config{})
	text := signed(m, getDocument("CIM_Chassis", "1"), "")
	m.voidNonces()
	for range 8 {
		if got := talk(t, m, text); got[:12] != "HTTP/1.1 401" {
			t.Fatalf("got %.60q", got)
		}
	}
	if n := m.AuthFailures(); n != 0 {
		t.Errorf("%d failures counted", n)
	}
}

func TestRealms(t *testing.T) {
	m := newMachine(t, Config{})
	hash := digest.HA1("oper", m.Identity().Realm, "P@ssw0rd")
	m.users.mu.Lock()
	m.users.acl.List = append(m.users.acl.List, account{Handle: 9, Name: "oper", HA1: hash, Access: 2, Realms: Realms(RealmRemoteControl), Enabled: true})
	m.users.mu.Unlock()
	c := client(t, m)
	oper := &wsman.Client{Dial: c.Dial, Username: "oper", Password: "P@ssw0rd", MaxConns: 1}
	defer oper.Close()
	for _, tt := range []struct {
		class string
		want  error
	}{
		{"CIM_AssociatedPowerManagementService", nil},
		{"AMT_GeneralSettings", wsman.ErrAccessDenied},
		{"AMT_AuthorizationService", wsman.ErrAccessDenied},
	} {
		if _, err := wsman.Get(t.Context(), oper, wsman.ClassURI(tt.class), nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.class, err, tt.want)
		}
	}
	if _, err := wsman.Invoke(t.Context(), oper, wsman.ClassURI("AMT_WebUIService"), "RequestStateChange", nil); !errors.Is(err, wsman.ErrAccessDenied) {
		t.Errorf("method: got %v", err)
	}
	var got []string
	for e, err := range wsman.Enumerate(t.Context(), oper, wsman.ClassURI("CIM_ServiceAvailableToElement"), nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Local)
	}
	if len(got) != 1 || got[0] != "CIM_AssociatedPowerManagementService" {
		t.Errorf("enumerated %v", got)
	}
}

func TestHooks(t *testing.T) {
	refuse := wsman.ErrQuotaLimit
	var invoked string
	m := newMachine(t, Config{Hooks: Hooks{
		OnRequest: func(_ context.Context, user string, req *wsman.Request) error {
			if user == "admin" && req.Action == wsman.ActionGet {
				return refuse
			}
			return nil
		},
		OnInvoke: func(_ context.Context, class, method string) status.Status {
			invoked = class + "." + method
			return 4099
		},
	}})
	c := client(t, m)
	if _, err := wsman.Get(t.Context(), c, wsman.ClassURI("CIM_Chassis"), nil); !errors.Is(err, refuse) {
		t.Errorf("Get: %v", err)
	}
	uri := wsman.ClassURI("AMT_WebUIService")
	out, err := wsman.Invoke(t.Context(), c, uri, "RequestStateChange", nil, wsman.El(uri, "RequestedState", "3"))
	if err != nil || out.ChildText("ReturnValue") != "4099" || invoked != "AMT_WebUIService.RequestStateChange" {
		t.Errorf("Invoke: %+v, %v, %s", out, err, invoked)
	}
}

// TestLocalAccess: some users may come from the PC only, others from the network only.
func TestLocalAccess(t *testing.T) {
	m := newMachine(t, Config{})
	m.users.mu.Lock()
	for i, access := range []amt.AccessPermission{amt.AccessPermissionLocal, amt.AccessPermissionNetwork, amt.AccessPermissionAny} {
		name := []string{"local", "network", "any"}[i]
		m.users.acl.List = append(m.users.acl.List, account{Handle: uint32(20 + i), Name: name, HA1: digest.HA1(name, m.identity.Realm, "P@ssw0rd"), Access: access, Realms: Realms(RealmGeneralInfo), Enabled: true})
	}
	m.users.mu.Unlock()
	for _, tt := range []struct {
		user           string
		local, network bool
	}{{"local", true, false}, {"network", false, true}, {"any", true, true}, {"admin", true, true}} {
		for _, way := range []struct {
			serve func(context.Context, net.Conn, int) error
			want  bool
		}{{m.ServeLocalConn, tt.local}, {m.ServeConn, tt.network}} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 4)
			n := 0
			c := &wsman.Client{Username: tt.user, Password: "P@ssw0rd", MaxConns: 1, Dial: func(context.Context) (net.Conn, error) {
				here, there := net.Pipe()
				n++
				go func() { done <- way.serve(ctx, there, PortHTTP) }()
				return here, nil
			}}
			_, err := wsman.Identify(ctx, c)
			if (err == nil) != way.want || err != nil && !errors.Is(err, wsman.ErrUnauthorized) {
				t.Errorf("%s: %v, want %v", tt.user, err, way.want)
			}
			c.Close()
			cancel()
			for range n {
				<-done
			}
		}
	}
}
