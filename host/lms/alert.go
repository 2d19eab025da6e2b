package lms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/eventing"
)

// Limits of local alerts.
const (
	alertChannels = 4        // at once
	maxAlert      = 64 << 10 // octets of one
	alertTime     = 10 * time.Second
)

var envelopeEnd = []byte("Envelope>")

// alerts takes the channels that the firmware opens: those to port 0 bring an alert; others would be connections to
// somewhere, which this service does not make.
func (s *Service) alerts(ctx context.Context, f *forwarder) {
	var work sync.WaitGroup
	defer work.Wait()
	places := make(chan struct{}, alertChannels)
	for {
		o, err := f.session.Accept(ctx)
		if err != nil {
			return
		}
		if o.Port != 0 {
			s.log().Info("refused a connection that the firmware wants to make", "address", o.Address, "port", o.Port)
			o.Refuse(apf.Prohibited)
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			o.Refuse(apf.ResourceShortage)
			continue
		}
		ch, err := o.Accept()
		if err != nil {
			<-places
			continue
		}
		work.Go(func() {
			defer func() { <-places }()
			defer ch.Close()
			defer context.AfterFunc(ctx, func() { ch.Close() })()
			ch.SetReadDeadline(time.Now().Add(alertTime))
			alert, err := readAlert(ch)
			if err != nil {
				if ctx.Err() == nil {
					s.log().Warn("local alert", "error", err)
				}
				return
			}
			s.log().Info("local alert", "id", alert.MessageID, "arguments", alert.Arguments)
			if alert.MessageID == setupChanged {
				f.kick()
			}
			if s.OnAlert != nil {
				s.OnAlert(alert)
			}
		})
	}
}

// readAlert reads until the SOAP envelope of an HTTP POST is complete. The firmware wants no HTTP answer: the channel is
// closed. Source: spec lms.md section 6.
func readAlert(r io.Reader) (eventing.Alert, error) {
	var text []byte
	b := make([]byte, copyBuffer)
	for {
		n, err := r.Read(b)
		if len(text)+n > maxAlert {
			return eventing.Alert{}, fmt.Errorf("longer than %d octets", maxAlert)
		}
		text = append(text, b[:n]...)
		if bytes.HasSuffix(bytes.TrimRight(text, " \r\n\t\x00"), envelopeEnd) {
			return parseAlert(text)
		}
		if err != nil {
			return eventing.Alert{}, fmt.Errorf("after %d octets: %w", len(text), err)
		}
	}
}

// parseAlert finds the envelope behind the head of the request.
func parseAlert(text []byte) (eventing.Alert, error) {
	at := bytes.IndexByte(text, '<')
	if at < 0 || !bytes.HasPrefix(text, []byte("POST ")) {
		return eventing.Alert{}, errors.New("not an HTTP POST of an envelope")
	}
	d, err := eventing.ParseDelivery(bytes.TrimRight(text[at:], " \r\n\t\x00"))
	if err != nil {
		return eventing.Alert{}, err
	}
	return d.Alert, nil
}
