package cli

import (
	"context"
	"fmt"

	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/wsman"
)

// amttoolSOAP is a machine of releases 1 to 8.
type amttoolSOAP struct{ c *soap.Client }

func (m amttoolSOAP) CoreVersion(ctx context.Context) (string, error) { return m.c.GetCoreVersion(ctx) }
func (m amttoolSOAP) HostName(ctx context.Context) (string, error)    { return m.c.GetHostName(ctx) }
func (m amttoolSOAP) DomainName(ctx context.Context) (string, error)  { return m.c.GetDomainName(ctx) }
func (m amttoolSOAP) PowerState(ctx context.Context) (soap.SystemPowerState, error) {
	return m.c.GetSystemPowerState(ctx)
}
func (m amttoolSOAP) Capabilities(ctx context.Context) (soap.Capabilities, error) {
	return m.c.GetRemoteControlCapabilities(ctx)
}
func (m amttoolSOAP) RemoteControl(ctx context.Context, r soap.RemoteControlRequest) error {
	return m.c.RemoteControl(ctx, r)
}
func (m amttoolSOAP) Interfaces(ctx context.Context) ([]uint32, error) {
	return m.c.EnumerateInterfaces(ctx)
}
func (m amttoolSOAP) SetInterface(ctx context.Context, handle uint32, d *soap.InterfaceDescriptor) error {
	return m.c.SetInterfaceSettings(ctx, handle, d)
}

// Interface returns the descriptor as it came, since amttool prints whatever is in it.
func (m amttoolSOAP) Interface(ctx context.Context, handle uint32) (*wsman.Element, error) {
	out, err := m.c.Call(ctx, soap.NetworkAdministration, "GetInterfaceSettings", soap.HandleParams(handle)...)
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no interface descriptor", soap.ErrMessage)
	}
	return &out[0], nil
}
