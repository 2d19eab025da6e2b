package cli

import (
	"context"

	"github.com/outband/outband/wire/fbs"
	"github.com/outband/outband/wire/rfb"
)

// A kvmRecording is the recording of a screen. nil records nothing.
type kvmRecording struct {
	*recording
	w *fbs.Writer
}

// openRecording creates the file, before the machine is touched.
func (c *kvmCmd) openRecording(a *app, host string) (*kvmRecording, error) {
	if c.Record == "" {
		return nil, nil
	}
	r, err := a.newRecording(host, c.Record)
	if err != nil {
		return nil, err
	}
	k := &kvmRecording{recording: r}
	if k.w, err = fbs.NewWriter(r.file); err != nil {
		r.fail(err)
	} else {
		r.size = k.w.Size
	}
	return k, nil
}

// run records until ctx ends.
func (k *kvmRecording) run(ctx context.Context, frame *rfb.Frame, name string) {
	if k != nil && k.w != nil {
		k.fail(fbs.Record(ctx, frame, k.w, fbs.RecordOptions{Name: name}))
	}
}

func (k *kvmRecording) close(err error) error {
	if k == nil {
		return err
	}
	return k.recording.close(err)
}
