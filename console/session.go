package console

import (
	"context"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/redir"
)

// SessionOpen reports whether somebody, from wherever, has a redirection session of a kind open now. Nil: the machine
// does not tell. Source: IPS_SolSessionUsingPort and its like, of which there is an instance per session.
func (c *Client) SessionOpen(ctx context.Context, kind redir.Kind) (*bool, error) {
	var open *bool
	var err error
	switch kind {
	case redir.SOL:
		open, err = hasAny[ips.SolSessionUsingPort](ctx, c)
	case redir.IDER:
		open, err = hasAny[ips.IderSessionUsingPort](ctx, c)
	case redir.KVM:
		open, err = hasAny[ips.KvmSessionUsingPort](ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	return open, nil
}

// hasAny reports whether there is an instance of a class; nil: the machine does not know the class.
func hasAny[T any, P class.Pointer[T]](ctx context.Context, c *Client) (*bool, error) {
	all, err := list[T, P](ctx, c)
	if err != nil || !c.knows(P(nil).ClassName()) {
		return nil, err
	}
	return new(len(all) > 0), nil
}
