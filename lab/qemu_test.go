package lab

import (
	"errors"
	"testing"

	"github.com/outband/outband/virtual/qemu"
)

// What only the drawn PC can is refused, and QEMU's mistakes are told, before anything listens.
func TestQEMURefused(t *testing.T) {
	for _, tt := range []struct {
		name, machine string
		want          error
	}{
		{"no program", `{"qemu": {"binary": "/no/such/qemu"}}`, qemu.ErrBinary},
		{"not QEMU", `{"qemu": {"binary": "/bin/true"}}`, qemu.ErrStart},
		{"quotes", `{"qemu": {"args": "-name 'x"}}`, qemu.ErrArgs},
	} {
		m, err := ParseMachine([]byte(tt.machine))
		if err != nil {
			t.Fatal(err)
		}
		l, err := Start(t.Context(), World{Machines: []Machine{m}})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if err == nil {
			l.Close()
		}
	}
	for _, m := range []Machine{{Power: "asleep"}, {USB: "stick.img"}, {Hung: true}, {Standby: true}, {Deaf: true}} {
		if err := m.prepareQEMU(t.Context(), nil, ""); !errors.Is(err, errDrawn) {
			t.Errorf("%+v: got %v, want %v", m, err, errDrawn)
		}
	}
}
