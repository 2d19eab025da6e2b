package console

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// What can go wrong, for errors.Is. A refusal by the firmware is a [*status.Error], a SOAP fault a [*wsman.Fault].
var (
	ErrUsage          = errors.New("bad setting")             // ours or the caller's mistake, found before anything was sent
	ErrUnreachable    = errors.New("unreachable")             // an [*UnreachableError]
	ErrNotProvisioned = errors.New("AMT is not set up")       // it is there, but nobody has activated it
	ErrTrust          = errors.New("certificate not trusted") // a [*TrustError]
	ErrHandshake      = errors.New("no common TLS")           // a [*HandshakeError]
	ErrNotOffered     = errors.New("not offered now")         // a [*NotOfferedError]
	ErrConsent        = errors.New("user consent is needed")  // somebody at the screen must read out a code first
	ErrUnsupported    = errors.New("not on this machine")     // its firmware or BIOS does not know it
	ErrNotReached     = errors.New("not reached in time")     // accepted, but the state did not become what was asked
	ErrClosed         = errors.New("console: client closed")  // used after Close
	ErrNotAMT         = wsman.ErrNotAMT                       // what answers is no AMT
	ErrUnauthorized   = wsman.ErrUnauthorized                 // wrong name or password
	ErrLockedOut      = wsman.ErrLockedOut                    // refused after a delay: the account rests after failures
	ErrSlowLogin      = wsman.ErrSlowLogin                    // the password was not answered in time: perhaps as above
	ErrIndeterminate  = wsman.ErrIndeterminate                // sent, and no answer: nobody knows whether it was done
	ErrCut            = wsman.ErrCut                          // the connection ended inside an answer
	ErrTooLong        = wsman.ErrTooLong                      // an answer without end
	ErrMalformed      = wsman.ErrXML                          // an answer that is not XML
)

// A Reach says why a machine cannot be reached.
type Reach string

// The reasons.
const (
	Refused  Reach = "connection refused" // something is there, but nothing listens on the port
	TimedOut Reach = "no answer"          // switched off at the wall, asleep without AMT, or a firewall
	NoRoute  Reach = "no route"
	NoName   Reach = "name does not resolve"
	NoDial   Reach = "no connection" // anything else, such as a tunnel that is down
)

// An UnreachableError says that no connection came about. It matches [ErrUnreachable].
type UnreachableError struct {
	Address string
	Ports   []int // tried
	Reason  Reach
	Err     error // of the last attempt
}

func (e *UnreachableError) Error() string {
	ports := make([]string, len(e.Ports))
	for i, p := range e.Ports {
		ports[i] = fmt.Sprint(p)
	}
	text := fmt.Sprintf("%s is unreachable: %s", e.Address, e.Reason)
	if e.Reason == NoName {
		return text
	}
	text += " on port " + strings.Join(ports, " and ")
	if e.Reason == NoDial {
		text += fmt.Sprintf(": %v", e.Err)
	}
	return text
}

// Is matches [ErrUnreachable].
func (e *UnreachableError) Is(target error) bool { return target == ErrUnreachable }

// Unwrap returns Err.
func (e *UnreachableError) Unwrap() error { return e.Err }

// unreachable sorts the error of a Dial. What is sorted already, and the caller's own cancelling, stays as it is.
func unreachable(address string, port int, err error) error {
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrTrust) || errors.Is(err, ErrHandshake) || errors.Is(err, context.Canceled) {
		return err
	}
	return &UnreachableError{Address: address, Ports: []int{port}, Reason: reach(err), Err: err}
}

// The numbers of Windows; other systems have none that high.
const (
	wsaNetUnreach  syscall.Errno = 10051
	wsaConnRefused syscall.Errno = 10061
	wsaHostUnreach syscall.Errno = 10065
)

func reach(err error) Reach {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	var name *net.DNSError
	var wait net.Error
	switch {
	case errors.As(err, &name):
		return NoName
	case is(syscall.ECONNREFUSED, wsaConnRefused):
		return Refused
	case is(syscall.EHOSTUNREACH, syscall.ENETUNREACH, wsaHostUnreach, wsaNetUnreach):
		return NoRoute
	case is(context.DeadlineExceeded, os.ErrDeadlineExceeded, syscall.ETIMEDOUT), errors.As(err, &wait) && wait.Timeout():
		return TimedOut
	}
	return NoDial
}

// A Kind sorts errors by what a person or a script does next. Its number is the exit status of the commands.
type Kind int

// The kinds.
const (
	KindOK             Kind = 0
	KindFailed         Kind = 1 // anything else
	KindUsage          Kind = 2
	KindUnreachable    Kind = 3
	KindAuthentication Kind = 4
	KindTrust          Kind = 5
	KindRefused        Kind = 6 // by the firmware or the state it is in
	KindUnsupported    Kind = 7
	KindTimeout        Kind = 8 // or nobody knows
	KindPartial        Kind = 9 // some of many
)

// String returns one word, as in JSON output.
func (k Kind) String() string {
	switch k {
	case KindOK:
		return "ok"
	case KindUsage:
		return "usage"
	case KindUnreachable:
		return "unreachable"
	case KindAuthentication:
		return "authentication"
	case KindTrust:
		return "trust"
	case KindRefused:
		return "refused"
	case KindUnsupported:
		return "unsupported"
	case KindTimeout:
		return "timeout"
	case KindPartial:
		return "partial"
	}
	return "failed"
}

// Explain sorts an error and says what to do about it; the hint may be "".
func Explain(err error) (kind Kind, hint string) {
	for _, explain := range []func(error) (Kind, string){explainOurs, explainTrust, explainReach, explainRedirection, explainRefusal, explainAnswer} {
		if kind, hint = explain(err); kind != KindOK {
			return kind, hint
		}
	}
	if err == nil {
		return KindOK, ""
	}
	return KindFailed, ""
}

func explainOurs(err error) (Kind, string) {
	switch {
	case errors.As(err, new(*PartialError)):
		return KindPartial, ""
	case errors.Is(err, ErrIndeterminate):
		return KindTimeout, "the request was sent and not answered, and may have been carried out; look at the state before trying again"
	case errors.Is(err, ErrNotReached):
		return KindTimeout, "the machine accepted the request; look at its state again later, or wait longer"
	case errors.Is(err, ErrUsage):
		return KindUsage, ""
	}
	return KindOK, ""
}

func explainTrust(err error) (Kind, string) {
	var trust *TrustError
	var shake *HandshakeError
	switch {
	case errors.As(err, &trust):
		switch trust.Reason {
		case PinMismatch:
			return KindTrust, "if the certificate was renewed on purpose, compare the new fingerprint at the machine and store it as the pin; otherwise somebody may be in between"
		case Expired, NotYetValid:
			return KindTrust, "check the clock here, renew the machine's certificate, or pin it to trust it whatever its dates"
		case WrongName:
			return KindTrust, "address the machine by the name in its certificate, or pin the certificate"
		}
		return KindTrust, "compare the fingerprint at the machine and pin it, or name the authority that signed the certificate"
	case errors.As(err, &shake):
		if remedy := shake.Remedy(); remedy != "" {
			return KindTrust, "for this machine set " + remedy
		}
		return KindTrust, "if the firmware is older than release 11, allow TLS 1.0 and legacy ciphers for this machine"
	case errors.Is(err, ErrTrust), errors.As(err, new(x509.CertificateInvalidError)):
		return KindTrust, ""
	}
	return KindOK, ""
}

func explainReach(err error) (Kind, string) {
	var reach *UnreachableError
	switch {
	case errors.Is(err, ErrNotProvisioned):
		return KindRefused, "activate AMT first, at the machine (MEBx) or from its operating system"
	case errors.Is(err, ErrSlowLogin):
		return KindTimeout, "the firmware delays answers after wrong passwords, for longer with each: stop trying for some minutes, check the password, or wait longer for the answer"
	case errors.Is(err, ErrLockedOut):
		return KindAuthentication, "the firmware delays answers after wrong passwords; stop trying for some minutes, then check the password"
	case errors.Is(err, ErrUnauthorized):
		return KindAuthentication, "check user name and password; the account may also be disabled or limited to local access"
	case errors.Is(err, ErrNotAMT):
		return KindUnreachable, "check address and port; with AMT behind it, a proxy may be in the way"
	case errors.As(err, &reach):
		switch reach.Reason {
		case Refused:
			return KindUnreachable, "the machine is there but AMT does not listen: not activated, its network switched off, or another address"
		case NoName:
			return KindUnreachable, "check the name, or use the address"
		case NoRoute:
			return KindUnreachable, "check the network between here and the machine"
		case TimedOut:
			return KindUnreachable, "check power and cable; a machine asleep on battery has no AMT; a firewall must let TCP 16992 to 16995 through"
		}
		return KindUnreachable, ""
	case errors.Is(err, ErrUnreachable):
		return KindUnreachable, ""
	}
	return KindOK, ""
}

func explainRefusal(err error) (Kind, string) {
	switch {
	case errors.Is(err, ErrConsent), errors.Is(err, status.ErrConsentRequired):
		return KindRefused, "ask for consent: the code on the machine's screen must be entered first; admin control mode with consent off needs none"
	case errors.Is(err, ErrNotOffered):
		return KindRefused, notOfferedHint(err)
	case errors.Is(err, ErrUnsupported):
		return KindUnsupported, ""
	case errors.Is(err, status.ErrUnsupported):
		var no *status.Error
		if errors.As(err, &no) && strings.HasSuffix(no.Op, ".RequestPowerStateChange") {
			return KindUnsupported, "sleep, hibernation, graceful actions and NMI came with release 9.0; on, off, cycle and reset are known to all"
		}
		return KindUnsupported, ""
	case errors.Is(err, status.ErrNotReady), errors.Is(err, status.ErrBusy):
		return KindRefused, "try again in some seconds; open KVM, SOL or IDE-R sessions forbid power off and cycle, and graceful actions need the agent in the operating system"
	case errors.Is(err, status.ErrNotPermitted):
		return KindRefused, "the account lacks the realm for this, or a policy forbids it"
	case errors.Is(err, status.ErrAuditFailed):
		return KindRefused, "the action must be audited and the audit log takes nothing: clear or unlock it"
	case errors.Is(err, redir.ErrInternal):
		return KindRefused, "a full or locked audit log keeps sessions that must be audited from beginning, which since release 12 are all: outband audit status tells"
	case errors.Is(err, redir.ErrBusy):
		return KindRefused, "a machine has one session of each kind: somebody else's must end first"
	case errors.As(err, new(*redir.Error)):
		return KindRefused, ""
	case errors.As(err, new(*status.Error)):
		return KindRefused, ""
	case errors.Is(err, wsman.ErrAccessDenied):
		return KindRefused, "the account lacks the realm for this, or user consent is needed"
	case errors.Is(err, wsman.ErrInvalidSelectors):
		return KindRefused, "name one instance by its keys; an enumeration shows them"
	case errors.Is(err, wsman.ErrDestinationUnreachable), errors.Is(err, wsman.ErrActionNotSupported):
		return KindUnsupported, "this firmware does not know the class or method; it may be of another generation"
	case errors.Is(err, wsman.ErrTimedOut):
		return KindTimeout, ""
	case errors.Is(err, wsman.ErrEndpointUnavailable), errors.Is(err, wsman.ErrQuotaLimit):
		return KindRefused, "the firmware is busy; try again in some seconds"
	case errors.As(err, new(*wsman.Fault)):
		return KindRefused, ""
	}
	return KindOK, ""
}

func explainAnswer(err error) (Kind, string) {
	var http *wsman.HTTPError
	switch {
	case errors.Is(err, context.Canceled):
		return KindFailed, ""
	case errors.Is(err, ErrCut):
		return KindFailed, "the connection broke inside an answer; the machine or the network may have been reset"
	case errors.Is(err, ErrTooLong):
		return KindFailed, "the answer has no end; what answers is broken, or not AMT"
	case errors.Is(err, ErrMalformed):
		return KindFailed, "the answer is damaged; a trace shows it"
	case errors.As(err, &http) && http.Status == 404:
		return KindUnsupported, "no WS-Management there; firmware before 3.0 speaks only SOAP"
	case errors.As(err, &http) && http.Status == 503:
		return KindRefused, "the firmware is busy; try again in some seconds"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return KindTimeout, "the machine took too long; it may be in a power transition, or rest the account after wrong passwords, for up to a minute"
	}
	return KindOK, ""
}

// isAbsent reports that the machine does not know a class, a method or an instance: older firmware, or a part that
// this model lacks.
func isAbsent(err error) bool {
	return errors.Is(err, wsman.ErrDestinationUnreachable) || errors.Is(err, wsman.ErrActionNotSupported) ||
		errors.Is(err, wsman.ErrInvalidSelectors) || errors.Is(err, wsman.ErrUnsupportedFeature)
}

// refused reports that the machine said no, rather than nothing.
func refused(err error) bool {
	return errors.As(err, new(*status.Error)) || errors.As(err, new(*wsman.Fault))
}
