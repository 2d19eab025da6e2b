package mei

import (
	"slices"
	"testing"
)

// Connections take turns, packet by packet, around the end of the address space; those without a credit are passed over.
func TestHostTurns(t *testing.T) {
	m := &hostMachine{step: started, last: 7, live: map[uint8]*channel{}, fixed: map[uint8]*channel{}, news: func() {}}
	for _, host := range []uint8{1, 7, 200, 255} {
		credit := 1
		ch := &channel{me: 32, host: host, phase: connected, credit: &credit}
		ch.out = []*out{{conn: &conn{ch: ch}, data: make([]byte, 2*maxPayload)}}
		m.live[host] = ch
	}
	none := 0
	m.live[9] = &channel{me: 32, host: 9, phase: connected, credit: &none, out: []*out{{data: make([]byte, 1)}}}
	var got []uint8
	for b := m.next(nil); b != nil; b = m.next(nil) {
		p, _, err := ParsePacket(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.Host)
	}
	if want := []uint8{200, 255, 1, 7, 200, 255, 1, 7}; !slices.Equal(got, want) {
		t.Errorf("the turns were %v, want %v", got, want)
	}
}
