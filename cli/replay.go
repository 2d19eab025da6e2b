package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/outband/outband/wire/pcap"
)

type replayCmd struct {
	Wire    string `required:"" placeholder:"PATH" help:"Socket of the machine: what outband virtual --wire says."`
	Capture string `arg:"" help:"Packet capture (pcap, Ethernet), as tcpdump -w writes it; - for stdin."`
	Passed  string `short:"w" placeholder:"FILE" help:"Write the frames that get through to a capture."`
}

func (replayCmd) Help() string {
	return "Sends the frames of a capture through the network port of a virtual machine, where the policies of System Defense filter them " +
		"(see outband defense). Frames that come from the machine's own hardware address are sent by its PC, others are received. Rates go by the times " +
		"of the capture. outband defense stats tells what each filter has counted.\n\n" +
		example("outband replay --wire nic.sock frames.pcap -w passed.pcap", "tcpdump -i eth0 -c 100 -w - | outband replay --wire nic.sock - -o json")
}

// A replayRecord tells what got through.
type replayRecord struct {
	OK      bool     `json:"ok"`
	Frames  int      `json:"frames"`
	Passed  int      `json:"passed"`
	Dropped int      `json:"dropped"`
	Error   *problem `json:"error,omitempty"`
}

func (c *replayCmd) Run(a *app) error {
	r, err := c.replay(a)
	out := a.printer(column{"FRAMES", 8}, column{"PASSED", 8}, column{"DROPPED", 0})
	if err != nil {
		bad := judge(err)
		r.Error = problemOf(bad)
		if err := out.failed(r, false, nil); err != nil {
			return err
		}
		return bad
	}
	r.OK = true
	return out.record(r, plain(fmt.Sprint(r.Frames)), plain(fmt.Sprint(r.Passed)), plain(fmt.Sprint(r.Dropped)))
}

func (c *replayCmd) replay(a *app) (r replayRecord, err error) {
	in := io.Reader(a.in)
	if c.Capture != "-" {
		f, err := os.Open(c.Capture)
		if err != nil {
			return r, usage("", "%w", err)
		}
		defer f.Close()
		in = f
	}
	capture, err := pcap.NewReader(in)
	if err != nil {
		return r, usage("tcpdump -w writes captures that will do", "%s: %w", c.Capture, err)
	}
	ctx := a.ctx
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.Wire)
	if err != nil {
		return r, &failure{exitUnreachable, err, "is outband virtual --wire " + c.Wire + " running?"}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	done := make(chan error, 1)
	go func() {
		frames, err := sendCapture(capture, conn)
		r.Frames = frames
		done <- err
	}()
	back, err := c.collect(conn)
	if err != nil {
		conn.Close() // ends the sending, too
	}
	sent := <-done
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case err != nil && sent == nil:
		return r, fmt.Errorf("what got through: %w", err)
	case sent != nil:
		return r, fmt.Errorf("%s: frame %d: %w", c.Capture, r.Frames+1, sent)
	}
	r.Passed, r.Dropped = back, r.Frames-back
	return r, nil
}

// sendCapture sends all frames, and that there are no more.
func sendCapture(capture *pcap.Reader, conn net.Conn) (frames int, err error) {
	w, err := pcap.NewWriter(conn)
	for err == nil {
		var frame []byte
		var at time.Time
		if frame, at, err = capture.Next(); err == nil {
			err = w.Write(frame, at)
		}
		if err == nil {
			frames++
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	return frames, err
}

// collect reads what gets through, and writes it to the file.
func (c *replayCmd) collect(conn net.Conn) (frames int, err error) {
	back, err := pcap.NewReader(conn)
	if err != nil {
		return 0, err
	}
	var out *pcap.Writer
	if c.Passed != "" {
		f, err := os.Create(c.Passed)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		if out, err = pcap.NewWriter(f); err != nil {
			return 0, err
		}
	}
	for {
		frame, at, err := back.Next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err == nil && out != nil {
			err = out.Write(frame, at)
		}
		if err != nil {
			return frames, err
		}
		frames++
	}
}
