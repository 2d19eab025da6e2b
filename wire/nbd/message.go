package nbd

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Magic numbers.
const (
	magicInit         = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption       = 0x49484156454F5054 // "IHAVEOPT"
	magicOptionReply  = 0x0003e889045565a9
	magicRequest      = 0x25609513
	magicSimpleReply  = 0x67446698
	flagFixedNewstyle = 1 // NBD_FLAG_FIXED_NEWSTYLE, and the client's NBD_FLAG_C_FIXED_NEWSTYLE
	flagNoZeroes      = 2 // NBD_FLAG_NO_ZEROES, likewise
)

// Lengths of what has a fixed length.
const (
	greetingLen    = 18
	optionLen      = 16
	optionReplyLen = 20
	requestLen     = 28
	replyLen       = 16
	zeroesLen      = 124 // behind the answer to the option "export name"
)

// An OptionKind is what a client wants to settle before it reads and writes.
type OptionKind uint32

// The options. Source: proto.md, "Option types".
const (
	OptionExportName OptionKind = 1 // NBD_OPT_EXPORT_NAME: begin, or be cut off
	OptionAbort      OptionKind = 2 // NBD_OPT_ABORT
	OptionList       OptionKind = 3 // NBD_OPT_LIST
	OptionInfo       OptionKind = 6 // NBD_OPT_INFO
	OptionGo         OptionKind = 7 // NBD_OPT_GO: begin
)

func (k OptionKind) String() string {
	switch k {
	case OptionExportName:
		return "export name"
	case OptionAbort:
		return "abort"
	case OptionList:
		return "list"
	case OptionInfo:
		return "info"
	case OptionGo:
		return "go"
	}
	return fmt.Sprintf("unknown (%d)", uint32(k))
}

// An Option is a message of the negotiation. 16 bytes and its data.
type Option struct {
	Kind OptionKind
	Data []byte
}

// Append appends the message.
func (m Option) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, magicOption)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Kind))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Data)))
	return append(b, m.Data...)
}

// ReadOption reads an option. One whose data are longer than [MaxOption] is an error that wraps [ErrTooLong].
func ReadOption(r io.Reader) (m Option, err error) {
	var b [optionLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return m, err
	}
	if magic := binary.BigEndian.Uint64(b[:]); magic != magicOption {
		return m, fmt.Errorf("option begins with %016x: %w", magic, ErrProtocol)
	}
	m.Kind = OptionKind(binary.BigEndian.Uint32(b[8:]))
	m.Data, err = readData(r, binary.BigEndian.Uint32(b[12:]), MaxOption)
	return m, err
}

// readData reads n bytes that the peer has announced.
func readData(r io.Reader, n, most uint32) ([]byte, error) {
	if n > most {
		return nil, fmt.Errorf("%d bytes: %w", n, ErrTooLong)
	}
	if n == 0 {
		return nil, nil
	}
	data := make([]byte, n)
	_, err := io.ReadFull(r, data)
	return data, midway(err)
}

// An OptionStatus says what an [OptionReply] is. The highest bit marks errors.
type OptionStatus uint32

// The statuses. Source: proto.md, "Option reply types".
const (
	StatusAck         OptionStatus = 1         // NBD_REP_ACK
	StatusServer      OptionStatus = 2         // NBD_REP_SERVER: the name of an export, in a list
	StatusInfo        OptionStatus = 3         // NBD_REP_INFO
	StatusUnsupported OptionStatus = 1<<31 | 1 // NBD_REP_ERR_UNSUP
	StatusPolicy      OptionStatus = 1<<31 | 2 // NBD_REP_ERR_POLICY
	StatusInvalid     OptionStatus = 1<<31 | 3 // NBD_REP_ERR_INVALID
	StatusUnknown     OptionStatus = 1<<31 | 6 // NBD_REP_ERR_UNKNOWN: no such export
	StatusBlockSize   OptionStatus = 1<<31 | 8 // NBD_REP_ERR_BLOCK_SIZE_REQD
	statusError       OptionStatus = 1 << 31   // set in all errors
)

func (s OptionStatus) String() string {
	switch s {
	case StatusAck:
		return "acknowledged"
	case StatusServer:
		return "export"
	case StatusInfo:
		return "information"
	case StatusUnsupported:
		return "not supported"
	case StatusPolicy:
		return "forbidden"
	case StatusInvalid:
		return "invalid"
	case StatusUnknown:
		return "no such export"
	case StatusBlockSize:
		return "block sizes must be asked for"
	}
	return fmt.Sprintf("unknown (%#x)", uint32(s))
}

// An OptionReply answers an [Option]; there may be several. 20 bytes and its data.
type OptionReply struct {
	Kind   OptionKind // of the option
	Status OptionStatus
	Data   []byte
}

// Append appends the message.
func (m OptionReply) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, magicOptionReply)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Kind))
	b = binary.BigEndian.AppendUint32(b, uint32(m.Status))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Data)))
	return append(b, m.Data...)
}

// ReadOptionReply reads an answer. One whose data are longer than [MaxOption] is an error that wraps [ErrTooLong].
func ReadOptionReply(r io.Reader) (m OptionReply, err error) {
	var b [optionReplyLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return m, err
	}
	if magic := binary.BigEndian.Uint64(b[:]); magic != magicOptionReply {
		return m, fmt.Errorf("answer begins with %016x: %w", magic, ErrProtocol)
	}
	m.Kind, m.Status = OptionKind(binary.BigEndian.Uint32(b[8:])), OptionStatus(binary.BigEndian.Uint32(b[12:]))
	m.Data, err = readData(r, binary.BigEndian.Uint32(b[16:]), MaxOption)
	return m, err
}

// A CommandKind is what a [Request] asks for.
type CommandKind uint16

// The commands. Source: proto.md, "Request types".
const (
	CommandRead       CommandKind = 0 // NBD_CMD_READ
	CommandWrite      CommandKind = 1 // NBD_CMD_WRITE
	CommandDisconnect CommandKind = 2 // NBD_CMD_DISC
	CommandFlush      CommandKind = 3 // NBD_CMD_FLUSH
)

func (k CommandKind) String() string {
	switch k {
	case CommandRead:
		return "read"
	case CommandWrite:
		return "write"
	case CommandDisconnect:
		return "disconnect"
	case CommandFlush:
		return "flush"
	}
	return fmt.Sprintf("unknown (%d)", uint16(k))
}

// A Request is a command. 28 bytes; the data of a write follow.
type Request struct {
	Flags  uint16 // NBD_CMD_FLAG_*; bit 0: write through to the medium
	Kind   CommandKind
	Cookie uint64 // comes back in the reply
	Offset uint64
	Length uint32
}

// Append appends the message, without data.
func (m Request) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, magicRequest)
	b = binary.BigEndian.AppendUint16(b, m.Flags)
	b = binary.BigEndian.AppendUint16(b, uint16(m.Kind))
	b = binary.BigEndian.AppendUint64(b, m.Cookie)
	b = binary.BigEndian.AppendUint64(b, m.Offset)
	return binary.BigEndian.AppendUint32(b, m.Length)
}

// ReadRequest reads a command, without data. At the end of the stream the error is io.EOF.
func ReadRequest(r io.Reader) (m Request, err error) {
	var b [requestLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return m, err
	}
	if magic := binary.BigEndian.Uint32(b[:]); magic != magicRequest {
		return m, fmt.Errorf("request begins with %08x: %w", magic, ErrProtocol)
	}
	m.Flags, m.Kind = binary.BigEndian.Uint16(b[4:]), CommandKind(binary.BigEndian.Uint16(b[6:]))
	m.Cookie, m.Offset = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	m.Length = binary.BigEndian.Uint32(b[24:])
	return m, nil
}

// A Reply answers a [Request]. 16 bytes; the data of a read follow if Err is 0.
type Reply struct {
	Err    Errno
	Cookie uint64
}

// Append appends the message, without data.
func (m Reply) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, magicSimpleReply)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Err))
	return binary.BigEndian.AppendUint64(b, m.Cookie)
}

// ReadReply reads an answer, without data.
func ReadReply(r io.Reader) (m Reply, err error) {
	var b [replyLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return m, err
	}
	if magic := binary.BigEndian.Uint32(b[:]); magic != magicSimpleReply {
		return m, fmt.Errorf("reply begins with %08x: %w", magic, ErrProtocol)
	}
	m.Err, m.Cookie = Errno(binary.BigEndian.Uint32(b[4:])), binary.BigEndian.Uint64(b[8:])
	return m, nil
}

// An Errno says why a command failed. The numbers are those of Linux, on all systems.
type Errno uint32

// The errors of the protocol. A handler of [Serve] may return one, or an error that wraps it.
const (
	ErrPermission Errno = 1  // NBD_EPERM: the medium is not to be written
	ErrIO         Errno = 5  // NBD_EIO
	ErrInvalid    Errno = 22 // NBD_EINVAL: beyond the end, or unknown
	ErrSpace      Errno = 28 // NBD_ENOSPC: a write beyond the end
	ErrShutdown   Errno = 108
)

func (e Errno) Error() string {
	switch e {
	case ErrPermission:
		return "operation not permitted"
	case ErrIO:
		return "input/output error"
	case ErrInvalid:
		return "invalid argument"
	case ErrSpace:
		return "no space left"
	case ErrShutdown:
		return "server is shutting down"
	}
	return fmt.Sprintf("error %d", uint32(e))
}

// midway makes the end of the stream, where more had to come, an [ErrCut].
func midway(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: %w", ErrCut, io.ErrUnexpectedEOF)
	}
	return err
}
