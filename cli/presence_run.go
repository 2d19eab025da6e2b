package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/outband/outband/console"
)

type presenceRunCmd struct {
	Host    string        `arg:"" help:"The machine that watches: a name of the hosts database or an address; on the machine itself, that of its local service."`
	Program []string      `arg:"" optional:"" help:"Program to run, with its arguments, after --; default is to send heartbeats only."`
	Agent   string        `required:"" placeholder:"AGENT" help:"The watchdog: GUID or name of the program."`
	For     time.Duration `placeholder:"TIME" help:"Without a program: end after that time."`
}

func (presenceRunCmd) Help() string {
	return "Registers the program with AMT and sends its heartbeats for as long as it runs. When it ends with exit status 0, or when this command is " +
		"told to end, AMT hears that it has stopped; when it crashes (any other exit status, a signal) AMT hears no more, and its watchdog expires. " +
		"The account needs the realm agent-local. What the program prints goes through; with -o json its output goes to standard error. " +
		"It does not see the password in its environment.\n\n" +
		example("outband presence run nuc1 --agent antivirus", "outband presence run nuc1 --agent 03020100-0504-0706-0809-0a0b0c0d0e0f -- /usr/sbin/backupd --foreground")
}

// A presenceRunRecord is one life of a watched program.
type presenceRunRecord struct {
	Host  string   `json:"host"`
	OK    bool     `json:"ok"`
	Agent string   `json:"agent,omitempty"` // GUID
	Name  string   `json:"name,omitempty"`
	Beats int      `json:"beats"`
	State string   `json:"state,omitempty"`       // stopped, once AMT says so
	Exit  *int     `json:"exit_status,omitempty"` // of the program
	Error *problem `json:"error,omitempty"`
}

// Ending a program: how long it may take after SIGTERM, and how long AMT may take to be told.
const (
	programPatience  = 10 * time.Second
	shutdownPatience = 20 * time.Second
)

func (c *presenceRunCmd) Run(a *app) error {
	if c.For > 0 && len(c.Program) > 0 {
		return usage("", "--for is for heartbeats without a program")
	}
	h, client, err := a.reach(c.Host)
	if err != nil {
		return err
	}
	defer client.Close()
	r := presenceRunRecord{Host: h.Name}
	if err = c.watched(a, client, &r); err != nil {
		r.Error = problemOf(judge(err))
	}
	r.OK = err == nil
	out := a.printer(column{"HOST", len(h.Name)}, column{"NAME", 16}, column{"HEARTBEATS", 0}, column{"STATE", 0})
	var printed error
	if err != nil {
		printed = out.failed(r, false, nil)
	} else {
		printed = out.record(r, plain(r.Host), plain(r.Name), plain(fmt.Sprint(r.Beats)), plain(r.State))
	}
	return errors.Join(err, printed)
}

// watched registers, beats while the program runs, and says good-bye if it ends well.
func (c *presenceRunCmd) watched(a *app, client *console.Client, r *presenceRunRecord) error {
	var cmd *exec.Cmd
	if len(c.Program) > 0 {
		if cmd = c.command(a); cmd.Err != nil {
			return usage("", "start the program: %w", cmd.Err)
		}
	}
	agent, err := client.RegisterAgent(a.ctx, c.Agent)
	if err != nil {
		return err
	}
	r.Agent, r.Name = agent.Watchdog.ID.String(), agent.Watchdog.Name
	agent.OnTrouble = func(err error) {
		if err != nil {
			a.note("%v; trying again", err)
			return
		}
		a.note("heartbeats of %s get through again", r.Name)
	}
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	var beating error
	var beats sync.WaitGroup
	beats.Go(func() {
		if beating = agent.Run(ctx); beating != nil && cmd == nil {
			cancel()
		} else if beating != nil {
			a.note("%v; the program runs on unwatched", beating)
		}
	})
	if cmd != nil {
		err = c.program(a, cmd, r)
	} else {
		a.note("%s runs, as far as AMT knows: a heartbeat at least every %v; Ctrl-C ends", r.Name, agent.Timeout)
		c.wait(ctx)
	}
	cancel()
	beats.Wait()
	r.Beats = agent.Beats
	switch {
	case err != nil && cmd.Process != nil: // silence: AMT is to notice
		return err
	case beating != nil:
		return beating
	}
	last, done := context.WithTimeout(context.WithoutCancel(a.ctx), shutdownPatience)
	defer done()
	if err := agent.Shutdown(last); err != nil {
		return err
	}
	r.State = agentStateText(agent.Watchdog.State)
	return err
}

// wait returns when ctx ends, or the time is up.
func (c *presenceRunCmd) wait(ctx context.Context) {
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	<-ctx.Done()
}

// command is the program, ready to start.
func (c *presenceRunCmd) command(a *app) *exec.Cmd {
	cmd := exec.CommandContext(a.ctx, c.Program[0], c.Program[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out, a.err
	if a.Output != "table" {
		cmd.Stdout = a.err
	}
	cmd.Env = withoutPasswords(os.Environ())
	cmd.WaitDelay = programPatience
	cmd.Cancel = func() error {
		if cmd.Process.Signal(syscall.SIGTERM) != nil { // no such thing on Windows
			return cmd.Process.Kill()
		}
		return nil
	}
	return cmd
}

// program runs it to its end. The error says that it has crashed, or could not be started; one that was told to end has
// not crashed.
func (c *presenceRunCmd) program(a *app, cmd *exec.Cmd, r *presenceRunRecord) error {
	if err := cmd.Start(); err != nil {
		return usage("", "start the program: %w", err)
	}
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		r.Exit = &code
	}
	var exit *exec.ExitError
	if err == nil || a.ctx.Err() != nil || cmd.ProcessState.Success() {
		return nil
	}
	if errors.As(err, &exit) {
		return &failure{exitFailed, fmt.Errorf("%s has crashed: %w", c.Program[0], err), "AMT hears no more of it, and its watchdog expires; start it again with the same command"}
	}
	return err
}

// withoutPasswords keeps what lets into AMT from a program.
func withoutPasswords(environ []string) (out []string) {
	for _, line := range environ {
		name, _, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, "AMT_") && name != "WSMAN_PASS" {
			out = append(out, line)
		}
	}
	return out
}
