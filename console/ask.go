package console

import (
	"context"
	"sync"

	"github.com/outband/outband/class"
)

// ask reads the one instance of a class that a machine may lack: nil and no error then. It asks once only.
func ask[T any, P class.Pointer[T]](ctx context.Context, c *Client) (*T, error) {
	name := P(nil).ClassName()
	if !c.knows(name) {
		return nil, nil
	}
	v, err := class.Get[T, P](ctx, c)
	if isAbsent(err) {
		c.lacks(name)
		return nil, nil
	}
	return v, err
}

// list reads all instances of a class that a machine may lack.
func list[T any, P class.Pointer[T]](ctx context.Context, c *Client) ([]*T, error) {
	name := P(nil).ClassName()
	if !c.knows(name) {
		return nil, nil
	}
	all, err := class.All[T, P](ctx, c)
	if isAbsent(err) {
		c.lacks(name)
		return nil, nil
	}
	return all, err
}

// together runs all of do at once and returns the first error in order. The connections of the machine are few: how
// many requests really run at once is decided there.
func together(do ...func() error) error {
	errs := make([]error, len(do))
	var group sync.WaitGroup
	for i, f := range do {
		group.Go(func() { errs[i] = f() })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
