package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxAnswer is the longest line that is read from a user or a password file, in bytes.
const maxAnswer = 4096

// interactive reports whether somebody sits there to be asked.
func (a *app) interactive() bool { return isTerminal(a.in) }

// prompt shows a question on the terminal, even if stderr goes elsewhere. The returned function must be called when it
// is answered.
func (a *app) prompt(question string) (done func(answer string)) {
	w, end := a.err, func() {}
	if !isTerminal(a.err) {
		if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
			w, end = tty, func() { tty.Close() }
		}
	}
	fmt.Fprint(w, oneLine(question)+" ")
	return func(answer string) {
		fmt.Fprint(w, answer)
		end()
	}
}

// confirm asks a yes-or-no question; an empty answer is yes if byDefault. Nobody there is no.
func (a *app) confirm(question string, byDefault bool) (bool, error) {
	if !a.interactive() {
		return false, nil
	}
	choice := "[y/N]"
	if byDefault {
		choice = "[Y/n]"
	}
	done := a.prompt(question + " " + choice)
	defer done("")
	line, err := a.answer()
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	case "":
		return byDefault, nil
	}
	return false, nil
}

// sure asks somebody at the terminal before several machines are changed for good. yes answers beforehand.
func (a *app) sure(yes bool, machines int, what string) error {
	if yes || machines < 2 || !a.interactive() {
		return nil
	}
	ok, err := a.confirm(fmt.Sprintf("%s: %d machines?", what, machines), false)
	if err == nil && !ok {
		err = usage("--yes answers beforehand", "canceled; nothing was sent")
	}
	return err
}

// askPassword reads a password without showing it. ok is false if nobody is there.
func (a *app) askPassword(question string) (password string, ok bool, err error) {
	in, isFile := a.in.(*os.File)
	if !isFile || !a.interactive() {
		return "", false, nil
	}
	done := a.prompt(question + ":")
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", false, fmt.Errorf("read the password: %w", err)
	}
	password, err = unless(a.ctx, func() (string, error) {
		b, err := term.ReadPassword(fd)
		return string(b), err
	})
	if a.ctx.Err() != nil {
		term.Restore(fd, before) // the one who reads does not come to it any more
	}
	done("\n")
	if err != nil {
		return "", false, fmt.Errorf("read the password: %w", err)
	}
	return password, true, nil
}

// answer reads the line that the user types at a prompt. Ctrl-C ends that: what was switched on for a session must be
// switched off again.
func (a *app) answer() (string, error) {
	return unless(a.ctx, func() (string, error) { return readLine(a.in) })
}

// unless returns what read does, unless ctx ends first. Nobody can end a read of a terminal: it then goes on to the end of
// the program, which is near.
func unless(ctx context.Context, read func() (string, error)) (text string, err error) {
	done := make(chan struct{})
	var got string
	var failed error
	go func() {
		defer close(done)
		got, failed = read()
	}()
	select {
	case <-done:
		return got, failed
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// readLine reads one line, byte by byte: what follows belongs to somebody else.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for {
		n, err := r.Read(b[:])
		if n == 1 {
			if b[0] == '\n' {
				return strings.TrimSuffix(string(line), "\r"), nil
			}
			if line = append(line, b[0]); len(line) > maxAnswer {
				return "", fmt.Errorf("a line of more than %d bytes", maxAnswer)
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				return strings.TrimSuffix(string(line), "\r"), nil
			}
			return "", err
		}
	}
}

// readPasswordFile reads the first line of a file.
func readPasswordFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := readLine(bufio.NewReader(f))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return line, nil
}

// readLimited reads all of r, up to a limit in bytes.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, usage("", "the file is larger than %d bytes", limit)
	}
	return b, nil
}
