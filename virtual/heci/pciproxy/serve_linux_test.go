package pciproxy

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/outband/outband/virtual/heci"
	"github.com/outband/outband/wire/mei"
)

// A fakeQEMU is QEMU's end.
type fakeQEMU struct {
	t    testing.TB
	conn *net.UnixConn
}

// served gives play QEMU's end of a function whose engine is not there, and returns what Serve returned.
func served(t testing.TB, play func(q fakeQEMU, f *heci.Function, stop context.CancelCauseFunc)) error {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.FileConn(theirs)
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f := heci.New(heci.ModelOf(12), func(bool) {}, nil)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan error)
	go func() { done <- Serve(ctx, ours, f) }()
	play(fakeQEMU{t, c.(*net.UnixConn)}, f, cancel)
	c.Close()
	return <-done
}

// send sends a message with files.
func (q fakeQEMU) send(command int32, data []byte, files ...*os.File) {
	q.t.Helper()
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	b := append(Header{command, uint64(len(data))}.Append(nil), data...)
	if _, _, err := q.conn.WriteMsgUnix(b, syscall.UnixRights(fds...), nil); err != nil {
		q.t.Fatal(err)
	}
}

// reply reads an answer.
func (q fakeQEMU) reply() uint64 {
	q.t.Helper()
	var b [headerLen + replyLen]byte
	if _, err := io.ReadFull(q.conn, b[:]); err != nil {
		q.t.Fatal(err)
	}
	if h, _, err := ParseHeader(b[:]); err != nil || h.Command != cmdReply {
		q.t.Fatalf("got %+v, %v", h, err)
	}
	return binary.LittleEndian.Uint64(b[headerLen:])
}

func (q fakeQEMU) config(command int32, offset, value uint32, size int32) uint64 {
	q.t.Helper()
	q.send(command, ConfigAccess{offset, value, size}.Append(nil))
	return q.reply()
}

func (q fakeQEMU) bar(command int32, address, value uint64, memory bool) uint64 {
	q.t.Helper()
	q.send(command, BARAccess{address, value, 4, memory}.Append(nil))
	return q.reply()
}

// The start of a machine: memory, interrupts, probing of the BAR, registers, reset.
func TestServe(t *testing.T) {
	err := served(t, func(q fakeQEMU, f *heci.Function, _ context.CancelCauseFunc) {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		q.send(cmdSystemMemory, make([]byte, memoryLen), file, file, file)
		q.send(cmdInterrupt, nil, file, file)
		q.send(cmdReset, nil)
		if got := q.reply(); got != 0 {
			t.Errorf("reset answered with %#x", got)
		}
		if got := q.config(cmdConfigRead, 0, 0, 4); got != 0xA3608086 {
			t.Errorf("ID %#x", got)
		}
		q.config(cmdConfigWrite, 0x10, 0xFFFFFFFF, 4)
		if got := q.config(cmdConfigRead, 0x10, 0, 4); got != 0xFFFFF000 {
			t.Errorf("BAR0 sized %#x", got)
		}
		q.config(cmdConfigWrite, 0x10, 0xFEBFE000, 4)
		if got := q.bar(cmdBARRead, 0xFEBFE00C, 0, true); got != ^uint64(0) {
			t.Errorf("ME_CSR %#x although memory is off", got)
		}
		q.config(cmdConfigWrite, 4, 2, 2)
		for _, tt := range []struct {
			address uint64
			memory  bool
			want    uint64
		}{
			{0xFEBFE00C, true, heci.Depth << 24}, // not ready, as no engine is there
			{0xFEBFE00C, false, ^uint64(0)},
			{0xFEBFF00C, true, ^uint64(0)},
			{0xFEBFDFFC, true, ^uint64(0)},
			{0x1FEBFE00C, true, ^uint64(0)},
		} {
			if got := q.bar(cmdBARRead, tt.address, 0, tt.memory); got != tt.want {
				t.Errorf("at %#x, %v: got %#x, want %#x", tt.address, tt.memory, got, tt.want)
			}
		}
		q.bar(cmdBARWrite, 0xFEBFE004, 1, true)
		if got := f.Read(4, 4); got&1 == 0 {
			t.Errorf("H_CSR %#x after a write", got)
		}
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("Serve returned %v", err)
	}
}

// Descriptors that QEMU sends do not pile up.
func TestServeClosesFiles(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	served(t, func(q fakeQEMU, _ *heci.Function, _ context.CancelCauseFunc) {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		before := count()
		for range 20 {
			q.send(cmdSystemMemory, make([]byte, memoryLen), file, file, file, file, file, file, file, file)
		}
		q.send(cmdReset, nil)
		q.reply()
		if after := count(); after > before {
			t.Errorf("%d descriptors, %d before", after, before)
		}
	})
}

func TestServeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(q fakeQEMU)
		err  error
	}{
		{"a reply", func(q fakeQEMU) { q.send(cmdReply, make([]byte, replyLen)) }, ErrCorrupt},
		{"unknown command", func(q fakeQEMU) { q.send(77, nil) }, ErrCorrupt},
		{"three bytes of configuration", func(q fakeQEMU) { q.send(cmdConfigRead, ConfigAccess{0, 0, 3}.Append(nil)) }, ErrCorrupt},
		{"cut header", func(q fakeQEMU) { q.conn.Write(make([]byte, 5)) }, io.ErrUnexpectedEOF},
		{"cut data", func(q fakeQEMU) { q.conn.Write(Header{cmdReply, replyLen}.Append(nil)) }, io.ErrUnexpectedEOF},
		{"too many files", func(q fakeQEMU) {
			q.send(cmdSystemMemory, make([]byte, memoryLen), os.Stdin, os.Stdin, os.Stdin, os.Stdin, os.Stdin, os.Stdin, os.Stdin, os.Stdin, os.Stdin, os.Stdin)
		}, ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := served(t, func(q fakeQEMU, _ *heci.Function, _ context.CancelCauseFunc) { tt.do(q) }); !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
		})
	}
}

func TestServeEndsWithContext(t *testing.T) {
	why := errors.New("enough")
	err := served(t, func(q fakeQEMU, _ *heci.Function, stop context.CancelCauseFunc) {
		stop(why)
		if _, err := q.conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is open")
		}
	})
	if !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// The pins follow the lines; a pulse that QEMU has not seen was not.
func TestDrive(t *testing.T) {
	lines := NewLines(PinOf(22), PinOf(23))
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- lines.Drive(ctx, ours) }()
	want := func(text string) {
		t.Helper()
		b := make([]byte, len(text))
		if _, err := io.ReadFull(theirs, b); err != nil || string(b) != text {
			t.Fatalf("got %q, %v; want %q", b, err, text)
		}
	}
	lines.Set(0, true)
	want("set_irq_in /machine/q35/ioapic unnamed-gpio-in 22 1\n")
	lines.Set(0, false)
	lines.Set(0, true)
	lines.Set(0, false)
	lines.Set(1, true)
	theirs.Write([]byte("OK\n"))
	want("set_irq_in /machine/q35/ioapic unnamed-gpio-in 22 0\n")
	theirs.Write([]byte("OK\n"))
	want("set_irq_in /machine/q35/ioapic unnamed-gpio-in 23 1\n")
	lines.Set(1, false)
	lines.Set(1, true)
	theirs.Write([]byte("OK\n"))
	lines.Set(0, true)
	want("set_irq_in /machine/q35/ioapic unnamed-gpio-in 22 1\n")
	why := errors.New("enough")
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestDriveRefused(t *testing.T) {
	for _, answer := range []string{"FAIL Unknown device\n", string(make([]byte, 2*maxReply))} {
		lines := NewLines(PinOf(DefaultSlot))
		ours, theirs := net.Pipe()
		lines.Set(0, true)
		done := make(chan error)
		go func() { done <- lines.Drive(t.Context(), ours) }()
		if _, err := theirs.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		theirs.Write([]byte(answer))
		if err := <-done; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%.20q: got %v", answer, err)
		}
	}
}

// A plug that nobody uses goes when its context does, and leaves no descriptor.
func TestInsertWithoutProcess(t *testing.T) {
	me := make(chan error, 1)
	p := &Plug{Functions: []Function{{Model: heci.ModelOf(16), ME: func(ctx context.Context, link mei.Link) error {
		defer context.AfterFunc(ctx, func() { link.Close() })()
		_, err := link.Receive()
		link.Close()
		me <- err
		return err
	}}}}
	ctx, cancel := context.WithCancel(t.Context())
	args, files, err := p.Insert(ctx, 3)
	if err != nil || len(files) != 3 || len(args) == 0 {
		t.Fatalf("got %q, %d files, %v", args, len(files), err)
	}
	closeAll(files) // as when the process has ended
	<-me
	p.Wait()
	cancel()
}

// FuzzServe lets QEMU send anything.
func FuzzServe(f *testing.F) {
	f.Add(Header{cmdReset, 0}.Append(nil))
	f.Add(ConfigAccess{0x10, 0xFFFFFFFF, 4}.Append(Header{cmdConfigWrite, configLen}.Append(nil)))
	f.Add(BARAccess{4, 1, 4, true}.Append(Header{cmdBARWrite, barLen}.Append(nil)))
	f.Add(append(Header{cmdSystemMemory, memoryLen}.Append(nil), make([]byte, memoryLen)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := served(t, func(q fakeQEMU, _ *heci.Function, _ context.CancelCauseFunc) {
			go io.Copy(io.Discard, q.conn)
			q.conn.Write(b)
			q.conn.CloseWrite()
		})
		if err == nil {
			t.Error("Serve returned nil")
		}
	})
}
