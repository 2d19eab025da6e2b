package wsman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/digest"
)

var getRequest = Request{Action: ActionGet, ResourceURI: NSCIM + "CIM_Chip", MessageID: "1"}

func TestOneRoundTripPerCall(t *testing.T) {
	g := newGuard(digest.ServerOptions{})
	m := &machine{answer: g.protect(serve(settings))}
	c := m.client(t, &Client{Password: testPassword})
	for i := range 5 {
		sel := Selectors{{Name: "Name", Value: fmt.Sprintf("A&B<c>%d", i)}}
		got, err := Get(t.Context(), c, "AMT_GeneralSettings", sel)
		if err != nil {
			t.Fatal(err)
		}
		if got.ChildText("Selectors") != sel.String() || got.ChildText("Text") != "Ünï <&> \"'" {
			t.Errorf("got %+v", got)
		}
	}
	dials, requests, _ := m.count()
	challenges, refusals := g.count()
	if dials != 2 || requests != 6 || challenges != 1 || refusals != 0 || c.RoundTrips() != 6 {
		t.Errorf("%d dials, %d requests, %d challenges, %d refusals, %d round trips", dials, requests, challenges, refusals, c.RoundTrips())
	}
	if c.Realm() != testRealm {
		t.Errorf("realm %q", c.Realm())
	}
}

// The forms in which one and the same answer may come.
func TestFormsOfAnswer(t *testing.T) {
	doc := string(getAnswer("1"))
	var tiny strings.Builder
	for i := range len(doc) {
		fmt.Fprintf(&tiny, "0001\r\n%s\r\n", doc[i:i+1])
	}
	for _, tt := range []struct {
		name, text string
		keep       bool
	}{
		{"length", withLength([]byte(doc)), true},
		{"header names in any case, values padded", "HTTP/1.1 200 OK\r\ncontent-LENGTH: \t " + fmt.Sprint(len(doc)) + "  \r\n\r\n" + doc, true},
		{"line feeds alone", "HTTP/1.1 200 OK\nContent-Length: " + fmt.Sprint(len(doc)) + "\n\n" + doc, true},
		{"chunks of one octet", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + tiny.String() + "0\r\n\r\n", true},
		{"extension and trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%04X ;a=b\r\n", len(doc)) + doc + "\r\n0000\r\nX: y\r\n\r\n", true},
		{"up to the end", "HTTP/1.1 200 OK\r\n\r\n" + doc, false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: " + fmt.Sprint(len(doc)) + "\r\n\r\n" + doc, false},
		{"closing", "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: " + fmt.Sprint(len(doc)) + "\r\n\r\n" + doc, false},
		{"after 100", "HTTP/1.1 100 Continue\r\n\r\n" + withLength([]byte(doc)), true},
		{"more than was asked for", withLength([]byte(doc)) + "HTTP/1.1 200 OK\r\n\r\n", false},
		{"folded header", "HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length: " + fmt.Sprint(len(doc)) + "\r\n\r\n" + doc, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{answer: raw(tt.keep, tt.text)}
			c := m.client(t, &Client{})
			for range 2 {
				resp, err := c.RoundTrip(t.Context(), &getRequest)
				if err != nil {
					t.Fatal(err)
				}
				if resp.Body.ChildText("Tag") != "CPU 0" {
					t.Errorf("got %+v", resp.Body)
				}
			}
			want := 2
			if tt.keep {
				want = 1
			}
			if dials, _, _ := m.count(); dials != want {
				t.Errorf("%d dials, want %d", dials, want)
			}
		})
	}
}

func TestOneOctetAtATime(t *testing.T) {
	m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
		var b bytes.Buffer
		chunked(&b, 200, getAnswer("1"))
		for _, octet := range b.Bytes() {
			w.Write([]byte{octet})
		}
		return true
	}}
	c := m.client(t, &Client{})
	if _, err := c.RoundTrip(t.Context(), &getRequest); err != nil {
		t.Fatal(err)
	}
}

// What goes wrong, what the error says, and what becomes of a request that changes something.
func TestBadAnswers(t *testing.T) {
	doc := string(getAnswer("1"))
	for _, tt := range []struct {
		name, text    string
		want          error
		indeterminate bool // for a Put
		says          string
	}{
		{"nothing", "", ErrCut, true, "no answer"},
		{"cut in the status line", "HTTP/1.", ErrCut, true, ""},
		{"cut in the head", "HTTP/1.1 200 OK\r\nContent-Le", ErrCut, true, ""},
		{"cut in the body", withLength([]byte(doc))[:400], io.ErrUnexpectedEOF, true, ""},
		{"cut between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0004\r\n<a/>\r\n", ErrCut, true, ""},
		{"cut in the XML", withLength([]byte(doc[:len(doc)-30])), ErrXML, true, ""},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46", ErrNotAMT, false, `"......F"`},
		{"ssh", "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", ErrNotAMT, false, "SSH-2.0-OpenSSH_9.2p1 Debian"},
		{"port wants TLS", "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", ErrNotAMT, false, "the port wants TLS"},
		{"a web server", "HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n<html><h1>It  works!</h1>\n</html>", ErrNotAMT, true, `"It works!"`},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", ErrNotAMT, true, "1,2"},
		{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab", ErrNotAMT, true, ""},
		{"bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", ErrNotAMT, true, "xyz"},
		{"chunk too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0001\r\n<a/>\r\n", ErrNotAMT, true, ""},
		{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ErrNotAMT, true, "gzip"},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", ErrNotAMT, false, ""},
		{"header without a colon", "HTTP/1.1 200 OK\r\nServer\r\n\r\n", ErrNotAMT, true, ""},
		{"announced too long", "HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n", ErrTooLong, true, "4194304"},
		{"chunk announced too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7FFFFFFFFFFFFFFF\r\n", ErrTooLong, true, ""},
		{"long line", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", MaxLine) + "\r\n\r\n", ErrTooLong, true, ""},
		{"many lines", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", MaxFields+1) + "\r\n", ErrTooLong, true, ""},
		{"endless 100", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10), ErrNotAMT, true, ""},
		{"of another request", withLength(getAnswer("2")), ErrRelatesTo, true, `"2"`},
		{"of no request", withLength(getAnswer("")), ErrRelatesTo, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{answer: raw(false, tt.text)}
			c := m.client(t, &Client{})
			_, err := c.RoundTrip(t.Context(), &getRequest)
			if !errors.Is(err, tt.want) || errors.Is(err, ErrIndeterminate) || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("Get: %v", err)
			}
			if _, n, _ := m.count(); n != 1 {
				t.Errorf("Get was sent %d times", n)
			}
			put := getRequest
			put.Action = ActionPut
			_, err = c.RoundTrip(t.Context(), &put)
			if !errors.Is(err, tt.want) || errors.Is(err, ErrIndeterminate) != tt.indeterminate {
				t.Errorf("Put: %v", err)
			}
			if _, n, _ := m.count(); n != 2 {
				t.Errorf("Put was sent %d times", n-1)
			}
		})
	}
}

func TestEndlessAnswer(t *testing.T) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
		"HTTP/1.1 200 OK\r\n",
		"",
	} {
		m := &machine{answer: func(w io.Writer, _ *http.Request, _ []byte) bool {
			_, err := io.WriteString(w, head)
			for err == nil {
				_, err = io.WriteString(w, "0010\r\naaaaaaaaaaaaaaaa\r\n")
			}
			return false
		}}
		c := m.client(t, &Client{MaxReply: 10000})
		_, err := c.RoundTrip(t.Context(), &getRequest)
		if !errors.Is(err, ErrTooLong) && !errors.Is(err, ErrNotAMT) {
			t.Errorf("%q: got %v", head, err)
		}
	}
}

func TestStatuses(t *testing.T) {
	fault := (&Response{RelatesTo: "1", Fault: ErrInvalidSelectors.With("x/InsufficientSelectors")}).Append(nil)
	m := &machine{}
	c := m.client(t, &Client{})
	for _, status := range []int{400, 500, 200} {
		m.answer = func(w io.Writer, _ *http.Request, _ []byte) bool { chunked(w, status, fault); return false }
		_, err := c.RoundTrip(t.Context(), &getRequest)
		var got *Fault
		if !errors.As(err, &got) || !errors.Is(err, ErrInvalidSelectors) || got.Detail != "x/InsufficientSelectors" {
			t.Errorf("%d: got %v", status, err)
		}
	}
	for _, status := range []int{204, 303, 400, 403, 404, 500, 503} {
		m.answer = func(w io.Writer, _ *http.Request, _ []byte) bool {
			page(w, status, "Not\x1b[2J &lt;here")
			return false
		}
		put := getRequest
		put.Action = ActionPut
		_, err := c.RoundTrip(t.Context(), &put)
		var got *HTTPError
		if !errors.As(err, &got) || got.Status != status || status != 204 && !strings.HasPrefix(got.Text, "x Not.[2J") || errors.Is(err, ErrIndeterminate) {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

func TestKeptConnectionDies(t *testing.T) {
	t.Run("seen while idle", func(t *testing.T) {
		for _, listen := range []bool{false, true} {
			m := &machine{answer: serve(settings)}
			c := m.client(t, &Client{})
			if listen {
				c.Dial = m.listen(t)
			}
			if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
				t.Fatal(err)
			}
			m.hangUp()
			if listen {
				waitForFIN(t, c)
			}
			// A Put is at stake: had it gone out on the dead connection, nobody would know.
			if _, err := Put(t.Context(), c, "CIM_Chip", nil, &Element{Name: Name{"", "x"}}); err != nil {
				t.Errorf("listen %v: %v", listen, err)
			}
			if dials, requests, _ := m.count(); dials != 2 || requests != 2 {
				t.Errorf("listen %v: %d dials, %d requests", listen, dials, requests)
			}
		}
	})
	// The machine reads the second request on a connection and closes it without a word.
	silent := func() *machine {
		var mu sync.Mutex
		seen := map[io.Writer]bool{}
		answer := serve(settings)
		return &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
			mu.Lock()
			again := seen[w]
			seen[w] = true
			mu.Unlock()
			return !again && answer(w, r, body)
		}}
	}
	t.Run("reading is repeated", func(t *testing.T) {
		m := silent()
		c := m.client(t, &Client{})
		for range 2 {
			if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
				t.Fatal(err)
			}
		}
		if dials, requests, _ := m.count(); dials != 2 || requests != 3 {
			t.Errorf("%d dials, %d requests", dials, requests)
		}
	})
	t.Run("changing is not", func(t *testing.T) {
		m := silent()
		c := m.client(t, &Client{})
		Get(t.Context(), c, "CIM_Chip", nil)
		_, err := Put(t.Context(), c, "CIM_Chip", nil, &Element{Name: Name{"", "x"}})
		if !errors.Is(err, ErrIndeterminate) || !errors.Is(err, ErrCut) {
			t.Errorf("got %v", err)
		}
		if dials, requests, _ := m.count(); dials != 1 || requests != 2 {
			t.Errorf("%d dials, %d requests", dials, requests)
		}
	})
}

// A deaf connection takes deadlines and does nothing about them.
type deaf struct{ net.Conn }

func (deaf) SetDeadline(time.Time) error     { return nil }
func (deaf) SetReadDeadline(time.Time) error { return nil }

func TestDeadlinesThatDoNotWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{answer: serve(settings)}
		c := m.client(t, &Client{Dial: func(ctx context.Context) (net.Conn, error) {
			c, err := m.dial(ctx)
			return deaf{c}, err
		}})
		for i := range 3 {
			if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
				t.Fatal(err)
			}
			if dials, _, _ := m.count(); dials != i+1 {
				t.Errorf("%d dials, want %d", dials, i+1)
			}
		}
	})
}

// waitForFIN returns when the machine's farewell has reached the idle socket.
func waitForFIN(t *testing.T, c *Client) {
	t.Helper()
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if n := len(c.pool.idle); n != 1 {
		t.Fatalf("%d idle connections", n)
	}
	cn := c.pool.idle[0]
	cn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := cn.Conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d, %v", n, err)
	}
}

func TestUnsolicitedOctetsEndAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := serve(settings)
		first := true
		m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
			answer(w, r, body)
			if first {
				first = false
				io.WriteString(w, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
			}
			return true
		}}
		c := m.client(t, &Client{})
		for range 3 {
			if _, err := Put(t.Context(), c, "CIM_Chip", nil, &Element{Name: Name{"", "x"}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if dials, requests, _ := m.count(); dials != 2 || requests != 3 {
			t.Errorf("%d dials, %d requests", dials, requests)
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{answer: serve(settings)}
		c := m.client(t, &Client{IdleTimeout: 10 * time.Second})
		for _, tt := range []struct {
			idle  time.Duration
			dials int
		}{{0, 1}, {9 * time.Second, 1}, {9 * time.Second, 1}, {10 * time.Second, 2}, {time.Hour, 3}} {
			time.Sleep(tt.idle)
			if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
				t.Fatal(err)
			}
			if dials, _, _ := m.count(); dials != tt.dials {
				t.Errorf("after %v: %d dials, want %d", tt.idle, dials, tt.dials)
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.open != 0 {
			t.Errorf("%d connections open after the idle time", m.open)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{answer: func(w io.Writer, _ *http.Request, _ []byte) bool {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Le")
			time.Sleep(time.Hour)
			return false
		}}
		c := m.client(t, &Client{})
		start := time.Now()
		_, err := Get(t.Context(), c, "CIM_Chip", nil)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != DefaultTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = Invoke(ctx, c, "CIM_Chip", "Reset", nil)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrIndeterminate) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestCancel(t *testing.T) {
	reached := make(chan struct{}, 1)
	for _, name := range []string{"pipe", "tcp"} {
		t.Run(name, func(t *testing.T) {
			m := &machine{}
			c := m.client(t, &Client{})
			if name == "tcp" {
				c.Dial = m.listen(t)
			}
			m.answer = func(w io.Writer, _ *http.Request, _ []byte) bool {
				reached <- struct{}{}
				io.Copy(io.Discard, w.(io.Reader)) // until the client hangs up
				return false
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error)
			go func() {
				_, err := Put(ctx, c, "CIM_Chip", nil, &Element{Name: Name{"", "x"}})
				done <- err
			}()
			<-reached
			why := errors.New("changed my mind")
			cancel(why)
			if err := <-done; !errors.Is(err, why) || !errors.Is(err, ErrIndeterminate) {
				t.Errorf("got %v", err)
			}
			if _, err := Get(ctx, c, "CIM_Chip", nil); !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
			if _, n, _ := m.count(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestClose(t *testing.T) {
	reached := make(chan struct{}, 1)
	m := &machine{answer: func(w io.Writer, _ *http.Request, _ []byte) bool {
		reached <- struct{}{}
		io.Copy(io.Discard, w.(io.Reader))
		return false
	}}
	c := m.client(t, &Client{MaxConns: 1})
	errs := make(chan error)
	for range 3 { // one is on the wire, two wait for their turn
		go func() {
			_, err := Get(context.Background(), c, "CIM_Chip", nil)
			errs <- err
		}()
	}
	<-reached
	c.Close()
	for range 3 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := c.Probe(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := new(Client).Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseWhileDialing(t *testing.T) {
	reached := make(chan struct{})
	c := &Client{Dial: func(ctx context.Context) (net.Conn, error) {
		close(reached)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	done := make(chan error)
	go func() {
		_, err := c.Probe(context.Background())
		done <- err
	}()
	<-reached
	c.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestDialFails(t *testing.T) {
	refused := errors.New("connection refused")
	c := &Client{Dial: func(context.Context) (net.Conn, error) { return nil, refused }}
	defer c.Close()
	if err := Delete(t.Context(), c, "CIM_Chip", nil); !errors.Is(err, refused) || errors.Is(err, ErrIndeterminate) {
		t.Errorf("got %v", err)
	}
	if c.RoundTrips() != 0 {
		t.Errorf("%d round trips", c.RoundTrips())
	}
}

func TestManyAtOnce(t *testing.T) {
	for _, name := range []string{"pipe", "tcp"} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(digest.ServerOptions{})
			m := &machine{answer: g.protect(serve(settings))}
			c := m.client(t, &Client{Password: testPassword, MaxConns: 3})
			if name == "tcp" {
				c.Dial = m.listen(t)
			}
			var group sync.WaitGroup
			for i := range 64 {
				group.Go(func() {
					for j := range 10 {
						sel := Selectors{{Name: "InstanceID", Value: fmt.Sprintf("%d %d", i, j)}}
						got, err := Get(t.Context(), c, "AMT_GeneralSettings", sel)
						if err != nil || got.ChildText("Selectors") != sel.String() {
							t.Errorf("got %v, %v", got, err)
						}
					}
				})
			}
			group.Wait()
			challenges, refusals := g.count()
			_, requests, mostOpen := m.count()
			if challenges != 1 || refusals != 0 || requests != 641 || mostOpen > 4 { // a closed one may still be counted
				t.Errorf("%d challenges, %d refusals, %d requests, %d open at once", challenges, refusals, requests, mostOpen)
			}
		})
	}
}

func TestMaxConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := serve(settings)
		m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
			time.Sleep(time.Second)
			return answer(w, r, body)
		}}
		c := m.client(t, &Client{})
		Get(t.Context(), c, "CIM_Chip", nil) // so that it is known that no credentials are wanted
		start := time.Now()
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("ten requests of a second took %v", got)
		}
		if dials, _, _ := m.count(); dials != 2 {
			t.Errorf("%d dials", dials)
		}
		// Waiting for a turn ends with the context.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		for range 3 {
			group.Go(func() {
				if _, err := Get(ctx, c, "CIM_Chip", nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		}
		group.Wait()
	})
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{answer: serve(settings)}
		c := m.client(t, &Client{Pace: 100 * time.Millisecond, MaxConns: 4})
		start := time.Now()
		var group sync.WaitGroup
		for range 11 {
			group.Go(func() {
				if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := time.Since(start); got != time.Second {
			t.Errorf("11 requests took %v", got)
		}
		// One that is given up does not cost the next one its turn.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := Get(ctx, c, "CIM_Chip", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil || time.Since(start) != 1100*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestHTTP(t *testing.T) {
	g := newGuard(digest.ServerOptions{})
	m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
		if r.URL.Path == "/" {
			fmt.Fprintf(w, "HTTP/1.1 303 See Other\r\nLocation: /logon.htm\r\nContent-Length: 0\r\nServer: Intel(R) Active Management Technology 7.1.91\r\n\r\n")
			return true
		}
		return g.protect(func(w io.Writer, r *http.Request, body []byte) bool {
			if r.Method == "HEAD" {
				io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
				return true
			}
			page(w, 200, fmt.Sprintf("%s %s %s%s", r.Header.Get("Content-Type"), r.Host, r.Header.Get("SOAPAction"), body))
			return true
		})(w, r, body)
	}}
	c := m.client(t, &Client{Password: testPassword, Host: "desk-7:16992"})
	server, err := c.Probe(t.Context())
	if err != nil || server != "Intel(R) Active Management Technology 7.1.91" {
		t.Errorf("probe: %q, %v", server, err)
	}
	got, err := c.HTTP(t.Context(), "POST", "/RemoteControlService?x=1", []byte("<soap/>"), "text/xml")
	if err != nil || got.Status != 200 || got.Header.Get("content-type") != "text/html" || !strings.Contains(string(got.Body), "text/xml desk-7:16992 <soap/>") {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = c.SOAP(t.Context(), "/RemoteControlService", "urn:x#Y", "text/xml", []byte("<soap/>"))
	if err != nil || got.Status != 200 || !strings.Contains(string(got.Body), `text/xml desk-7:16992 "urn:x#Y"<soap/>`) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := c.SOAP(t.Context(), "/", "a\r\nX: y", "text/xml", nil); err == nil {
		t.Error("a bad SOAPAction was sent")
	}
	if got, err = c.HTTP(t.Context(), "HEAD", "/index.htm", nil, ""); err != nil || len(got.Body) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range [][3]string{{"GET", "/a b", ""}, {"GET", "x", ""}, {"G ET", "/", ""}, {"GET", "/\r\nX: y", ""}, {"GET", "/", "a\r\nX: y"}} {
		if _, err := c.HTTP(t.Context(), bad[0], bad[1], nil, bad[2]); err == nil {
			t.Errorf("%q was sent", bad)
		}
	}
	if _, err := (&Client{Dial: m.dial, Host: "a\r\nX: y"}).Probe(t.Context()); err == nil {
		t.Error("a bad Host was sent")
	}
	if _, err := new(Client).Probe(t.Context()); err == nil {
		t.Error("a client without a Dial does not say so")
	}
	if dials, requests, _ := m.count(); dials != 2 || requests != 5 {
		t.Errorf("%d dials, %d requests", dials, requests)
	}
}
