package firmware

import (
	"bufio"
	"context"
	"net"
	"net/http"

	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/ws"
)

// registerSocket lets redirection in by the web server too, in a web socket: releases since 11.0. HTTP has told who it is,
// so the login in it is empty. Source: spec redirection.md section 1.2.
func registerSocket(t *table) {
	t.route(redir.SocketPath, route{
		on:     func(m *Machine) bool { return !m.profile.Before(11, 0) && m.redirectionOpen() },
		realms: Realms(RealmRedirection),
		serve:  serveSocket,
	})
}

func serveSocket(_ context.Context, m *Machine, r *request) reply {
	if r.header.Get("Upgrade") == "" {
		a := page(http.StatusUpgradeRequired, "Upgrade Required", "Only web sockets are served here.")
		a.header, a.close = []string{"Upgrade: websocket"}, true
		return a
	}
	return reply{upgrade: func(ctx context.Context, conn net.Conn, br *bufio.Reader) error {
		rm := &m.redirection
		if !rm.welcome(1) {
			return errGuests
		}
		defer rm.welcome(-1)
		socket, err := ws.Accept(conn, br, r.header, r.method, r.host)
		if err != nil {
			return ended(err)
		}
		defer socket.Close()
		s, err := m.redirServer().AcceptAuthenticated(ctx, socket, r.user)
		if err != nil {
			return ended(err)
		}
		return m.serveSession(ctx, s, conn, r.origin)
	}}
}
