package console

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/wire/rmcp"
)

// MaxDiscover is how many addresses one [Discover] takes: a /16.
const MaxDiscover = 1 << 16

// DiscoverOptions says how to look. The zero value works.
type DiscoverOptions struct {
	Workers int           // addresses at once; 0: 256
	Timeout time.Duration // for one connection, handshake and answer; 0: 2 s
	Ports   []int         // TCP ports to try, those of [PortHTTPS] and 664 with TLS; nil: 16993 and 16992
	NoPing  bool          // no RMCP ping (UDP 623)

	// Dial opens a connection; nil: TCP. It must end when ctx does.
	Dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// A Found is a machine where AMT answers.
type Found struct {
	Address     netip.Addr
	Port        int    // of the first port that answered as AMT; 0: only the ping was answered
	TLS         bool   // on Port
	Ports       []int  // all that answered as AMT
	Server      string // Server header: "Intel(R) Active Management Technology 16.1.27"
	Version     string // "16.1.27"; "" if not told
	Status      int    // HTTP status of an unauthenticated GET /: 303 to the log-on page, 401, 404 without web pages
	Fingerprint string // of the certificate, if TLS was spoken
	TLSVersion  uint16
	Ping        bool // an RMCP presence ping was answered
}

// Discover looks for AMT at every address of the prefixes (one address is a prefix of full length; network and
// broadcast addresses of IPv4 are left out) and yields machines as they are found. Nothing that needs a password is
// sent. More than [MaxDiscover] addresses are refused with [ErrUsage]. Stopping early ends it.
func Discover(ctx context.Context, in []netip.Prefix, o *DiscoverOptions) (iter.Seq[Found], error) {
	if o == nil {
		o = &DiscoverOptions{}
	}
	total := 0
	for _, p := range in {
		if !p.IsValid() {
			return nil, fmt.Errorf("%w: bad range of addresses", ErrUsage)
		}
		size := p.Addr().BitLen() - p.Bits()
		if size > 16 {
			return nil, fmt.Errorf("%w: %v is more than %d addresses", ErrUsage, p, MaxDiscover)
		}
		if total += 1 << size; total > MaxDiscover {
			return nil, fmt.Errorf("%w: more than %d addresses", ErrUsage, MaxDiscover)
		}
	}
	opts := *o
	opts.Workers = min(cmp.Or(opts.Workers, 256), max(total, 1))
	opts.Timeout = cmp.Or(opts.Timeout, 2*time.Second)
	if opts.Ports == nil {
		opts.Ports = []int{PortHTTPS, PortHTTP}
	}
	return func(yield func(Found) bool) {
		for f := range fan(ctx, addresses(in), opts.Workers, 0, opts.look) {
			if f != nil && !yield(*f) {
				return
			}
		}
	}, nil
}

// addresses yields every host address of the prefixes, with its position.
func addresses(in []netip.Prefix) iter.Seq2[int, netip.Addr] {
	return func(yield func(int, netip.Addr) bool) {
		i := 0
		for _, p := range in {
			p = p.Masked()
			skip := p.Addr().Is4() && p.Bits() < 31
			for a := p.Addr(); p.Contains(a); a = a.Next() {
				if skip && (a == p.Addr() || !p.Contains(a.Next())) {
					continue
				}
				if !yield(i, a) {
					return
				}
				i++
			}
		}
	}
}

// look returns what is at an address, or nil.
func (o *DiscoverOptions) look(ctx context.Context, _ int, a netip.Addr) *Found {
	if ctx.Err() != nil {
		return nil
	}
	f := &Found{Address: a}
	greetings := make([]*greeting, len(o.Ports))
	var group sync.WaitGroup
	if !o.NoPing {
		group.Go(func() {
			_, err := ping(ctx, a.String(), rmcp.Port, o.Timeout)
			f.Ping = err == nil
		})
	}
	for i, port := range o.Ports {
		group.Go(func() {
			g, err := o.hello(ctx, netip.AddrPortFrom(a, uint16(port)), isTLSPort(port))
			if err == nil && g.isAMT() {
				greetings[i] = &g
			}
		})
	}
	group.Wait()
	for i, g := range greetings {
		if g == nil {
			continue
		}
		f.Ports = append(f.Ports, o.Ports[i])
		if f.Port == 0 {
			f.Port, f.TLS, f.Server, f.Version, f.Status = o.Ports[i], g.state != nil, g.Server, g.Version, g.Status
		}
		if g.state != nil && f.Fingerprint == "" && len(g.state.PeerCertificates) > 0 {
			f.Fingerprint, f.TLSVersion = Fingerprint(g.state.PeerCertificates[0]), g.state.Version
		}
	}
	if f.Port == 0 && !f.Ping {
		return nil
	}
	slices.Sort(f.Ports)
	return f
}

// hello connects and greets.
func (o *DiscoverOptions) hello(ctx context.Context, to netip.AddrPort, secure bool) (greeting, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	return hello(ctx, to.String(), secure, func(ctx context.Context) (net.Conn, error) {
		if o.Dial != nil {
			return o.Dial(ctx, to)
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", to.String())
	})
}

// hello connects, shakes hands if secure, and greets. Any TLS will do and certificates are not checked: nothing
// secret is sent, and what was met is told in the greeting, even beside an error.
func hello(ctx context.Context, host string, secure bool, dial func(context.Context) (net.Conn, error)) (greeting, error) {
	conn, err := dial(ctx)
	if err != nil {
		return greeting{}, err
	}
	if !secure {
		return greet(ctx, conn, host)
	}
	open := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS10, CipherSuites: suites(true), InsecureSkipVerify: true})
	if err := open.HandshakeContext(ctx); err != nil {
		conn.Close()
		return greeting{}, fmt.Errorf("TLS handshake: %w", err)
	}
	g, err := greet(ctx, open, host)
	state := open.ConnectionState()
	g.state = &state
	return g, err
}

func isTLSPort(port int) bool { return port == PortHTTPS || port == 664 }

// A greeting is what a port says to GET / without a password.
type greeting struct {
	Server  string
	Version string
	Status  int
	realm   string // of the challenge, if there was one
	date    time.Time
	state   *tls.ConnectionState
}

const maxHead = 16 << 10 // octets of an answer that greet reads

// greet asks for the front page and closes the connection.
func greet(ctx context.Context, conn net.Conn, host string) (greeting, error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
		return greeting{}, fmt.Errorf("GET /: %w", cmp.Or(context.Cause(ctx), err))
	}
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxHead)), nil)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return greeting{}, fmt.Errorf("GET /: %w", cause)
		}
		return greeting{}, fmt.Errorf("GET /: %w: %v", ErrNotAMT, err)
	}
	if answer.StatusCode < 100 {
		return greeting{}, fmt.Errorf("GET /: %w: HTTP status %d", ErrNotAMT, answer.StatusCode)
	}
	g := greeting{Server: answer.Header.Get("Server"), Status: answer.StatusCode}
	g.Version = serverVersion(g.Server)
	g.date, _ = http.ParseTime(answer.Header.Get("Date"))
	if _, rest, ok := strings.Cut(answer.Header.Get("Www-Authenticate"), `realm="`); ok {
		g.realm, _, _ = strings.Cut(rest, `"`)
	}
	return g, nil
}

// isAMT looks at the Server header, as scanners do, and at the realm, for firmware that hides the header.
func (g greeting) isAMT() bool {
	s := g.Server
	return s == "AMT" || strings.HasPrefix(s, "AMT ") || strings.HasPrefix(s, "Intel(R) ") && strings.Contains(s, "Manage") ||
		strings.HasPrefix(g.realm, "Digest:") && len(g.realm) == len("Digest:")+32
}

// serverVersion returns the release at the end of a Server header: two to four numbers.
func serverVersion(server string) string {
	last := server[strings.LastIndexByte(server, ' ')+1:]
	parts := strings.Split(last, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return ""
	}
	for _, p := range parts {
		if p == "" || len(p) > 5 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return last
}
