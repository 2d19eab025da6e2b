package wsman

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A call is one HTTP request, to be sent once or more.
type call struct {
	method, path, contentType string
	soapAction                string // with quotes; "": none
	body                      []byte
	safe                      bool // may be sent again after it may have been carried out
	bare                      bool // goes without credentials, and 401 is an answer
}

// check refuses what would break the form of an HTTP head.
func (q *call) check() error {
	bad := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	switch {
	case !isToken(q.method):
		return fmt.Errorf("wsman: bad HTTP method %.40q", q.method)
	case !strings.HasPrefix(q.path, "/") || strings.ContainsFunc(q.path, bad):
		return fmt.Errorf("wsman: bad HTTP path %.80q", q.path)
	case strings.ContainsFunc(q.contentType, func(r rune) bool { return r < ' ' || r >= 0x7f }):
		return fmt.Errorf("wsman: bad content type %.80q", q.contentType)
	case strings.ContainsFunc(q.soapAction, bad):
		return fmt.Errorf("wsman: bad SOAPAction %.80q", q.soapAction)
	}
	return nil
}

// appendRequest appends head and body, which go out in one write.
func (c *Client) appendRequest(out []byte, q *call, authorization string) []byte {
	host := c.Host
	if host == "" {
		host = "amt"
	}
	out = append(append(append(out, q.method...), ' '), q.path...)
	out = append(append(out, " HTTP/1.1\r\nHost: "...), host...)
	if authorization != "" {
		out = append(append(out, "\r\nAuthorization: "...), authorization...)
	}
	if q.contentType != "" {
		out = append(append(out, "\r\nContent-Type: "...), q.contentType...)
	}
	if q.soapAction != "" {
		out = append(append(out, "\r\nSOAPAction: "...), q.soapAction...)
	}
	if len(q.body) > 0 || q.method == "POST" || q.method == "PUT" {
		out = strconv.AppendInt(append(out, "\r\nContent-Length: "...), int64(len(q.body)), 10)
	}
	return append(append(out, "\r\n\r\n"...), q.body...)
}

// exchange sends the request once and reads the answer into buf. A kept connection may prove dead only now: then a
// fresh one is tried, once, unless the request may have been carried out. It is signed, if at all, when its turn comes,
// so that counts of the nonce go out in order; and a 401 to it is taken before the next one's turn, so that a nonce
// which the machine has dropped costs those who wait nothing.
func (c *Client) exchange(ctx context.Context, q *call, signed bool, buf *buffer) (rep reply, err error) {
	if err := c.pool.acquire(ctx); err != nil {
		return rep, failure(ctx, err)
	}
	defer c.pool.release()
	if err := c.pacer.wait(ctx, c.pool.life); err != nil {
		return rep, failure(ctx, err)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(orDefault(c.Timeout, DefaultTimeout))
	}
	var authorization string
	var taken int
	if signed {
		authorization, taken = c.auth.sign(q)
	}
	buf.request = c.appendRequest(buf.request[:0], q, authorization)
	cn := c.pool.take()
	for {
		if cn == nil {
			if cn, err = c.pool.connect(ctx, deadline); err != nil {
				return rep, failure(ctx, err)
			}
		}
		reused := cn.used
		start := time.Now()
		var sent bool
		rep, sent, err = cn.roundTrip(ctx, deadline, buf, q.method, orDefault(c.MaxReply, MaxDocument))
		if sent {
			c.trips.Add(1)
		}
		rep.took, rep.taken, rep.sent = time.Since(start), taken, sent
		stale := err != nil && reused && (!sent || q.safe && errors.Is(err, errNoReply)) && ctx.Err() == nil && c.pool.life.Err() == nil
		if err != nil {
			switch {
			case c.pool.life.Err() != nil:
				err = errClosed
			default:
				err = failure(ctx, err)
			}
			if sent && !q.safe && (rep.status != 0 || !errors.Is(err, ErrNotAMT)) {
				err = indeterminate(err)
			}
		}
		if c.Trace != nil {
			c.trace(q, &rep, start, reused, err)
		}
		if rep.keep && err == nil {
			c.pool.put(cn)
		} else {
			c.pool.drop(cn)
		}
		if !stale {
			if signed && err == nil && rep.status == 401 {
				rep.renewed, rep.staleNonce, err = c.auth.renew(&rep)
			}
			return rep, err
		}
		cn = nil
	}
}

// do sends the request with credentials. Until the first challenge it is sent without, by one goroutine at a time while
// others wait, so that many requests cost one challenge, and wrong credentials one refusal.
func (c *Client) do(ctx context.Context, q *call, buf *buffer) (reply, error) {
	if q.bare {
		return c.exchange(ctx, q, false, buf)
	}
	refusals := c.auth.refusals()
	if c.auth.unknown() {
		if err := c.auth.enter(ctx, c.pool.life); err != nil {
			return reply{}, failure(ctx, err)
		}
		if err := c.auth.refusedSince(refusals); err != nil {
			c.auth.leave()
			return reply{}, err
		}
		if c.auth.unknown() {
			defer c.auth.leave()
			return c.introduce(ctx, q, buf, refusals)
		}
		c.auth.leave() // somebody was let in meanwhile
	}
	rep, err := c.exchange(ctx, q, true, buf)
	if err != nil || rep.status != 401 {
		return rep, err
	}
	// The machine dropped the nonce, or has another password now.
	if err := c.auth.enter(ctx, c.pool.life); err != nil {
		return reply{}, failure(ctx, err)
	}
	defer c.auth.leave()
	return c.signIn(ctx, q, buf, refusals)
}

// introduce sends the first request, without credentials as there is no challenge yet. The gate is held.
func (c *Client) introduce(ctx context.Context, q *call, buf *buffer, refusals int) (reply, error) {
	rep, err := c.exchange(ctx, q, false, buf)
	if err != nil {
		return reply{}, err
	}
	if rep.status != 401 {
		if rep.status == 200 && q.path == wsmanPath {
			c.auth.open()
		}
		return rep, nil
	}
	if _, err := c.auth.challenged(&rep); err != nil {
		return reply{}, err
	}
	c.auth.baseline(rep.took)
	return c.signIn(ctx, q, buf, refusals)
}

// signIn sends the request with the challenge that was just taken. The gate is held. A machine may call even a new nonce
// stale, once; anything else is a refusal. One that gave its challenge, and now says nothing, may be delaying a refusal.
func (c *Client) signIn(ctx context.Context, q *call, buf *buffer, refusals int) (reply, error) {
	for stales := 0; ; stales++ {
		if err := c.auth.refusedSince(refusals); err != nil {
			return reply{}, err
		}
		rep, err := c.exchange(ctx, q, true, buf)
		if rep.sent && rep.status == 0 && errors.Is(err, errSlow) {
			err = fmt.Errorf("%w; %w", err, ErrSlowLogin)
		}
		if err != nil || rep.status != 401 {
			return rep, err
		}
		stale := rep.staleNonce
		if !rep.renewed {
			stale, err = c.auth.challenged(&rep)
		}
		if err != nil || !stale || stales > 0 {
			return reply{}, c.auth.refuse(rep.took)
		}
	}
}
