package fence

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// target is one machine of an action. Most agents have exactly one.
type target struct {
	Machine
	name      string
	state     State // as last read
	refused   error // why the last request to switch off came to nothing; nil: it was taken
	escalated bool  // the harder way has been tried
}

// connect reaches every machine of the action.
func (r *run) connect(ctx context.Context) ([]*target, error) {
	plugs := r.t.plugs
	if r.agent.List == nil {
		plugs = []string{""}
	}
	var targets []*target
	for _, plug := range plugs {
		o := r.opt
		o.Plug = plug
		t := &target{name: o.IP}
		if plug != "" {
			t.name += " " + plug
		}
		err := r.request(ctx, t, "connect", r.t.login, func(ctx context.Context) (err error) {
			t.Machine, err = r.agent.Connect(ctx, o)
			return err
		})
		if err != nil {
			return targets, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// read asks every machine for its state: Off if all are off, else On.
func (r *run) read(ctx context.Context, targets []*target) (State, error) {
	all := Off
	var failed error
	for _, t := range targets {
		t.state = Unknown
		err := r.request(ctx, t, "status", r.t.shell, func(ctx context.Context) (err error) {
			if t.state, err = t.Power(ctx); err == nil && t.state != On && t.state != Off {
				err = fmt.Errorf("power state %q", t.state)
			}
			return err
		})
		if err != nil {
			t.state = Unknown
			failed = errors.Join(failed, err)
			continue
		}
		r.log.debugf("%s is %s", t.name, t.state)
		if t.state == On {
			all = On
		}
	}
	if failed != nil {
		return Unknown, failed
	}
	return all, nil
}

func anyOff(targets []*target) bool {
	for _, t := range targets {
		if t.state == Off {
			return true
		}
	}
	return false
}

// request makes one call within a time limit; 0: none but that of ctx.
func (r *run) request(ctx context.Context, t *target, what string, limit time.Duration, call func(context.Context) error) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
		defer cancel()
	}
	r.log.debugf("%s: %s", t.name, what)
	err := call(ctx)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
		r.log.debugf("%s: %s: %v", t.name, what, err)
	}
	return err
}

// because appends what is known of the reason to a message that people search for.
func because(message string, reasons ...error) error {
	if err := errors.Join(reasons...); err != nil {
		return fmt.Errorf("%s: %w", message, err)
	}
	return errors.New(message)
}

// sleep waits for d, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
