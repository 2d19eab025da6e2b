package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxPostAnswer is the most octets that are read of what a server says to a record. It is not used for anything.
const maxPostAnswer = 64 << 10

// A reportTo sends records to a web server.
type reportTo struct {
	url    *url.URL
	client *http.Client
}

// newReportTo checks the address and returns what sends there: over TLS only, but to this computer itself. Authorities of
// --ca are believed instead of the system's.
func (a *app) newReportTo(address string) (*reportTo, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return nil, usage("such as https://inventory.example/amt", "--post: %q is no address of a web server", address)
	case u.User != nil:
		return nil, usage("", "--post: an address with an account in it can be seen by everybody on this computer")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, usage("use https://; http:// does for this computer itself", "--post: %s would be sent for everybody to read", u.Redacted())
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CA != "" {
		text, err := readSmall(a.CA)
		if err != nil {
			return nil, usage("", "--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, usage("", "--ca: %s holds no certificate (PEM)", a.CA)
		}
	}
	return &reportTo{u, &http.Client{
		Timeout:       a.Timeout,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// send posts a record as JSON and returns when the server has taken it.
func (p *reportTo) send(ctx context.Context, record any) error {
	body, err := json.Marshal(record)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "outband/"+Version)
	resp, err := p.client.Do(req)
	if err != nil {
		var bad *tls.CertificateVerificationError
		if errors.As(err, &bad) {
			return &failure{exitTrust, fmt.Errorf("--post: %w", err), "--ca FILE names the authority of the server"}
		}
		return &failure{exitUnreachable, fmt.Errorf("--post: %w", err), ""}
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxPostAnswer)) // so that the server can say all it wants before it is hung up on
	if resp.StatusCode/100 != 2 {
		return &failure{exitRefused, fmt.Errorf("--post: %s answers %s", p.url.Redacted(), resp.Status), ""}
	}
	return nil
}
