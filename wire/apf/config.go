package apf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/outband/outband/wire/guid"
)

// Config is how an end behaves. The zero value is good for [Device] on CIRA and for both ends of LME (with LME set). A
// [Server] on CIRA must say whom it lets in: Auth, SkipAuth, or both.
//
// The callbacks run in goroutines of the session, one call at a time for each of OnVersion and Auth, and for OnForward,
// OnCancel and OnUDP together. They may block, which holds up the start-up or further requests, but not channels. Their
// context ends with the session, which waits for them; so they must not call [Session.Close]. They must not keep what a
// Payload points to.
type Config struct {
	// LME is set where the connection is the MEI client of that name: one Read returns one message and each message goes
	// out in a Write of its own; both ends say their version, and either may start over at any time; messages of unknown
	// type are skipped; there is no keepalive.
	LME bool
	// MaxMessage, if not 0, sends each message in a Write of its own, of at most so many bytes: the MTU. 0 joins messages
	// on CIRA and is 4096 on LME. A virtual machine sets 4096 for servers that take one read of TLS for one message.
	MaxMessage int

	// Window is how many bytes the peer may send on a channel before we have read some. 0 is 256 KiB on CIRA, where it
	// limits what a long line carries (gateways grant 32 KiB to 1 MiB), and 4096 on LME.
	Window int
	// MaxData is the most that we put into one data message. 0 is 32 KiB. The peer's window and MaxMessage limit it further.
	MaxData int
	// MaxChannels is how many channels there may be, opened by either end; more are refused. 0 is 256. Firmware has 8 on
	// LME; its limit on CIRA is not known.
	MaxChannels int

	// Version is what a Device says; major 0 means 1.0. A Server says 1.0, and only on LME.
	Version ProtocolVersion
	// User and Password make a Device authenticate on CIRA. Without a User it goes straight to port forwarding, as
	// machines with a client certificate do.
	User, Password string

	// OnVersion lets a Server refuse a machine by its UUID. Nil takes all.
	OnVersion func(context.Context, ProtocolVersion) error
	// Auth lets a Server check who calls; compare passwords in constant time. There is one try per connection. Nil
	// refuses everybody on CIRA and takes everybody on LME, where only the firmware can be on the other side, and where
	// it need not authenticate in any case.
	Auth func(ctx context.Context, device guid.GUID, request UserAuthRequest) bool
	// SkipAuth lets in machines that go straight to port forwarding. For a Server that has checked a client certificate.
	SkipAuth bool

	// OnForward lets a Server refuse to forward a port; LMS binds it here. Nil takes all.
	OnForward func(context.Context, Forward) error
	// OnCancel tells a Server that a port is not forwarded any more, also when the machine starts over (LME).
	OnCancel func(context.Context, Forward)
	// OnUDP gives a Server a datagram to be sent on. Nil drops them. The address comes from the machine: check it.
	OnUDP func(context.Context, GlobalRequest)
	// Direct makes a Server take direct-tcpip channels, for [Session.Accept]. Without it they are refused as an unknown
	// type, as gateways do.
	Direct bool

	// KeepAlive is how often a Server on CIRA tells the machine to ask, once it has forwarded a port; 0 is 30 s, negative
	// is never. A Device asks that often until it is told otherwise; 0 is not before it is told, negative is never.
	KeepAlive time.Duration
	// IdleTimeout ends a Server's session on CIRA if, once it has forwarded a port, nothing arrives for so long; after two
	// thirds of it the server asks. 0 is 90 s, negative is never.
	IdleTimeout time.Duration
}

const (
	maxForwards   = 64               // ports of one machine; real ones have 7
	maxRequests   = 64               // global requests that wait for a callback or a reply
	maxControl    = 1 << 20          // bytes of answers that wait to be written
	maxBatch      = 64 << 10         // bytes joined into one Write, about
	minSlack      = 4096             // bytes that are taken on a channel even if less was granted: AMT was seen to overrun
	linger        = 2 * time.Second  // for what is still to be written when a session ends
	forgetClosing = 30 * time.Second // after which a close that the peer does not answer frees a place, if one is needed
)

var errConfig = errors.New("apf: a server on CIRA needs Auth or SkipAuth")

func (c Config) withDefaults(server bool) (Config, error) {
	window, message, keepAlive := 256<<10, 0, time.Duration(-1)
	if c.LME {
		window, message = 4096, 4096
	}
	if server {
		keepAlive = 30 * time.Second
	}
	c.Window = cmp.Or(c.Window, window)
	c.MaxMessage = cmp.Or(c.MaxMessage, message)
	c.MaxData = cmp.Or(c.MaxData, 32<<10)
	c.MaxChannels = cmp.Or(c.MaxChannels, 256)
	c.KeepAlive = cmp.Or(c.KeepAlive, keepAlive)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 90*time.Second)
	if c.Version.Major == 0 {
		c.Version.Major, c.Version.Minor = 1, 0
	}
	switch {
	case server && !c.LME && c.Auth == nil && !c.SkipAuth:
		return c, errConfig
	case len(c.User) > MaxString || len(c.Password) > MaxString:
		return c, fmt.Errorf("apf: user or password: %w: at most %d bytes", ErrTooLong, MaxString)
	case c.Window < 1 || c.Window > 1<<30:
		return c, fmt.Errorf("apf: window of %d bytes", c.Window)
	case c.MaxData < 1 || c.MaxData > MaxData:
		return c, fmt.Errorf("apf: data messages of %d bytes", c.MaxData)
	case c.MaxMessage != 0 && c.MaxMessage < versionLen:
		return c, fmt.Errorf("apf: messages of %d bytes", c.MaxMessage)
	case c.MaxChannels < 1 || c.MaxChannels > 1<<16:
		return c, fmt.Errorf("apf: %d channels", c.MaxChannels)
	}
	if c.MaxMessage != 0 {
		c.MaxData = min(c.MaxData, c.MaxMessage-dataHeaderLen)
	}
	return c, nil
}

// A Forward is a port of the machine that the peer offers to others.
type Forward struct {
	Address string // "" or the machine's name: local callers only; "0.0.0.0" or "::": remote ones too, if LMS allows
	Port    uint32
}

// host is the address to connect to.
func (f Forward) host() string {
	if ip := net.ParseIP(f.Address); f.Address == "" || ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return f.Address
}
