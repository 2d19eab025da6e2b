package wsman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Errors of a [Client], beside *[Fault], *[HTTPError] and those of the Dial and the context.
var (
	// ErrUnauthorized is what every refusal of the credentials is; see [AuthError].
	ErrUnauthorized = errors.New("the machine refuses the user name or password")

	// ErrLockedOut tells a refusal that took the machine a second or more longer than its challenge did: firmware
	// delays its answers after repeated failures, and a password is then not tried at all.
	ErrLockedOut = errors.New("the account seems locked for a while")

	// ErrSlowLogin comes beside the error of a machine that gave its challenge, and did not answer the credentials in time:
	// firmware may delay a refusal for longer than anybody waits.
	ErrSlowLogin = errors.New("it may delay its answers after wrong passwords")

	// ErrNotAMT tells that the peer does not speak HTTP, or that no WS-Man service answers there.
	ErrNotAMT = errors.New("no AMT answers there")

	// ErrTooLong tells of an answer beyond a limit: [Client].MaxReply, MaxItems, or those of the HTTP head.
	ErrTooLong = errors.New("answer too long")

	// ErrCut tells that the connection ended inside an answer, or before it. It wraps io.ErrUnexpectedEOF.
	ErrCut = fmt.Errorf("the machine closed the connection before its answer was complete: %w", io.ErrUnexpectedEOF)

	// ErrRelatesTo tells that the answer belongs to another request.
	ErrRelatesTo = errors.New("answer to another request")

	// ErrIndeterminate comes beside the error of a request that changes something, when it was sent and no usable answer came:
	// nobody knows whether it was carried out. Such a request is never repeated by this package.
	ErrIndeterminate = errors.New("nobody knows whether the request was carried out")
)

// errClosed is what a closed Client answers.
var errClosed = fmt.Errorf("wsman: client: %w", net.ErrClosed)

// errSlow is a time that ran out, in plain words. It matches [context.DeadlineExceeded].
var errSlow error = slow{}

type slow struct{}

func (slow) Error() string { return "the machine does not answer in time" }
func (slow) Unwrap() error { return context.DeadlineExceeded }

// An AuthError is a refusal of the credentials: 401 to a request that was signed with a fresh challenge.
type AuthError struct {
	Realm string        // "Digest:" and 32 hex digits
	Delay time.Duration // how long the machine took to refuse

	challenge time.Duration // how long it took to challenge
}

func (e *AuthError) Error() string {
	text := "wsman: " + ErrUnauthorized.Error()
	if e.locked() {
		text += fmt.Sprintf(", after %v: %v", e.Delay.Round(time.Millisecond), ErrLockedOut)
	}
	return text
}

// Is matches [ErrUnauthorized], and [ErrLockedOut] if the refusal was slow.
func (e *AuthError) Is(target error) bool {
	return target == ErrUnauthorized || target == ErrLockedOut && e.locked()
}

func (e *AuthError) locked() bool { return e.Delay-e.challenge >= time.Second }

// An HTTPError is an answer with any status that is neither 200, nor 401, nor that of a SOAP fault.
type HTTPError struct {
	Status int
	Server string // the Server header
	Text   string // what the page says, short and printable
}

func (e *HTTPError) Error() string {
	text := fmt.Sprintf("wsman: the machine answers with HTTP status %d", e.Status)
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

const maxText = 160 // octets of a peer's text in an error

// printable shortens a peer's text and makes it fit for one line of a terminal.
func printable(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '.'
		}
		if b.Len()+utf8.RuneLen(r) > maxText {
			b.WriteString("...")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// pageText returns what a reader would see of an HTML page: the text between tags.
func pageText(page []byte) string {
	if len(page) > 4096 {
		page = page[:4096]
	}
	var b strings.Builder
	for text := string(page); text != ""; {
		before, rest, found := strings.Cut(text, "<")
		b.WriteString(before)
		if !found {
			break
		}
		for _, element := range []string{"style", "script"} {
			if len(rest) > len(element) && strings.EqualFold(rest[:len(element)], element) {
				if end := strings.Index(strings.ToLower(rest), "</"+element); end >= 0 {
					rest = rest[end:]
				}
			}
		}
		_, text, _ = strings.Cut(rest, ">")
		b.WriteByte(' ')
	}
	return printable(b.String())
}

// notAMT makes the error for bytes that are no answer of AMT.
func notAMT(what string, got []byte) error {
	if len(got) == 0 {
		return fmt.Errorf("wsman: %w: %s", ErrNotAMT, what)
	}
	if len(got) > 2*maxText {
		got = got[:2*maxText]
	}
	return fmt.Errorf("wsman: %w: %s: %q", ErrNotAMT, what, printable(string(got)))
}
