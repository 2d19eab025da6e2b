package power

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// A Program is a program of the administrator's that is run with a wish as its only argument: shutdown, reboot, sleep or
// hibernate. It must end when it has set things going; an exit code other than 0 says that it has not.
type Program struct {
	Path string
}

// maxProgramText is how much of what a program says is repeated, in octets.
const maxProgramText = 200

// Can is true for all: what the program does not know it refuses.
func (p *Program) Can(context.Context, Wish) (bool, error) { return true, nil }

// Do runs the program.
func (p *Program) Do(ctx context.Context, w Wish) error {
	said, err := exec.CommandContext(ctx, p.Path, w.String()).CombinedOutput()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		text := strings.TrimSpace(string(said))
		return fmt.Errorf("%s: %w: %.*q", p.Path, err, maxProgramText, text)
	}
	return err
}
