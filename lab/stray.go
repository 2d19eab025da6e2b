package lab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"

	"github.com/outband/outband/virtual/firmware"
)

// A stray is something that is no AMT machine.
type stray struct {
	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

// startStray listens where AMT would.
func startStray(address, kind string) (*stray, error) {
	serve, ok := map[string]func(net.Conn){
		"closes": func(net.Conn) {},
		"talks":  func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n"); io.Copy(io.Discard, c) },
		"silent": func(c net.Conn) { io.Copy(io.Discard, c) },
		"web":    strayWeb,
	}[kind]
	if !ok {
		return nil, fmt.Errorf("lab: stray %q is none of closes, talks, silent, web", kind)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(firmware.PortHTTP)))
	if err != nil {
		return nil, err
	}
	s := &stray{ln: ln, conns: map[net.Conn]bool{}}
	s.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.wg.Go(func() {
				serve(conn)
				conn.Close()
			})
		}
	})
	return s, nil
}

// strayWeb is a web server of another kind.
func strayWeb(c net.Conn) {
	for in := bufio.NewReader(c); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		const page = "<html><body>It works!</body></html>"
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
	}
}

func (s *stray) close() {
	s.ln.Close()
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}
