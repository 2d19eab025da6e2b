package amthi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
)

// A Client gives commands over one connection, one at a time; others wait. The zero Timeout is the default.
//
// A refusal is a *status.Error. AMT switched off is ErrDisabled. A connection that fails, or a call that is given up
// (its answer would be taken for the next one's), leaves the Client unusable: connect anew.
type Client struct {
	Conn    mei.Conn
	Timeout time.Duration // for one command; default 20 s. An earlier deadline of ctx comes first

	mu    sync.Mutex
	stale error // why Conn cannot be used any more
}

// Dial connects to AMTHI.
func Dial(ctx context.Context, bus mei.Bus) (*Client, error) {
	c, err := bus.Connect(ctx, mei.AMTHI)
	if err != nil {
		return nil, err
	}
	return &Client{Conn: c}, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.Conn.Close() }

// Do gives any command; the methods of Client are this with friendlier types.
func Do[In, Out Data](ctx context.Context, c *Client, command Command[In, Out], in In) (Out, error) {
	data, err := c.call(ctx, command.Name, Request{command.Number, in.Append(nil)})
	if err != nil {
		var zero Out
		return zero, err
	}
	return command.ParseResponse(data)
}

// call sends a request and returns the data of its successful answer.
func (c *Client) call(ctx context.Context, name string, request Request) ([]byte, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale != nil {
		return nil, fmt.Errorf("%s: connection unusable since: %w", name, c.stale)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
	answer, err := mei.Call(ctx, c.Conn, request.Append(nil))
	if err == nil {
		var response Response
		if response, err = ParseResponse(answer); err == nil {
			if response.Number == request.Number {
				return response.Data, status.Check(name, response.Status)
			}
			err = fmt.Errorf("amthi: %w: command %08x", ErrProtocol, uint32(response.Number))
		}
		if errors.Is(err, ErrDisabled) { // a whole answer; the connection is in step
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if !errors.Is(err, mei.EFBIG) { // that was never sent
		c.stale = err
	}
	return nil, fmt.Errorf("%s: %w", name, err)
}

// CodeVersions returns the versions of BIOS and firmware.
func (c *Client) CodeVersions(ctx context.Context) (CodeVersions, error) {
	return Do(ctx, c, GetCodeVersions, None{})
}

// UUID returns the machine's UUID.
func (c *Client) UUID(ctx context.Context) (guid.GUID, error) {
	id, err := Do(ctx, c, GetUUID, None{})
	return guid.GUID(id), err
}

// ControlMode returns who controls AMT.
func (c *Client) ControlMode(ctx context.Context) (ControlMode, error) {
	return Do(ctx, c, GetControlMode, None{})
}

// ProvisioningState returns how far setup has come.
func (c *Client) ProvisioningState(ctx context.Context) (ProvisioningState, error) {
	return Do(ctx, c, GetProvisioningState, None{})
}

// DNSSuffix returns the suffix against which a setup certificate is matched; "" if none is set.
func (c *Client) DNSSuffix(ctx context.Context) (string, error) {
	s, err := Do(ctx, c, GetDNSSuffix, None{})
	return string(s), err
}

// CertificateHashHandles returns the handles of the root certificates.
func (c *Client) CertificateHashHandles(ctx context.Context) ([]uint32, error) {
	return Do(ctx, c, EnumerateHashHandles, None{})
}

// CertificateHash returns one of them. A handle that does not exist is refused.
func (c *Client) CertificateHash(ctx context.Context, handle uint32) (CertificateHash, error) {
	return Do(ctx, c, GetCertificateHash, Word(handle))
}

// CertificateHashes returns all of them.
func (c *Client) CertificateHashes(ctx context.Context) ([]CertificateHash, error) {
	handles, err := c.CertificateHashHandles(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]CertificateHash, 0, len(handles))
	for _, h := range handles {
		entry, err := c.CertificateHash(ctx, h)
		if err != nil {
			return nil, err
		}
		all = append(all, entry)
	}
	return all, nil
}

// LANInterfaceSettings returns an interface's settings. ok is false if the machine does not have it.
func (c *Client) LANInterfaceSettings(ctx context.Context, i Interface) (settings LAN, ok bool, err error) {
	settings, err = Do(ctx, c, GetLANSettings, i)
	var refused *status.Error
	if i != Wired && errors.As(err, &refused) {
		return LAN{}, false, nil
	}
	return settings, err == nil && settings.MAC != MAC{}, err
}

// LocalSystemAccount returns the account for the local ports.
func (c *Client) LocalSystemAccount(ctx context.Context) (LocalAccount, error) {
	return Do(ctx, c, GetLocalSystemAccount, Reserved40{})
}

// RemoteAccessConnectionStatus returns the state of the tunnel to a gateway.
func (c *Client) RemoteAccessConnectionStatus(ctx context.Context) (RemoteAccess, error) {
	return Do(ctx, c, GetRemoteAccessStatus, None{})
}

// StartConfigurationHBased begins setup over TLS from the machine itself. NotReady statuses pass: ask again in 2 s.
func (c *Client) StartConfigurationHBased(ctx context.Context, request HostBased) (HostBasedReply, error) {
	return Do(ctx, c, StartConfigurationHBased, request)
}

// StopConfiguration goes from "in provisioning" back to "pre". StartConfigurationHBased works again some 20 s later.
func (c *Client) StopConfiguration(ctx context.Context) error {
	_, err := Do(ctx, c, StopConfiguration, None{})
	return err
}

// Unprovision takes AMT out of client control; in admin control it is refused with InvalidPTMode.
func (c *Client) Unprovision(ctx context.Context) error {
	_, err := Do(ctx, c, Unprovision, Word(0))
	return err
}

// OpenUserInitiatedConnection asks for a tunnel to the gateway.
func (c *Client) OpenUserInitiatedConnection(ctx context.Context) error {
	_, err := Do(ctx, c, OpenUserInitiated, None{})
	return err
}

// CloseUserInitiatedConnection closes it.
func (c *Client) CloseUserInitiatedConnection(ctx context.Context) error {
	_, err := Do(ctx, c, CloseUserInitiated, None{})
	return err
}

// SetHostFQDN tells the firmware the operating system's name.
func (c *Client) SetHostFQDN(ctx context.Context, name string) error {
	_, err := Do(ctx, c, SetHostFQDN, Text(name))
	return err
}

// SetEnterpriseAccess tells whether the host has access to the company's network, and returns what came of it: one of
// the Access constants, or success.
func (c *Client) SetEnterpriseAccess(ctx context.Context, access EnterpriseAccess) (status.Status, error) {
	_, err := Do(ctx, c, SetEnterpriseAccess, access)
	var refused *status.Error
	if errors.As(err, &refused) && refused.Code >= AccessNotGranted && refused.Code <= AccessGrantedWithDDNS {
		return refused.Code, nil
	}
	return status.Success, err
}
