package apf

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeviceIsToldToAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, f := foreignDevice(t, Config{})
		time.Sleep(time.Hour) // nothing before it is told
		f.send(KeepAliveOptionsRequest{30, 0})
		f.expect(KeepAliveOptionsReply{30, 0})
		start := time.Now()
		for i := range uint32(5) {
			f.expect(KeepAliveRequest{i + 1})
			if took, want := time.Since(start), time.Duration(i+1)*30*time.Second; took != want {
				t.Errorf("question %d after %v, want %v", i+1, took, want)
			}
			time.Sleep(10 * time.Second)
			f.send(KeepAliveReply{i + 1})
		}
		f.send(KeepAliveOptionsRequest{0, 5}) // the interval stays
		f.expect(KeepAliveOptionsReply{30, 5})
		start = time.Now()
		f.expect(KeepAliveRequest{6})
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("after %v", took)
		}
		f.send(KeepAliveReply{5}) // not the cookie
		f.ended(d, ErrTimeout, TimedOut)
		if took := time.Since(start); took != 35*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestDeviceAsksByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := pair(t, Config{KeepAlive: 5 * time.Minute}, Config{KeepAlive: -1, IdleTimeout: -1})
		time.Sleep(time.Hour)
		synctest.Wait()
		if d.Err() != nil || s.Err() != nil {
			t.Errorf("device %v, server %v", d.Err(), s.Err())
		}
		d.Close()
		s.Close()
		if d.pulse.cookie != 12 {
			t.Errorf("asked %d times", d.pulse.cookie)
		}
	})
}

func TestServerMissesAMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := foreignServer(t, Config{})
		time.Sleep(time.Hour) // the start-up has its own limit
		f.r.port = func() bool { return true }
		f.send(GlobalRequest{Name: RequestForward, WantReply: true, Port: 16993})
		f.expect(RequestSuccess{true, 16993})
		f.expect(KeepAliveOptionsRequest{30, 0})
		f.send(GlobalRequest{Name: RequestForward, WantReply: true, Port: 16992})
		f.expect(RequestSuccess{true, 16992}) // and no second time
		for range 10 {
			time.Sleep(30 * time.Second)
			f.send(KeepAliveRequest{9})
			f.expect(KeepAliveReply{9})
		}
		start := time.Now()
		f.expect(KeepAliveRequest{1})
		if took := time.Since(start); took != 60*time.Second {
			t.Errorf("asked after %v", took)
		}
		f.send(KeepAliveReply{1})
		f.expect(KeepAliveRequest{2})
		f.ended(s, ErrTimeout, TimedOut)
		if took := time.Since(start); took != 150*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

// Our two ends keep each other alive.
func TestBothEndsForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := pair(t, Config{}, Config{})
		a, b := connected(t, d, s)
		time.Sleep(24 * time.Hour)
		if d.Err() != nil || s.Err() != nil {
			t.Errorf("device %v, server %v", d.Err(), s.Err())
		}
		go b.Write([]byte("x"))
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Error(err)
		}
		s.Close()
		var told *DisconnectError
		if <-d.Done(); !errors.As(d.Err(), &told) {
			t.Error(d.Err())
		}
		if d.pulse.cookie < 2870 || s.pulse.cookie != 0 {
			t.Errorf("%d questions of the device, %d of the server", d.pulse.cookie, s.pulse.cookie)
		}
	})
}
