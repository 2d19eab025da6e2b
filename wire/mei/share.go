package mei

import (
	"context"
	"sync"
	"time"

	"github.com/outband/outband/wire/guid"
)

// The patience of a Shared, as the driver's. 4.x drivers/misc/mei/amthif.c.
const (
	stallTime  = 12 * time.Second // for the firmware's answer
	answerTime = 10 * time.Second // for the program to take it
)

// Shared lets many connections use a client that takes one, as the driver did for AMTHI until Linux 4.7: each message
// written is a request; requests run one at a time in the order of writing; each answer goes to the connection that
// asked. Message contents are not looked at. Requests to other clients pass through.
//
// If the firmware does not answer in 12 s the connection beneath is closed and opened anew, and the one who asked gets
// ErrDisconnected. An answer that nobody takes in 10 s is dropped, and the next Read returns ErrNoAnswer (ETIME). The
// answer to a connection closed meanwhile is dropped.
type Shared struct {
	bus    Bus
	client guid.GUID
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
	lease  chan struct{} // holds one: somebody is opening the connection beneath

	mu      sync.Mutex
	conn    Conn // the connection beneath, nil until needed and after an error
	users   int
	running bool // a goroutine works on queue
	queue   []request
}

type request struct {
	by   *sharedConn
	data []byte
}

// Share returns a bus on which client takes any number of connections. Close it before bus.
func Share(bus Bus, client guid.GUID) *Shared {
	ctx, cancel := context.WithCancel(context.Background())
	return &Shared{bus: bus, client: client, ctx: ctx, cancel: cancel, lease: make(chan struct{}, 1)}
}

// Connect connects; the first one to the client opens the connection beneath.
func (s *Shared) Connect(ctx context.Context, client guid.GUID) (Conn, error) {
	if client != s.client {
		return s.bus.Connect(ctx, client)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.conn == nil { // again if the last user left meanwhile
		if err := s.open(ctx); err != nil {
			return nil, err
		}
	}
	if s.ctx.Err() != nil {
		return nil, isClosed("connect")
	}
	s.users++
	return &sharedConn{s: s, mtu: s.conn.MaxMsgLen(), version: s.conn.Version()}, nil
}

// open opens the connection beneath, unless somebody else just did. The caller holds the lock, which is given up
// meanwhile.
func (s *Shared) open(ctx context.Context) error {
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case s.lease <- struct{}{}:
	case <-s.ctx.Done():
		return isClosed("connect")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.lease }()
	s.mu.Lock()
	have := s.conn
	s.mu.Unlock()
	if have != nil {
		return nil
	}
	c, err := s.bus.Connect(ctx, s.client)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		c.Close()
		return isClosed("connect")
	}
	s.conn = c
	return nil
}

// Close ends all connections and waits for the request under way.
func (s *Shared) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
	return s.drop()
}

// drop closes the connection beneath. The caller holds the lock.
func (s *Shared) drop() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// add queues a request. The caller holds the lock.
func (s *Shared) add(r request) {
	s.queue = append(s.queue, r)
	if !s.running {
		s.running = true
		s.work.Go(s.run)
	}
}

// run works on the queue until it is empty.
func (s *Shared) run() {
	for {
		s.mu.Lock()
		for len(s.queue) > 0 && (s.queue[0].by.closed || s.queue[0].by.broken) {
			s.queue = s.queue[1:]
		}
		if len(s.queue) == 0 || s.ctx.Err() != nil {
			s.running = false
			s.tidy()
			s.mu.Unlock()
			return
		}
		r := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()

		data, err := s.exchange(r.data)

		s.mu.Lock()
		if err != nil {
			s.drop()
		}
		r.by.done(data, err)
		s.mu.Unlock()
	}
}

// exchange sends a request and brings its answer, over a new connection if the one beneath is gone.
func (s *Shared) exchange(data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(s.ctx, stallTime)
	defer cancel()
	s.mu.Lock()
	var err error
	if s.conn == nil {
		err = s.open(ctx)
	}
	beneath := s.conn
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return Call(ctx, beneath, data)
}

// tidy closes the connection beneath once nobody uses it, so that other programs may. The caller holds the lock.
func (s *Shared) tidy() {
	if s.users == 0 && !s.running {
		s.drop()
	}
}

// A sharedConn is one user's connection.
type sharedConn struct {
	s       *Shared
	mtu     int
	version uint8
	read    deadline
	writ    deadline

	// Guarded by s.mu.
	closed  bool
	broken  bool // a request failed; close and connect again
	queued  int  // requests not yet answered
	answers []sharedAnswer
	news    chan struct{}
}

type sharedAnswer struct {
	data []byte
	at   time.Time
}

// done hands an answer to the user. The caller holds the lock.
func (c *sharedConn) done(data []byte, err error) {
	c.queued--
	switch {
	case c.closed:
		return
	case err != nil:
		c.broken, c.queued = true, 0
	default:
		c.answers = append(c.answers, sharedAnswer{data, time.Now()})
	}
	c.changed()
}

func (c *sharedConn) changed() {
	if c.news != nil {
		close(c.news)
		c.news = nil
	}
}

// wait unlocks until something changes, a deadline comes or the bus is closed, then locks again.
func (c *sharedConn) wait(come <-chan struct{}) {
	if c.news == nil {
		c.news = make(chan struct{})
	}
	news := c.news
	c.s.mu.Unlock()
	defer c.s.mu.Lock()
	select {
	case <-news:
	case <-come:
	case <-c.s.ctx.Done():
	}
}

// may tells what forbids going on.
func (c *sharedConn) may(op string, come <-chan struct{}) error {
	switch {
	case c.closed || c.s.ctx.Err() != nil:
		return isClosed(op)
	case closed(come):
		return expired(op)
	}
	return nil
}

func (c *sharedConn) error(op string, errno Errno) error {
	return &Error{Op: op, Client: c.s.client, Errno: errno}
}

func (c *sharedConn) Read(p []byte) (int, error) {
	come := c.read.wait()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for {
		if err := c.may("read", come); err != nil {
			return 0, err
		}
		if len(c.answers) > 0 {
			a := &c.answers[0]
			if time.Since(a.at) >= answerTime {
				c.shift()
				return 0, c.error("read", ETIME)
			}
			n := copy(p, a.data)
			if a.data = a.data[n:]; len(a.data) == 0 {
				c.shift()
			}
			return n, nil
		}
		if c.broken {
			return 0, c.error("read", ENODEV)
		}
		if len(p) == 0 {
			return 0, nil
		}
		c.wait(come)
	}
}

// shift drops the first answer, which makes room for a request.
func (c *sharedConn) shift() {
	c.answers = c.answers[1:]
	c.changed()
}

func (c *sharedConn) Write(p []byte) (int, error) {
	come := c.writ.wait()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for {
		if err := c.may("write", come); err != nil {
			return 0, err
		}
		switch {
		case c.broken:
			return 0, c.error("write", ENODEV)
		case len(p) > c.mtu:
			return 0, c.error("write", EFBIG)
		case len(p) == 0:
			return 0, nil
		case c.queued+len(c.answers) < queueLimit:
			c.queued++
			c.s.add(request{c, append([]byte(nil), p...)})
			return len(p), nil
		}
		c.wait(come)
	}
}

// Close gives up what was asked; its answers are dropped.
func (c *sharedConn) Close() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.closed {
		return isClosed("close")
	}
	c.closed, c.answers = true, nil
	c.changed()
	c.read.stop()
	c.writ.stop()
	c.s.users--
	c.s.tidy()
	return nil
}

func (c *sharedConn) MaxMsgLen() int { return c.mtu }
func (c *sharedConn) Version() uint8 { return c.version }

func (c *sharedConn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(t, &c.read) }
func (c *sharedConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writ) }
func (c *sharedConn) SetDeadline(t time.Time) error      { return c.setDeadlines(t, &c.read, &c.writ) }

func (c *sharedConn) setDeadlines(t time.Time, ds ...*deadline) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.closed {
		return isClosed("set deadline")
	}
	for _, d := range ds {
		d.set(t)
	}
	return nil
}
