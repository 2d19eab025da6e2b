package heci

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/outband/outband/wire/mei"
)

func TestConversation(t *testing.T) {
	driven(t, func(d *driver, _ *mei.Engine) {
		d.connect()
		d.hbm(mei.FlowControl{ME: 32, Host: 1})
		d.send(mei.Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("hello")})
		var answer mei.Packet
		for answer.ME == 0 { // the next credit may come before
			answer = d.receive()
		}
		if string(answer.Payload) != "hello" || !answer.Complete || answer.Host != 1 {
			t.Errorf("got %+v", answer)
		}
	})
}

// A message of 5,120 bytes is longer than both buffers; either side waits for the other again and again.
func TestLongMessage(t *testing.T) {
	driven(t, func(d *driver, _ *mei.Engine) {
		d.connect()
		long := make([]byte, 5120)
		for i := range long {
			long[i] = byte(i * 7)
		}
		for rest := long; len(rest) > 0; {
			n := min(len(rest), (Depth-1)*4)
			d.send(mei.Packet{ME: 32, Host: 1, Complete: n == len(rest), Payload: rest[:n]})
			d.interrupted("the host's buffer is empty")
			if filled(d.read(regHostCSR)) != 0 {
				t.Fatalf("the host's buffer is not empty: H_CSR %08x", d.read(regHostCSR))
			}
			rest = rest[n:]
		}
		d.want(mei.FlowControl{ME: 32, Host: 1})
		d.hbm(mei.FlowControl{ME: 32, Host: 1})
		var got []byte
		for done := false; !done; {
			p := d.receive()
			if p.ME == 32 {
				got, done = append(got, p.Payload...), p.Complete
			}
		}
		if !bytes.Equal(got, long) {
			t.Errorf("got %d bytes that differ from the %d sent", len(got), len(long))
		}
	})
}

// Without credit from the host the ME keeps its answer.
func TestNoCredit(t *testing.T) {
	driven(t, func(d *driver, _ *mei.Engine) {
		d.connect()
		d.send(mei.Packet{ME: 32, Host: 1, Complete: true, Payload: []byte("x")})
		d.want(mei.FlowControl{ME: 32, Host: 1})
		synctest.Wait()
		if n := filled(d.read(regMECSR)); n != 0 {
			t.Fatalf("%d slots without credit", n)
		}
		d.hbm(mei.FlowControl{ME: 32, Host: 1})
		if p := d.receive(); p.ME != 32 {
			t.Errorf("got %+v", p)
		}
	})
}

// A message counts when it is whole and the bell was rung.
func TestSlotBySlot(t *testing.T) {
	driven(t, func(d *driver, _ *mei.Engine) {
		d.reset()
		d.write(regHostBuffer, 0x80040000)
		d.ring()
		synctest.Wait()
		if n := filled(d.read(regHostCSR)); n != 1 {
			t.Fatalf("%d slots in the host's buffer, want the header", n)
		}
		d.write(regHostBuffer, 0x02020001)
		synctest.Wait()
		if n := filled(d.read(regHostCSR)); n != 2 {
			t.Fatalf("%d slots in the host's buffer: the ME has not been rung", n)
		}
		d.ring()
		d.want(mei.StartReply{Supported: true, Version: mei.Version{Major: 2, Minor: 2}})
	})
}

// What no driver does takes the ME down, and a reset brings it back.
func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(d *driver, e *mei.Engine)
	}{
		{"header of zeros", func(d *driver, _ *mei.Engine) { d.write(regHostBuffer, 0); d.ring() }},
		{"header like a signal", func(d *driver, _ *mei.Engine) { d.write(regHostBuffer, 0x0E000000); d.ring() }},
		{"reserved bit", func(d *driver, _ *mei.Engine) { d.write(regHostBuffer, 0x82040000); d.ring() }},
		{"longer than the buffer", func(d *driver, _ *mei.Engine) { d.write(regHostBuffer, 0x81FF0000); d.ring() }},
		{"overflow", func(d *driver, _ *mei.Engine) {
			for range Depth + 1 {
				d.write(regHostBuffer, 0x80040000)
			}
		}},
		{"DMA without rings", func(d *driver, _ *mei.Engine) {
			d.send(mei.Packet{ME: 32, Host: 1, DMA: true, Complete: true, Payload: []byte{1, 0, 0, 0}})
		}},
		{"restart of the firmware", func(_ *driver, e *mei.Engine) { e.Reset() }},
		{"reset while it is down", func(d *driver, e *mei.Engine) { e.Reset(); d.write(regHostBuffer, 0); d.ring() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			driven(t, func(d *driver, e *mei.Engine) {
				d.connect()
				tt.do(d, e)
				d.interrupted("the ME is down")
				synctest.Wait()
				if csr := d.read(regMECSR); csr&csrReady != 0 || filled(csr) != 0 {
					t.Fatalf("the ME is not down: ME_CSR %08x", csr)
				}
				d.connect()
			})
		})
	}
}

// A reset in the middle of everything leaves nothing behind.
func TestResetClears(t *testing.T) {
	driven(t, func(d *driver, _ *mei.Engine) {
		d.connect()
		d.hbm(mei.FlowControl{ME: 32, Host: 1})
		d.send(mei.Packet{ME: 32, Host: 1, Complete: true, Payload: make([]byte, 500)})
		synctest.Wait() // the answer fills the buffer
		d.write(regHostBuffer, 0x80040000)
		d.connect()
		synctest.Wait()
		if n := filled(d.read(regMECSR)); n != 0 {
			t.Errorf("%d slots of an old message", n)
		}
		d.f.Reset() // the PC's own
		if base, on := d.f.BAR0(); base != 0 || on {
			t.Errorf("BAR0 is %#x, %v after the PC's reset", base, on)
		}
		if d.level {
			t.Error("the line is high after the PC's reset")
		}
		d.f.WriteConfig(cfgCommand, 2, commandMemory)
		d.connect()
	})
}

func TestConfigurationSpace(t *testing.T) {
	driven(t, func(d *driver, _ *mei.Engine) {
		f := d.f
		for _, tt := range []struct {
			offset uint32
			size   int
			want   uint32
		}{
			{0, 4, 0x7AE88086},
			{2, 2, 0x7AE8},
			{8, 4, 0x07800020},
			{0x0E, 1, 0}, // header type
			{0x3C, 2, 0x0100},
			{0x40, 4, 0x14000245},
			{0x6C, 4, 0},
			{0x34, 1, 0}, // no capabilities
			{253, 4, 0xFFFFFFFF},
			{0xFFFFFFFF, 4, 0xFFFFFFFF},
			{0, 3, 0xFFFFFFFF},
		} {
			if got := f.ReadConfig(tt.offset, tt.size); got != tt.want {
				t.Errorf("%d bytes at %#x: got %#x, want %#x", tt.size, tt.offset, got, tt.want)
			}
		}
		f.WriteConfig(cfgBAR0, 4, 0xFFFFFFFF)
		if got := f.ReadConfig(cfgBAR0, 4); got != 0xFFFFF000 {
			t.Errorf("BAR0 sized %#x", got)
		}
		for i := range 4 { // byte by byte
			f.WriteConfig(cfgBAR0+uint32(i), 1, uint32(0xFEDC1234>>(8*i)))
		}
		if base, on := f.BAR0(); base != 0xFEDC1000 || !on {
			t.Errorf("BAR0 at %#x, %v", base, on)
		}
		f.WriteConfig(0x40, 4, 0) // read only
		f.WriteConfig(0, 4, 0)
		f.WriteConfig(254, 4, 0)
		if got := f.ReadConfig(0x40, 4); got != 0x14000245 || f.ReadConfig(0, 2) != vendorIntel {
			t.Errorf("HFS1 %#x after a write", got)
		}
		d.start()
		d.hbm(mei.EnumerateRequest{})
		synctest.Wait()
		if f.ReadConfig(cfgStatus, 2)&statusPending == 0 || !d.level {
			t.Error("no interrupt pending")
		}
		f.WriteConfig(cfgCommand, 2, commandMemory|commandNoINTx)
		if f.ReadConfig(cfgStatus, 2)&statusPending == 0 || d.level {
			t.Error("the line is not off, or nothing is pending")
		}
		f.WriteConfig(cfgCommand, 2, commandMemory)
		if !d.level {
			t.Error("the line is not on again")
		}
	})
}

func TestRegisters(t *testing.T) {
	driven(t, func(d *driver, _ *mei.Engine) {
		d.start()
		for _, at := range []uint64{regPowerGate, regTrace, regD0i3, regMEBuffer, 0x20, 0xFFC, 1 << 40} {
			d.write(at, 0xFFFFFFFF)
			if got := d.read(at); got != 0 {
				t.Errorf("register %#x is %#x", at, got)
			}
		}
		before := d.read(regMECSR)
		d.write(regMECSR, 0)
		d.f.Write(regHostCSR, 1, uint64(csrReset)) // not of four bytes
		if got := d.read(regMECSR); got != before || d.f.Read(regMECSR, 2) != 0 || before>>csrDepthAt != Depth {
			t.Errorf("ME_CSR %08x, was %08x", got, before)
		}
	})
}

// Closing the link takes the ME away.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t)
		link := d.f.Link()
		done := make(chan error)
		go func() {
			_, err := link.Receive()
			done <- err
		}()
		synctest.Wait()
		link.Close()
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Errorf("received %v", err)
		}
		if err := link.Send(mei.ReadySignal()); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("sent with %v", err)
		}
		if d.read(regMECSR)&csrReady != 0 {
			t.Error("the ME is ready")
		}
	})
}

// Closing ends a Send that waits for room.
func TestCloseWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t)
		link := d.f.Link()
		if err := link.Send(make([]byte, Depth*4+4)); !errors.Is(err, mei.ErrInvalid) {
			t.Errorf("a message longer than the buffer: %v", err)
		}
		full := mei.Packet{ME: 1, Host: 1, Payload: make([]byte, 400)}.Append(nil)
		if err := link.Send(full); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- link.Send(full) }()
		synctest.Wait()
		link.Close()
		if err := <-done; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("sent with %v", err)
		}
	})
}

// FuzzRegisters lets a PC do anything to a ME that takes one step at a time: nothing may panic, what the ME gets are
// whole messages, and after a reset all is well.
func FuzzRegisters(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 0x80, 0, 1, 0, 2, 2, 1, 4, 0, 0, 0, 0x20, 0, 0, 0, 0})
	f.Add([]byte{1, 0x1D, 0, 0, 0, 0x20, 0, 0, 0, 0, 1, 0x0D, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDriver(t)
		for ; len(b) >= 5; b = b[5:] {
			value := uint32(b[1]) | uint32(b[2])<<8 | uint32(b[3])<<16 | uint32(b[4])<<24
			switch at := uint64(b[0] % 8 * 4); {
			case b[0]&0x80 != 0:
				d.read(at)
			case b[0]&0x40 != 0:
				d.f.WriteConfig(value%512, 1<<(b[0]&3), value)
			case b[0]&0x20 != 0:
				d.step()
			default:
				d.write(at, value)
			}
			if high := d.f.pending() && d.f.command()&commandNoINTx == 0; d.level != high {
				t.Fatalf("the line is %v, wanted %v", d.level, high)
			}
		}
		d.f.Reset()
		d.step()
		if csr := d.read(regMECSR); csr != Depth<<csrDepthAt|csrReady {
			t.Fatalf("ME_CSR %08x after a reset", csr)
		}
	})
}

// step is an engine that sends back what it gets.
func (d *driver) step() {
	f, link := d.f, d.f.Link()
	f.mu.Lock()
	reset := f.tell
	var p []byte
	if reset {
		f.tell = false
		f.resets++
	} else {
		p = f.message()
	}
	f.mu.Unlock()
	if reset {
		link.Send(mei.ReadySignal())
		return
	}
	if p == nil {
		return
	}
	if _, rest, err := mei.ParsePacket(p); len(rest) > 0 || errors.Is(err, mei.ErrShort) {
		d.t.Fatalf("message %x: %v, %d bytes left", p, err, len(rest))
	}
	if f.up.free() >= len(p)/slotLen {
		link.Send(p)
	}
}
