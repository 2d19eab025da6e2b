package rfb

import (
	"compress/flate"
	"encoding/binary"
)

// A deflater writes the zlib stream that runs through all ZRLE rectangles of a connection: each is one stored block, or
// compressed blocks with a sync flush. Compressed data never refers to what went before as stored.
type deflater struct {
	headed bool
	w      *flate.Writer // nil while blocks are stored
	sink   sink
}

type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// append appends what becomes of plain, which has at most 65535 bytes.
func (d *deflater) append(out, plain []byte, compress bool) []byte {
	if !d.headed {
		d.headed = true
		out = append(out, 0x78, 0x9C)
	}
	if !compress {
		d.w = nil
		n := uint16(len(plain))
		out = binary.LittleEndian.AppendUint16(append(out, 0), n)
		return append(binary.LittleEndian.AppendUint16(out, ^n), plain...)
	}
	d.sink.b = out
	if d.w == nil {
		d.w, _ = flate.NewWriter(&d.sink, flate.BestSpeed) // fails for unknown levels only
	}
	d.w.Write(plain) // fails if the sink does, which does not
	d.w.Flush()
	return d.sink.b
}

// appendSized is append with the length in front: u32, as ZRLE has it.
func (d *deflater) appendSized(out, plain []byte, compress bool) []byte {
	at := len(out)
	out = d.append(append(out, 0, 0, 0, 0), plain, compress)
	binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at-4))
	return out
}
