// Package ws carries a stream of bytes in the binary frames of a web socket; the borders of frames mean nothing. AMT since
// 11.0 takes redirection so, on the ports of its web server (path "/ws-redirection"), and browsers take RFB.
//
// Frames, masking and the handshake are the business of github.com/coder/websocket. This package joins it to connections
// that are open already, and to servers that are not net/http's. Sources: RFC 6455; spec redirection.md section 1.2.
//
// The package opens no sockets and logs nothing.
package ws
