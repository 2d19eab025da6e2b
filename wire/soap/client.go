package soap

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A Poster carries one POST of [ContentType] to a machine, authenticated, and brings back the answer. soapAction is to
// be sent as the header SOAPAction, in quotes.
type Poster interface {
	Post(ctx context.Context, path, soapAction string, body []byte) (httpStatus int, reply []byte, err error)
}

// ErrNoService tells that the machine does not offer the interface: its release is past 8, or WsmanOnlyMode is set.
var ErrNoService = errors.New("no SOAP service")

// A Client makes calls to one machine. Safe for concurrent use if the Poster is.
type Client struct {
	Poster Poster
}

// Call makes a call and returns what the method gives back. A refusal is a [*status.Error], a fault a [*Fault]; other
// errors wrap [ErrNoService], [ErrMessage], or are the Poster's.
func (c *Client) Call(ctx context.Context, service Service, method string, params ...wsman.Element) ([]wsman.Element, error) {
	call := Call{Service: service, Method: method, Params: params}
	code, doc, err := c.Poster.Post(ctx, service.Path(), service.Action(method), call.Append(nil))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s.%s: %w", service, method, err)
	case code == http.StatusNotFound:
		return nil, fmt.Errorf("%s.%s: %w", service, method, ErrNoService)
	case code != http.StatusOK && code != http.StatusInternalServerError:
		return nil, fmt.Errorf("%s.%s: %w: HTTP status %d", service, method, ErrMessage, code)
	}
	reply, err := ParseReply(service, method, doc)
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", service, method, err)
	}
	return reply.Params, status.Check(string(service)+"."+method, reply.Status)
}

// text makes a call without parameters that gives back one text.
func (c *Client) text(ctx context.Context, service Service, method string) (string, error) {
	params, err := c.Call(ctx, service, method)
	if err != nil {
		return "", err
	}
	if len(params) == 0 {
		return "", fmt.Errorf("%s.%s: %w: nothing came back", service, method, ErrMessage)
	}
	return params[0].TrimText(), nil
}

// GetCoreVersion returns the release of the firmware: "7.1.91".
func (c *Client) GetCoreVersion(ctx context.Context) (string, error) {
	return c.text(ctx, SecurityAdministration, "GetCoreVersion")
}

// GetHostName returns the name of the machine, without domain.
func (c *Client) GetHostName(ctx context.Context) (string, error) {
	return c.text(ctx, NetworkAdministration, "GetHostName")
}

// GetDomainName returns the domain of the machine.
func (c *Client) GetDomainName(ctx context.Context) (string, error) {
	return c.text(ctx, NetworkAdministration, "GetDomainName")
}

// GetSystemPowerState returns the power state; bits above the state are cleared.
func (c *Client) GetSystemPowerState(ctx context.Context) (SystemPowerState, error) {
	params, err := c.Call(ctx, RemoteControl, "GetSystemPowerState")
	if err != nil {
		return 0, err
	}
	if len(params) == 0 {
		return 0, fmt.Errorf("%s.GetSystemPowerState: %w: nothing came back", RemoteControl, ErrMessage)
	}
	n, err := number(&params[0], 32, 0)
	return SystemPowerState(n & 0xf), err
}

// GetRemoteControlCapabilities returns what RemoteControl can be asked for.
func (c *Client) GetRemoteControlCapabilities(ctx context.Context) (Capabilities, error) {
	params, err := c.Call(ctx, RemoteControl, "GetRemoteControlCapabilities")
	if err != nil {
		return Capabilities{}, err
	}
	return parseCapabilities(params)
}

// RemoteControl asks for a change of power, and says how to boot. It returns when the firmware has said yes or no.
func (c *Client) RemoteControl(ctx context.Context, r RemoteControlRequest) error {
	_, err := c.Call(ctx, RemoteControl, "RemoteControl", r.Params()...)
	return err
}

// EnumerateInterfaces returns the handles of the network interfaces.
func (c *Client) EnumerateInterfaces(ctx context.Context) ([]uint32, error) {
	params, err := c.Call(ctx, NetworkAdministration, "EnumerateInterfaces")
	if err != nil {
		return nil, err
	}
	handles := make([]uint32, len(params))
	for i := range params {
		n, err := number(&params[i], 32, 0)
		if err != nil {
			return nil, err
		}
		handles[i] = uint32(n)
	}
	return handles, nil
}

// GetInterfaceSettings returns the setting of an interface.
func (c *Client) GetInterfaceSettings(ctx context.Context, handle uint32) (*InterfaceDescriptor, error) {
	params, err := c.Call(ctx, NetworkAdministration, "GetInterfaceSettings", HandleParams(handle)...)
	if err != nil {
		return nil, err
	}
	if len(params) == 0 {
		return nil, fmt.Errorf("%s.GetInterfaceSettings: %w: nothing came back", NetworkAdministration, ErrMessage)
	}
	return ParseInterfaceDescriptor(&params[0])
}

// SetInterfaceSettings changes the setting of an interface.
func (c *Client) SetInterfaceSettings(ctx context.Context, handle uint32, d *InterfaceDescriptor) error {
	_, err := c.Call(ctx, NetworkAdministration, "SetInterfaceSettings", append(HandleParams(handle), d.Element())...)
	return err
}
