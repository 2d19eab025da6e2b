package apf

// A ring holds bytes that have arrived and wait to be read. It grows to what is in use, up to what its user lets in, and
// is given back when the channel ends.
type ring struct {
	b     []byte // its length is a power of two
	start int
	n     int // bytes held
}

const firstRing = 4 << 10

func (r *ring) write(p []byte) {
	if need := r.n + len(p); need > len(r.b) {
		size := max(len(r.b), firstRing)
		for size < need {
			size *= 2
		}
		b := make([]byte, size)
		n := r.n
		r.read(b[:n])
		r.b, r.start, r.n = b, 0, n
	}
	at := (r.start + r.n) & (len(r.b) - 1)
	n := copy(r.b[at:], p)
	copy(r.b, p[n:])
	r.n += len(p)
}

func (r *ring) read(p []byte) int {
	p = p[:min(len(p), r.n)]
	n := copy(p, r.b[r.start:])
	copy(p[n:], r.b)
	r.n -= len(p)
	if r.n == 0 {
		r.start = 0
	} else {
		r.start = (r.start + len(p)) & (len(r.b) - 1)
	}
	return len(p)
}
