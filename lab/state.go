package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// stateVersion is that of the state file.
const stateVersion = 1

// worldState is the state of a lab as a file keeps it. It holds secrets: password hashes and keys.
type worldState struct {
	Version  int               `json:"version"`
	Machines []json.RawMessage `json:"machines"`
}

// machineState is the state of one machine.
type machineState struct {
	Power       string          `json:"power"`       // as [Machine.Power]
	Certificate string          `json:"certificate"` // PEM, with its key; "": made when needed
	Firmware    json.RawMessage `json:"firmware"`
}

// ParseState reads what [Lab.State] wrote and returns the state of each machine, for [Machine.State].
func ParseState(text []byte) ([]json.RawMessage, error) {
	var w worldState
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, fmt.Errorf("lab: no state of virtual machines: %v", err)
	}
	if w.Version != stateVersion {
		return nil, fmt.Errorf("lab: state: version %d, this program knows %d", w.Version, stateVersion)
	}
	return w.Machines, nil
}

// State returns the state of all machines as one JSON document. It holds secrets.
func (l *Lab) State() ([]byte, error) {
	w := worldState{Version: stateVersion, Machines: []json.RawMessage{}}
	for _, m := range l.Machines {
		one, err := m.State()
		if err != nil {
			return nil, fmt.Errorf("lab: %s: %w", m.Address, err)
		}
		w.Machines = append(w.Machines, one)
	}
	out, err := json.MarshalIndent(w, "", " ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

var errStray = errors.New("not an AMT machine")

// State returns the state of the machine. It holds secrets.
func (r *Running) State() (json.RawMessage, error) {
	if r.Firmware == nil {
		return nil, errStray
	}
	var fw bytes.Buffer
	if err := r.Firmware.Dump(&fw); err != nil {
		return nil, err
	}
	s := machineState{Power: r.Power(), Firmware: bytes.TrimSpace(fw.Bytes())}
	if r.cert != nil {
		var err error
		if s.Certificate, err = encodePEM(r.cert); err != nil {
			return nil, err
		}
	}
	return json.Marshal(s)
}
