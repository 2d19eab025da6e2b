package nbd

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A Disk is what a server has.
type Disk interface {
	io.ReaderAt
	Size() int64 // bytes
}

// An Export is a disk that [Serve] offers.
type Export struct {
	Name string // "" is the one that clients get who name none
	Disk Disk   // if it is an io.WriterAt too, and not ReadOnly, it can be written

	// BlockSize is the least unit of places and lengths, a power of two. Clients that can are told to keep to it; what
	// others send is passed on as it is. 0: 1.
	BlockSize int64
	ReadOnly  bool
}

func (e *Export) info() Info {
	_, writes := e.Disk.(io.WriterAt)
	return Info{Size: e.Disk.Size(), ReadOnly: e.ReadOnly || !writes, Flush: true, BlockSize: e.BlockSize}
}

// maxOptions bounds how long a client may negotiate.
const maxOptions = 64

// Serve serves one client on conn until it says goodbye, which is no error, or fails, or ctx ends. Commands are carried out
// one after the other, reads in pieces of at most 256 KiB. An error of the disk is passed on to the client as the [Errno]
// that it wraps, or as [ErrIO]. conn is closed in the end.
func Serve(ctx context.Context, conn io.ReadWriteCloser, exports ...Export) error {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	s := &server{r: bufio.NewReader(conn), w: bufio.NewWriterSize(conn, 64<<10), exports: exports}
	err := s.run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("nbd: %w", err)
	}
	return nil
}

type server struct {
	r       *bufio.Reader
	w       *bufio.Writer
	exports []Export
	buf     []byte
}

// maxPiece is how much of a read is at hand at a time.
const maxPiece = 256 << 10

func (s *server) run() error {
	e, err := s.negotiate()
	if err != nil || e == nil {
		return err
	}
	for {
		q, err := ReadRequest(s.r)
		if err == io.EOF || err == nil && q.Kind == CommandDisconnect {
			return nil
		}
		if err != nil {
			return midway(err)
		}
		if err := s.carryOut(e, q); err != nil {
			return err
		}
	}
}

// negotiate returns the export that the client wants, or nil if it leaves.
func (s *server) negotiate() (*Export, error) {
	b := binary.BigEndian.AppendUint64(nil, magicInit)
	b = binary.BigEndian.AppendUint64(b, magicOption)
	b = binary.BigEndian.AppendUint16(b, flagFixedNewstyle|flagNoZeroes)
	if err := s.send(b); err != nil {
		return nil, err
	}
	var f [4]byte
	if _, err := io.ReadFull(s.r, f[:]); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, midway(err)
	}
	flags := binary.BigEndian.Uint32(f[:])
	if flags&flagFixedNewstyle == 0 || flags&^(flagFixedNewstyle|flagNoZeroes) != 0 {
		return nil, fmt.Errorf("client flags %#x: %w", flags, ErrProtocol)
	}
	for range maxOptions {
		m, err := ReadOption(s.r)
		switch {
		case err == io.EOF:
			return nil, nil
		case err != nil:
			return nil, midway(err)
		case m.Kind == OptionExportName:
			return s.begin(string(m.Data), flags&flagNoZeroes == 0)
		}
		answer, e := s.option(m)
		if err := s.send(answer); err != nil || e != nil || m.Kind == OptionAbort {
			return e, err
		}
	}
	return nil, fmt.Errorf("more than %d options: %w", maxOptions, ErrTooLong)
}

// begin answers the old way to begin, which knows no refusal.
func (s *server) begin(name string, zeroes bool) (*Export, error) {
	e := s.find(name)
	if e == nil {
		return nil, fmt.Errorf("export %q: %v", name, StatusUnknown)
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(e.Disk.Size()))
	b = binary.BigEndian.AppendUint16(b, e.info().flags())
	if zeroes {
		b = append(b, make([]byte, zeroesLen)...)
	}
	return e, s.send(b)
}

// option answers one option. The export is not nil when the client begins.
func (s *server) option(m Option) (answer []byte, e *Export) {
	reply := func(status OptionStatus, data []byte) {
		answer = OptionReply{m.Kind, status, data}.Append(answer)
	}
	switch m.Kind {
	case OptionAbort:
		reply(StatusAck, nil)
	case OptionList:
		if len(m.Data) != 0 {
			reply(StatusInvalid, nil)
			return answer, nil
		}
		for i := range s.exports {
			name := s.exports[i].Name
			reply(StatusServer, append(binary.BigEndian.AppendUint32(nil, uint32(len(name))), name...))
		}
		reply(StatusAck, nil)
	case OptionInfo, OptionGo:
		name, _, err := parseGo(m.Data)
		if err != nil {
			reply(StatusInvalid, nil)
			return answer, nil
		}
		if e = s.find(name); e == nil {
			reply(StatusUnknown, nil)
			return answer, nil
		}
		reply(StatusInfo, e.info().appendExport(nil))
		reply(StatusInfo, e.info().appendBlockSize(nil))
		reply(StatusAck, nil)
		if m.Kind == OptionInfo {
			e = nil
		}
	default:
		reply(StatusUnsupported, nil)
	}
	return answer, e
}

func (s *server) find(name string) *Export {
	i := slices.IndexFunc(s.exports, func(e Export) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return &s.exports[i]
}

func (s *server) send(b []byte) error {
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.w.Flush()
}

// carryOut carries out one command. An error is the connection's.
func (s *server) carryOut(e *Export, q Request) error {
	switch q.Kind {
	case CommandRead:
		return s.read(e, q)
	case CommandWrite:
		return s.write(e, q)
	case CommandFlush:
		return s.send(Reply{0, q.Cookie}.Append(nil))
	}
	return s.send(Reply{ErrInvalid, q.Cookie}.Append(nil))
}

// inside tells whether a command keeps to the disk and to what one command may move.
func (m *Request) inside(size int64) bool {
	return m.Length <= MaxData && m.Offset <= uint64(size) && uint64(m.Length) <= uint64(size)-m.Offset
}

func (s *server) read(e *Export, q Request) error {
	if !q.inside(e.Disk.Size()) {
		return s.send(Reply{ErrInvalid, q.Cookie}.Append(nil))
	}
	if n := int(min(q.Length, maxPiece)); cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	for done := uint32(0); ; {
		piece := s.buf[:min(q.Length-done, maxPiece)]
		if n, err := e.Disk.ReadAt(piece, int64(q.Offset)+int64(done)); err != nil && !(err == io.EOF && n == len(piece)) {
			if done == 0 {
				return s.send(Reply{errno(err), q.Cookie}.Append(nil))
			}
			return fmt.Errorf("read at %d, after the answer had begun: %w", q.Offset+uint64(done), err)
		}
		if done == 0 {
			if _, err := s.w.Write(Reply{0, q.Cookie}.Append(nil)); err != nil {
				return err
			}
		}
		if _, err := s.w.Write(piece); err != nil {
			return err
		}
		if done += uint32(len(piece)); done == q.Length {
			return s.w.Flush()
		}
	}
}

func (s *server) write(e *Export, q Request) error {
	w, ok := e.Disk.(io.WriterAt)
	failed := Errno(0)
	switch {
	case q.Length > MaxData:
		return fmt.Errorf("write of %d bytes: %w", q.Length, ErrTooLong)
	case !ok || e.ReadOnly:
		failed = ErrPermission
	case !q.inside(e.Disk.Size()):
		failed = ErrSpace
	}
	for done := uint32(0); done < q.Length; {
		n := min(q.Length-done, maxPiece)
		if uint32(cap(s.buf)) < n {
			s.buf = make([]byte, n)
		}
		piece := s.buf[:n]
		if _, err := io.ReadFull(s.r, piece); err != nil {
			return midway(err)
		}
		if failed == 0 {
			if _, err := w.WriteAt(piece, int64(q.Offset)+int64(done)); err != nil {
				failed = errno(err) // the rest is read and dropped
			}
		}
		done += n
	}
	return s.send(Reply{failed, q.Cookie}.Append(nil))
}

// errno is the number for an error of a disk.
func errno(err error) Errno {
	var e Errno
	if errors.As(err, &e) && e != 0 {
		return e
	}
	return ErrIO
}
