package cli

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/console"
	statuses "github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// The program wsman, as wsmancli 2.8 has it: options, environment (WSMAN_USER, WSMAN_PASS), default port, documents on
// stdout, exit code 1 if the last HTTP status was not 200. What differs: a ReturnValue that is not 0 is a failure too, as
// nothing was done; a user name is admin unless given, AMT_PASSWORD counts too, a password in --endpoint may hold @, : and
// /, an absent --config-file is no failure, and a refused password is not asked for again. Source: wsmancli, src/wsman.c and man/wsman.1.

const (
	wsmancliPort    = 5985
	wsmancliPortTLS = 5986
)

// wsmancliVerbs are the verbs that are carried out.
var wsmancliVerbs = []string{"get", "put", "create", "delete", "enumerate", "pull", "release", "invoke", "identify", "anonid", "test"}

func wsmancli(a *app, args []string) int {
	opts, err := parseOptions(wsmanOptions, "wsmancli", args)
	if err != nil {
		fmt.Fprintln(a.err, oneLine(err.Error()))
		return 1
	}
	switch {
	case opts.has("help"):
		fmt.Fprint(a.out, "Usage:\n  wsman [Option...] <action> <Resource Uri>\n\nOptions:\n", optionHelp(wsmanOptions, "wsmancli"))
		return 0
	case opts.has("version"):
		fmt.Fprintf(a.out, "wsman (outband %s)\n\n", Version)
		return 0
	}
	if len(opts.words) == 0 || len(opts.words) == 1 && needsURI(opts.words[0]) && opts.words[0] != "unsubscribe" && opts.words[0] != "renew" {
		fmt.Fprintln(a.err, "Error: operation can not be completed. Action or/and Resource Uri missing.")
		return 1
	}
	if !slices.Contains(wsmancliVerbs, opts.words[0]) {
		fmt.Fprintln(a.err, "Action not supported")
		return 1
	}
	status, err := a.wsmancli(opts)
	if errors.Is(err, errInput) {
		fmt.Fprintln(a.err, "Missing resource data")
	}
	if err == nil && status == http.StatusOK {
		return 0
	}
	var refused *statuses.Error
	if !errors.As(err, &refused) {
		fmt.Fprintf(a.err, "Connection failed. response code = %d\n", status)
	}
	if err != nil {
		fmt.Fprintln(a.err, oneLine(err.Error()))
	}
	return 1
}

// wsmancli carries the call out and returns the HTTP status of the last answer, 0 if there was none.
func (a *app) wsmancli(opts *parsedOptions) (status int, err error) {
	at, err := a.wsmancliEndpoint(opts)
	if err != nil {
		return 0, err
	}
	call, err := newWSManCall(opts, opts.words, a.in)
	if err != nil {
		return 0, err
	}
	seconds, err := opts.number("transport-timeout", 1<<20)
	if err != nil {
		return 0, err
	}
	cfg := console.Config{
		Address: at.host, Scheme: at.scheme, Port: at.port, Username: at.user, Password: at.password,
		TLS: console.TLSConfig{CAFile: opts.get("cacert"), LegacyCiphers: true},
	}
	if at.password == "" {
		cfg.AskPassword = func(context.Context) (string, error) { return a.wsmancliPassword(opts) }
	}
	if opts.has("noverifypeer") || opts.has("noverifyhost") {
		cfg.TLS.OnUnknown = func(_ context.Context, _ *x509.Certificate, reason error) bool {
			var bad *console.TrustError
			return opts.has("noverifypeer") || errors.As(reason, &bad) && bad.Reason == console.WrongName
		}
	}
	if certFile := opts.get("cert"); certFile != "" {
		if cfg.TLS.Certificates, err = clientCertificate(certFile, first(opts.get("sslkey"), certFile)); err != nil {
			return 0, err
		}
	}
	client, err := console.New(cfg)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	if seconds == 0 {
		seconds = 60
	}
	a.Timeout = time.Duration(seconds) * time.Second
	raw, err := a.rawClient(client, at.host)
	if err != nil {
		return 0, err
	}
	defer raw.Close()
	call.post = poster(raw, at.path)
	call.show = func(doc []byte, index int) error {
		return writeAnswer(a.out, opts.get("out-file"), indentXML(doc), index)
	}
	if opts.has("print-request") {
		call.dump = func(doc []byte) { a.out.Write(indentXML(doc)) }
	}
	status, err = call.run(a.ctx)
	if errors.Is(err, wsman.ErrUnauthorized) {
		status, err = http.StatusUnauthorized, fmt.Errorf("401 Unauthorized: %w", err)
	}
	return status, err
}

// wsmancliPassword asks for a password on the terminal.
func (a *app) wsmancliPassword(opts *parsedOptions) (string, error) {
	if !opts.has("non-interactive") {
		if password, ok, err := a.askPassword("Password"); ok || err != nil {
			return password, err
		}
	}
	return "", errors.New("no password: give -p, or set WSMAN_PASS or AMT_PASSWORD")
}

// An endpoint is whom wsmancli speaks to.
type endpoint struct {
	scheme, user, password, host, path string
	port                               int
}

func (a *app) wsmancliEndpoint(opts *parsedOptions) (endpoint, error) {
	at := endpoint{scheme: console.HTTP, host: first(opts.get("hostname"), "localhost"), path: opts.get("path")}
	if opts.words[0] == "anonid" {
		at.path = first(at.path, nsWSManAnonymous)
	}
	var err error
	if at.port, err = opts.number("port", 65535); err != nil {
		return at, err
	}
	if file := opts.get("config-file"); file != "" {
		port, err := configPort(file)
		if err != nil {
			return at, err
		}
		if at.port == 0 {
			at.port = port
		}
	}
	if opts.has("https") || opts.has("cacert") {
		at.scheme = console.HTTPS
	}
	if text := opts.get("endpoint"); text != "" {
		given, err := parseEndpoint(text)
		if err != nil {
			return at, err
		}
		given.path = first(given.path, at.path)
		at = given
	}
	if at.port == 0 {
		at.port = wsmancliPort
		if at.scheme == console.HTTPS {
			at.port = wsmancliPortTLS
		}
	}
	at.user = first(at.user, opts.get("username"), a.env("WSMAN_USER"), "admin")
	at.password = first(at.password, opts.get("password"), a.env("WSMAN_PASS"), a.env("AMT_PASSWORD"))
	return at, nil
}

// parseEndpoint reads http[s]://[USER[:PASSWORD]@]HOST[:PORT][/PATH]. The last @ ends the credentials, so that they may
// hold anything.
func parseEndpoint(text string) (endpoint, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != console.HTTP && scheme != console.HTTPS {
		return endpoint{}, usage("", "--endpoint: not an http or https URL")
	}
	at := endpoint{scheme: scheme}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		at.user, at.password, _ = strings.Cut(rest[:i], ":")
		at.user, at.password = unpercent(at.user), unpercent(at.password)
		rest = rest[i+1:]
	}
	rest, at.path, _ = strings.Cut(rest, "/")
	at.host = rest
	if host, port, err := net.SplitHostPort(rest); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return endpoint{}, usage("", "--endpoint: port %q is not a number", port)
		}
		at.host, at.port = host, int(n)
	}
	at.host = strings.Trim(at.host, "[]")
	if at.host == "" {
		return endpoint{}, usage("", "--endpoint: no host")
	}
	return at, nil
}

// configPort reads the port of section client out of a configuration file. A file that is not there says nothing: it
// belongs to a package that need not be installed.
func configPort(file string) (int, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot parse file [%s]", file)
	}
	defer f.Close()
	port, section, found := 0, "", false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = strings.ToLower(strings.Trim(line, "[]"))
			found = found || section == "client"
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if ok && section == "client" && strings.TrimSpace(name) == "port" {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 16)
			if err != nil {
				return 0, fmt.Errorf("cannot parse file [%s]: port %q", file, value)
			}
			port = int(n)
		}
	}
	if !found {
		return 0, errors.New("Configuration file not found") //lint:ignore ST1005 the words of wsmancli
	}
	return port, nil
}
