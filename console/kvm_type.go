package console

import (
	"context"
	"fmt"
	"time"

	"github.com/outband/outband/wire/rfb"
)

// keyPause is the time between two keys of a text: firmware drops what comes faster. Source: spec kvm.md section 7.
const keyPause = 15 * time.Millisecond

// maxTyped is how long a text may be: typing it takes a minute.
const maxTyped = 4096

// checkTyped tells what keeps a text from being typed on the US keyboard. Errors wrap [ErrUsage].
func checkTyped(text string) error {
	if len(text) > maxTyped {
		return fmt.Errorf("%w: a text of %d bytes is too long to be typed; %d may be", ErrUsage, len(text), maxTyped)
	}
	for _, r := range text {
		if _, _, ok := rfb.TypeRune(r); !ok {
			return fmt.Errorf("%w: the keyboard has no key for %q", ErrUsage, r)
		}
	}
	return nil
}

// typeText types a text, key by key.
func typeText(ctx context.Context, up *rfb.Client, text string) error {
	for _, r := range text {
		sym, shift, ok := rfb.TypeRune(r)
		if !ok {
			continue
		}
		keys := []uint32{sym}
		if shift {
			keys = []uint32{rfb.KeyShift, sym}
		}
		if err := press(up, keys); err != nil {
			return err
		}
		select {
		case <-time.After(keyPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Type types a text on the machine's keyboard, as the keys of a US keyboard; line ends are Enter. A text that it has no
// keys for, or that is too long, is an error that wraps [ErrUsage], and nothing is typed.
func (s *Share) Type(ctx context.Context, text string) error {
	if err := checkTyped(text); err != nil {
		return fmt.Errorf("type: %w", err)
	}
	s.mu.Lock()
	up := s.upstream
	s.mu.Unlock()
	if up == nil {
		return errNoSession
	}
	return typeText(ctx, up, text)
}
