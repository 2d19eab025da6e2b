package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A notifier tells systemd how a service is; without systemd it tells nobody. Source: sd_notify(3).
type notifier struct {
	socket string        // $NOTIFY_SOCKET; "" is none
	every  time.Duration // between signs of life; 0: none are wanted
	ready  sync.Once
}

func (a *app) notifier() *notifier {
	n := &notifier{socket: a.env("NOTIFY_SOCKET")}
	usec, err := strconv.ParseInt(a.env("WATCHDOG_USEC"), 10, 64)
	pid := a.env("WATCHDOG_PID")
	if err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.every = time.Duration(usec) * time.Microsecond / 2
	}
	return n
}

// send sends lines such as READY=1. What does not get through is lost: there is nobody to tell.
func (n *notifier) send(lines ...string) {
	if n.socket == "" {
		return
	}
	name := n.socket
	if strings.HasPrefix(name, "@") { // an abstract one
		name = "\x00" + name[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	conn.Write([]byte(strings.Join(lines, "\n")))
}

// status says how the service is, and the first time that it has started.
func (n *notifier) status(format string, args ...any) {
	n.ready.Do(func() { n.send("READY=1") })
	n.send("STATUS=" + oneLine(fmt.Sprintf(format, args...)))
}

// alive gives signs of life until ctx ends, then says that the service ends.
func (n *notifier) alive(ctx context.Context) {
	defer n.send("STOPPING=1")
	if n.socket == "" || n.every <= 0 {
		<-ctx.Done()
		return
	}
	ticker := time.NewTicker(n.every)
	defer ticker.Stop()
	for {
		n.send("WATCHDOG=1")
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// serviceLog is the log of a service, on standard error.
func (a *app) serviceLog() *slog.Logger {
	level := slog.LevelWarn
	if a.Verbose > 0 {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}
