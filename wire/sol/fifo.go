package sol

import "sync"

// A fifo is a ring of bytes between two goroutines. put and take never block; more and room hold a token when it is
// worth trying again.
type fifo struct {
	more, room chan struct{} // capacity 1

	mu  sync.Mutex // guards what follows
	buf []byte
	r   int // where the oldest byte is
	n   int // how many there are
}

func newFIFO(size int) *fifo {
	return &fifo{more: make(chan struct{}, 1), room: make(chan struct{}, 1), buf: make([]byte, size)}
}

// put takes as much of p as fits and returns how much.
func (f *fifo) put(p []byte) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(p) && f.n < len(f.buf) {
		w := (f.r + f.n) % len(f.buf)
		end := min(len(f.buf), w+len(f.buf)-f.n)
		c := copy(f.buf[w:end], p[n:])
		n += c
		f.n += c
	}
	f.signal()
	return n
}

// take fills p with as much as there is and returns how much.
func (f *fifo) take(p []byte) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(p) && f.n > 0 {
		c := copy(p[n:], f.buf[f.r:min(len(f.buf), f.r+f.n)])
		n += c
		f.n -= c
		f.r = (f.r + c) % len(f.buf)
	}
	f.signal()
	return n
}

// flush drops everything and returns how much that was.
func (f *fifo) flush() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, f.n = f.n, 0
	f.signal()
	return n
}

func (f *fifo) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// signal leaves tokens. mu is held.
func (f *fifo) signal() {
	if f.n > 0 {
		leave(f.more)
	}
	if f.n < len(f.buf) {
		leave(f.room)
	}
}

// leave puts a token into c, unless there is one.
func leave(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
