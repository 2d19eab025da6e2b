package mei

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/outband/outband/wire/guid"
)

// An Errno is an error number of the Linux driver, with the values of x86 and ARM on every system, so that a user-space
// bus can stand in for the driver anywhere.
type Errno uint16

// The numbers that the driver returns.
const (
	EPERM      Errno = 1
	ENOENT     Errno = 2
	EINTR      Errno = 4
	EIO        Errno = 5
	EAGAIN     Errno = 11
	ENOMEM     Errno = 12
	EACCES     Errno = 13
	EFAULT     Errno = 14
	EBUSY      Errno = 16
	ENODEV     Errno = 19
	EINVAL     Errno = 22
	EMFILE     Errno = 24
	ENOTTY     Errno = 25
	EFBIG      Errno = 27
	ESPIPE     Errno = 29
	ETIME      Errno = 62
	EPROTO     Errno = 71
	EMSGSIZE   Errno = 90
	EOPNOTSUPP Errno = 95
)

func (e Errno) Error() string {
	switch e {
	case EPERM:
		return "EPERM"
	case ENOENT:
		return "ENOENT"
	case EINTR:
		return "EINTR"
	case EIO:
		return "EIO"
	case EAGAIN:
		return "EAGAIN"
	case ENOMEM:
		return "ENOMEM"
	case EACCES:
		return "EACCES"
	case EFAULT:
		return "EFAULT"
	case EBUSY:
		return "EBUSY"
	case ENODEV:
		return "ENODEV"
	case EINVAL:
		return "EINVAL"
	case EMFILE:
		return "EMFILE"
	case ENOTTY:
		return "ENOTTY"
	case EFBIG:
		return "EFBIG"
	case ESPIPE:
		return "ESPIPE"
	case ETIME:
		return "ETIME"
	case EPROTO:
		return "EPROTO"
	case EMSGSIZE:
		return "EMSGSIZE"
	case EOPNOTSUPP:
		return "EOPNOTSUPP"
	}
	return "errno " + strconv.Itoa(int(e))
}

// What an [Error] comes down to; ask with errors.Is.
var (
	ErrNoClient     = errors.New("no such client in this firmware")
	ErrBusy         = errors.New("client in use by another program")
	ErrDisconnected = errors.New("no device, or not connected") // also while the device is being reset
	ErrTooLong      = errors.New("message too long")
	ErrTooMany      = errors.New("too many connections")
	ErrNoAnswer     = errors.New("firmware did not answer")
	ErrProtocol     = errors.New("protocol error")
	ErrInvalid      = errors.New("invalid argument")
	ErrUnsupported  = errors.New("not supported") // by this system, kernel or firmware
)

// Errors that parsers wrap.
var (
	ErrShort   = errors.New("message too short")
	ErrCorrupt = errors.New("corrupt message")
)

// An Error is the driver's refusal, or what a user-space bus says in its place.
type Error struct {
	Op     string    // "open", "connect", "connect tag", "read", "write", "notify"
	Client guid.GUID // zero if none is concerned
	Errno  Errno     // as the driver gives it
}

// Error returns "mei: op client: meaning (ERRNO)".
func (e *Error) Error() string {
	text := "mei: " + e.Op
	if !e.Client.IsZero() {
		text += " " + e.Client.String()
	}
	if meaning := e.meaning(); meaning != nil {
		return fmt.Sprintf("%s: %v (%v)", text, meaning, e.Errno)
	}
	return fmt.Sprintf("%s: %v", text, e.Errno)
}

// Is tells whether target is what this error comes down to, or its Errno. Kernels without tags answer the request for
// one with ENOTTY, and so do newer ones for an unknown client: such an error is both.
func (e *Error) Is(target error) bool {
	if target == nil {
		return false
	}
	if e.Op == "connect tag" && e.Errno == ENOTTY && target == ErrUnsupported {
		return true
	}
	return target == e.Errno || target == e.meaning()
}

// meaning follows the table in spec mei.md section 3.1.
func (e *Error) meaning() error {
	switch e.Errno {
	case EIO: // the ME went down while the driver wrote to it: mei_me_hbuf_write
		return ErrDisconnected
	case ENODEV: // old kernels' documentation names it for an unknown client too; which it is cannot be told
		return ErrDisconnected
	case ENOTTY:
		if e.Op == "notify" { // a kernel before 4.4 does not know the request
			return ErrUnsupported
		}
		return ErrNoClient
	case EBUSY:
		return ErrBusy
	case EFBIG, EMSGSIZE:
		return ErrTooLong
	case EMFILE:
		return ErrTooMany
	case EFAULT, ETIME: // the driver uses EFAULT for a firmware that does not answer in 15 s
		return ErrNoAnswer
	case EPROTO:
		return ErrProtocol
	case EINVAL:
		return ErrInvalid
	case EOPNOTSUPP:
		return ErrUnsupported
	case ENOENT:
		return fs.ErrNotExist
	case EPERM, EACCES:
		return fs.ErrPermission
	}
	return nil
}

// Transient tells whether connecting anew may succeed soon: another program has the client, or the device is being reset.
func Transient(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Errno == EBUSY || e.Errno == ENODEV || e.Errno == EIO || e.Errno == EINTR || e.Errno == EAGAIN)
}
