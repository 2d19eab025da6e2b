package console

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
)

func TestDiscover(t *testing.T) {
	s := newSite(t)
	stranger := newSite(t)
	stranger.server = "nginx"
	old := newSite(t)
	old.server = "Intel(R) Active Management Technology 7.1.91"
	old.close(PortHTTPS, syscall.ECONNREFUSED)
	silent := newSite(t)
	silent.close(PortHTTPS, errSilent)
	silent.close(PortHTTP, errSilent)
	sites := map[string]*site{"192.0.2.1": s, "192.0.2.2": stranger, "192.0.2.3": old, "192.0.2.4": silent}
	o := &DiscoverOptions{NoPing: true, Timeout: 500e6, Dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		if at := sites[to.Addr().String()]; at != nil {
			return at.dial(ctx, int(to.Port()))
		}
		return nil, syscall.ECONNREFUSED
	}}
	seq, err := Discover(t.Context(), []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}, o)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Found{}
	for f := range seq {
		got[f.Address.String()] = f
	}
	if len(got) != 2 {
		t.Errorf("found %v", got)
	}
	if f := got["192.0.2.1"]; f.Version != "16.1.27" || !f.TLS || f.Port != PortHTTPS || !slices.Equal(f.Ports, []int{PortHTTP, PortHTTPS}) || f.Status != 303 || f.Fingerprint != Fingerprint(s.cert) {
		t.Errorf("got %+v", f)
	}
	if f := got["192.0.2.3"]; f.Version != "7.1.91" || f.TLS || f.Port != PortHTTP || f.Fingerprint != "" {
		t.Errorf("got %+v", f)
	}
}

func TestDiscoverBounds(t *testing.T) {
	for _, bad := range []string{"10.0.0.0/15", "2001:db8::/64", "0.0.0.0/0"} {
		if _, err := Discover(t.Context(), []netip.Prefix{netip.MustParsePrefix(bad)}, nil); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: got %v", bad, err)
		}
	}
	two := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("10.1.0.0/32")}
	if _, err := Discover(t.Context(), two, nil); !errors.Is(err, ErrUsage) {
		t.Errorf("more than a /16 in two: got %v", err)
	}
	if _, err := Discover(t.Context(), []netip.Prefix{{}}, nil); !errors.Is(err, ErrUsage) {
		t.Errorf("no prefix: got %v", err)
	}
}

func TestDiscoverStops(t *testing.T) {
	s := newSite(t)
	o := &DiscoverOptions{NoPing: true, Workers: 4, Dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) { return s.dial(ctx, int(to.Port())) }}
	seq, err := Discover(t.Context(), []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, o)
	if err != nil {
		t.Fatal(err)
	}
	for range seq {
		break
	}
	if n := s.dials.Load(); n > 40 {
		t.Errorf("%d connections after the first find", n)
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		prefix string
		want   []string
	}{
		{"192.0.2.4/30", []string{"192.0.2.5", "192.0.2.6"}},
		{"192.0.2.5/30", []string{"192.0.2.5", "192.0.2.6"}},
		{"192.0.2.4/31", []string{"192.0.2.4", "192.0.2.5"}},
		{"192.0.2.4/32", []string{"192.0.2.4"}},
		{"255.255.255.254/31", []string{"255.255.255.254", "255.255.255.255"}},
		{"2001:db8::/127", []string{"2001:db8::", "2001:db8::1"}},
	} {
		var got []string
		for _, a := range addresses([]netip.Prefix{netip.MustParsePrefix(tt.prefix)}) {
			got = append(got, a.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.prefix, got, tt.want)
		}
	}
}

func TestServerVersion(t *testing.T) {
	for server, want := range map[string]string{
		"Intel(R) Active Management Technology 16.1.27": "16.1.27", "Intel(R) Active Management Technology 15.0.23.1706": "15.0.23.1706",
		"Intel(R) Standard Manageability 9.1.0": "9.1.0", "AMT": "", "": "", "x 1.2.3.4.5": "", "x 1..2": "", "x 123456.1": "",
	} {
		if got := serverVersion(server); got != want {
			t.Errorf("%q: got %q, want %q", server, got, want)
		}
	}
}

func FuzzGreet(f *testing.F) {
	f.Add([]byte("HTTP/1.1 303 See Other\r\nServer: Intel(R) Active Management Technology 16.1.27\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"Digest:00112233445566778899AABBCCDDEEFF\"\r\n\r\n"))
	f.Add([]byte("HTTP/0.0 000\n\n"))
	f.Add([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer there.Close()
			there.Read(make([]byte, 1024))
			there.Write(answer)
		}()
		g, err := greet(t.Context(), here, "x")
		<-done
		if err == nil && g.Status == 0 {
			t.Error("an answer without a status")
		}
	})
}
