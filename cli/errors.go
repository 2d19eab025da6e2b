package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

// Exit codes of outband, by number those of [console.Kind]. The personalities keep the codes of the programs they stand
// for.
const (
	exitOK            = int(console.KindOK)             // done, and read back where there is something to read back
	exitFailed        = int(console.KindFailed)         // anything that has no code of its own
	exitUsage         = int(console.KindUsage)          // the command line, or a setting
	exitUnreachable   = int(console.KindUnreachable)    // nothing there, or no AMT
	exitAuth          = int(console.KindAuthentication) // wrong name or password
	exitTrust         = int(console.KindTrust)          // the machine's certificate is not to be believed
	exitRefused       = int(console.KindRefused)        // by the firmware, or its state does not allow it
	exitUnsupported   = int(console.KindUnsupported)    // this firmware cannot
	exitIndeterminate = int(console.KindTimeout)        // timed out, or nobody knows whether it was done
	exitPartial       = int(console.KindPartial)        // done on some machines only
	exitInterrupted   = 130                             // by the user, as shells have it for Ctrl-C
)

// A failure is an error that knows its exit code and what the user can do about it.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(hint, format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...), hint}
}

// errReported is the end of a command whose failures were told already, one by one.
type errReported struct{ code int }

func (e errReported) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// report tells the user what went wrong and returns the exit code.
func (a *app) report(err error) int {
	var done errReported
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &done):
		return done.code
	}
	f := judge(err)
	if (a.Output == "json" || a.Output == "yaml") && !a.session.told.Load() {
		r := failureRecord{Host: a.session.only(), Error: problemOf(f)}
		_ = a.printer().record(r) // whoever cannot be told of it on stdout is told on stderr
	}
	a.complain("", f)
	return f.code
}

// A failureRecord is for programs what the two lines on stderr are for people, where a command has no record of its own
// for its failure.
type failureRecord struct {
	Host  string   `json:"host,omitempty"` // "" if it was not one machine that failed
	OK    bool     `json:"ok"`
	Error *problem `json:"error"`
}

// complain writes the two lines of a failure. host is "" unless there are several.
func (a *app) complain(host string, f *failure) {
	text := f.text()
	if host != "" {
		text = host + ": " + text
	}
	fmt.Fprintf(a.err, "%s: %s\n", a.name, text)
	if f.hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", oneLine(f.hint))
	}
}

// text is the error in words of the user's world, on one line. Names of packages go. What a machine was asked, by the name
// of a class, goes as well where the reason has nothing to do with it; a refusal keeps it.
func (f *failure) text() string {
	text := oneLine(strings.ReplaceAll(f.Error(), "\n", "; ")) // several that were joined
	switch f.code {
	case exitUnreachable, exitAuth, exitTrust, exitUsage, exitIndeterminate:
		text = regexp.MustCompile(`(^|: |; )(?:(?:dump of|get|put|create|delete|enumerate) [A-Z]+_\w+|[A-Z]{3}_\w+\.\w+): `).ReplaceAllString(text, "$1")
	}
	text = regexp.MustCompile(`(^|: |; )(?:(?:wsman|lab|firmware|dump|tlv|console): )+`).ReplaceAllString(text, "$1")
	return strings.TrimSuffix(text, ": unexpected EOF")
}

// oneLine keeps what a peer said from forging further lines, or from steering the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// note tells something in passing.
func (a *app) note(format string, args ...any) {
	fmt.Fprintln(a.err, oneLine(fmt.Sprintf(format, args...)))
}

// detail is note for those who asked by -v.
func (a *app) detail(format string, args ...any) {
	if a.Verbose > 0 {
		a.note(format, args...)
	}
}

// judge finds exit code and hint for an error.
func judge(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return &failure{f.code, err, f.hint}
	}
	if errors.Is(err, context.Canceled) { // nothing but a signal ends a run so
		return &failure{exitInterrupted, fmt.Errorf("interrupted: %w", err), "a request that was under way may have been carried out"}
	}
	kind, hint := console.Explain(err)
	if flags := flagHint(err); flags != "" {
		hint = flags
	}
	return &failure{int(kind), err, hint}
}

// flagHint says which flag or command helps, where the hint of package console cannot know them; "" elsewhere.
func flagHint(err error) string {
	var bad *console.TrustError
	var shake *console.HandshakeError
	switch {
	case errors.Is(err, hosts.ErrNoIdentity), errors.Is(err, hosts.ErrDamaged):
		return ""
	case errors.As(err, &bad) && bad.Reason == console.PinMismatch:
		remedy := "give it: --pin " + bad.Fingerprint
		if bad.Name != "" {
			remedy = "store it: outband host add " + bad.Name + " " + bad.Address + " --replace --pin " + bad.Fingerprint
		}
		return "if the certificate was renewed on purpose, compare the fingerprint at the machine, then " + remedy + "; otherwise somebody may be in between"
	case errors.As(err, &bad):
		return "compare the fingerprint at the machine; if it is the same, add --pin " + bad.Fingerprint +
			", or store it with outband host add; or name the authority that signed it with --ca FILE"
	case errors.As(err, &shake):
		var flags []string
		if shake.AskedForCertificate {
			flags = append(flags, "--cert FILE --key FILE")
		}
		switch shake.Version {
		case tls.VersionTLS10:
			flags = append(flags, "--tls-min 1.0")
		case tls.VersionTLS11:
			flags = append(flags, "--tls-min 1.1")
		}
		if strings.Contains(shake.Remedy(), "legacy") {
			flags = append(flags, "--legacy-ciphers")
		}
		if flags == nil {
			return "for firmware before release 11 add --tls-min 1.0 --legacy-ciphers; for plain HTTP add --scheme http"
		}
		return "for this machine add " + strings.Join(flags, " ")
	case errors.Is(err, console.ErrMalformed):
		return "the answer is damaged; --trace FILE shows it"
	}
	return ""
}
