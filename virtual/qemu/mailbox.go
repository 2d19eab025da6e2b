package qemu

import "sync"

// A mailbox hands values from who may not wait to who does.
type mailbox[T any] struct {
	mu    sync.Mutex
	list  []T
	ready chan struct{} // capacity 1: list is not empty
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{ready: make(chan struct{}, 1)} }

func (b *mailbox[T]) put(v T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, v)
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

func (b *mailbox[T]) take() (v T, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.list) == 0 {
		return v, false
	}
	v, b.list = b.list[0], b.list[1:]
	return v, true
}

// get waits for the next value. After end is closed it gives what is left.
func (b *mailbox[T]) get(end <-chan struct{}) (v T, ok bool) {
	for {
		if v, ok = b.take(); ok {
			return v, true
		}
		select {
		case <-b.ready:
		case <-end:
			return b.take()
		}
	}
}
