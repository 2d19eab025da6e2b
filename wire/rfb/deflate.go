package rfb

import (
	"compress/flate"
	"encoding/binary"
)

// A deflater writes the zlib stream that runs through all ZRLE rectangles of a connection: each is one stored block, or
// compressed blocks with a sync flush. Compressed data never refers to what went before as stored.
type deflater struct {
	headed bool
	w      *flate.Writer // looks for repetitions; nil: not made yet
	fresh  bool          // w has not to know what went before: it would count it in its distances
	noise  *flate.Writer // does not look for any; nil: not made yet
	sink   sink
}

// How to squeeze.
type effort string

const (
	store   effort = "store"   // not at all
	repeats effort = "repeats" // what was there before is referred to
	entropy effort = "entropy" // rare bytes are longer, and that is all: for pictures, in which nothing is there twice
)

type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// append appends what becomes of plain, which has at most 65535 bytes.
func (d *deflater) append(out, plain []byte, how effort) []byte {
	if !d.headed {
		d.headed = true
		out = append(out, 0x78, 0x9C)
	}
	if how == store {
		d.fresh = false
		n := uint16(len(plain))
		out = binary.LittleEndian.AppendUint16(append(out, 0), n)
		return append(binary.LittleEndian.AppendUint16(out, ^n), plain...)
	}
	d.sink.b = out
	w := &d.w
	level := flate.BestSpeed
	if how == entropy {
		w, level = &d.noise, flate.HuffmanOnly
	}
	switch {
	case *w == nil:
		*w, _ = flate.NewWriter(&d.sink, level) // fails for unknown levels only
	case how == repeats && !d.fresh:
		(*w).Reset(&d.sink)
	}
	d.fresh = how == repeats
	(*w).Write(plain) // fails if the sink does, which does not
	(*w).Flush()
	return d.sink.b
}

// appendSized is append with the length in front: u32, as ZRLE has it.
func (d *deflater) appendSized(out, plain []byte, how effort) []byte {
	at := len(out)
	out = d.append(append(out, 0, 0, 0, 0), plain, how)
	binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at-4))
	return out
}
