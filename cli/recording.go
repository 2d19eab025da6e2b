package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A recording is a file that is written beside a session: of --record, or of --log. When the file cannot grow any more the
// user is told, the session goes on, and its command fails in the end.
type recording struct {
	app  *app
	host string
	what string // "recording", "log"
	name string
	file *os.File
	size func() int64 // of what is whole; nil: all that was written is

	mu     sync.Mutex // guards what follows
	failed error
}

// newRecording creates the file of the flag --record. It is the user's alone: it shows what was on a screen. Nothing that
// holds something is written over.
func (a *app) newRecording(host, name string) (*recording, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		return nil, usage("choose another name, or remove it first", "--record: %s is there already", name)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, usage("", "--record: %w", err)
	}
	return &recording{app: a, host: host, what: "recording", name: name, file: f, size: func() int64 { return 0 }}, nil
}

// newLog opens the file of the flag --log, to append to it.
func (a *app) newLog(host, name string) (*recording, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, usage("", "--log: %w", err)
	}
	return &recording{app: a, host: host, what: "log", name: name, file: f}, nil
}

// fail notes that the recording has ended early, once.
func (r *recording) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || r.failed != nil {
		return
	}
	r.failed = fmt.Errorf("%s to %s: %w", r.what, r.name, reason(err))
	r.app.note("%s: the %s has ended, and the session goes on: %v", r.host, r.what, r.failed)
}

// reason is what a write of a file failed with, without the names of files and packages.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// close ends the recording. err is the session's; that of the recording is added.
func (r *recording) close(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil && r.size != nil {
		r.file.Truncate(r.size()) // what is no file has no size to cut
	}
	if e := r.file.Close(); e != nil && r.failed == nil {
		r.failed = fmt.Errorf("%s to %s: %w", r.what, r.name, reason(e))
	}
	if r.failed == nil && r.size == nil {
		return err
	}
	if r.failed == nil {
		r.app.note("%s: recorded to %s", r.host, r.name)
		return err
	}
	return errors.Join(err, r.failed)
}

// quietly makes a writer for an [io.MultiWriter] beside which the session goes on when w fails.
func (r *recording) quietly(w io.Writer) io.Writer { return &quietWriter{r, w} }

type quietWriter struct {
	r *recording
	w io.Writer
}

func (q *quietWriter) Write(p []byte) (int, error) {
	if q.w != nil {
		if _, err := q.w.Write(p); err != nil {
			q.r.fail(err)
			q.w = nil
		}
	}
	return len(p), nil
}
