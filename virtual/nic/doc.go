// Package nic is the packet filter between the network and a PC with Intel AMT: the part of System Defense that looks at
// frames. It is told a [Policy] and offered Ethernet frames, and says of each whether it goes on. It keeps the counts
// that a console reads, and looks for worms ([Heuristics]) where the generation has that.
//
//	port := nic.NewPort()
//	port.Apply(&nic.Policy{Handle: 1, Default: [2]nic.Default{nic.Receive: {Drop: true, Count: true}}}, time.Now())
//	port.Offer(nic.Receive, frame).Verdict // nic.Dropped
//
// Directions are those of the PC. Numbers in frames are big-endian, sizes octets. Sources: IEEE 802.3 3.1 and 802.1Q 9,
// RFC 826, 791, 8200, 9293, 768, 792; for what the filters mean, spec inventory-events-policies.md section 5.
//
// The package opens nothing, logs nothing and starts no goroutine.
package nic
