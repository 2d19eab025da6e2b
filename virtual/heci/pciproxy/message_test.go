package pciproxy

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/outband/outband/internal/wiretest"
)

// The bytes are QEMU 7.2's, from the start of a machine.
func TestHeader(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		want       Header
		err        error
	}{
		{"config read", "03000000 00000000 0c00000000000000", Header{cmdConfigRead, 12}, nil},
		{"reset", "07000000 00000000 0000000000000000", Header{cmdReset, 0}, nil},
		{"memory", "00000000 00000000 c000000000000000", Header{cmdSystemMemory, 192}, nil},
		{"cut", "03000000 00000000 0c0000000000", Header{}, ErrShort},
		{"a size that is not the command's", "03000000 00000000 0d00000000000000", Header{}, ErrCorrupt},
		{"a huge size", "00000000 00000000 ffffffffffffffff", Header{}, ErrCorrupt},
		{"unknown command", "08000000 00000000 0000000000000000", Header{}, ErrCorrupt},
		{"negative command", "ffffffff 00000000 0000000000000000", Header{}, ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := ParseHeader(wiretest.Hex(t, tt.wire))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("got %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
			if again := hex.EncodeToString(got.Append(nil)); err == nil && again != strings.ReplaceAll(tt.wire, " ", "") {
				t.Errorf("wrote %s, read %s", again, tt.wire)
			}
		})
	}
}

func TestConfigAccess(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		want       ConfigAccess
		err        error
	}{
		{"vendor", "00000000 00000000 02000000", ConfigAccess{0, 0, 2}, nil},
		{"sizing of BAR0", "10000000 ffffffff 04000000", ConfigAccess{0x10, 0xFFFFFFFF, 4}, nil},
		{"cut", "00000000 00000000 020000", ConfigAccess{}, ErrShort},
		{"three bytes", "00000000 00000000 03000000", ConfigAccess{}, ErrCorrupt},
		{"a negative size", "00000000 00000000 ffffffff", ConfigAccess{}, ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := ParseConfigAccess(wiretest.Hex(t, tt.wire))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("got %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
			if again := hex.EncodeToString(got.Append(nil)); err == nil && again != strings.ReplaceAll(tt.wire, " ", "") {
				t.Errorf("wrote %s, read %s", again, tt.wire)
			}
		})
	}
}

func TestBARAccess(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		want       BARAccess
		err        error
	}{
		{"write of H_CSR", "04e0bffe00000000 1d00000000000000 04000000 01000000", BARAccess{0xFEBFE004, 0x1D, 4, true}, nil},
		{"a port", "0400000000000000 0000000000000000 01000000 00000000", BARAccess{4, 0, 1, false}, nil},
		{"cut", "04e0bffe00000000 1d00000000000000 04000000 010000", BARAccess{}, ErrShort},
		{"five bytes", "04e0bffe00000000 1d00000000000000 05000000 01000000", BARAccess{}, ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := ParseBARAccess(wiretest.Hex(t, tt.wire))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("got %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
			if again := hex.EncodeToString(got.Append(nil)); err == nil && again != strings.ReplaceAll(tt.wire, " ", "") {
				t.Errorf("wrote %s, read %s", again, tt.wire)
			}
		})
	}
}
