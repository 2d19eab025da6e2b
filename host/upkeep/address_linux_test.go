package upkeep

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestNameservers(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, tt := range []struct {
		conf string
		want [2]netip.Addr
	}{
		{"", [2]netip.Addr{}},
		{"# nameserver 192.0.2.9\nsearch x\nnameserver 192.0.2.1\n", [2]netip.Addr{a}},
		{"nameserver 127.0.0.53\nnameserver 2001:db8::1\nnameserver\t192.0.2.1 # first\nnameserver 192.0.2.2\nnameserver 192.0.2.3", [2]netip.Addr{a, b}},
		{"nameserver\nnameserver x\nnameserver 192.0.2.256", [2]netip.Addr{}},
	} {
		if got := nameservers(tt.conf); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.conf, got, tt.want)
		}
	}
}

// The cards of this PC, as far as it has any, agree with what package net knows of them.
func TestHostAddress(t *testing.T) {
	if _, err := HostAddress(net.HardwareAddr{2, 0, 0, 0, 0xff, 1}); !errors.Is(err, ErrNoInterface) {
		t.Errorf("a card that is not there: %v", err)
	}
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil || len(i.HardwareAddr) != 6 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		is, err := HostAddress(i.HardwareAddr)
		if errors.Is(err, ErrNoInterface) {
			continue // none of IPv4, or of global scope
		}
		found := false
		for _, a := range addresses {
			found = found || a.String() == is.Prefix.String()
		}
		if err != nil || !found {
			t.Errorf("%s: %+v, %v; package net has %v", i.Name, is, err, addresses)
		}
	}
}
