package cli

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"time"

	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
)

type screenshotCmd struct {
	Host string `arg:"" help:"The machine: a name of the hosts database or an address."`
	File string `short:"f" default:"screenshot.png" placeholder:"FILE" help:"Where to write the picture (PNG); - is stdout."`
	Redirection
}

func (screenshotCmd) Help() string {
	return "Opens KVM for a moment and writes what the screen shows.\n\n" +
		example("outband screenshot nuc1 -f nuc1.png", "outband screenshot nuc1 -f - | display")
}

// A screenshotRecord says what was written.
type screenshotRecord struct {
	Host   string `json:"host"`
	OK     bool   `json:"ok"`
	File   string `json:"file"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

func (c *screenshotCmd) Run(a *app) error {
	h, client, err := a.reachBy(c.Host, c.Redirection)
	if err != nil {
		return err
	}
	defer client.Close()
	var img *image.RGBA
	err = a.redirected(a.ctx, client, redir.KVM, c.Redirection, func(ctx context.Context) error {
		s, err := client.KVM(ctx, rfb.ClientOptions{})
		if err != nil {
			return err
		}
		img = steady(ctx, s)
		return s.Close()
	})
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		return fmt.Errorf("screenshot: %w", err)
	}
	if c.File == "-" {
		_, err = a.out.Write(out.Bytes())
		return err
	}
	write := writeFile
	if info, err := os.Stat(c.File); err == nil && !info.Mode().IsRegular() {
		write = func(name string, b []byte) error { return os.WriteFile(name, b, 0o600) } // a pipe, a device
	}
	if err := write(c.File, out.Bytes()); err != nil {
		return fmt.Errorf("screenshot: %w", err)
	}
	r := screenshotRecord{h.Name, true, c.File, img.Rect.Dx(), img.Rect.Dy()}
	return a.printer(hostColumn([]hosts.Host{h}), column{"FILE", 20}, column{"SIZE", 0}).record(r, plain(r.Host), plain(r.File),
		plain(fmt.Sprintf("%dx%d", r.Width, r.Height)))
}

// quiet is how long a screen must not change its size to be taken for the real one.
const quiet = 200 * time.Millisecond

// steady waits until the screen has kept its size for a moment: some firmware begins with another one.
func steady(ctx context.Context, s *rfb.Client) *image.RGBA {
	w, h := s.Frame.Size()
	for {
		select {
		case <-time.After(quiet):
		case <-s.Done():
		case <-ctx.Done():
		}
		nw, nh := s.Frame.Size()
		if nw == w && nh == h {
			return s.Frame.Image()
		}
		w, h = nw, nh
	}
}
