package qemu

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/wire/guid"
)

// DefaultBinary is the program that is run unless the options say otherwise.
const DefaultBinary = "qemu-system-x86_64"

// Options are the settings of a machine. The zero value is a machine as QEMU makes it: 128 MiB, no disk.
type Options struct {
	Binary string   // program to run; default [DefaultBinary], looked for in $PATH
	Args   []string // the user's part of its command line: memory, disks, network; see [SplitArgs]
	Accel  string   // accelerator: "tcg", "kvm" ...; default tcg. Not used if Args choose one
	UUID   guid.GUID

	// Extras are asked before each start of the process for what to add to it, in order.
	Extras []Extra

	CycleOff time.Duration // how long a power cycle stays off; default 1 s
	BIOSTime time.Duration // after which a boot counts as done if the BIOS writes no log that is understood; default 10 s
	Start    time.Duration // most that QEMU may take to start; default 30 s

	Log *slog.Logger // nil: silent. Warnings are what a user should see
}

// An Extra adds to a process that is about to start. fd is the number under which the process finds the first of the
// files; the others have the next ones.
type Extra func(fd int) (Addition, error)

// An Addition is what an [Extra] adds.
type Addition struct {
	Args  []string   // behind all others
	Files []*os.File // inherited by the process; closed here once it has started, or has not
}

// Errors that others wrap.
var (
	ErrBinary = errors.New("QEMU cannot be run")
	ErrStart  = errors.New("QEMU does not start") // what QEMU says about it follows
	ErrArgs   = errors.New("QEMU's arguments")
)

// maxArgs bounds the user's part of the command line.
const maxArgs = 1024

// refused are options that take away what this package needs.
var refused = map[string]string{
	"daemonize": "the process would get out of sight", "incoming": "there is nothing to migrate from",
	"nographic": "the screen and the serial port are redirected already", "h": "that only prints help", "help": "that only prints help",
	"version": "that only prints the version", "S": "power says when the processors start",
}

// check looks at what can be told before the process runs.
func (o *Options) check() error {
	if len(o.Args) > maxArgs {
		return fmt.Errorf("%w: %d are more than %d", ErrArgs, len(o.Args), maxArgs)
	}
	for _, arg := range o.Args {
		if name := optionName(arg); name != "" && refused[name] != "" {
			return fmt.Errorf("%w: -%s: %s", ErrArgs, name, refused[name])
		}
	}
	return nil
}

// optionName returns the name of an option of QEMU's, which has one dash or two; "" if it is a value.
func optionName(arg string) string {
	name, dash := strings.CutPrefix(arg, "-")
	if !dash {
		return ""
	}
	return strings.TrimPrefix(name, "-")
}

// values returns the values of an option in Args.
func (o *Options) values(name string) (values []string) {
	for i, arg := range o.Args[:max(0, len(o.Args)-1)] {
		if optionName(arg) == name {
			values = append(values, o.Args[i+1])
		}
	}
	return values
}

// choosesAccel tells whether Args say how to run the processors.
func (o *Options) choosesAccel() bool {
	machine := slices.Concat(o.values("machine"), o.values("M"))
	return len(o.values("accel")) > 0 || slices.ContainsFunc(o.Args, func(arg string) bool { return optionName(arg) == "enable-kvm" }) ||
		slices.ContainsFunc(machine, func(v string) bool { return strings.Contains(v, "accel=") })
}

// SplitArgs cuts a command line into words as a shell does: blanks part words unless they are quoted, with '...' or "..."
// or a backslash. There are no variables. The error wraps [ErrArgs].
func SplitArgs(line string) (words []string, err error) {
	var word strings.Builder
	inWord, quote := false, rune(0)
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("%w: %q ends inside quotes", ErrArgs, line)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
