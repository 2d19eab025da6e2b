package console

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/eventlog"
)

// facts reads Info once.
func (e *exam) facts(ctx context.Context) (*Info, error) {
	if e.info.Address == "" && e.failed == nil {
		e.info, e.failed = e.c.Info(ctx)
	}
	return &e.info, e.failed
}

func (e *exam) speed(ctx context.Context) finding {
	began := time.Now()
	if _, err := e.c.powerState(ctx); err != nil {
		return broken(err)
	}
	took := time.Since(began).Round(time.Millisecond)
	if took > 2*time.Second {
		return warn("look at the network; a machine on Wi-Fi or asleep is slow, and many consoles at once make it slower", "one request took %v", took)
	}
	return ok("one request took %v", max(took, time.Millisecond))
}

func (e *exam) firmware(ctx context.Context) finding {
	info, err := e.facts(ctx)
	if err != nil {
		return broken(err)
	}
	major, minor, text := e.version()
	if text == "" {
		return warn("", "the machine does not tell its version")
	}
	build, _ := strconv.Atoi(info.Build)
	text = strings.TrimSpace(fmt.Sprintf("AMT %s build %s %s", text, orText(info.Build, "unknown"), info.SKU))
	// INTEL-SA-00075: firmware 6 to 11.6 with a build number below 3000 accepts an empty digest response (CVE-2017-5689).
	if (major >= 6 && major < 11 || major == 11 && minor <= 6) && build > 0 && build < 3000 {
		return fail("update the firmware: anybody on the network can log in without a password (CVE-2017-5689)", "%s", text)
	}
	return ok("%s", text)
}

func (e *exam) setup(ctx context.Context) finding {
	info, err := e.facts(ctx)
	if err != nil {
		return broken(err)
	}
	switch {
	case info.Provisioning == "pre" || info.ControlMode == "not provisioned":
		return fail("activate AMT", "not set up")
	case info.Provisioning == "in":
		return warn("finish the setup, or unprovision", "setup has begun and not ended")
	case info.ControlMode == "client":
		return warn("for unattended work move to admin control mode", "client control mode: somebody at the screen must agree to KVM, IDE-R and boot options")
	}
	return ok("set up, control mode %s", orText(info.ControlMode, "not told"))
}

func (e *exam) clock(ctx context.Context) finding {
	info, err := e.facts(ctx)
	if err != nil {
		return broken(err)
	}
	if info.Time == nil {
		return skip("the machine does not tell its time")
	}
	if skew := info.Skew.Abs(); skew > 10*time.Second {
		way := "behind"
		if info.Skew > 0 {
			way = "ahead"
		}
		return warn("set AMT's clock: certificates and log times depend on it", "AMT's clock is %v %s", skew, way)
	}
	return ok("within %v of ours", max(info.Skew.Abs(), time.Second))
}

func (e *exam) power(ctx context.Context) finding {
	if e.refuse != nil {
		return broken(e.refuse)
	}
	text := fmt.Sprintf("%s, offers %s", stateWord(e.state.State), offers(e.state.Available))
	switch {
	case e.state.Available == nil:
		return ok("%s; what it accepts now is not told", stateWord(e.state.State))
	case e.state.State == PowerOn && !offered(e.state, PowerOff):
		return warn("close open KVM, SOL and IDE-R sessions: they forbid power off and cycle", "%s", text)
	case e.state.State == PowerOn && !offered(e.state, PowerOffGraceful) && e.atLeast(9, 0):
		return warn("for graceful actions run the agent (LMS) in the operating system", "%s", text)
	case IsOff(e.state.State) && !offered(e.state, PowerOn):
		return fail("look again in some seconds: a transition may be under way", "%s", text)
	}
	return ok("%s", text)
}

// redirection finds for one of the redirection features.
func (e *exam) redirection(ctx context.Context, name string, on func(*Features) *bool) finding {
	info, err := e.facts(ctx)
	if err != nil {
		return broken(err)
	}
	f := &info.Features
	switch state := on(f); {
	case state == nil:
		return skip("this firmware has no " + name)
	case !*state:
		return warn("switch "+name+" on if it is wanted; if it stays off the MEBx forbids it", "%s is switched off", name)
	case f.Listener != nil && !*f.Listener && name != "KVM":
		return warn("switch the redirection listener on (AMT_RedirectionService.ListenerEnabled)", "%s is on, but nothing listens for it", name)
	case e.open != nil && !e.isOpen(PortRedirection) && !e.isOpen(PortRedirectionTLS):
		return warn("switch the redirection listener on, and let firewalls pass TCP 16994 and 16995", "%s is on, but neither port %d nor %d is open", name, PortRedirection, PortRedirectionTLS)
	}
	return ok("on")
}

func (e *exam) sol(ctx context.Context) finding {
	return e.redirection(ctx, "SOL", func(f *Features) *bool { return f.SOL })
}

func (e *exam) ider(ctx context.Context) finding {
	return e.redirection(ctx, "IDE-R", func(f *Features) *bool { return f.IDER })
}

func (e *exam) kvm(ctx context.Context) finding {
	f := e.redirection(ctx, "KVM", func(f *Features) *bool { return f.KVM })
	switch {
	case f.health == Healthy && e.info.Features.VNCPort != nil && *e.info.Features.VNCPort:
		return warn("switch port 5900 off unless an old viewer needs it", "on; port %d is open for viewers too, protected by 8 characters and no TLS", portVNC)
	case f.health == Healthy && IsOff(e.state.State):
		return ok("on; the screen is dark until the machine is")
	}
	return f
}

func (e *exam) consent(ctx context.Context) finding {
	info, err := e.facts(ctx)
	if err != nil {
		return broken(err)
	}
	f := info.Features
	switch f.Consent {
	case "":
		return skip("this firmware has no user consent")
	case "none":
		return ok("not needed")
	}
	what := "KVM"
	if f.Consent == "all" {
		what = "KVM, IDE-R and boot options"
	}
	next := "have somebody at the screen, or switch consent off"
	if f.ConsentIsFixed != nil && *f.ConsentIsFixed {
		next = "have somebody at the screen; the policy cannot be changed in client control mode"
	}
	return warn(next, "%s needs a code from the machine's screen; now: %s", what, orText(f.ConsentState, "not told"))
}

func (e *exam) boot(ctx context.Context) finding {
	s, err := e.c.BootStatus(ctx)
	if err != nil {
		return broken(err)
	}
	var words []string
	for _, d := range s.Supported {
		if d != BootNone {
			words = append(words, string(d))
		}
	}
	text := "can boot from " + strings.Join(words, ", ")
	if s.Device != "" && s.Armed != nil && *s.Armed {
		return warn("take it back (outband boot clear) unless it is wanted", "the next boot that AMT starts goes to %s; %s", s.Device, text)
	}
	if strings.HasPrefix(s.LastStatus, "failed") {
		return warn("look into the event log", "the last boot by AMT %s; %s", s.LastStatus, text)
	}
	return ok("%s", text)
}

// A logView is what the doctor reads of the event log.
type logView struct {
	log     *amt.MessageLog
	records []eventlog.Record // the newest
}

// readLog reads the settings of the event log and its newest records, once.
func (e *exam) readLog(ctx context.Context) (*logView, error) {
	if e.log != nil {
		return e.log, nil
	}
	log, err := class.Get[amt.MessageLog](ctx, e.c)
	if err != nil {
		return nil, err
	}
	view := &logView{log: log}
	if view.records, err = e.c.newestEvents(ctx, 64); err != nil && !refused(err) {
		return nil, err
	}
	e.log = view
	return view, nil
}

// isAuthFailure tells the records of refused log-ins at AMT itself.
func isAuthFailure(r eventlog.Record) bool {
	return r.Sensor == eventlog.Authentication && r.Entity == eventlog.Engine
}

// authFailures counts them.
func (v *logView) authFailures() (n int, last time.Time) {
	for _, r := range v.records {
		if isAuthFailure(r) {
			n++
			if at := r.When(); at.After(last) {
				last = at
			}
		}
	}
	return n, last
}

func (e *exam) eventLog(ctx context.Context) finding {
	view, err := e.readLog(ctx)
	if err != nil {
		return broken(err)
	}
	log := view.log
	have, most := class.Value(log.CurrentNumberOfRecords), class.Value(log.MaxNumberOfRecords)
	text := fmt.Sprintf("%d of %d records", have, most)
	const wrapsAround = 2
	switch {
	case class.Value(log.IsFrozen):
		return warn("unfreeze it: new events are dropped", "frozen at %s", text)
	case most > 0 && have*10 >= most*9 && class.Value(log.OverwritePolicy) != wrapsAround:
		return warn("save and clear it: when it is full new events are dropped", "nearly full: %s", text)
	}
	critical := 0
	for _, r := range view.records {
		if r.Severity >= eventlog.Critical && !isAuthFailure(r) {
			critical++
		}
	}
	if critical > 0 {
		return warn("read the event log", "%s, %d of the newest %d critical", text, critical, len(view.records))
	}
	return ok("%s", text)
}

func (e *exam) auditLog(ctx context.Context) finding {
	log, err := ask[amt.AuditLog](ctx, e.c)
	switch {
	case err != nil && refused(err):
		return skip("closed to this account")
	case err != nil:
		return broken(err)
	case log == nil:
		return skip("this firmware has no audit log")
	}
	state := class.Value(log.AuditState)
	text := fmt.Sprintf("%s, %d%% free", state, class.Value(log.PercentageFree))
	switch {
	case log.AuditState == nil:
		return ok("%d%% free", class.Value(log.PercentageFree))
	case state&amt.AuditLogAuditStateFull != 0 || state&amt.AuditLogAuditStateLocked != 0:
		return fail("export and clear it, as its auditor: until then actions that must be audited are refused", "%s", text)
	case state&amt.AuditLogAuditStateAlmostFull != 0:
		return warn("export and clear it soon, as its auditor: when it is full actions that must be audited are refused", "%s", text)
	}
	return ok("%s", text)
}

func (e *exam) network(ctx context.Context) finding {
	ports, err := list[amt.EthernetPortSettings](ctx, e.c)
	if err != nil {
		return broken(err)
	}
	for _, p := range ports {
		if class.Value(p.InstanceID) != "Intel(r) AMT Ethernet Port Settings 0" {
			continue
		}
		how := "static address"
		if class.Value(p.DHCPEnabled) {
			how = "DHCP"
		}
		text := fmt.Sprintf("wired %s, %s, link %s", orText(class.Value(p.IPAddress), "without address"), how, map[bool]string{true: "up", false: "down"}[class.Value(p.LinkIsUp)])
		asleep := false
		for _, policy := range p.LinkPolicy {
			asleep = asleep || policy == 14 // in Sx on AC
		}
		if p.LinkPolicy != nil && !asleep {
			return warn("choose a power package that keeps AMT on in Sx: otherwise a machine that is off cannot be switched on", "%s; AMT sleeps with the machine", text)
		}
		return ok("%s", text)
	}
	return skip("no wired port told")
}

func (e *exam) generation(ctx context.Context) finding {
	major, _, text := e.version()
	if text == "" {
		return skip("version unknown")
	}
	var notes []string
	switch {
	case major < 6:
		notes = append(notes, "TLS 1.0 only, no KVM, no consent, no host-based setup")
	case major < 9:
		notes = append(notes, "SOAP (amttool) still answers unless WsmanOnlyMode is set; no graceful power actions")
	case major < 11:
		notes = append(notes, "no SOAP: amttool and fence_amt cannot reach it; TLS 1.1 at most")
	default:
		notes = append(notes, "no SOAP: amttool and fence_amt cannot reach it")
	}
	if e.atLeast(12, 0) {
		notes = append(notes, "SOL and IDE-R want digest log-in: amtterm 1.4 cannot")
	}
	if e.atLeast(16, 1) {
		notes = append(notes, "TLS only: port 5900, the plain ports and the web pages are gone")
	}
	if e.atLeast(19, 0) {
		notes = append(notes, "TLS on the host's side too: local tools without it fail")
	}
	detail := "release " + text + ": " + strings.Join(notes, "; ")
	if major < 11 {
		return warn("nothing newer than its last firmware is to be had; keep it away from open networks", "%s", detail)
	}
	return ok("%s", detail)
}
