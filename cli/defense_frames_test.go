package cli

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/pcap"
)

// writeFrames writes a capture of frames in words, a tenth of a second apart. The PC's hardware address is 02:00:00:00:00:01.
func writeFrames(file string, lines ...string) error {
	return WriteFrames(file, "020000000001", lines...)
}

// WriteFrames is writeFrames for a PC of that hardware address, 12 hex digits.
func WriteFrames(file, mac string, lines ...string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := pcap.NewWriter(f)
	if err != nil {
		return err
	}
	at := time.Unix(1_700_000_000, 0)
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		frame, err := frameOf(line, mac)
		if err != nil {
			return err
		}
		if err := w.Write(frame, at); err != nil {
			return err
		}
		at = at.Add(100 * time.Millisecond)
	}
	return nil
}

// frameOf reads a frame: "transmit arp 192.0.2.10 192.0.2.1", "receive tcp 198.51.100.7:50000 192.0.2.10:22 syn",
// "receive udp 198.51.100.7:67 192.0.2.10:68", "transmit icmp 192.0.2.10 192.0.2.1", with "vlan=12" at the end.
func frameOf(line, mac string) ([]byte, error) {
	words := strings.Fields(line)
	if len(words) < 4 {
		return nil, fmt.Errorf("no frame: %q", line)
	}
	f := nic.Frame{Type: nic.TypeIPv4, Src: [6]byte{2, 0, 0, 0, 0, 9}}
	own, err := hex.DecodeString(mac)
	if err != nil || len(own) != 6 {
		return nil, fmt.Errorf("no hardware address: %q", mac)
	}
	copy(f.Dst[:], own)
	if words[0] == "transmit" {
		f.Src, f.Dst = f.Dst, f.Src
	}
	switch words[1] {
	case "arp":
		f.Type = nic.TypeARP
	case "icmp":
		f.Protocol = nic.ICMP
	case "tcp", "udp":
		if f.Protocol = nic.TCP; words[1] == "udp" {
			f.Protocol = nic.UDP
		}
	default:
		return nil, fmt.Errorf("no protocol: %q", line)
	}
	for i, text := range words[2:4] {
		addr, port := &f.From, &f.SrcPort
		if i == 1 {
			addr, port = &f.To, &f.DstPort
		}
		if f.Protocol == nic.TCP || f.Protocol == nic.UDP {
			both, err := netip.ParseAddrPort(text)
			if err != nil {
				return nil, err
			}
			*addr, *port = both.Addr(), both.Port()
		} else if *addr, err = netip.ParseAddr(text); err != nil {
			return nil, err
		}
	}
	if f.From.Is6() && f.Type == nic.TypeIPv4 {
		f.Type = nic.TypeIPv6
	}
	for _, word := range words[4:] {
		switch word {
		case "syn":
			f.Flags |= nic.SYN
		case "ack":
			f.Flags |= nic.ACK
		default:
			if _, err := fmt.Sscanf(word, "vlan=%d", &f.VLAN); err != nil {
				return nil, fmt.Errorf("what is %q?", word)
			}
			f.Tagged = true
		}
	}
	return f.Append(nil), nil
}
