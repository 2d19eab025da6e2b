package apf

import (
	"fmt"
	"io"

	"github.com/outband/outband/wire/guid"
)

const (
	firstBuffer  = 4 << 10  // bytes; a reader starts with it, and most never need more
	packetBuffer = 16 << 10 // bytes; MEI clients have 4096 or 5120
	maxIdleReads = 100      // in a row that return nothing
)

// A Reader finds the messages in what arrives, however it is cut or joined. It is for one goroutine.
type Reader struct {
	r       io.Reader
	packets bool        // one Read is one message
	maxData int         // payload of one data message
	port    func() bool // whether the next request success has a port

	buf        []byte
	start, end int // what has been read and not yet returned
}

// NewReader reads a stream (CIRA). hasPort is asked when a request success arrives: did the oldest open request want a
// port forwarded? Nil is for servers, which ask nothing.
func NewReader(r io.Reader, hasPort func() bool) *Reader {
	return &Reader{r: r, maxData: MaxData, port: hasPort}
}

// NewPacketReader reads packets (LME): each Read of r must return one whole message.
func NewPacketReader(r io.Reader) *Reader {
	return &Reader{r: r, maxData: MaxData, packets: true}
}

// Next returns the next message whole, from its type byte on. It is good until the next call. At the end of a stream it
// returns [io.EOF], within a message [io.ErrUnexpectedEOF]. Errors wrap [ErrUnknown], [ErrTooLong], for packets
// [ErrShort], or what the reader below says. After an error the position in the stream is lost.
func (r *Reader) Next() ([]byte, error) {
	if r.packets {
		return r.packet()
	}
	for {
		n, err := r.size(r.buf[r.start:r.end])
		if err != nil {
			return nil, err
		}
		if n <= r.end-r.start {
			m := r.buf[r.start : r.start+n : r.start+n]
			r.start += n
			return m, nil
		}
		r.makeRoom(n)
		got, err := r.read(r.buf[r.end:])
		r.end += got
		if got > 0 {
			continue // an error, if there is one, comes again
		}
		if err == io.EOF && r.end > r.start {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
}

// makeRoom makes the buffer hold n bytes from start, with some behind end.
func (r *Reader) makeRoom(n int) {
	if r.start+n <= len(r.buf) && r.end < len(r.buf) {
		return
	}
	to := r.buf
	if n > len(r.buf) {
		size := max(len(r.buf), firstBuffer)
		for size < n {
			size *= 2
		}
		to = make([]byte, size)
	}
	r.end = copy(to, r.buf[r.start:r.end])
	r.start, r.buf = 0, to
}

func (r *Reader) read(b []byte) (int, error) {
	for range maxIdleReads {
		if n, err := r.r.Read(b); n != 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// packet returns the next packet of a known kind. What follows the message in it is cut off.
func (r *Reader) packet() ([]byte, error) {
	if r.buf == nil {
		r.buf = make([]byte, packetBuffer)
	}
	for {
		got, err := r.read(r.buf)
		if got == 0 {
			return nil, err
		}
		b := r.buf[:got]
		kind := Kind(b[0])
		switch kind {
		case KindRequestSuccess: // its length says what it is
			return b[:min(got, 5):min(got, 5)], nil
		case KindGlobalRequest, KindUserAuthRequest: // with names that we may not know
			return b[:got:got], nil
		}
		if fixedLen(kind) == 0 && !variable(kind) {
			continue
		}
		n, err := r.size(b)
		if err != nil {
			return nil, err
		}
		if n > got {
			return nil, fmt.Errorf("apf: %v: %w (%d of %d bytes)", kind, ErrShort, got, n)
		}
		return b[:n:n], nil
	}
}

// fixedLen returns the length of messages that all have the same, else 0.
func fixedLen(kind Kind) int {
	switch kind {
	case KindUserAuthSuccess, KindRequestFailure:
		return 1
	case KindChannelClose, KindKeepAliveRequest, KindKeepAliveReply:
		return 5
	case KindDisconnect:
		return 7
	case KindWindowAdjust, KindKeepAliveOptionsRequest, KindKeepAliveOptionsReply:
		return 9
	case KindChannelOpenConfirmation, KindChannelOpenFailure:
		return 17
	case KindProtocolVersion:
		return versionLen
	}
	return 0
}

func variable(kind Kind) bool {
	switch kind {
	case KindServiceRequest, KindServiceAccept, KindUserAuthRequest, KindUserAuthFailure, KindGlobalRequest,
		KindRequestSuccess, KindChannelOpen, KindData:
		return true
	}
	return false
}

// The compiler holds us to the sum of the fields of ProtocolVersion.
var _ [versionLen]struct{} = [1 + 3*4 + guid.Size + 64]struct{}{}

// size returns how many bytes the message at the front of b has or, as long as that cannot be told, how many are needed
// to go on. So if it is no more than len(b), the message is there.
func (r *Reader) size(b []byte) (int, error) {
	if len(b) == 0 {
		return 1, nil
	}
	kind := Kind(b[0])
	if n := fixedLen(kind); n > 0 {
		return n, nil
	}
	f := fields{b: b, at: 1}
	switch kind {
	case KindData:
		f.u32()
		f.counted(r.maxData)
	case KindServiceRequest, KindServiceAccept:
		f.counted(MaxString)
	case KindUserAuthRequest:
		f.counted(MaxString)
		f.counted(MaxString)
		switch method := f.counted(MaxString); string(method) {
		case MethodPassword:
			f.u8()
			f.counted(MaxString)
		case MethodNone:
		default:
			f.unknown("authentication method", method)
		}
	case KindUserAuthFailure:
		f.counted(MaxString)
		f.u8()
	case KindGlobalRequest:
		name := f.counted(MaxString)
		f.u8()
		switch string(name) {
		case RequestForward, RequestCancel:
			f.counted(MaxString)
			f.u32()
		case RequestUDP:
			f.counted(MaxString)
			f.u32()
			f.counted(MaxString)
			f.u32()
			f.counted(MaxDatagram)
		default:
			f.unknown("request", name)
		}
	case KindRequestSuccess:
		if r.port != nil && r.port() {
			f.u32()
		}
	case KindChannelOpen:
		f.counted(MaxString)
		f.bytes(12)
		f.counted(MaxString)
		f.u32()
		f.counted(MaxString)
		f.u32()
	default:
		return 0, fmt.Errorf("apf: %w: type %d", ErrUnknown, b[0])
	}
	switch {
	case f.err == nil:
		return f.at, nil
	case f.err == ErrShort:
		return f.need, nil
	}
	return 0, fmt.Errorf("apf: %v: %w", kind, f.err)
}

// unknown makes a name that decides what follows, and that we do not know, an error.
func (f *fields) unknown(what string, name []byte) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %s %.32q", ErrUnknown, what, name)
	}
}
