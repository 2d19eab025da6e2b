package firmware

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// TestFaults makes each trouble and looks how a client sees it; after it the machine behaves again.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults Faults
		want   error         // of a Get
		status int           // of an HTTPError
		took   time.Duration // 0 is at once
	}{
		{name: "delay", faults: Faults{Delay: 3 * time.Second}, took: 3 * time.Second},
		{name: "drop", faults: Faults{Drop: true}, want: context.DeadlineExceeded, took: 10 * time.Second},
		{name: "cut in the head", faults: Faults{Cut: 20}, want: wsman.ErrCut},
		{name: "cut in the body", faults: Faults{Cut: 700}, want: wsman.ErrCut},
		{name: "cut before all", faults: Faults{Cut: -1}, want: wsman.ErrCut},
		{name: "garbage", faults: Faults{Garbage: "RFB 003.008\n"}, want: wsman.ErrNotAMT},
		{name: "malformed", faults: Faults{Malformed: true}, want: wsman.ErrXML},
		{name: "endless", faults: Faults{Endless: true}, want: wsman.ErrTooLong},
		{name: "503", faults: Faults{HTTPStatus: 503}, status: 503},
		{name: "closes after each answer", faults: Faults{Close: true}},
		{name: "another class", faults: Faults{Drop: true, Only: []string{"CIM_Fan"}}},
		{name: "this class", faults: Faults{HTTPStatus: 500, Only: []string{"CIM_Fan", "CIM_Chassis"}}, status: 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t, Config{})
				ctx, cancel := context.WithCancel(t.Context())
				var done []chan error
				c := &wsman.Client{Password: DefaultPassword, MaxConns: 1, MaxReply: 1 << 16, Timeout: 10 * time.Second, Dial: func(context.Context) (net.Conn, error) {
					here, there := net.Pipe()
					ch := make(chan error, 1)
					done = append(done, ch)
					go func() { ch <- m.ServeConn(ctx, there, PortHTTP) }()
					return here, nil
				}}
				get := func() (time.Duration, error) {
					begin := time.Now()
					_, err := wsman.Get(ctx, c, wsman.ClassURI("CIM_Chassis"), nil)
					return time.Since(begin), err
				}
				if _, err := get(); err != nil { // logs on while all is well
					t.Fatal(err)
				}
				m.SetFaults(&tt.faults)
				took, err := get()
				var status *wsman.HTTPError
				errors.As(err, &status)
				switch {
				case tt.status != 0:
					if status == nil || status.Status != tt.status {
						t.Errorf("got %v, want status %d", err, tt.status)
					}
				case !errors.Is(err, tt.want):
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				m.SetFaults(nil)
				if _, err := get(); err != nil {
					t.Errorf("afterwards: %v", err)
				}
				c.Close()
				cancel()
				for _, ch := range done {
					<-ch
				}
			})
		})
	}
}

func TestFaultCount(t *testing.T) {
	m := newMachine(t, Config{})
	m.SetFaults(&Faults{HTTPStatus: 503, Count: 2, Only: []string{"CIM_Chassis"}})
	c := client(t, m)
	for i, want := range []bool{false, false, true, true} {
		if _, err := wsman.Get(t.Context(), c, wsman.ClassURI("CIM_Card"), nil); err != nil {
			t.Errorf("another class: %v", err)
		}
		if _, err := wsman.Get(t.Context(), c, wsman.ClassURI("CIM_Chassis"), nil); (err == nil) != want {
			t.Errorf("request %d: %v", i+1, err)
		}
	}
}
