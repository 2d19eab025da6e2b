package heci

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// A driver does to the registers what mei_me does. It runs in a synctest bubble.
type driver struct {
	t     *testing.T
	f     *Function
	level bool // of the line
}

func newDriver(t *testing.T) *driver {
	d := &driver{t: t}
	d.f = New(ModelOf(16), func(level bool) { d.level = level }, nil)
	d.f.WriteConfig(cfgBAR0, 4, 0xFEBF0000)
	d.f.WriteConfig(cfgCommand, 2, commandMemory|commandMaster)
	return d
}

func (d *driver) read(at uint64) uint32         { return uint32(d.f.Read(at, 4)) }
func (d *driver) write(at uint64, value uint32) { d.f.Write(at, 4, uint64(value)) }

// interrupted waits for the interrupt and takes it as the driver's handler does.
func (d *driver) interrupted(why string) {
	d.t.Helper()
	synctest.Wait()
	if !d.level {
		d.t.Fatalf("no interrupt: %s; H_CSR %08x, ME_CSR %08x", why, d.read(regHostCSR), d.read(regMECSR))
	}
	csr := d.read(regHostCSR)
	if csr&csrStatus == 0 {
		d.t.Fatalf("interrupt without IS: H_CSR %08x", csr)
	}
	d.write(regHostCSR, csr&^csrEnable&^csrStatus)
	if d.level {
		d.t.Fatal("the line is high although interrupts are off")
	}
	d.write(regHostCSR, csr&^csrEnable) // IS is written back: cleared
	d.write(regHostCSR, d.read(regHostCSR)&^csrStatus|csrEnable)
}

// reset is the handshake of spec mei.md section 11.4.
func (d *driver) reset() {
	d.t.Helper()
	d.write(regHostCSR, d.read(regHostCSR)|csrReset|csrGenerate|csrStatus|csrEnable)
	if csr := d.read(regHostCSR); csr&csrReset == 0 || csr&csrReady != 0 {
		d.t.Fatalf("H_CSR in reset: %08x", csr)
	}
	d.interrupted("the ME is up")
	if csr := d.read(regMECSR); csr&csrReady == 0 {
		d.t.Fatalf("not ready after the reset: ME_CSR %08x", csr)
	}
	d.write(regHostCSR, d.read(regHostCSR)&^csrReset&^csrStatus|csrGenerate)
	d.write(regHostCSR, d.read(regHostCSR)&^csrStatus|csrReady|csrGenerate|csrEnable)
}

// send writes a message and rings.
func (d *driver) send(p mei.Packet) {
	b := p.Append(nil)
	for ; len(b) > 0; b = b[4:] {
		d.write(regHostBuffer, binary.LittleEndian.Uint32(b))
	}
	d.ring()
}

func (d *driver) ring() { d.write(regHostCSR, d.read(regHostCSR)&^csrStatus|csrGenerate) }

func (d *driver) hbm(m mei.Message) { d.send(mei.Packet{Complete: true, Payload: m.Append(nil)}) }

// filled returns the slots in a buffer.
func filled(csr uint32) int { return int(uint8(csr>>csrWriteAt) - uint8(csr>>csrReadAt)) }

// receive reads one message.
func (d *driver) receive() mei.Packet {
	d.t.Helper()
	for filled(d.read(regMECSR)) == 0 {
		d.interrupted("a message")
	}
	b := binary.LittleEndian.AppendUint32(nil, d.read(regMEBuffer))
	for n := (int(b[2]) | int(b[3])&1<<8 + 3); n >= 4; n -= 4 {
		b = binary.LittleEndian.AppendUint32(b, d.read(regMEBuffer))
	}
	p, rest, err := mei.ParsePacket(b)
	if err != nil || len(rest) > 0 {
		d.t.Fatalf("message %x: %v, %d bytes left", b, err, len(rest))
	}
	return p
}

// want reads HBM messages up to one, which it compares.
func (d *driver) want(m mei.Message) {
	d.t.Helper()
	p := d.receive()
	got, err := mei.Parse(p.Payload)
	if p.ME != 0 || p.Host != 0 || err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
		d.t.Fatalf("got %d/%d %T %+v, %v; want %T %+v", p.ME, p.Host, got, got, err, m, m)
	}
}

// start resets the link and begins.
func (d *driver) start() {
	d.t.Helper()
	d.reset()
	v := mei.Version{Major: 2, Minor: 2}
	d.hbm(mei.StartRequest{Version: v})
	d.want(mei.StartReply{Supported: true, Version: v})
	d.hbm(mei.EnumerateRequest{})
	d.receive()
}

// connect connects host address 1 to the client, which is at 32.
func (d *driver) connect() {
	d.t.Helper()
	d.start()
	d.hbm(mei.ConnectRequest{ME: 32, Host: 1})
	d.want(mei.ConnectReply{ME: 32, Host: 1})
	d.want(mei.FlowControl{ME: 32, Host: 1})
}

// echoClient sends back what it gets.
var echoClient = guid.GUID{1, 2, 3}

func echo(_ context.Context, c mei.Conn) {
	b := make([]byte, 5120)
	for {
		n, err := c.Read(b)
		if err == nil {
			_, err = c.Write(b[:n])
		}
		if err != nil {
			return
		}
	}
}

// driven runs a driver against an engine with one client.
func driven(t *testing.T, play func(d *driver, e *mei.Engine)) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t)
		e := mei.NewEngine()
		if err := e.Add(mei.Client{Properties: mei.Properties{Client: echoClient, MaxConnections: 2, MaxMsgLen: 5120}, Serve: echo}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.Run(ctx, d.f.Link())
		}()
		play(d, e)
		cancel()
		<-done
	})
}
