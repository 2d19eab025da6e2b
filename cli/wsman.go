package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/wsman"
)

// wsmanCmd is wsmancli with our manners: names of the database, certificates that are checked, exit codes that mean
// something, and no password as an argument.
type wsmanCmd struct {
	Args []string `arg:"" optional:"" help:"Verb, resource, machine and options; --help lists them."`
}

func (wsmanCmd) Help() string {
	return example(
		"outband wsman identify nuc1",
		"outband wsman get CIM_AssociatedPowerManagementService nuc1",
		`outband wsman put IPS_KVMRedirectionSettingData nuc1 -k SessionTimeout=0`,
		`outband wsman invoke -a RequestStateChange CIM_KVMRedirectionSAP nuc1 -k RequestedState=2`,
		`outband wsman get 'AMT_EthernetPortSettings?InstanceID="Intel(r) AMT Ethernet Port Settings 0"' nuc1 -o json`)
}

const wsmanUsage = `Usage: outband wsman VERB [RESOURCE] [HOST] [options]

Speaks WS-Management to a machine, with the verbs and options of wsmancli.

VERB is identify, get, put, create, delete, enumerate, pull, release, invoke, or test (sends --input as it is).
RESOURCE is a class (CIM_Chip) or a resource URI, with selectors if need be: CLASS?Name="value"&Other="value".
HOST is a name of "outband host list" or an address; -h HOST is the same.
put -k reads the instance, changes it and writes it back. A ReturnValue other than 0 is a failure.

`

func (c *wsmanCmd) Run(a *app) error {
	opts, err := parseOptions(wsmanOptions, "outband", c.Args)
	if err != nil {
		return err
	}
	if opts.has("help") || len(opts.words) == 0 {
		fmt.Fprint(a.out, wsmanUsage, c.Help(), "\n\nOptions:\n", optionHelp(wsmanOptions, "outband"))
		return nil
	}
	form, err := a.wsmanGlobals(opts)
	if err != nil {
		return err
	}
	verb, words := opts.words[0], opts.words[1:]
	host := opts.get("hostname")
	most := 0 // words after the verb, the host aside
	if needsURI(verb) {
		if len(words) == 0 {
			return usage(`such as: outband wsman get CIM_Chip nuc1`, "%s needs a resource", verb)
		}
		most = 1
	}
	if len(words) == most+1 && host == "" {
		host, words = words[most], words[:most]
	}
	if len(words) > most {
		return usage("--help shows how", "too many words: %s", strings.Join(words[most:], " "))
	}
	h, err := a.target(host)
	if err != nil {
		return err
	}
	call, err := newWSManCall(opts, append([]string{verb}, words...), a.in)
	if err != nil {
		return err
	}
	client, err := a.connect(h)
	if err != nil {
		return err
	}
	defer client.Close()
	raw, err := a.rawClient(client, h.Address)
	if err != nil {
		return err
	}
	defer raw.Close()
	call.post = poster(raw, opts.get("path"))
	show := &wsmanShow{printer: a.printer(), form: form, file: opts.get("out-file")}
	call.show = show.answer
	if opts.has("print-request") {
		call.dump = func(doc []byte) { a.out.Write(indentXML(doc)) }
	}
	last, err := call.run(a.ctx)
	if errors.Is(err, errInput) {
		return usage("--input FILE or --prop NAME=VALUE give it", "%w", err)
	}
	if err != nil {
		if slices.Contains([]string{"identify", "get", "enumerate", "pull", "release"}, verb) {
			err = onlyRead{err}
		}
		return fmt.Errorf("%s: %w", verb, err)
	}
	if last != http.StatusOK && show.failed == nil {
		return fmt.Errorf("%s: %w", verb, &wsman.HTTPError{Status: last})
	}
	if show.failed != nil {
		return fmt.Errorf("%s: %w", verb, show.failed)
	}
	return nil
}

// wsmanGlobals carries options over that have a flag of their own elsewhere, and returns the form of the output.
func (a *app) wsmanGlobals(opts *parsedOptions) (form string, err error) {
	set := func(field *string, names ...string) {
		for _, name := range names {
			if v := opts.get(name); v != "" {
				*field = v
			}
		}
	}
	set(&a.Output, "output")
	set(&a.Trace, "trace")
	set(&a.User, "username", "user")
	set(&a.PasswordFile, "password-file")
	set(&a.Scheme, "scheme")
	set(&a.Pin, "pin")
	set(&a.CA, "cacert", "ca")
	set(&a.TLSMin, "tls-min")
	set(&a.Cert, "cert")
	set(&a.Key, "sslkey", "key")
	a.PasswordStdin = a.PasswordStdin || opts.has("password-stdin")
	a.LegacyCiphers = a.LegacyCiphers || opts.has("legacy-ciphers")
	a.Verbose += len(opts.values["verbose"])
	if opts.has("https") {
		a.Scheme = console.HTTPS
	}
	if y := opts.get("auth"); y != "" && y != "digest" {
		return "", &failure{exitUnsupported, fmt.Errorf("--auth %s: AMT is spoken to with digest only", y), ""}
	}
	port, err := opts.number("port", 65535)
	if err != nil {
		return "", err
	}
	if port != 0 {
		a.Port = port
	}
	if text := opts.get("timeout"); text != "" {
		if a.Timeout, err = time.ParseDuration(text); err != nil {
			return "", usage("such as 30s", "--timeout: %w", err)
		}
	}
	seconds, err := opts.number("transport-timeout", 1<<20)
	if err != nil {
		return "", err
	}
	if seconds != 0 {
		a.Timeout = time.Duration(seconds) * time.Second
	}
	form = a.Output
	if !slices.Contains([]string{"xml", "table", "json", "yaml"}, form) {
		return "", usage("", "--output: %q is none of xml, table, json, yaml", form)
	}
	return form, a.Globals.check()
}

// rawClient returns what sends documents to the machine as they are, over connections that client opens and checks.
func (a *app) rawClient(client *console.Client, address string) (*wsman.Client, error) {
	at, err := client.Endpoint(a.ctx)
	if err != nil {
		return nil, err
	}
	user, password, err := client.Credentials(a.ctx)
	if err != nil {
		return nil, err
	}
	trace, err := a.tracer(address)
	if err != nil {
		return nil, err
	}
	return &wsman.Client{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return client.Dial(ctx, at.Port, at.Scheme == console.HTTPS)
		},
		Host:     net.JoinHostPort(address, strconv.Itoa(at.Port)),
		Username: user, Password: password, Timeout: a.Timeout, Trace: trace,
	}, nil
}

// poster posts documents to a path.
func poster(raw *wsman.Client, path string) func(context.Context, []byte) (*wsman.HTTPReply, error) {
	path = "/" + strings.TrimPrefix(first(path, "/wsman"), "/")
	return func(ctx context.Context, doc []byte) (*wsman.HTTPReply, error) {
		return raw.HTTP(ctx, http.MethodPost, path, doc, "application/soap+xml;charset=UTF-8")
	}
}

// onlyRead is an error of a request that changes nothing: there is no doubt about what it may have done.
type onlyRead struct{ err error }

func (e onlyRead) Error() string {
	return strings.TrimSuffix(e.err.Error(), "; "+wsman.ErrIndeterminate.Error())
}
func (e onlyRead) Is(target error) bool {
	return target != wsman.ErrIndeterminate && errors.Is(e.err, target)
}
func (e onlyRead) As(target any) bool { return errors.As(e.err, target) }
