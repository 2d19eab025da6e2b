package cli

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/console"
)

type routeCmd struct {
	Host   string        `arg:"" help:"The machine: a name of the hosts database or an address."`
	To     int           `arg:"" name:"port" help:"Port of the machine."`
	Listen string        `default:"127.0.0.1:0" placeholder:"ADDRESS" help:"Where programs find it; :PORT is on loopback, default is a free port of this computer."`
	Anyone bool          `help:"Let others than this computer connect, where --listen is no loopback address."`
	TLS    bool          `name:"tls" help:"Speak TLS to the machine, with all checks; programs here speak without."`
	Max    int           `default:"32" placeholder:"N" help:"Connections at once; more wait."`
	For    time.Duration `placeholder:"TIME" help:"End after that time."`
}

func (routeCmd) Help() string {
	return "Each connection to the local port becomes one to the port of the machine, by the way that the machine is reached. With --tls old programs " +
		"reach a machine that speaks nothing but TLS.\n\n" +
		example("outband route nuc1 16993 --listen :16992 --tls", "outband route nuc1 22 --listen :2222", "amtterm 127.0.0.1 # after: outband route nuc1 16995 --listen :16994 --tls")
}

// A routeRecord says where a port of a machine is found here.
type routeRecord struct {
	Host    string `json:"host"`
	OK      bool   `json:"ok"`
	Address string `json:"address"` // here
	Port    int    `json:"port"`    // of the machine
	TLS     bool   `json:"tls"`
}

func (c *routeCmd) Run(a *app) error {
	if c.To < 1 || c.To > 65535 {
		return usage("", "port %d is not in 1..65535", c.To)
	}
	if c.Max < 1 {
		return usage("", "--max: %d is not a number of connections", c.Max)
	}
	h, client, err := a.reach(c.Host)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := forAWhile(a.ctx, c.For)
	defer cancel()
	if c.TLS { // asks about a certificate that nobody vouches for
		if _, err := client.Endpoint(ctx); err != nil {
			return err
		}
	}
	ln, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer ln.Close()
	r := routeRecord{h.Name, true, ln.Addr().String(), c.To, c.TLS}
	how := "as it is"
	if c.TLS {
		how = "TLS to the machine"
	}
	if err := a.printer(column{"HOST", 16}, column{"HERE", 21}, column{"PORT", 5}, column{"HOW", 0}).
		record(r, plain(r.Host), plain(r.Address), plain(strconv.Itoa(r.Port)), plain(how)); err != nil {
		return err
	}
	return client.Route(ctx, ln, console.RouteOptions{Port: c.To, Secure: c.TLS, Max: c.Max, Event: func(err error) { a.note("%s: %v", h.Name, err) }})
}

func (c *routeCmd) open(ctx context.Context) (net.Listener, error) {
	address := c.Listen
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usage("", "--listen: %w", err)
	}
	if !isLoopback(host) && !c.Anyone {
		return nil, usage("--anyone says that this is meant", "--listen %s: everybody who reaches this computer could reach the machine", c.Listen)
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, usage("", "--listen: %w", err)
	}
	return ln, nil
}
