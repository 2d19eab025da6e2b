package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"
)

// qemuArgs are words of QEMU's command line. Unlike other values they begin with a dash.
type qemuArgs struct {
	given bool
	line  string
}

// Decode takes the next argument as it stands. One word that begins with two dashes is the next flag.
func (q *qemuArgs) Decode(ctx *kong.DecodeContext) error {
	token := ctx.Scan.Pop()
	line, ok := token.Value.(string)
	if !ok || strings.HasPrefix(line, "--") && !strings.Contains(line, " ") {
		return fmt.Errorf("expected words of QEMU's command line, such as '-m 512'; there may be none: ''")
	}
	q.given, q.line = true, line
	return nil
}

// checkQEMU looks at what belongs to --qemu.
func (c *virtualCmd) checkQEMU() error {
	switch {
	case !c.QEMU.given && c.Binary != "":
		return usage("", "--qemu-binary: without --qemu there is no QEMU")
	case !c.QEMU.given && c.InBand:
		return usage("", "--in-band: without --qemu there is no QEMU")
	case !c.QEMU.given && c.Accel != "":
		return usage("", "--accel: without --qemu there is no QEMU")
	case c.QEMU.given && c.USB != "":
		return usage("", "--usb: a key for the setup of AMT cannot be plugged into a QEMU process")
	}
	return nil
}

// log is where a machine tells what a user should see. The PC that is drawn has nothing to tell.
func (c *virtualCmd) log(a *app) *slog.Logger {
	if !c.QEMU.given {
		return nil
	}
	return slog.New(noteHandler{a: a})
}

// A noteHandler shows warnings as notes.
type noteHandler struct {
	a     *app
	attrs []slog.Attr
}

func (noteHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (h noteHandler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	add := func(a slog.Attr) bool {
		if v := a.Value.String(); v != "" && v != "<nil>" {
			text += "; " + a.Key + ": " + v
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.a.note("%s", text)
	return nil
}

func (h noteHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return h
}

func (h noteHandler) WithGroup(string) slog.Handler { return h }
