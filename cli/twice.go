package cli

import (
	"fmt"
	"strings"

	"github.com/outband/outband/console/hosts"
)

// Twice is how a user says again which machine is meant, before something is done that cannot be undone.
type Twice struct {
	Yes string `placeholder:"HOST" help:"The machine's name once more, instead of being asked for it."`
}

// check has the machine named a second time: by the flag, or by somebody at the terminal.
func (t *Twice) check(a *app, h hosts.Host, what string) error {
	again := t.Yes
	if again == "" {
		if !a.interactive() {
			return usage(fmt.Sprintf("--yes %s names it", h.Name), "%s: this cannot be undone, and the machine must be named twice", what)
		}
		done := a.prompt(fmt.Sprintf("%s. This cannot be undone. Type %s to go on:", what, h.Name))
		line, err := a.answer()
		done("")
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		again = strings.TrimSpace(line)
	}
	if again != h.Name {
		return usage("", "the machine is %s, and was named %q the second time; nothing was sent", h.Name, again)
	}
	return nil
}
