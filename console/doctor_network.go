package console

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/wire/rmcp"
)

func (e *exam) name(ctx context.Context) finding {
	address := e.c.cfg.Address
	if e.c.over != nil || e.c.cfg.Dial != nil {
		return skip("the connection is made elsewhere")
	}
	if _, err := netip.ParseAddr(address); err == nil {
		return ok("%s is an address", address)
	}
	ctx, cancel := context.WithTimeout(ctx, e.c.cfg.ConnectTimeout)
	defer cancel()
	var r net.Resolver
	found, err := r.LookupNetIP(ctx, "ip", address)
	if err != nil {
		return fail("check the spelling and the DNS, or use the address", "%s does not resolve: %v", address, err)
	}
	words := make([]string, len(found))
	for i, a := range found {
		words[i] = a.Unmap().String()
	}
	return ok("%s is %s", address, strings.Join(words, ", "))
}

func (e *exam) ports(ctx context.Context) finding {
	if e.c.over != nil {
		return skip("no connections of our own")
	}
	all := []int{PortHTTPS, PortHTTP, PortRedirectionTLS, PortRedirection, portVNC}
	if p := e.c.cfg.Port; p != 0 && !slices.Contains(all, p) {
		all = append(all, p)
	}
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, port := range all {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, portWait)
			defer cancel()
			conn, err := e.c.dialTCP(ctx, port)
			if errs[i] = err; err == nil {
				conn.Close()
			}
		})
	}
	group.Wait()
	e.open = map[int]error{}
	var words []string
	for i, port := range all {
		e.open[port] = errs[i]
		word := "open"
		var why *UnreachableError
		if errors.As(errs[i], &why) {
			word = string(why.Reason)
		} else if errs[i] != nil {
			word = errs[i].Error()
		}
		words = append(words, fmt.Sprintf("%d %s", port, word))
	}
	detail := strings.Join(words, ", ")
	if e.isOpen(PortHTTPS) || e.isOpen(PortHTTP) || e.isOpen(e.c.cfg.Port) {
		return ok("%s", detail)
	}
	_, hint := Explain(errs[0])
	return fail(hint, "%s", detail)
}

func (e *exam) ping(ctx context.Context) finding {
	if e.c.over != nil || e.c.cfg.Dial != nil {
		return skip("the connection is made elsewhere")
	}
	got, err := ping(ctx, e.c.cfg.Address, e.c.cfg.PingPort, 2*time.Second)
	reachable := e.isOpen(PortHTTPS) || e.isOpen(PortHTTP)
	switch {
	case err != nil && reachable:
		return ok("no answer to the presence ping on UDP %d; it may be switched off", e.c.cfg.PingPort)
	case err != nil:
		return warn("without an answer and without ports there is no sign of AMT at this address", "no answer to the presence ping on UDP %d", e.c.cfg.PingPort)
	}
	e.pong = &got
	text := fmt.Sprintf("AMT %d.%d answers the presence ping, setup state %v", got.Major, got.Minor, got.State)
	if got.Major == 0 {
		text = "AMT before 6.0 answers the presence ping"
	} else if got.State != rmcp.Post {
		return fail("activate AMT first, at the machine (MEBx) or from its operating system", "%s", text)
	}
	return ok("%s", text)
}

func (e *exam) amt(ctx context.Context) finding {
	if e.c.over != nil {
		return skip("no connections of our own")
	}
	greetPort := func(port int, secure bool) (*greeting, error) {
		ctx, cancel := context.WithTimeout(ctx, e.c.cfg.ConnectTimeout)
		defer cancel()
		g, err := hello(ctx, hostHeader(e.c.cfg.Address, port), secure, func(ctx context.Context) (net.Conn, error) { return e.c.dialTCP(ctx, port) })
		if err != nil && g.state == nil {
			return nil, err
		}
		return &g, err
	}
	var problems []error
	try := func(port int, secure bool) {
		if !e.isOpen(port) {
			return
		}
		g, err := greetPort(port, secure)
		if err != nil {
			problems = append(problems, fmt.Errorf("port %d: %w", port, err))
		}
		switch {
		case secure && (e.secure == nil || g != nil):
			e.secure, e.tlsErr = g, err
		case !secure && e.plain == nil:
			e.plain = g
		}
	}
	try(PortHTTPS, true)
	try(PortHTTP, false)
	if p := e.c.cfg.Port; p != PortHTTP && p != PortHTTPS {
		try(p, e.c.cfg.Scheme != HTTP)
	}
	for _, g := range []*greeting{e.secure, e.plain} {
		if g != nil && g.isAMT() {
			return ok("%s", orText(g.Server, "AMT by its realm, without a Server header"))
		}
	}
	for _, g := range []*greeting{e.secure, e.plain} {
		if g != nil && g.Status != 0 {
			return warn("check the address; a proxy may hide the header", "something answers with HTTP status %d and calls itself %q, not AMT", g.Status, g.Server)
		}
	}
	if len(problems) > 0 {
		return fail("check address and port", "%v", errors.Join(problems...))
	}
	return skip("no open port")
}

func orText(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func (e *exam) tls(ctx context.Context) finding {
	if e.secure == nil || e.secure.state == nil {
		switch {
		case e.tlsErr != nil:
			return fail("the machine speaks no TLS that is known here; see its certificate and TLS settings over plain HTTP", "%v", e.tlsErr)
		case e.plain != nil:
			return warn("give the machine a certificate and switch TLS on; without it everything but the password can be read and changed on the way", "the machine speaks plain HTTP only")
		}
		return skip("no open port")
	}
	s := e.secure.state
	text := fmt.Sprintf("%s with %s", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite))
	shake := HandshakeError{Version: s.Version, Suite: s.CipherSuite}
	least := e.c.trust.MinVersion
	if least == 0 {
		least = tls.VersionTLS12
	}
	legacy := slices.Contains(legacySuites, s.CipherSuite)
	switch {
	case s.Version < least || legacy && !e.c.trust.LegacyCiphers:
		return fail("for this machine set "+shake.Remedy(), "the machine offers %s at best, which the settings forbid", text)
	case s.Version < tls.VersionTLS12:
		return warn("update the firmware if there is a newer one", "%s is outdated", text)
	case legacy:
		return warn("update the firmware if there is a newer one", "%s has no forward secrecy: who gets the key can read recorded traffic", text)
	}
	return ok("%s", text)
}

// soon is how long before its end a certificate is complained about.
const soon = 30 * 24 * time.Hour

func (e *exam) certificate(ctx context.Context) finding {
	if e.secure == nil || e.secure.state == nil || len(e.secure.state.PeerCertificates) == 0 {
		return skip("no TLS")
	}
	chain := e.secure.state.PeerCertificates
	leaf := chain[0]
	text := fmt.Sprintf("for %s, until %s, SHA-256 %s", names(leaf), leaf.NotAfter.UTC().Format(time.DateOnly), Fingerprint(leaf))
	if err := e.c.trust.judge(chain); err != nil {
		_, hint := Explain(err)
		return fail(hint, "%v", err)
	}
	now := e.c.trust.now()
	pinned := e.c.trust.pinned() != ""
	if pinned {
		text = "pinned; " + text
	}
	switch key, isRSA := leaf.PublicKey.(*rsa.PublicKey); {
	case now.After(leaf.NotAfter):
		return warn("renew it; only the pin makes it good", "expired; %s", text)
	case now.Before(leaf.NotBefore):
		return warn("check the clocks; only the pin makes it good", "not valid before %s; %s", leaf.NotBefore.UTC().Format(time.DateOnly), text)
	case now.Add(soon).After(leaf.NotAfter):
		return warn("renew it", "expires in %d days; %s", int(leaf.NotAfter.Sub(now).Hours()/24), text)
	case isRSA && key.N.BitLen() < 2040: // some firmware makes keys of 2047 bits
		return warn("make a new one with a key of 2048 bits", "key of %d bits only; %s", key.N.BitLen(), text)
	case leaf.SignatureAlgorithm == x509.SHA1WithRSA || leaf.SignatureAlgorithm == x509.MD5WithRSA:
		return warn("make a new one signed with SHA-256", "signed with %v; %s", leaf.SignatureAlgorithm, text)
	}
	return ok("%s", text)
}

func (e *exam) plaintext(ctx context.Context) finding {
	switch {
	case e.open == nil:
		return skip("no connections of our own")
	case e.isOpen(PortHTTP) && e.secure != nil:
		return warn("let the machine accept TLS only (AMT_TLSSettingData.AcceptNonSecureConnections)", "port %d takes plain HTTP beside TLS", PortHTTP)
	case e.isOpen(PortHTTP):
		return warn("switch TLS on", "only plain HTTP on port %d", PortHTTP)
	case e.isOpen(PortHTTPS):
		return ok("port %d is closed, TLS only", PortHTTP)
	}
	return skip("no open port")
}

func (e *exam) credentials(ctx context.Context) finding {
	if e.c.over == nil && !e.isOpen(PortHTTP) && !e.isOpen(PortHTTPS) && !e.isOpen(e.c.cfg.Port) {
		return skip("no open port")
	}
	began := time.Now()
	var err error
	e.state, err = e.c.Power(ctx)
	e.took = time.Since(began)
	e.refuse = err
	e.access = err == nil || errors.Is(err, ErrUnsupported) || isAbsent(err) || refused(err)
	if !e.access {
		return broken(err)
	}
	if e.c.over != nil {
		return ok("the machine answers")
	}
	return ok("user %s is accepted", e.c.Username())
}

func (e *exam) lockout(ctx context.Context) finding {
	switch {
	case errors.Is(e.refuse, ErrLockedOut):
		return fail("stop trying for some minutes, find who uses a wrong password, then check the password", "the machine delays its refusals, as it does after repeated failures")
	case errors.Is(e.refuse, ErrUnauthorized):
		return ok("refused without delay: the password is wrong, the account is not locked")
	case !e.access:
		return skip("no access to the machine")
	}
	log, err := e.readLog(ctx)
	if err != nil {
		return skip("the event log cannot be read")
	}
	if n, last := log.authFailures(); n > 0 {
		return warn("find who tries: a console with an old password can lock the account", "%d records of failed log-ins in the event log, the last of %s", n, last.UTC().Format(time.DateTime))
	}
	return ok("not locked; no failed log-ins in the newest %d records of the event log", len(log.records))
}
