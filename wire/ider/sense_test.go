package ider

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// cdbOf reads a CDB from hex; what is missing is zero.
func cdbOf(t *testing.T, text string) (cdb [12]byte) {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	copy(cdb[:], b)
	return cdb
}

// What the console refuses, the machine's end has as a sense, and the next command is none the worse.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d := pair(t, Options{Floppy: medium(noise(floppySize)), CD: medium(noise(64 << 10))}, DeviceOptions{})
		for _, drive := range []Drive{Floppy, CD} {
			disk(t, d, drive) // hears that there are media
		}
		for _, tt := range []struct {
			name  string
			drive Drive
			cdb   string
			want  error // nil: it works
			n     int
		}{
			{"the last block", CD, "28 00 0000001f 00 0001", nil, 2048},
			{"one block beyond the end", CD, "28 00 00000020 00 0001", SenseOutOfRange, 0},
			{"across the end", CD, "28 00 0000001f 00 0002", SenseOutOfRange, 0},
			{"far beyond the end", CD, "28 00 ffffffff 00 ffff", SenseOutOfRange, 0},
			{"across the end of all block numbers", Floppy, "a8 00 ffffffff ffffffff", SenseOutOfRange, 0},
			{"beyond the floppy", Floppy, "28 00 00000b40 00 0001", SenseOutOfRange, 0},
			{"short form, beyond the floppy", Floppy, "08 00 0b 40 01", SenseOutOfRange, 0},
			{"a command that nobody knows", CD, "ee", SenseOpcode, 0},
			{"an audio command", CD, "45 00 00000000 00 0001", SenseOpcode, 0},
			{"READ CAPACITY(16), which Linux waits for", CD, "9e 10", SenseOpcode, 0},
			{"a read of raw sectors", CD, "be 00 00000000 000001 f8", SenseOpcode, 0},
			{"a write on the CD", CD, "2a 00 00000000 00 0001", SenseProtected, 0},
			{"a write on a floppy that is not to be written", Floppy, "2a 00 00000000 00 0001", SenseProtected, 0},
			{"a page that nobody knows", Floppy, "1a 00 07 00 ff", SenseField, 0},
			{"a disc's index of a floppy", Floppy, "43 00 00 00000000 0064", SenseOpcode, 0},
			{"the first block, after all that", CD, "28 00 00000000 00 0001", nil, 2048},
		} {
			var in [4096]byte
			n, err := d.Command(t.Context(), tt.drive, cdbOf(t, tt.cdb), nil, in[:])
			if !errors.Is(err, tt.want) || n != tt.n {
				t.Errorf("%s: %d bytes, %v; want %d, %v", tt.name, n, err, tt.n, tt.want)
			}
			if tt.want == nil {
				continue
			}
			// REQUEST SENSE tells the same.
			var sense [18]byte
			want := tt.want.(Sense)
			if _, err := d.Command(t.Context(), tt.drive, [12]byte{scsiRequestSense, 4: 18}, nil, sense[:]); err != nil || sense[2] != want.Key || sense[12] != want.ASC || sense[13] != want.ASCQ {
				t.Errorf("%s: sense % x, %v; want %v", tt.name, sense, err, want)
			}
		}
	})
}

// Floppies of 1.44 and 2.88 MB: both are read to their last block, and say what they are.
func TestFloppySizes(t *testing.T) {
	for _, tt := range []struct {
		size   int
		medium byte // in the header of the mode pages
		heads  byte
	}{{1440 << 10, mediumFloppy, 2}, {2880 << 10, mediumLS120, 8}, {512, mediumFloppy, 2}, {100, mediumFloppy, 2}} {
		synctest.Test(t, func(t *testing.T) {
			image := noise(tt.size)
			_, d := pair(t, Options{Floppy: medium(image)}, DeviceOptions{})
			k := disk(t, d, Floppy)
			if want := int64(tt.size+511) / 512 * 512; k.Size() != want {
				t.Errorf("%d bytes, want %d", k.Size(), want)
			}
			last := make([]byte, 512)
			if _, err := k.ReadAt(last, k.Size()-512); err != nil {
				t.Errorf("last block of %d bytes: %v", tt.size, err)
			}
			if want := image[(tt.size-1)/512*512:]; string(last[:len(want)]) != string(want) {
				t.Errorf("last block of %d bytes is not what it was", tt.size)
			}
			var page [40]byte
			if _, err := d.Command(t.Context(), Floppy, cdbOf(t, "5a 00 05 00000000 0028"), nil, page[:]); err != nil || page[2] != tt.medium || page[12] != tt.heads {
				t.Errorf("%d bytes: mode page % x, %v", tt.size, page[:16], err)
			}
		})
	}
}
