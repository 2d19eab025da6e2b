package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/rfb"
)

// Picture are the flags of a KVM session that say what is shown, and how the machine sends it.
type Picture struct {
	Colours    string        `enum:"auto,16,8,gray,gray4" default:"auto" help:"Bits per pixel from the machine: auto, 16, 8, gray (256 shades) or gray4 (16 shades, for very thin links)."`
	Encoding   string        `enum:"zrle,raw" default:"zrle" help:"How the machine sends pixels: zrle, or raw, which costs it less and the network more."`
	Compress   bool          `help:"Have the machine compress, where it can: for thin links."`
	Decimation string        `enum:"off,auto,on," default:"" placeholder:"MODE" help:"Have the machine send half the size: off, auto (screens above 1920x1080) or on; release 15 and newer."`
	Interval   time.Duration `placeholder:"TIME" help:"Ask for a new picture no more often than that: for thin links."`
	Screen     int           `placeholder:"N" help:"Show monitor N, from 1, during this session; see outband screen list."`
	Blank      bool          `help:"Darken the monitors of the machine during this session."`
}

// client says how the picture is wanted of the machine, once it is known to be able to.
func (p *Picture) client(ctx context.Context, c *console.Client, o *rfb.ClientOptions) error {
	o.Format = map[string]rfb.PixelFormat{"16": rfb.RGB565, "8": rfb.RGB332, "gray": rfb.Gray8, "gray4": rfb.Gray4}[p.Colours]
	o.Interval = p.Interval
	if p.Encoding == "raw" {
		o.Encodings = []rfb.Encoding{rfb.EncodingRaw, rfb.EncodingDataChannel, rfb.EncodingDesktopSize}
	}
	o.Decimation = map[string]uint8{"off": rfb.DecimationOff, "auto": rfb.DecimationAuto, "on": rfb.DecimationOn}[p.Decimation]
	gray := o.Format == rfb.Gray8 || o.Format == rfb.Gray4
	if !gray && !p.Compress && o.Decimation == 0 {
		return nil
	}
	can, err := c.KVMAbilities(ctx)
	if err != nil {
		return err
	}
	for _, wish := range []struct {
		wanted, can bool
		flag, what  string
	}{{gray, can.Gray, "--colours " + p.Colours, "shades of gray"}, {p.Compress, can.Compress, "--compress", "compression"}, {o.Decimation != 0, can.Decimate, "--decimation", "half the size"}} {
		if wish.wanted && !wish.can {
			return fmt.Errorf("%s: %w: its firmware knows no %s", wish.flag, console.ErrUnsupported, wish.what)
		}
	}
	if p.Compress {
		o.Compress = new(true)
	}
	return nil
}

// turn shows the monitor that is wanted; back shows the one of before.
func (p *Picture) turn(ctx context.Context, c *console.Client) (back func() error, err error) {
	if p.Screen == 0 {
		return func() error { return nil }, nil
	}
	before, err := c.KVMSettings(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.ShowScreen(ctx, p.Screen); err != nil {
		return nil, err
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackTime)
		defer cancel()
		_, err := c.SetKVMSettings(ctx, console.KVMSettings{Screen: before.Screen})
		return err
	}, nil
}

// darken darkens the monitors; light ends that.
func (p *Picture) darken(ctx context.Context, c *console.Client) (light func() error, err error) {
	if !p.Blank {
		return func() error { return nil }, nil
	}
	if _, err := c.BlankScreens(ctx, true); err != nil {
		return nil, err
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackTime)
		defer cancel()
		_, err := c.BlankScreens(ctx, false)
		return err
	}, nil
}

// Typing are the flags of a KVM session that press keys.
type Typing struct {
	Press []string `placeholder:"KEYS" help:"Press these keys first, as in ctrl-alt-del; may be given several times."`
	Type  string   `placeholder:"FILE" help:"Then type the text of FILE on the machine's keyboard; - is stdin."`
	Paste string   `placeholder:"KEYS" help:"Keys that, pressed in a viewer, type its clipboard at the machine, as in ctrl-alt-v."`

	keys  [][]uint32
	paste []uint32
	text  string
}

// maxTypeFile is more than can be typed.
const maxTypeFile = 64 << 10

// read understands the flags.
func (t *Typing) read(a *app) error {
	const hint = "keys are joined by -, as in ctrl-alt-del, win-l, f12"
	for _, text := range t.Press {
		k, err := rfb.ParseKeys(text)
		if err != nil {
			return usage(hint, "--press: %w", err)
		}
		t.keys = append(t.keys, k)
	}
	var err error
	if t.Paste != "" {
		if t.paste, err = rfb.ParseKeys(t.Paste); err != nil {
			return usage(hint, "--paste: %w", err)
		}
	}
	if t.Type == "" {
		return nil
	}
	from := a.in
	if t.Type != "-" {
		f, err := os.Open(t.Type)
		if err != nil {
			return usage("", "--type: %w", err)
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxTypeFile))
	if err != nil {
		return usage("", "--type: %w", err)
	}
	t.text = string(b)
	return nil
}

// do presses and types.
func (t *Typing) do(ctx context.Context, s *console.Share) error {
	for _, k := range t.keys {
		if err := s.Press(k); err != nil {
			return err
		}
	}
	return s.Type(ctx, t.text)
}
