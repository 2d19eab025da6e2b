package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
)

type kvmCmd struct {
	Host     string   `arg:"" help:"The machine: a name of the hosts database or an address."`
	Listen   string   `default:"127.0.0.1:0" placeholder:"ADDRESS" help:"Where VNC viewers find the screen; default is a free port of this computer."`
	Viewer   string   `default:"auto" placeholder:"PROGRAM" help:"VNC viewer to start; auto finds one, none starts none."`
	ViewOnly bool     `help:"Nobody may type or click."`
	Web      string   `placeholder:"ADDRESS" help:"Serve the screen in a web socket too, for noVNC; :PORT is on loopback, and nothing else may be."`
	Origin   []string `placeholder:"URL" help:"Server whose pages may open that web socket, as in http://127.0.0.1:8080; may be given several times."`
	Record   string   `placeholder:"FILE" help:"Record the screen to FILE (FBS), for \"outband play\" and players of rfbproxy's recordings."`
	Typing
	Picture
	For time.Duration `placeholder:"TIME" help:"End the session after that time."`
	Redirection
}

func (kvmCmd) Help() string {
	return "Serves the screen to any VNC viewer, in the colours and the encoding it asks for, and starts one if there is one.\n" +
		"Several may watch; keyboard and mouse are with whoever used them last. VNC_PASSWORD is asked of viewers if it is set;\n" +
		"it must be if others than this computer can connect.\n\n" +
		example("outband kvm nuc1", "outband kvm nuc1 --viewer none --listen 127.0.0.1:5901", "outband kvm nuc1 --press ctrl-alt-del --for 1s --viewer none",
			"outband kvm nuc1 --record nuc1.fbs", "outband kvm nuc1 --web :6080 --origin http://127.0.0.1:8080")
}

// A kvmRecord says where the screen is served.
type kvmRecord struct {
	Host    string `json:"host"`
	OK      bool   `json:"ok"`
	Address string `json:"address"`       // of the VNC server
	Web     string `json:"web,omitempty"` // of the web socket
	Width   int    `json:"width"`
	Height  int    `json:"height"`
}

func (c *kvmCmd) Run(a *app) (err error) {
	if err := c.Typing.read(a); err != nil {
		return err
	}
	h, client, err := a.reachBy(c.Host, c.Redirection)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx := a.ctx
	password := a.env("VNC_PASSWORD")
	ln, err := c.open(ctx, password)
	if err != nil {
		return err
	}
	defer ln.Close()
	web, err := c.openWeb(ctx)
	if err != nil {
		return err
	}
	defer web.Close()
	rec, err := c.openRecording(a, h.Name)
	if err != nil {
		return err
	}
	defer func() { err = rec.close(err) }()
	o := console.ShareOptions{Name: h.Name, Password: password, ViewOnly: c.ViewOnly, Event: func(err error) {
		if err != nil {
			a.note("%s: the session has ended: %v; opening it again", h.Name, err)
			return
		}
		a.note("%s: there again", h.Name)
	}}
	o.Paste = c.paste
	if err := c.Picture.client(ctx, client, &o.KVM); err != nil {
		return err
	}
	back, err := c.turn(ctx, client)
	if err != nil {
		return err
	}
	err = a.redirected(ctx, client, redir.KVM, c.Redirection, func(ctx context.Context) error {
		return c.share(ctx, a, client, ln, o, web, rec)
	})
	err = failedBack(err, back())
	if errors.Is(err, errTimeIsUp) || errors.Is(err, errHungUp) {
		return nil
	}
	return err
}

// open opens the port for viewers. Without a password nobody but this computer may reach it.
func (c *kvmCmd) open(ctx context.Context, password string) (net.Listener, error) {
	address := c.Listen
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usage("", "--listen: %w", err)
	}
	if !isLoopback(host) && password == "" {
		return nil, usage("set VNC_PASSWORD, or forward a port of loopback by ssh", "--listen: others could use the keyboard without a password")
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, usage("", "--listen: %w", err)
	}
	return ln, nil
}

// share serves viewers until ctx ends, the viewer that was started does, or the machine refuses for good.
func (c *kvmCmd) share(ctx context.Context, a *app, client *console.Client, ln net.Listener, o console.ShareOptions, web *kvmWeb, rec *kvmRecording) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	event := o.Event
	o.Event = func(err error) {
		event(err)
		if err == nil { // another session: the machine has shown its monitors the picture again
			if _, err := c.darken(ctx, client); err != nil {
				a.note("%s: %v", o.Name, err)
			}
		}
	}
	s, err := client.Share(ctx, o)
	if err != nil {
		return err
	}
	light, err := c.darken(ctx, client)
	if err != nil {
		return err
	}
	defer func() { err = failedBack(err, light()) }()
	if err := c.Typing.do(ctx, s); err != nil {
		return err
	}
	defer endAfter(c.For, cancel)()
	w, h := s.Frame().Size()
	r := kvmRecord{o.Name, true, ln.Addr().String(), web.address(), w, h}
	if err := a.printer(column{"HOST", 16}, column{"VNC SERVER", 20}, column{"SCREEN", 0}).record(r, plain(r.Host), plain(r.Address), plain(fmt.Sprintf("%dx%d", w, h))); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer cancel(nil)
	wg.Go(func() { rec.run(ctx, s.Frame(), o.Name) })
	wg.Go(func() {
		web.serve(ctx, func(conn io.ReadWriteCloser) {
			if err := s.Serve(ctx, conn); err != nil {
				a.detail("%v", err)
			}
		})
	})
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				if err := s.Serve(ctx, conn); err != nil {
					a.detail("%v", err)
				}
			})
		}
	})
	if err := c.viewer(ctx, a, ln.Addr().String(), o.Password, func() { cancel(errHungUp) }, &wg); err != nil {
		return err
	}
	if err := s.Run(ctx); !errors.Is(err, redir.ErrConsent) {
		return err
	}
	return consentGone(o.Name)
}

// vncViewers are programs that show a VNC server that they are given as HOST::PORT.
var vncViewers = []string{"vncviewer", "xtigervncviewer", "xtightvncviewer", "gvncviewer", "remmina", "vinagre"}

// viewer starts a viewer, if there is one and a display for it. done is called when it has ended.
func (c *kvmCmd) viewer(ctx context.Context, a *app, address, password string, done func(), wg *sync.WaitGroup) error {
	name := c.Viewer
	if name == "auto" {
		name = "none"
		if a.env("DISPLAY") != "" || a.env("WAYLAND_DISPLAY") != "" {
			for _, v := range vncViewers {
				if _, err := exec.LookPath(v); err == nil {
					name = v
					break
				}
			}
		}
	}
	if name == "none" {
		a.note("point a VNC viewer at %s; Ctrl-C ends", viewerAddress(address))
		return nil
	}
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(ctx, name, viewerArgs(name, host, port)...)
	cmd.Stderr = a.err
	cmd.Env = append(os.Environ(), "VNC_PASSWORD="+password)
	if err := cmd.Start(); err != nil {
		return usage("--viewer none starts none", "--viewer: %w", err)
	}
	wg.Go(func() {
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			a.note("%s: %v", name, err)
		}
		done()
	})
	return nil
}

// viewerArgs is how a viewer is told its server.
func viewerArgs(name, host, port string) []string {
	switch {
	case strings.Contains(name, "gvncviewer"): // wants a display number
		n, _ := strconv.Atoi(port)
		return []string{fmt.Sprintf("%s:%d", host, n-rfb.Port)}
	case strings.Contains(name, "remmina"):
		return []string{"-c", "vnc://" + net.JoinHostPort(host, port)}
	}
	return []string{viewerAddress(net.JoinHostPort(host, port))}
}

// viewerAddress is how viewers name a server with a port rather than a display: HOST::PORT, with brackets about IPv6.
func viewerAddress(address string) string {
	port := strings.LastIndex(address, ":")
	return address[:port] + ":" + address[port:]
}
