package amthi

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/outband/outband/wire/status"
)

// A Number is a command's number: the class in the high byte, the operation below bit 23.
type Number uint32

// answerBit is set in the command of an answer.
const answerBit Number = 1 << 23

const (
	headerLen = 12
	statusLen = 4
	version   = 0x0101 // 1.1
)

// Errors that parsers and clients wrap.
var (
	ErrShort    = errors.New("message too short")
	ErrLength   = errors.New("wrong length")
	ErrProtocol = errors.New("not the expected answer")
	ErrDisabled = errors.New("AMT is disabled") // the firmware answers with an empty message then
)

// A Request is a command as it travels. 12 bytes and the data.
type Request struct {
	Number Number
	Data   []byte
}

// Append writes the message.
func (r Request) Append(b []byte) []byte {
	b = appendHeader(b, r.Number, len(r.Data))
	return append(b, r.Data...)
}

// ParseRequest reads a message. Number is set whenever it could be read, so that a refusal can name it. Data is part of b.
func ParseRequest(b []byte) (r Request, err error) {
	r.Number, r.Data, err = parseHeader(b)
	return r, err
}

// A Response is the answer. Where Status is not success there may be no data.
type Response struct {
	Number Number // of the request
	Status status.Status
	Data   []byte
}

// Append writes the message.
func (r Response) Append(b []byte) []byte {
	b = appendHeader(b, r.Number|answerBit, statusLen+len(r.Data))
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Status))
	return append(b, r.Data...)
}

// ParseResponse reads a message. Data is part of b. Errors wrap ErrDisabled for an empty one, ErrShort, ErrLength, or
// ErrProtocol if it is no answer.
func ParseResponse(b []byte) (r Response, err error) {
	if len(b) == 0 {
		return r, fmt.Errorf("amthi: %w", ErrDisabled)
	}
	number, data, err := parseHeader(b)
	switch {
	case err != nil:
		return r, err
	case number&answerBit == 0:
		return r, fmt.Errorf("amthi: %w: command %08x", ErrProtocol, uint32(number))
	case len(data) < statusLen:
		return r, fmt.Errorf("amthi: status: %w (%d of %d bytes)", ErrShort, len(data), statusLen)
	}
	return Response{
		Number: number &^ answerBit,
		Status: status.Status(binary.LittleEndian.Uint32(data)),
		Data:   data[statusLen:],
	}, nil
}

func appendHeader(b []byte, n Number, length int) []byte {
	b = binary.LittleEndian.AppendUint16(b, version)
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}

func parseHeader(b []byte) (n Number, data []byte, err error) {
	if len(b) < headerLen {
		return 0, nil, fmt.Errorf("amthi: header: %w (%d of %d bytes)", ErrShort, len(b), headerLen)
	}
	n = Number(binary.LittleEndian.Uint32(b[4:]))
	if v := binary.LittleEndian.Uint16(b); v != version {
		return n, nil, fmt.Errorf("amthi: header: %w: version %d.%d", ErrProtocol, v&0xff, v>>8)
	}
	if length := binary.LittleEndian.Uint32(b[8:]); uint64(length) != uint64(len(b)-headerLen) {
		return n, nil, fmt.Errorf("amthi: header: %w: says %d bytes, has %d", ErrLength, length, len(b)-headerLen)
	}
	return n, b[headerLen:], nil
}
