package fence

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// logger writes what an agent has to say: warnings and errors to standard error, and with verbose
// or into a debug file also each step. The password is blotted out of every line.
type logger struct {
	err     io.Writer
	file    *os.File // debug_file
	quiet   bool
	verbose bool
	hide    string
}

// minHidden keeps a password of a letter or two from blotting out the sense of every line, and from
// being read off the holes. AMT takes none under 8.
const minHidden = 4

// setup applies the parameters that concern the log.
func (l *logger) setup(given values) error {
	l.quiet = given.is("quiet")
	l.hide = given["password"]
	level, err := strconv.Atoi(given["verbose_level"])
	if err != nil || level < 0 {
		l.warn("Parse error: Option 'verbose_level' must be an integer greater than or equal to 0. Setting verbose_level to 0.")
		level = 0
	}
	l.verbose = level > 0
	if name := given["debug_file"]; name != "" {
		if l.file, err = os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err != nil {
			return usage("Failed: Unable to create file %s", clip(name))
		}
	}
	return nil
}

func (l *logger) close() {
	if l.file != nil {
		l.file.Close()
	}
}

func (l *logger) error(s string) { l.line("ERROR", s) }
func (l *logger) warn(s string)  { l.line("WARNING", s) }
func (l *logger) debug(s string) { l.line("DEBUG", s) }

func (l *logger) debugf(format string, args ...any) { l.debug(fmt.Sprintf(format, args...)) }

func (l *logger) line(level, s string) {
	if len(l.hide) >= minHidden {
		s = strings.ReplaceAll(s, l.hide, "(hidden)")
	}
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", " ")
	s = fmt.Sprintf("%s %s: %s\n", time.Now().Format("2006-01-02 15:04:05,000"), level, s)
	if l.err != nil && !l.quiet && (l.verbose || level != "DEBUG") {
		_, _ = io.WriteString(l.err, s) // nowhere else to say that it failed
	}
	if l.file != nil {
		_, _ = io.WriteString(l.file, s)
	}
}
