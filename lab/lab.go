// Package lab starts whole worlds of virtual machines: firmware and PC together, on loopback addresses with the ports
// that AMT has, so that unchanged clients can be pointed at them. Tests, benchmarks, the demo and "outband virtual" use
// it.
//
//	w, err := lab.Start(ctx, lab.World{Machines: []lab.Machine{{Profile: 11}, {Profile: 19, Power: "on"}}})
//	defer w.Close()
//	fmt.Println(w.Machines[0].Address) // 127.83.4.20
//
// Every machine has an address of its own, as its ports are fixed. Linux answers on all of 127.0.0.0/8; other systems
// on 127.0.0.1 alone, and have room for one machine.
//
// This package is not a library: import virtual/firmware and virtual/pc instead.
package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/virtual/qemu"
)

// A World says which machines there are to be.
type World struct {
	Machines []Machine
	Log      *slog.Logger // nil: silent
}

// A Lab is a running world. Close it in the end.
type Lab struct {
	Machines []*Running // in the order of the World
}

// A Running is a machine that has started.
type Running struct {
	Name     string
	Address  string
	User     string
	Password string

	Firmware *firmware.Machine // nil for what is no AMT
	PC       *pc.PC            // likewise, and for a machine whose PC is a QEMU process
	QEMU     *qemu.Machine     // the PC of such a machine

	cert     *tls.Certificate // nil: the firmware makes its own when it needs one
	listener *firmware.Listener
	presence *presence
	engine   *engine
	inBand   *inBand
	wire     *wire
	stray    *stray // instead of firmware, for what is no AMT
	once     sync.Once
}

// Start starts all machines, or none. They run until Close, or until ctx ends.
func Start(ctx context.Context, w World) (*Lab, error) {
	l := &Lab{}
	for i, m := range w.Machines {
		r, err := start(ctx, m, w.Log)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("lab: machine %d: %w", i+1, err)
		}
		l.Machines = append(l.Machines, r)
	}
	return l, nil
}

// Close stops all machines and waits for them.
func (l *Lab) Close() {
	for _, m := range l.Machines {
		m.Close()
	}
}

// maxTries bounds the search for a free address.
const maxTries = 64

func start(ctx context.Context, m Machine, log *slog.Logger) (*Running, error) {
	for try := 1; ; try++ {
		address := m.Address
		if address == "" {
			address = freeAddress()
		}
		r, err := m.build(ctx, address, log)
		if err == nil {
			return r, nil
		}
		if m.Address != "" || try == maxTries || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
}

// freeAddress picks an address of the loopback network, away from 127.0.0.0/16, which others use.
func freeAddress() string {
	return netip.AddrFrom4([4]byte{127, byte(64 + rand.IntN(128)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))}).String()
}

// build makes a machine on that address.
func (m Machine) build(ctx context.Context, address string, log *slog.Logger) (*Running, error) {
	r := &Running{Name: m.Name, Address: address, User: "admin", Password: m.Password}
	if r.Password == "" {
		r.Password = firmware.DefaultPassword
	}
	if m.Stray != "" {
		var err error
		r.stray, err = startStray(address, m.Stray)
		return r, err
	}
	config, power, err := m.config(address, log)
	if err != nil {
		return nil, err
	}
	if m.Power != "" {
		power = m.Power
	}
	options, err := m.pc(power)
	if err != nil {
		return nil, err
	}
	if config.Password, r.cert = r.Password, config.Certificate; m.State != nil {
		config.Password = m.Password // "": as it was when the state was saved
	}
	if m.QEMU != nil {
		if m.QEMU.ME {
			r.inBand = newInBand(log)
		}
		if r.QEMU, err = m.QEMU.machine(ctx, log, r.inBand); err != nil {
			return nil, err
		}
		config.Platform = r.QEMU
	} else {
		r.PC = pc.New(options)
		config.Platform = r.PC
	}
	if r.Firmware, err = firmware.New(config); err != nil {
		r.Close()
		return nil, err
	}
	if r.inBand != nil {
		r.inBand.use(r.Firmware, r.Generation())
	}
	if r.QEMU != nil {
		err = m.prepareQEMU(ctx, r, power)
	} else {
		err = m.prepare(ctx, r, power)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	if r.listener, err = r.Firmware.Listen(ctx, address); err != nil {
		r.Close()
		return nil, err
	}
	if m.Wire != "" {
		if r.wire, err = startWire(ctx, m.Wire, r.Firmware); err != nil {
			r.Close()
			return nil, err
		}
	}
	if m.ME != "" {
		if r.engine, err = startEngine(ctx, m.ME, r.Firmware.ServeME); err != nil {
			r.Close()
			return nil, err
		}
	}
	r.presence = startPresence(ctx, address, r.Firmware.ServeRMCP)
	return r, nil
}

// Close stops the machine.
func (r *Running) Close() {
	r.once.Do(func() {
		if r.stray != nil {
			r.stray.close()
		}
		r.presence.close()
		r.engine.close()
		r.wire.close()
		if r.listener != nil {
			r.listener.Close()
		}
		if r.Firmware != nil {
			r.Firmware.Close()
		}
		if r.PC != nil {
			r.PC.Close()
		}
		if r.QEMU != nil {
			r.QEMU.Close()
		}
		r.inBand.close()
	})
}

// Ports returns the ports that are open, lowest first.
func (r *Running) Ports() []int {
	switch {
	case r.stray != nil:
		return []int{firmware.PortHTTP}
	case r.listener == nil:
		return nil
	}
	return r.listener.Ports()
}

// UUID returns the machine's UUID as operating systems show it.
func (r *Running) UUID() string { return r.Firmware.Identity().UUID.String() }

// Generation returns the generation of the firmware: 11.
func (r *Running) Generation() int { return r.Firmware.Profile().Release.Major }

// Fingerprint returns the SHA-256 of the certificate that TLS shows now, 64 hex digits; "" if TLS is off.
func (r *Running) Fingerprint() string {
	if r.Firmware == nil || !slices.Contains(r.Ports(), firmware.PortHTTPS) {
		return ""
	}
	der, err := r.Firmware.ServerCertificate()
	if err != nil {
		return "" // nobody can connect then either
	}
	return fingerprint(der)
}

// Power returns the state of the PC in one word: on, asleep, hibernated, off.
func (r *Running) Power() string {
	switch r.platform().Power() {
	case firmware.S0:
		return "on"
	case firmware.S3:
		return "asleep"
	case firmware.S4:
		return "hibernated"
	}
	return "off"
}

// BootedFrom returns what the last boot came from: "disk", "PXE", "default" if it found nothing or there was none.
func (r *Running) BootedFrom() string { return r.lastBoot().From.String() }

// Await waits until see returns true; it looks whenever something happens to the PC.
func (r *Running) Await(ctx context.Context, see func(*Running) bool) error {
	happened := make(chan struct{}, 1)
	cancel := r.platform().Watch(func(firmware.Event) {
		select {
		case happened <- struct{}{}:
		default:
		}
	})
	defer cancel()
	for !see(r) {
		select {
		case <-happened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
