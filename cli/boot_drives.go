package cli

import (
	"context"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/redir"
)

// remarkDrives tells if nobody shows a machine the drive that it is about to boot from. A machine that does not tell is
// believed to have it.
func (a *app) remarkDrives(ctx context.Context, client *console.Client) {
	open, err := client.SessionOpen(ctx, redir.IDER)
	switch {
	case err != nil:
		a.detail("%s: %v", client.Address(), err)
	case open != nil && !*open:
		a.note("warning: %s has no redirected drives now: it will find nothing to boot there", client.Address())
		a.note("hint: outband ider HOST IMAGE shows it an image; leave that running and boot from another terminal")
	}
}
