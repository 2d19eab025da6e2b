package hosts

import (
	"context"
	"os"
	"time"
)

// lockFile waits for an exclusive lock on the file at path, which it creates and leaves. The
// kernel holds the lock for the open file, so a holder that dies lets go of it.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		held, err := tryLock(f)
		if held {
			return func() { f.Close() }, nil // closing unlocks
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}
