package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
)

// ErrMoved is an error of changes after which the machine has another address and was not found there.
var ErrMoved = errors.New("the settings were accepted, and the machine is not found again")

const (
	moveWait  = 20 * time.Second       // how long a machine may take to show up at its new address
	leaseWait = 8 * time.Second        // how long it is looked for where it was, or by its name, when DHCP decides
	movePause = 500 * time.Millisecond // between two looks
)

// reaches reports whether an address is the one that the Client talks to, as far as can be known: names are looked up.
func (c *Client) reaches(address string) bool {
	want, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	if own, err := netip.ParseAddr(c.cfg.Address); err == nil {
		return own.Unmap() == want
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.ConnectTimeout)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", c.cfg.Address)
	for _, a := range all {
		if err == nil && a.Unmap() == want {
			return true
		}
	}
	return false
}

// at returns a Client for the same machine at another address: with the account, the endpoint and the certificate that
// were found at the old one.
func (c *Client) at(ctx context.Context, address string) (*Client, error) {
	user, password, err := c.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	end, err := c.Endpoint(ctx)
	if err != nil {
		return nil, err
	}
	cfg := c.cfg
	cfg.Address, cfg.Username, cfg.Password = address, user, password
	cfg.Scheme, cfg.Port = end.Scheme, end.Port
	if end.TLS != nil && len(end.TLS.PeerCertificates) > 0 { // it is the same machine if it shows the same certificate
		cfg.TLS.Pin = Fingerprint(end.TLS.PeerCertificates[0])
	}
	return New(cfg)
}

// follow finds a machine after its address was changed: at to, or, when DHCP decides, where it was and by its name. It
// ends when the machine answers. The Client that is returned is c or must be closed. Errors wrap [ErrMoved].
func (c *Client) follow(ctx context.Context, to string, old *Network) (*Client, error) {
	places, wait := []string{to}, moveWait
	if to == "" {
		places, wait = []string{c.cfg.Address}, leaseWait
		if old.HostName != "" && old.Domain != "" && old.HostName+"."+old.Domain != c.cfg.Address {
			places = append(places, old.HostName+"."+old.Domain)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var last error
	for {
		for _, place := range places {
			found, err := c.at(ctx, place)
			if err == nil {
				if err = found.answers(ctx, old); err == nil {
					if place == c.cfg.Address {
						return c, found.Close()
					}
					return found, nil
				}
				found.Close()
			}
			last = err
			if !errors.Is(err, ErrUnreachable) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrCut) && place == to {
				return c, fmt.Errorf("%w: what is at %s is not it: %w", ErrMoved, place, err)
			}
		}
		select {
		case <-time.After(movePause):
		case <-ctx.Done():
			if to == "" {
				return c, fmt.Errorf("%w: it has left %s for an address that DHCP gives it", ErrMoved, c.cfg.Address)
			}
			return c, fmt.Errorf("%w at its new address: %w", ErrMoved, last)
		}
	}
}

// answers sees that it is the same machine that answers, by the MAC address of its wired port.
func (c *Client) answers(ctx context.Context, old *Network) error {
	ports, err := class.All[amt.EthernetPortSettings](ctx, c)
	if err != nil {
		return err
	}
	want := old.Port(Wired)
	for _, p := range ports {
		if !isWireless(p) && want != nil && newPort(p).MAC != want.MAC {
			return errors.New("another machine answers")
		}
	}
	return nil
}
