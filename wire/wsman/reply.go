package wsman

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits on the head of an HTTP answer. Those of AMT are below 500 octets in six lines.
const (
	MaxLine   = 8 << 10  // octets of one line, chunk sizes included
	MaxHead   = 32 << 10 // octets of all lines
	MaxFields = 64       // header lines
)

const (
	maxInformational = 4        // 1xx answers before the answer
	readStep         = 32 << 10 // octets of room made at a time, whatever length is announced
)

// An HTTPReply is a whole HTTP answer.
type HTTPReply struct {
	Status int
	Header http.Header
	Body   []byte
}

// A reply is an HTTP answer as read off a connection. It lives in the buffer that it was read into.
type reply struct {
	status int
	fields []field
	body   []byte
	keep   bool // the connection can carry another request

	took  time.Duration // from sending to the last octet
	sent  bool          // octets of the request may have reached the machine
	taken int           // challenges taken when the request was signed; see [auth]

	renewed    bool // this 401's challenge was taken
	staleNonce bool // and it says that the nonce was merely old
}

type field struct{ name, value string }

func (r *reply) get(name string) string {
	for i := range r.fields {
		if strings.EqualFold(r.fields[i].name, name) {
			return r.fields[i].value
		}
	}
	return ""
}

func (r *reply) all(name string) (values []string) {
	for i := range r.fields {
		if strings.EqualFold(r.fields[i].name, name) {
			values = append(values, r.fields[i].value)
		}
	}
	return values
}

// has reports whether a header that holds a list has that word in it.
func (r *reply) has(name, word string) bool {
	for i := range r.fields {
		if !strings.EqualFold(r.fields[i].name, name) {
			continue
		}
		for part := range strings.SplitSeq(r.fields[i].value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), word) {
				return true
			}
		}
	}
	return false
}

func (r *reply) header() http.Header {
	h := make(http.Header, len(r.fields))
	for _, f := range r.fields {
		h.Add(f.name, f.value)
	}
	return h
}

// errNoReply tells that the peer closed the connection without a word, as it does with one that it took for idle.
var errNoReply = fmt.Errorf("wsman: no answer: %w", ErrCut)

// A buffer holds what one exchange writes and reads.
type buffer struct {
	doc, request, head, body []byte
	fields                   []field
}

// A replyReader reads one answer off a connection.
type replyReader struct {
	*buffer
	br *bufio.Reader
}

// readReply reads one answer. Errors wrap errNoReply before the first octet and [ErrCut] after it, [ErrNotAMT] or
// [ErrTooLong], or are timeouts.
func readReply(br *bufio.Reader, buf *buffer, method string, limit int64) (rep reply, err error) {
	r := replyReader{buf, br}
	for n := 0; ; n++ {
		if rep, err = r.readHead(); err != nil {
			return rep, err
		}
		if rep.status >= 200 {
			break
		}
		if rep.status == 101 || n == maxInformational {
			return rep, notAMT("unexpected HTTP status "+strconv.Itoa(rep.status), nil)
		}
	}
	r.body = r.body[:0]
	err = r.readBody(&rep, method, limit)
	rep.body = r.body
	if err != nil {
		return rep, cut(err)
	}
	rep.keep = rep.keep && br.Buffered() == 0
	return rep, nil
}

// cut turns the end of a connection, in whatever form it shows, into ErrCut.
func cut(err error) error {
	switch {
	case errors.Is(err, ErrNotAMT), errors.Is(err, ErrTooLong), timedOut(err):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("wsman: %w", ErrCut)
	}
	return fmt.Errorf("wsman: %w: %w", ErrCut, err)
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (r *replyReader) readHead() (rep reply, err error) {
	if err := r.greeting(); err != nil {
		return rep, err
	}
	r.head = r.head[:0]
	for lines := 0; ; lines++ {
		line, err := r.line()
		if err != nil {
			return rep, cut(err)
		}
		if len(line) == 0 {
			break
		}
		if lines > MaxFields || len(r.head)+len(line) > MaxHead {
			return rep, fmt.Errorf("wsman: %w: HTTP head of more than %d lines or %d octets", ErrTooLong, MaxFields, MaxHead)
		}
		r.head = append(append(r.head, line...), '\n')
	}
	status, rest, _ := strings.Cut(string(r.head), "\n")
	version, code, _ := strings.Cut(status, " ")
	code, _, _ = strings.Cut(strings.TrimLeft(code, " "), " ")
	if !strings.HasPrefix(version, "HTTP/1.") || len(code) != 3 {
		return rep, notAMT("not an HTTP/1 answer", []byte(status))
	}
	if rep.status, err = strconv.Atoi(code); err != nil || rep.status < 100 {
		return rep, notAMT("not an HTTP status", []byte(status))
	}
	r.fields = r.fields[:0]
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if line[0] == ' ' || line[0] == '\t' { // RFC 9112 5.2: a line that goes on
			if len(r.fields) > 0 {
				last := &r.fields[len(r.fields)-1]
				last.value = strings.TrimSpace(last.value + " " + strings.TrimSpace(line))
				continue
			}
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return rep, notAMT("bad HTTP header", []byte(line))
		}
		r.fields = append(r.fields, field{name, strings.TrimSpace(value)})
	}
	rep.fields = r.fields
	rep.keep = !rep.has("Connection", "close") && (version != "HTTP/1.0" || rep.has("Connection", "keep-alive"))
	return rep, nil
}

// greeting waits for the first octets and refuses what does not begin as an HTTP answer does at once, since a peer
// that speaks another protocol may say no more until it is spoken to.
func (r *replyReader) greeting() error {
	const want = "HTTP/1."
	if _, err := r.br.Peek(1); err != nil {
		switch {
		case errors.Is(err, io.EOF):
			return errNoReply
		case timedOut(err):
			return err
		}
		return fmt.Errorf("%w: %w", errNoReply, err)
	}
	for n := 1; n <= len(want); n++ {
		got, err := r.br.Peek(n)
		if len(got) > 0 && !strings.HasPrefix(want, string(got)) {
			got, _ = r.br.Peek(r.br.Buffered())
			return notAMT("not an HTTP/1 answer", got)
		}
		if err != nil {
			return cut(err)
		}
	}
	return nil
}

// line reads one line without its end. It is valid until the next read.
func (r *replyReader) line() ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("wsman: %w: HTTP line of more than %d octets", ErrTooLong, MaxLine)
		}
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func isToken(name string) bool {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

// readBody reads the body in the form that the head announces. RFC 9112 6.3.
func (r *replyReader) readBody(rep *reply, method string, limit int64) error {
	if method == "HEAD" || rep.status == 204 || rep.status == 304 {
		return nil
	}
	if codings := rep.all("Transfer-Encoding"); len(codings) > 0 {
		if len(codings) > 1 || !strings.EqualFold(codings[0], "chunked") {
			return notAMT("unknown transfer coding", []byte(strings.Join(codings, ",")))
		}
		if rep.get("Content-Length") != "" {
			rep.keep = false
		}
		return r.readChunks(limit)
	}
	lengths := rep.all("Content-Length")
	if len(lengths) == 0 {
		rep.keep = false
		return r.readAll(limit)
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil {
		return notAMT("bad Content-Length", []byte(lengths[0]))
	}
	for _, other := range lengths[1:] {
		if other != lengths[0] {
			return notAMT("two values of Content-Length", []byte(strings.Join(lengths, ",")))
		}
	}
	return r.readN(int64(n), limit)
}

// readN reads n octets. Room is made as they come, not as they are announced.
func (r *replyReader) readN(n, limit int64) error {
	if n > limit-int64(len(r.body)) {
		return tooLong(limit)
	}
	for n > 0 {
		step := int(min(n, readStep))
		r.body = slices.Grow(r.body, step)
		got, err := io.ReadFull(r.br, r.body[len(r.body):len(r.body)+step])
		r.body = r.body[:len(r.body)+got]
		if err != nil {
			return err
		}
		n -= int64(got)
	}
	return nil
}

func tooLong(limit int64) error {
	return fmt.Errorf("wsman: %w: more than %d octets", ErrTooLong, limit)
}

func (r *replyReader) readAll(limit int64) error {
	for {
		r.body = slices.Grow(r.body, 512)
		n, err := r.br.Read(r.body[len(r.body):cap(r.body)])
		r.body = r.body[:len(r.body)+n]
		if int64(len(r.body)) > limit {
			return tooLong(limit)
		}
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// readChunks joins chunks. AMT pads sizes to four digits, in upper case, and cuts anywhere, inside tags and characters.
func (r *replyReader) readChunks(limit int64) error {
	for {
		line, err := r.line()
		if err != nil {
			return err
		}
		digits, _, _ := bytes.Cut(line, []byte(";"))
		digits = bytes.TrimSpace(digits)
		size, err := strconv.ParseUint(string(digits), 16, 63)
		if err != nil {
			return notAMT("bad chunk size", line)
		}
		if size == 0 {
			break
		}
		if err := r.readN(int64(size), limit); err != nil {
			return err
		}
		if line, err = r.line(); err != nil {
			return err
		}
		if len(line) != 0 {
			return notAMT("chunk longer than its size", line)
		}
	}
	for total := 0; ; {
		line, err := r.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if total += len(line); total > MaxHead {
			return fmt.Errorf("wsman: %w: trailer of more than %d octets", ErrTooLong, MaxHead)
		}
	}
}
