package amthi

import "github.com/outband/outband/wire/guid"

// Data that several commands have.

// None is no data. In an answer it may be padded all the same.
type None struct{}

func (None) Append(b []byte) []byte { return b }
func none(*reader) None             { return None{} }

// A Word is one number of 32 bits.
type Word uint32

func (v Word) Append(b []byte) []byte { return u32(b, uint32(v)) }

func word[T ~uint32](r *reader) T { return T(r.u32()) }

// A Bool is an AMT_BOOLEAN.
type Bool bool

func (v Bool) Append(b []byte) []byte { return appendBool(b, bool(v)) }
func boolean(r *reader) Bool          { return Bool(r.bool()) }

// A Text is an ANSI string.
type Text string

func (v Text) Append(b []byte) []byte { return appendText(b, string(v)) }
func text(r *reader) Text             { return Text(r.text()) }

// A UUID is the machine's.
type UUID guid.GUID

func (v UUID) Append(b []byte) []byte { return append(b, v[:]...) }
func uuid(r *reader) UUID             { return UUID(r.take(guid.Size)) }

// An Interface is one of the machine's network interfaces.
type Interface uint32

// The interfaces.
const (
	Wired    Interface = 0
	Wireless Interface = 1
)

func (v Interface) Append(b []byte) []byte { return u32(b, uint32(v)) }
