package console

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/wire/rmcp"
)

// Health is how a check came out.
type Health string

// The outcomes.
const (
	Healthy Health = "ok"
	Warning Health = "warn" // works, but somebody should look
	Failing Health = "fail"
	Skipped Health = "skip" // cannot be told, or does not apply
)

// A Check is one finding of the doctor.
type Check struct {
	Name   string `json:"name"` // one word: "certificate"
	Health Health `json:"health"`
	Detail string `json:"detail"`         // what was found
	Next   string `json:"next,omitempty"` // what to do about it
}

// Doctor examines a machine from the outside in, from its name to the details of its setup, and yields one [Check]
// after the other. The order is fixed, and so are the names. It changes nothing. After refused credentials it does not
// try them again, so as not to lock the account; what needs them is skipped.
func (c *Client) Doctor(ctx context.Context) iter.Seq[Check] {
	return func(yield func(Check) bool) {
		e := &exam{c: c}
		for _, check := range []struct {
			name  string
			login bool // needs an account that works
			look  func(*exam, context.Context) finding
		}{
			{"name", false, (*exam).name},
			{"ports", false, (*exam).ports},
			{"ping", false, (*exam).ping},
			{"amt", false, (*exam).amt},
			{"tls", false, (*exam).tls},
			{"certificate", false, (*exam).certificate},
			{"plaintext", false, (*exam).plaintext},
			{"credentials", false, (*exam).credentials},
			{"lockout", false, (*exam).lockout},
			{"speed", true, (*exam).speed},
			{"firmware", true, (*exam).firmware},
			{"setup", true, (*exam).setup},
			{"clock", true, (*exam).clock},
			{"power", true, (*exam).power},
			{"sol", true, (*exam).sol},
			{"ider", true, (*exam).ider},
			{"kvm", true, (*exam).kvm},
			{"consent", true, (*exam).consent},
			{"boot", true, (*exam).boot},
			{"event log", true, (*exam).eventLog},
			{"audit log", true, (*exam).auditLog},
			{"network", true, (*exam).network},
			{"generation", true, (*exam).generation},
		} {
			f := skip("no access to the machine")
			switch {
			case ctx.Err() != nil:
				f = skip("interrupted")
			case !check.login || e.access:
				f = check.look(e, ctx)
			}
			if !yield(Check{Name: check.name, Health: f.health, Detail: f.detail, Next: f.next}) {
				return
			}
		}
	}
}

// A finding is a Check without its name.
type finding struct {
	health Health
	detail string
	next   string
}

func ok(format string, args ...any) finding {
	return finding{Healthy, fmt.Sprintf(format, args...), ""}
}
func skip(reason string) finding { return finding{Skipped, reason, ""} }
func warn(next, format string, args ...any) finding {
	return finding{Warning, fmt.Sprintf(format, args...), next}
}
func fail(next, format string, args ...any) finding {
	return finding{Failing, fmt.Sprintf(format, args...), next}
}

// broken makes a finding of an error, with the hint of Explain.
func broken(err error) finding {
	kind, hint := Explain(err)
	if kind == KindUnsupported {
		return skip("this firmware does not have it")
	}
	return fail(hint, "%v", err)
}

// An exam is what the doctor knows so far.
type exam struct {
	c      *Client
	open   map[int]error // ports that were tried; nil: open
	pong   *rmcp.AMT
	plain  *greeting // from port 16992
	secure *greeting // from port 16993
	tlsErr error     // why there is no secure

	access bool // the account works
	refuse error
	state  PowerInfo
	took   time.Duration
	info   Info
	failed error // of info
	log    *logView
}

const (
	portWait = 3 * time.Second
	portVNC  = 5900
)

// version returns major, minor and build of the firmware, as far as known.
func (e *exam) version() (major, minor int, text string) {
	text = e.info.Version
	for _, g := range []*greeting{e.secure, e.plain} {
		if text == "" && g != nil {
			text = g.Version
		}
	}
	parts := strings.SplitN(text, ".", 3)
	if len(parts) >= 2 {
		major, _ = strconv.Atoi(parts[0])
		minor, _ = strconv.Atoi(parts[1])
	}
	return major, minor, text
}

// atLeast reports whether the release is known and not older.
func (e *exam) atLeast(major, minor int) bool {
	a, b, _ := e.version()
	return a > major || a == major && b >= minor
}

func (e *exam) isOpen(port int) bool {
	err, tried := e.open[port]
	return tried && err == nil
}

func offered(info PowerInfo, want Power) bool {
	for _, a := range info.Available {
		if a == want {
			return true
		}
	}
	return false
}
