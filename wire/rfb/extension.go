package rfb

import (
	"bytes"
	"fmt"
)

// Prefixes of a text that is no clipboard but an extension of AMT. Source: spec kvm.md section 9.
var (
	commandPrefix = []byte("\x00KvmExtCmd\x00")
	dataPrefix    = []byte("\x00KvmDataChannel\x00")
)

// An ExtensionCommand asks about one ability of AMT's KVM, or sets it.
type ExtensionCommand uint8

// The commands.
const (
	GetDecimation  ExtensionCommand = 1 // answer: mode (1 off, 2 automatic, 3 on), 1 if active now
	SetDecimation  ExtensionCommand = 2 // mode; answer: 0 for done
	GetCompression ExtensionCommand = 3 // answer: 1 if ZRLE is compressed
	SetCompression ExtensionCommand = 4 // 0 or 1; answer: 0 for done
)

// Modes of decimation: half the size.
const (
	DecimationOff  = 1
	DecimationAuto = 2 // for screens of more pixels than 1920x1080
	DecimationOn   = 3
)

// An Extension is what an AMT puts into the text messages of both directions: a command with its values, or data of the
// channel between a console and a program on the host. Neither command nor data is the channel's bare prefix: credit for
// one message, or a sign of life.
type Extension struct {
	Command ExtensionCommand // 0: data
	Values  []byte           // of the command, or the data
	Ack     bool             // data that gives credit as well
}

// ParseExtension takes a text apart. ok is false for what is a clipboard.
func ParseExtension(text []byte) (x Extension, ok bool) {
	if rest, found := bytes.CutPrefix(text, commandPrefix); found && len(rest) > 0 && rest[0] != 0 {
		return Extension{Command: ExtensionCommand(rest[0]), Values: rest[1:]}, true
	}
	n := len(dataPrefix)
	if len(text) >= n && bytes.Equal(text[:n-1], dataPrefix[:n-1]) { // the last byte of the prefix is a flag
		return Extension{Values: text[n:], Ack: text[n-1] != 0 || len(text) == n}, true
	}
	return x, false // a command 0 is none
}

// Text is the extension as a text message carries it.
func (x Extension) Text() []byte {
	if x.Command != 0 {
		return append(append(bytes.Clone(commandPrefix), byte(x.Command)), x.Values...)
	}
	text := append(bytes.Clone(dataPrefix), x.Values...)
	if x.Ack && len(x.Values) > 0 {
		text[len(dataPrefix)-1] = 1
	}
	return text
}

func (x Extension) String() string {
	if x.Command != 0 {
		return fmt.Sprintf("KVM command %d, values %x", x.Command, x.Values)
	}
	return fmt.Sprintf("KVM data, %d bytes", len(x.Values))
}
