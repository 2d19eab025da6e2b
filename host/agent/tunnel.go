package agent

import (
	"context"
	"fmt"

	"github.com/outband/outband/wire/amthi"
)

// Tunnel has AMT open a tunnel to its gateway, as its user asks for, or close it, and returns when AMT says that it
// is so. A refusal is a *status.Error; if the time of ctx is over first the error wraps ErrNotReached. Source: spec
// amthi.md section 3.12.
func (a *Agent) Tunnel(ctx context.Context, shut bool) (now amthi.RemoteAccess, err error) {
	err = a.ask(ctx, func(c *amthi.Client) error {
		if shut {
			return c.CloseUserInitiatedConnection(ctx)
		}
		return c.OpenUserInitiatedConnection(ctx)
	})
	for err == nil {
		err = a.ask(ctx, func(c *amthi.Client) (err error) { now, err = c.RemoteAccessConnectionStatus(ctx); return err })
		if err != nil || (now.Status == amthi.RemoteNotConnected) == shut && now.Status != amthi.RemoteConnecting {
			break
		}
		if !pause(ctx, lookEvery) {
			err = fmt.Errorf("%w: the tunnel is %v", ErrNotReached, now.Status)
		}
	}
	return now, err
}
