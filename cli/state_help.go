package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

// secrets finds the secrets that a state names: in the environment, in files beside it, or by asking, once for each name.
func (a *app) secrets(file string) console.Secrets {
	var mu sync.Mutex
	asked := map[string]string{}
	return func(name string) (string, error) {
		if variable, ok := strings.CutPrefix(name, "env:"); ok {
			if value := a.env(variable); value != "" {
				return value, nil
			}
			return "", fmt.Errorf("%s is not set", variable)
		}
		if what, ok := strings.CutPrefix(name, "prompt:"); ok {
			mu.Lock()
			defer mu.Unlock()
			if value, ok := asked[what]; ok {
				return value, nil
			}
			value, ok, err := a.askPassword("secret of " + what)
			switch {
			case err != nil:
				return "", err
			case !ok:
				return "", errors.New("nobody is there to be asked for it")
			case value == "":
				return "", errors.New("none was given")
			}
			asked[what] = value
			return value, nil
		}
		if !filepath.IsAbs(name) && file != "-" {
			name = filepath.Join(filepath.Dir(file), name)
		}
		return readPasswordFile(name)
	}
}

// help is what applying a state needs beside the machines.
func (c *stateApplyCmd) help(a *app, list []hosts.Host) (*console.StateHelp, error) {
	if _, err := c.options(a, hosts.Host{}, nil); err != nil {
		return nil, err
	}
	byAddress := map[string]hosts.Host{}
	for _, h := range list {
		byAddress[h.Address] = h
	}
	return &console.StateHelp{
		Secret: a.secrets(c.File),
		TLS: func(ctx context.Context, client *console.Client, want console.StateTLS) error {
			return c.protect(ctx, a, byAddress[client.Address()], client, want)
		},
		Again: func(ctx context.Context, client *console.Client) (*console.Client, error) {
			h := byAddress[client.Address()]
			db, err := a.database()
			if err != nil {
				return nil, err
			}
			if entry, err := db.Get(h.Name); err == nil {
				h = entry
			}
			return a.connectKnown(ctx, h, []tls.Certificate{})
		},
	}, nil
}

// protect has a machine be reached as a state says, and remembers it.
func (c *stateApplyCmd) protect(ctx context.Context, a *app, h hosts.Host, client *console.Client, want console.StateTLS) error {
	now, err := client.TLS(ctx)
	if err != nil {
		return err
	}
	if now.Network == nil {
		return fmt.Errorf("%w: no TLS settings", console.ErrUnsupported)
	}
	if !*want.Enabled {
		o, err := c.options(a, h, func(entry *hosts.Host, _ console.TLSProof) {
			reachBy(entry, console.HTTP)
			entry.Pin, entry.CAFile, entry.CertFile, entry.KeyFile = "", "", "", ""
		})
		if err == nil {
			_, err = client.DisableTLS(ctx, o, false)
		}
		return err
	}
	authority, file, err := c.authority(a)
	if err != nil {
		return err
	}
	var names []string
	if want.TrustedNames != nil {
		names = *want.TrustedNames
	}
	if now.Network.Mutual && !*want.Mutual {
		o, err := c.options(a, h, func(entry *hosts.Host, _ console.TLSProof) { entry.CertFile, entry.KeyFile = "", "" })
		if err != nil {
			return err
		}
		if now, err = client.SingleTLS(ctx, o); err != nil {
			return err
		}
	}
	if !now.Network.Enabled || !*want.Mutual && now.Network.Plain != *want.Plain {
		o := console.EnableTLS{Authority: authority, Days: c.Days, KeepPlain: *want.Plain}
		o.TLSChange, err = c.options(a, h, func(entry *hosts.Host, _ console.TLSProof) {
			reachBy(entry, console.HTTPS)
			entry.Pin, entry.CAFile = "", file
		})
		if err != nil {
			return err
		}
		if now, err = client.EnableTLS(ctx, o); err != nil {
			return err
		}
		a.unknownEntry(h, "--ca", file)
		if client, err = a.anew(ctx, h, file); err != nil {
			return err
		}
		defer client.Close()
	}
	if !*want.Mutual || now.Network.Mutual && now.Network.Plain == *want.Plain && slices.Equal(now.Network.TrustedNames, names) {
		return nil
	}
	pair, certFile, keyFile, err := a.consolePair(ctx, authority, c.Days)
	if err != nil {
		return err
	}
	o := console.MutualTLS{Root: authority.Root(), Certificate: pair, Names: names, KeepPlain: *want.Plain}
	o.TLSChange, err = c.options(a, h, func(entry *hosts.Host, _ console.TLSProof) {
		reachBy(entry, console.HTTPS)
		entry.CertFile, entry.KeyFile = certFile, keyFile
	})
	if err == nil {
		_, err = client.MutualTLS(ctx, o)
	}
	if err == nil {
		a.unknownEntry(h, "--ca", file, "--cert", certFile, "--key", keyFile)
	}
	return err
}

// anew connects to a machine that speaks TLS now: as its entry says, or by the authority.
func (a *app) anew(ctx context.Context, h hosts.Host, ca string) (*console.Client, error) {
	db, err := a.database()
	if err != nil {
		return nil, err
	}
	if entry, err := db.Get(h.Name); err == nil {
		h = entry
	} else {
		reachBy(&h, console.HTTPS)
		h.CAFile = ca
	}
	return a.connectKnown(ctx, h, []tls.Certificate{})
}
