package firmware

import (
	"context"
	"io"

	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/sol"
)

// A SerialPort is a [Platform] with the serial port that AMT adds to a PC and SOL redirects.
type SerialPort interface {
	// OpenSerial joins the host's end of the line to a console: Read gives what is typed there, Write shows. Both end
	// with an error when the session does. close takes the line away again, and waits until nobody uses it.
	OpenSerial(line io.ReadWriter) (close func())
}

// lineOf is what the serial port looks like in a power state.
func lineOf(s Sx) (sol.Control, sol.LineStatus) {
	if s == S0 {
		return sol.RTS | sol.DTR, sol.Powered
	}
	return 0, 0
}

// serveSOL joins a console and the PC's serial port.
func (m *Machine) serveSOL(ctx context.Context, s *redir.Session) error {
	control, status := lineOf(m.powerOf())
	d, err := sol.Accept(ctx, s, sol.DeviceOptions{
		Control: control, Status: status,
		Firmware: [2]uint8{uint8(m.profile.Release.Major), uint8(m.profile.Release.Minor)},
	})
	if err != nil {
		return err
	}
	m.redirection.setSerial(d)
	defer m.redirection.setSerial(nil)
	if p, ok := m.platform.(SerialPort); ok {
		defer p.OpenSerial(d)()
	} else {
		go io.Copy(io.Discard, d) // until the session ends
	}
	<-d.Done()
	return d.Close()
}

func (r *redirection) setSerial(d *sol.Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serial = d
}
