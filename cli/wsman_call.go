package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	maxWSManInput = 16 << 20 // bytes of --input
	maxPulls      = 1 << 20  // of one enumeration
	dashNamespace = "__cimnamespace"

	nsWSManAnonymous = "/wsman-anon/identify"
	selectorFilter   = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
)

// errInput says that there is nothing to send; wsmancli has words of its own for it.
var errInput = errors.New("missing resource data")

// A wsmanCall is one use of wsman: a verb, on a resource, of one machine. It speaks HTTP itself, as its user wants to
// see what goes over the wire, whatever it is.
type wsmanCall struct {
	verb      string
	uri       string
	selectors wsman.Selectors
	opts      *parsedOptions
	stdin     io.Reader

	// post sends a document, show is given every answer in turn; index counts the pulls of an enumeration from 1.
	post func(ctx context.Context, doc []byte) (*wsman.HTTPReply, error)
	show func(doc []byte, index int) error
	dump func(doc []byte) // gets requests, for --print-request; nil: nobody
}

// needsURI reports whether a verb works on a resource.
func needsURI(verb string) bool { return verb != "identify" && verb != "anonid" && verb != "test" }

// newWSManCall reads verb and resource out of the words, and the selectors out of the resource.
func newWSManCall(opts *parsedOptions, words []string, stdin io.Reader) (*wsmanCall, error) {
	c := &wsmanCall{verb: words[0], opts: opts, stdin: stdin}
	if len(words) > 1 && needsURI(c.verb) {
		uri, query, _ := strings.Cut(words[1], "?")
		c.uri = wsman.ClassURI(uri)
		var err error
		if c.selectors, err = parseQuery(query); err != nil {
			return nil, err
		}
	}
	if ns := opts.get("namespace"); ns != "" {
		c.selectors = append(c.selectors, wsman.Selector{Name: dashNamespace, Value: ns})
	}
	return c, nil
}

// run carries the call out and returns the HTTP status of the last answer.
func (c *wsmanCall) run(ctx context.Context) (status int, err error) {
	switch c.verb {
	case "identify", "anonid":
		body := wsman.Group(wsman.NSIdentity, "Identify")
		return c.send(ctx, &wsman.Request{Body: &body}, 0)
	case "test":
		doc, err := c.input()
		if err != nil {
			return 0, err
		}
		return c.exchange(ctx, doc, 0)
	case "get":
		return c.simple(ctx, wsman.ActionGet, nil)
	case "delete":
		return c.simple(ctx, wsman.ActionDelete, nil)
	case "put":
		return c.put(ctx)
	case "create":
		return c.create(ctx)
	case "invoke":
		return c.invoke(ctx)
	case "enumerate":
		return c.enumerate(ctx)
	case "pull":
		return c.simple(ctx, wsman.ActionPull, new(c.pullBody(c.opts.get("enum-context"))))
	case "release":
		return c.simple(ctx, wsman.ActionRelease, new(wsman.Group(wsman.NSEnumeration, "Release",
			wsman.El(wsman.NSEnumeration, "EnumerationContext", c.opts.get("enum-context")))))
	}
	return 0, usage("verbs are identify, get, put, create, delete, enumerate, pull, release, invoke", "unknown verb %q", c.verb)
}

func (c *wsmanCall) simple(ctx context.Context, action string, body *wsman.Element) (int, error) {
	req, err := c.request(action, body)
	if err != nil {
		return 0, err
	}
	return c.send(ctx, req, 0)
}

// request builds a message with the headers that the options ask for.
func (c *wsmanCall) request(action string, body *wsman.Element) (*wsman.Request, error) {
	timeout, err := c.opts.number("operation-timeout", 1<<31-1)
	if err != nil {
		return nil, err
	}
	size, err := c.opts.number("max-envelope-size", 1<<31-1)
	if err != nil {
		return nil, err
	}
	req := &wsman.Request{
		Action: action, ResourceURI: c.uri, Selectors: c.selectors, MessageID: newMessageID(), Body: body,
		OperationTimeout: time.Duration(timeout) * time.Millisecond, MaxEnvelopeSize: size,
	}
	if tag := c.opts.get("locale"); tag != "" {
		e := wsman.Element{Name: wsman.Name{Space: wsman.NSWSMan, Local: "Locale"}}
		e.Attrs = []wsman.Attr{{Name: wsman.Name{Space: "http://www.w3.org/XML/1998/namespace", Local: "lang"}, Value: tag}}
		req.Header = append(req.Header, e)
	}
	if path := c.opts.get("fragment"); path != "" {
		req.Header = append(req.Header, wsman.El(wsman.NSWSMan, "FragmentTransfer", path))
	}
	if len(c.opts.values["option"]) > 0 {
		set := wsman.Group(wsman.NSWSMan, "OptionSet")
		for _, pair := range c.opts.values["option"] {
			name, value, _ := strings.Cut(pair, "=")
			e := wsman.El(wsman.NSWSMan, "Option", value)
			e.Attrs = []wsman.Attr{{Name: wsman.Name{Local: "Name"}, Value: name}}
			set.Children = append(set.Children, e)
		}
		req.Header = append(req.Header, set)
	}
	return req, nil
}

func newMessageID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (c *wsmanCall) send(ctx context.Context, req *wsman.Request, index int) (int, error) {
	return c.exchange(ctx, req.Append(nil), index)
}

// exchange sends a document and shows the answer.
func (c *wsmanCall) exchange(ctx context.Context, doc []byte, index int) (int, error) {
	reply, err := c.ask(ctx, doc)
	if err != nil {
		return 0, err
	}
	if err := c.shown(reply, index); err != nil {
		return reply.Status, err
	}
	return reply.Status, c.refused(reply)
}

// refused is the error of an answer whose ReturnValue is a no: the document was shown, but nothing was done.
func (c *wsmanCall) refused(reply *wsman.HTTPReply) error {
	if c.verb != "invoke" || reply.Status != http.StatusOK {
		return nil
	}
	root, err := wsman.Parse(reply.Body)
	if err != nil {
		return nil // what it is was shown
	}
	body := root.Child("Body")
	if body == nil || len(body.Children) == 0 {
		return nil
	}
	value := body.Children[0].Child("ReturnValue")
	if value == nil || value.Text == "" || value.Text == "0" {
		return nil
	}
	n, err := strconv.ParseUint(value.Text, 10, 32)
	if err != nil {
		return fmt.Errorf("refused: ReturnValue %.40q", value.Text)
	}
	return &status.Error{Op: wsman.ClassName(c.uri) + "." + c.opts.get("method"), Code: status.Status(n)}
}

// shown shows an answer if it is one: not, say, the page that comes with a 401.
func (c *wsmanCall) shown(reply *wsman.HTTPReply, index int) error {
	if reply.Status != http.StatusOK && !isEnvelope(reply.Body) {
		return nil
	}
	return c.show(reply.Body, index)
}

func isEnvelope(doc []byte) bool {
	root, err := wsman.Parse(doc)
	return err == nil && root.Local == "Envelope"
}

func (c *wsmanCall) ask(ctx context.Context, doc []byte) (*wsman.HTTPReply, error) {
	if c.dump != nil {
		c.dump(doc)
	}
	return c.post(ctx, doc)
}

// input reads --input.
func (c *wsmanCall) input() ([]byte, error) {
	name := c.opts.get("input")
	if name == "" {
		return nil, errInput
	}
	in := c.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("", "--input: %w", err)
		}
		defer f.Close()
		in = f
	}
	doc, err := io.ReadAll(io.LimitReader(in, maxWSManInput+1))
	if err != nil {
		return nil, usage("", "--input: %w", err)
	}
	if len(doc) > maxWSManInput {
		return nil, usage("", "--input: larger than %d bytes", maxWSManInput)
	}
	return doc, nil
}

// resource reads --input as an instance or as parameters. Of a whole envelope it takes what is in the Body.
func (c *wsmanCall) resource() (*wsman.Element, error) {
	doc, err := c.input()
	if err != nil {
		return nil, err
	}
	root, err := wsman.Parse(doc)
	if err != nil {
		return nil, usage("", "--input: %w", err)
	}
	if root.Local == "Envelope" {
		body := root.Child("Body")
		if body == nil || len(body.Children) == 0 {
			return nil, usage("", "--input: the envelope has nothing in its Body")
		}
		return &body.Children[0], nil
	}
	return &root, nil
}

// properties are the --prop options in order.
func (c *wsmanCall) properties() (out [][2]string, err error) {
	for _, pair := range c.opts.values["prop"] {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usage("", "--prop: %q is not NAME=VALUE", pair)
		}
		out = append(out, [2]string{name, value})
	}
	return out, nil
}
