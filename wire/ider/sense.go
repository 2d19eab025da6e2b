package ider

import "fmt"

// Sense says why a command has failed: sense key, additional sense code and its qualifier. SPC-3 4.5. The zero value is
// success and no error to return.
type Sense struct{ Key, ASC, ASCQ uint8 }

// The senses of this package.
var (
	SenseNotReady   = Sense{0x02, 0x3A, 0x00} // no medium
	SenseReadError  = Sense{0x03, 0x11, 0x00}
	SenseWriteError = Sense{0x03, 0x0C, 0x00}
	SenseOpcode     = Sense{0x05, 0x20, 0x00} // no such command
	SenseOutOfRange = Sense{0x05, 0x21, 0x00}
	SenseField      = Sense{0x05, 0x24, 0x00} // of the CDB
	SenseAttention  = Sense{0x06, 0x28, 0x00} // the medium may have changed
	SenseProtected  = Sense{0x07, 0x27, 0x00}
	senseNone       = Sense{}
)

func (s Sense) Error() string {
	text := "unknown"
	switch s {
	case senseNone:
		text = "success"
	case SenseNotReady:
		text = "no medium"
	case SenseReadError:
		text = "unrecovered read error"
	case SenseWriteError:
		text = "write error"
	case SenseOpcode:
		text = "unknown command"
	case SenseOutOfRange:
		text = "block address out of range"
	case SenseField:
		text = "invalid field in command"
	case SenseAttention:
		text = "medium may have changed"
	case SenseProtected:
		text = "write protected"
	}
	return fmt.Sprintf("%s (sense %02x/%02x/%02x)", text, s.Key, s.ASC, s.ASCQ)
}
