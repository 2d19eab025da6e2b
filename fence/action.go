package fence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

var errStatus = errors.New("Failed: Unable to obtain correct plug status or plug is not available")

// act does an action that needs the device.
func (r *run) act(ctx context.Context, act string) (int, error) {
	if act == "list" || act == "list-status" || act == "monitor" && r.agent.List != nil {
		return 0, r.list(ctx, act)
	}
	if (act == "off" || act == "reboot") && r.t.delay > 0 {
		r.log.debugf("waiting %v before fencing", r.t.delay)
		if err := sleep(ctx, r.t.delay-time.Since(r.start)); err != nil {
			return 0, fmt.Errorf("Failed: broken off during delay: %w", err)
		}
	}
	targets, err := r.connect(ctx)
	defer func() {
		for _, t := range targets {
			if c, ok := t.Machine.(io.Closer); ok {
				_ = c.Close() // everything that matters has been read back
			}
		}
	}()
	if err != nil {
		return 0, fmt.Errorf("Unable to connect/login to fencing device: %w", err)
	}
	state, err := r.read(ctx, targets)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errStatus, err)
	}
	switch act {
	case "monitor":
		return exitOK, nil
	case "status":
		if state == Off {
			return exitOff, r.print("Status: OFF\n")
		}
		return exitOK, r.print("Status: ON\n")
	case "on":
		if state == On && !anyOff(targets) {
			return exitOK, r.print("Success: Already ON\n")
		}
		if err := r.on(ctx, targets, 1+r.t.retryOn, false); err != nil {
			return 0, err
		}
		return exitOK, r.print("Success: Powered ON\n")
	case "off":
		if state == Off {
			return exitOK, r.print("Success: Already OFF\n")
		}
		if err := r.off(ctx, targets); err != nil {
			return 0, err
		}
		return exitOK, r.print("Success: Powered OFF\n")
	case "diag":
		if anyOff(targets) {
			return 0, errors.New("Failed: the machine is off")
		}
		for _, t := range targets {
			if err := r.request(ctx, t, "diag", r.t.shell, t.Diag); err != nil {
				return 0, fmt.Errorf("Failed: diag: %w", err)
			}
		}
		return exitOK, r.print("Success: Diagnostic interrupt sent\n")
	}
	return r.reboot(ctx, targets, state) // options let nothing else through
}

// reboot is off, verified, then on; with method=cycle one reset for a machine that is on. Once a
// machine was seen off it is fenced, and what fails after that is only a warning.
func (r *run) reboot(ctx context.Context, targets []*target, state State) (int, error) {
	switch {
	case r.t.cycle && state == On:
		if err := r.cycle(ctx, targets); err != nil {
			return 0, err
		}
	case state == On:
		if err := r.off(ctx, targets); err != nil {
			return 0, err
		}
	}
	if anyOff(targets) {
		// fence-agents would not even try with retry_on=0, and forever without timeouts.
		if err := r.on(ctx, targets, max(1, r.t.retryOn), true); err != nil {
			r.log.warn("the machine is fenced, but does not come back: " + err.Error())
		}
	}
	return exitOK, r.print("Success: Rebooted\n")
}

// cycle resets what is on. A reset is asked for once: if its fate is not known it must not be
// repeated, and it is a failure. It leaves target.state as last read.
func (r *run) cycle(ctx context.Context, targets []*target) error {
	if err := r.boot(ctx, targets); err != nil {
		return err
	}
	for _, t := range targets {
		if t.state == Off {
			continue
		}
		if err := r.request(ctx, t, "reset", time.Duration(r.t.tries)*time.Second, t.Reset); err != nil {
			return fmt.Errorf("Failed: reset not verified: %w", err)
		}
		if err := sleep(ctx, r.t.wait); err != nil {
			return fmt.Errorf("Failed: broken off: %w", err)
		}
	}
	var last error
	err := r.poll(ctx, limit(r.t.tries), func(int) bool {
		_, last = r.read(ctx, targets)
		return last == nil
	})
	if err != nil {
		return fmt.Errorf("%w: after the reset: %w", errStatus, errors.Join(last, ctx.Err()))
	}
	return nil
}

// off takes the power from every machine and returns nil once all were seen off at the same time.
// A request that is refused is made again with every reading of the state, which an off allows: it
// does no more the second time. A machine that stays on gets the harder way if it has one.
func (r *run) off(ctx context.Context, targets []*target) error {
	for _, t := range targets {
		t.refused = r.request(ctx, t, "off", r.t.shell, t.Off)
		if err := sleep(ctx, r.t.wait); err != nil {
			return fmt.Errorf("Failed: broken off: %w", err)
		}
	}
	// How many readings a machine has to act on a request it took. Switching off needs about 5 s.
	patience := 10
	if r.t.tries > 0 {
		patience = min(patience, max(1, r.t.tries/2))
	}
	var last error
	err := r.poll(ctx, r.t.tries, func(try int) bool {
		var state State
		if state, last = r.read(ctx, targets); last == nil && state == Off {
			return true
		}
		for _, t := range targets {
			if t.state == Off || t.refused == nil && (try < patience || t.escalated) {
				continue
			}
			if !t.escalated {
				t.escalated = true
				if t.refused = r.request(ctx, t, "harder off", r.t.shell, t.Escalate); t.refused == nil {
					r.log.warn(t.name + ": still on; its power was taken in a harder way")
					continue
				}
			}
			t.refused = r.request(ctx, t, "off", r.t.shell, t.Off)
		}
		return false
	})
	if err == nil {
		return nil
	}
	for _, t := range targets {
		last = errors.Join(last, t.refused)
	}
	return because("Failed: Timed out waiting to power OFF", last, ctx.Err())
}

// on chooses the boot device, powers every machine on and returns nil once all were seen on. Each
// attempt is a request and its readings. Without timeouts there are attempts until the cluster
// loses patience, unless bounded.
func (r *run) on(ctx context.Context, targets []*target, attempts int, bounded bool) error {
	if err := r.boot(ctx, targets); err != nil {
		return err
	}
	var last error
	for attempt := 0; attempt < attempts || r.t.tries == 0 && !bounded; attempt++ {
		taken := true
		for _, t := range targets {
			if t.state == On {
				continue
			}
			if err := r.request(ctx, t, "on", r.t.shell, t.On); err != nil {
				taken, last = false, err
			}
			if err := sleep(ctx, r.t.wait); err != nil {
				return because("Failed: Timed out waiting to power ON", last, err)
			}
		}
		tries := limit(r.t.tries)
		if !taken {
			tries = 1 // it may have been carried out all the same
		}
		err := r.poll(ctx, tries, func(int) bool {
			state, err := r.read(ctx, targets)
			if err != nil {
				last = err
			}
			return err == nil && state == On && !anyOff(targets)
		})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return because("Failed: Timed out waiting to power ON", last, ctx.Err())
}

// boot applies boot_option to machines that are about to start.
func (r *run) boot(ctx context.Context, targets []*target) error {
	if r.t.boot == "" {
		return nil
	}
	for _, t := range targets {
		set := func(ctx context.Context) error { return r.agent.Boot(ctx, t.Machine, r.t.boot) }
		if err := r.request(ctx, t, "boot from "+r.t.boot, r.t.shell, set); err != nil {
			return fmt.Errorf("Failed: boot_option %s: %w", r.t.boot, err)
		}
	}
	return nil
}

// limit is the number of readings where there has to be an end even without timeouts.
func limit(tries int) int {
	if tries == 0 {
		return 20 // the default of power_timeout
	}
	return tries
}

var errPolledOut = errors.New("not in time")

// poll calls done until it says so, stonith_status_sleep apart, at first and after each of tries
// sleeps; 0 tries: without end. It fails with errPolledOut or as ctx does.
func (r *run) poll(ctx context.Context, tries int, done func(try int) bool) error {
	for try := 0; ; try++ {
		if done(try) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if tries > 0 && try == tries {
			return errPolledOut
		}
		if err := sleep(ctx, r.t.sleep); err != nil {
			return err
		}
	}
}

// list prints the machines of the device.
func (r *run) list(ctx context.Context, act string) error {
	if r.agent.List == nil {
		return r.print("NOTICE: List option is not working on this device yet\n")
	}
	var plugs []Plug
	err := r.request(ctx, &target{name: r.opt.IP}, "list", r.t.login, func(ctx context.Context) (err error) {
		plugs, err = r.agent.List(ctx, r.opt)
		return err
	})
	if err != nil {
		return fmt.Errorf("Unable to connect/login to fencing device: %w", err)
	}
	if act == "monitor" {
		return nil
	}
	for _, p := range plugs {
		line := p.ID + r.t.separator + p.Alias
		if act == "list-status" {
			word := map[State]string{On: "ON", Off: "OFF"}[p.State]
			if word == "" {
				word = "UNKNOWN"
			}
			line += r.t.separator + word
		}
		if err := r.print(line + "\n"); err != nil {
			return err
		}
	}
	return nil
}
