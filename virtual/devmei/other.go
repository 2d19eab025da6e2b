//go:build !linux || !(amd64 || arm64)

package devmei

import (
	"context"
	"log/slog"
)

func (p *Program) run(context.Context, *slog.Logger) (int, error) { return 0, ErrUnsupported }
