package firmware

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/eventing"
)

// Alerts for the PC itself go through LME: the engine opens a channel, posts the event, and wants no answer. Source:
// spec lms.md section 6.
const (
	alertChannelTime = 10 * time.Second // for one alert, until the other end has closed the channel
	maxLocalAlerts   = 16               // on their way at once; further ones are dropped
)

// tellHost tells the PC of an alert, if a program there has a session. It does not wait.
func (m *Machine) tellHost(a eventing.Alert) {
	m.me.mu.Lock()
	l := m.me.lme
	if l == nil || l.closing || l.alerts >= maxLocalAlerts {
		m.me.mu.Unlock()
		return
	}
	l.alerts++
	l.work.Go(func() {
		if err := l.post(a); err != nil && l.ctx.Err() == nil {
			m.log.Info("alert for the PC", "error", err)
		}
		m.me.mu.Lock()
		l.alerts--
		m.me.mu.Unlock()
	})
	m.me.mu.Unlock()
}

// post delivers one alert.
func (l *lme) post(a eventing.Alert) error {
	a.Filter = "Intel(r) AMT:User Notification"
	a.Type = 6 // as recorded for these
	d := eventing.Delivery{MessageID: l.m.messageID(), Alert: a}
	d.Alert.Identifier = "Intel(r):" + strconv.FormatUint(l.m.messages.Load(), 10)
	body := d.Append(nil)
	ctx, cancel := context.WithTimeout(l.ctx, alertChannelTime)
	defer cancel()
	c, err := l.session.Open(ctx, apf.ChannelOpen{Type: apf.TypeDirect, Address: "localhost", OriginAddress: "127.0.0.1"})
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost:0\r\nUser-Agent: Intel(R) AMT Agent\r\nConnection: Keep-Alive\r\n"+
		"Content-Type: application/soap+xml; charset=UTF-8\r\nContent-Length: %d\r\n\r\n", len(body))
	if _, err := c.Write(append([]byte(head), body...)); err != nil {
		return err
	}
	c.Read(make([]byte, 1)) // ends when the other end has closed the channel, or time is up
	return nil
}

// wishToHost tells the PC what the operating system is asked for. Source: spec lms.md section 8.
func (m *Machine) wishToHost(w Wish) {
	m.tellHost(eventing.Alert{MessageID: "iAMT0067", Arguments: []string{strconv.Itoa(int(w)), eventing.ArgumentPath}, Owner: eventing.Owner, System: eventing.Owner,
		Severity: eventing.Information, Time: m.now().UTC()})
}

// askHost passes a wish on to the operating system: to the program on the PC that has the engine's session, and to the
// platform's own agent if it has one.
func (m *Machine) askHost(ctx context.Context, wish Wish, plan Plan) error {
	told := m.LMS()
	if told {
		m.wishToHost(wish)
		if !m.agentTakes(wish) {
			return nil
		}
	}
	return m.platform.Ask(ctx, wish, plan)
}
