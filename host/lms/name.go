package lms

import (
	"context"
	"time"

	"github.com/outband/outband/wire/amthi"
)

// nameEvery is how often the firmware is told the name of the operating system, as it forgets. Source: spec lms.md
// section 2.
const nameEvery = time.Hour

// nameTime is how long telling may take.
const nameTime = 20 * time.Second

// tellName tells the firmware the name of the operating system, at once and every hour, until ctx ends.
func (s *Service) tellName(ctx context.Context) {
	if s.HostName == "" {
		return
	}
	ticker := time.NewTicker(nameEvery)
	defer ticker.Stop()
	for {
		if err := s.tellNameOnce(ctx); err != nil && ctx.Err() == nil {
			s.log().Warn("the firmware was not told this PC's name", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) tellNameOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nameTime)
	defer cancel()
	c, err := amthi.Dial(ctx, s.Bus)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.SetHostFQDN(ctx, s.HostName)
}
