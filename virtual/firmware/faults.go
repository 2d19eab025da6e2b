package firmware

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/status"
)

// Faults is trouble made on purpose. The zero value is none. Whatever is to be changed while the machine runs is given
// anew to [Machine.SetFaults].
type Faults struct {
	Delay      time.Duration // before each answer
	Drop       bool          // take requests and never answer
	Cut        int           // close after so many octets of each answer; negative: before the first
	Garbage    string        // sent instead of an answer; the connection is closed then
	Malformed  bool          // break the XML of each answer: its last tag is missing
	Endless    bool          // answer with chunks that never end
	HTTPStatus int           // answer with that status and a page, without carrying the request out: 503, 500, 404 ...
	Close      bool          // close the connection after each answer, without a word in the header

	// Refuse has methods refused with a return value: "RequestPowerStateChange", or with the class in front,
	// "CIM_PowerManagementService.RequestPowerStateChange". Methods of the old SOAP services are named likewise:
	// "RemoteControl", "RemoteControl.RemoteControl".
	Refuse map[string]status.Status

	// RefuseCount limits Refuse to that many calls; 0 is no limit. A machine that is busy for a while is made so.
	RefuseCount int

	// Only limits all but Refuse to requests whose text holds one of these words: a class, a method, a path.
	Only []string

	// Count limits all but Refuse to that many requests, those that Only lets through; 0 is no limit.
	Count int
}

// faultState is the faults in force, and how many requests met them.
type faultState struct {
	Faults
	used    atomic.Int64
	refused atomic.Int64
}

// SetFaults makes the machine misbehave from the next request on. nil makes it behave.
func (m *Machine) SetFaults(f *Faults) {
	if f == nil {
		m.faults.Store(nil)
		return
	}
	m.faults.Store(&faultState{Faults: *f})
}

// trouble returns the faults that a request is to meet, or nil.
func (m *Machine) trouble(r *request) *Faults {
	f := m.faults.Load()
	if f == nil || !f.any() {
		return nil
	}
	if len(f.Only) > 0 {
		hit := false
		for _, word := range f.Only {
			hit = hit || bytes.Contains(r.body, []byte(word)) || bytes.Contains([]byte(r.target), []byte(word))
		}
		if !hit {
			return nil
		}
	}
	if f.Count > 0 && f.used.Add(1) > int64(f.Count) {
		return nil
	}
	return &f.Faults
}

func (f *Faults) any() bool {
	return f.Delay > 0 || f.Drop || f.Cut != 0 || f.Garbage != "" || f.Malformed || f.Endless || f.HTTPStatus != 0 || f.Close
}

// refusal returns what the faults have a method answer, or Success.
func (m *Machine) refusal(ci *classInfo, method string) status.Status {
	f := m.faults.Load()
	if f == nil {
		return status.Success
	}
	for _, at := range ci.lines {
		if code, ok := f.Refuse[at.Name+"."+method]; ok {
			return f.counted(code)
		}
	}
	return f.counted(f.Refuse[method])
}

// soapRefusal is refusal for the methods of the old SOAP services.
func (m *Machine) soapRefusal(service soap.Service, method string) status.Status {
	f := m.faults.Load()
	if f == nil {
		return status.Success
	}
	if code, ok := f.Refuse[string(service)+"."+method]; ok {
		return f.counted(code)
	}
	return f.counted(f.Refuse[method])
}

// counted is the code of a refusal, unless as many have been refused as are to be.
func (f *faultState) counted(code status.Status) status.Status {
	if code != status.Success && f.RefuseCount > 0 && f.refused.Add(1) > int64(f.RefuseCount) {
		return status.Success
	}
	return code
}

// wait waits, and reports whether the context lives on.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// faultsState is Faults as it stands in a file.
type faultsState struct {
	Delay       string                   `json:"delay,omitzero"` // 2s, 150ms
	Drop        bool                     `json:"drop,omitzero"`
	Cut         int                      `json:"cut,omitzero"`
	Garbage     string                   `json:"garbage,omitzero"`
	Malformed   bool                     `json:"malformed,omitzero"`
	Endless     bool                     `json:"endless,omitzero"`
	HTTPStatus  int                      `json:"status,omitzero"`
	Close       bool                     `json:"close,omitzero"`
	Refuse      map[string]status.Status `json:"refuse,omitzero"`
	RefuseCount int                      `json:"refuse_count,omitzero"`
	Only        []string                 `json:"only,omitzero"`
	Count       int                      `json:"count,omitzero"`
}

// MarshalJSON writes the names in lower case and the delay as text: {"delay":"2s","only":["CIM_Chip"]}.
func (f Faults) MarshalJSON() ([]byte, error) {
	s := faultsState{"", f.Drop, f.Cut, f.Garbage, f.Malformed, f.Endless, f.HTTPStatus, f.Close, f.Refuse, f.RefuseCount, f.Only, f.Count}
	if f.Delay != 0 {
		s.Delay = f.Delay.String()
	}
	return json.Marshal(&s)
}

// UnmarshalJSON reads what MarshalJSON writes. Unknown members are refused: a fault that is misspelled would never show.
func (f *Faults) UnmarshalJSON(text []byte) error {
	var s faultsState
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return err
	}
	*f = Faults{0, s.Drop, s.Cut, s.Garbage, s.Malformed, s.Endless, s.HTTPStatus, s.Close, s.Refuse, s.RefuseCount, s.Only, s.Count}
	if s.Delay != "" {
		delay, err := time.ParseDuration(s.Delay)
		if err != nil || delay < 0 {
			return fmt.Errorf("delay %.40q is not such as 2s or 150ms", s.Delay)
		}
		f.Delay = delay
	}
	return nil
}
