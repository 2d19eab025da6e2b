package ider

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/outband/outband/internal/wiretest"
)

// blank is an image of zeros of any size.
type blank struct{}

func (blank) ReadAt(p []byte, _ int64) (int, error)  { clear(p); return len(p), nil }
func (blank) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

const floppySize = 1440 << 10

// The command table of spec ider.md section 5: medium "", "floppy", "ls120", "writable", "cd".
func TestCommands(t *testing.T) {
	for _, tt := range []struct {
		name   string
		drive  Drive
		medium string
		cdb    string
		want   string // data in hex, "sense k/a/q", "read lba blocks", "write lba blocks", or "" for success
	}{
		{"test unit ready", CD, "cd", "00", ""},
		{"test unit ready", CD, "", "00", "sense 02/3a/00"},
		{"request sense", CD, "cd", "03 000000 12", "700000000000000a00000000000000000000"},
		{"request sense, short", CD, "cd", "03 000000 04", "70000000"},
		{"read 6", Floppy, "floppy", "08 00 00 05 02", "read 5 2"},
		{"read 6, 256 blocks", Floppy, "floppy", "08 00 01 00 00", "read 256 256"},
		{"write 6", Floppy, "floppy", "0a 00 00 05 02", "sense 07/27/00"},
		{"write 6", Floppy, "writable", "0a 00 00 05 02", "write 5 2"},
		{"write 6, 256 blocks", Floppy, "writable", "0a 00 00 05 00", "sense 05/24/00"},
		{"mode select 6", Floppy, "floppy", "15", "sense 05/20/00"},
		{"mode sense 6", Floppy, "floppy", "1a 00 3f 00 c0", "00008000"},
		{"mode sense 6", Floppy, "writable", "1a 00 3f 00 c0", "00000000"},
		{"mode sense 6", CD, "cd", "1a 00 3f 00 c0", "00058000"},
		{"mode sense 6, other page", CD, "cd", "1a 00 2a 00 c0", "sense 05/24/00"},
		{"mode sense 6, sub-page", CD, "cd", "1a 00 3f 01 c0", "sense 05/24/00"},
		{"mode sense 6", CD, "", "1a 00 3f 00 c0", "sense 02/3a/00"},
		{"start", CD, "cd", "1b 00 00 00 01", ""},
		{"stop", CD, "", "1b", ""},
		{"eject", CD, "cd", "1b 00 00 00 02", "eject 0 0"},
		{"prevent removal", CD, "cd", "1e 00 00 00 01", ""},
		{"prevent removal", CD, "", "1e 00 00 00 01", "sense 02/3a/00"},
		{"read format capacities", Floppy, "floppy", "23 000000000000 00ff", "00000008 00000b40 02000200"},
		{"read format capacities, 4 bytes", Floppy, "floppy", "23 000000000000 0004", "00000008"},
		{"read format capacities", Floppy, "", "23 000000000000 00ff", "sense 05/24/00"},
		{"read capacity", Floppy, "floppy", "25", "00000b3f 00000200"},
		{"read capacity", CD, "cd", "25", "002fffff 00000800"},
		{"read capacity", CD, "", "25", "sense 02/3a/00"},
		{"read 10", CD, "cd", "28 00 00000010 00 0020", "read 16 32"},
		{"read 10 beyond 2 GiB", CD, "cd", "28 00 00200000 00 0001", "read 2097152 1"},
		{"read 10, last", CD, "cd", "28 00 002fffff 00 0001", "read 3145727 1"},
		{"read 10, one too many", CD, "cd", "28 00 002fffff 00 0002", "sense 05/21/00"},
		{"read 10, far beyond", CD, "cd", "28 00 ffffffff 00 ffff", "sense 05/21/00"},
		{"read 10, nothing", CD, "cd", "28 00 00000010 00 0000", ""},
		{"read 10", CD, "", "28 00 00000010 00 0001", "sense 02/3a/00"},
		{"read 12", CD, "cd", "a8 00 00000010 00010000", "read 16 65536"},
		{"read 12, too many", CD, "cd", "a8 00 00000010 ffffffff", "sense 05/21/00"},
		{"write 10", CD, "cd", "2a 00 00000010 00 0001", "sense 07/27/00"},
		{"write 10", CD, "writable", "2a 00 00000010 00 0001", "sense 07/27/00"},
		{"write 10", Floppy, "floppy", "2a 00 00000010 00 0001", "sense 07/27/00"},
		{"write 10", Floppy, "", "2a 00 00000010 00 0001", "sense 02/3a/00"},
		{"write 10", Floppy, "writable", "2a 00 00000010 00 007f", "write 16 127"},
		{"write 10, too much", Floppy, "writable", "2a 00 00000010 00 0080", "sense 05/24/00"},
		{"write 10, beyond", Floppy, "writable", "2a 00 00000b3f 00 0002", "sense 05/21/00"},
		{"write and verify", Floppy, "writable", "2e 00 00000010 00 0001", "write 16 1"},
		{"verify", CD, "cd", "2f 00 00000010 00 0001", ""},
		{"verify beyond", CD, "cd", "2f 00 00300000 00 0001", "sense 05/21/00"},
		{"synchronize cache", Floppy, "writable", "35", "flush 0 0"},
		{"read TOC", Floppy, "floppy", "43 000000000000 ffff", "sense 05/20/00"},
		{"read TOC", CD, "cd", "43 00 00 00 00 00 00 00ff", "00120101 00140100 00000000 0014aa00 00300000"},
		{"read TOC, MSF", CD, "small", "43 02 00 00 00 00 00 00ff", "00120101 00140100 00000200 0014aa00 00003419"},
		{"read TOC, 12 bytes", CD, "cd", "43 00 00 00 00 00 00 000c", "00120101 00140100 00000000"},
		{"read TOC, sessions", CD, "cd", "43 00 01 00 00 00 00 00ff", "000a0101 00140100 00000000"},
		{"read TOC, sessions, old", CD, "cd", "43 00 00 00 00 00 00 00ff 40", "000a0101 00140100 00000000"},
		{"read TOC, raw", CD, "cd", "43 00 02 00 00 00 00 00ff", "sense 05/24/00"},
		{"read TOC", CD, "", "43 00 00 00 00 00 00 00ff", "sense 02/3a/00"},
		{"get configuration", CD, "cd", "46 00 0000 000000 00ff", "0000003c 00000008 00000304 00080100 00010304 00000002 00020304 00000000 00030304 29000002 00100108 00000800 00010000 001e0300 01000300 01050300"},
		{"get configuration, from 1Eh", CD, "cd", "46 01 001e 000000 00ff", "00000010 00000008 001e0300 01000300 01050300"},
		{"get configuration, one", CD, "cd", "46 02 0010 000000 00ff", "00000010 00000008 00100108 00000800 00010000"},
		{"get configuration, none such", CD, "cd", "46 02 0011 000000 00ff", "00000004 00000008"},
		{"get configuration, header", CD, "cd", "46 00 0000 000000 0008", "0000003c 00000008"},
		{"get configuration, nothing", CD, "cd", "46", ""},
		{"get configuration", CD, "", "46 02 0011 000000 00ff", "00000004 00000000"},
		{"get configuration", Floppy, "floppy", "46 00 0000 000000 00ff", "sense 05/20/00"},
		{"get event status", CD, "cd", "4a 01 0000 10 0000 0008", "00028000"},
		{"get event status", CD, "", "4a 01 0000 10 0000 0008", "00008000"},
		{"get event status, later", CD, "cd", "4a 00 0000 02 0000 0008", "sense 05/24/00"},
		{"log select", CD, "cd", "4c", "sense 05/20/00"},
		{"read disc information", CD, "cd", "51 000000000000 0022", "00200e01 01010120 ff000000 00000000 ffffffff ffffffff 00000000 00000000 0000"},
		{"read disc information", Floppy, "floppy", "51 000000000000 0022", "sense 05/20/00"},
		{"read track information", CD, "cd", "52", "sense 05/20/00"},
		{"mode select 10", Floppy, "floppy", "55", "sense 05/20/00"},
		{"read capacity 16", CD, "cd", "9e 10", "sense 05/20/00"},
		{"report LUNs", CD, "cd", "a0", "sense 05/20/00"},
		{"get performance", CD, "cd", "ac", "00000004 02000000"},
		{"mechanism status", CD, "cd", "bd", "sense 05/20/00"},
		{"read CD", CD, "cd", "be", "sense 05/20/00"},
		{"mode sense 10, 01", Floppy, "floppy", "5a 00 01 00000000 00ff", "0012 2480 00000000 010a0001 00000000 02000000"},
		{"mode sense 10, 01", Floppy, "ls120", "5a 00 01 00000000 00ff", "0012 3180 00000000 010a0001 00000000 02000000"},
		{"mode sense 10, 01", CD, "cd", "5a 00 01 00000000 00ff", "000e 0180 00000000 010600ff 00000000"},
		{"mode sense 10, 05", Floppy, "floppy", "5a 00 05 00000000 00ff", "00262480 00000000 051e04b0 02120200 00500000 00000000 00000000 28000000 00000000 02d00000"},
		{"mode sense 10, 05", Floppy, "ls120", "5a 00 05 00000000 00ff", "00263180 00000000 051e10a9 08200200 03c30000 00000000 00000000 28000000 00000000 02d00000"},
		{"mode sense 10, 05, 8 bytes", Floppy, "floppy", "5a 00 05 00000000 0008", "00262480 00000000"},
		{"mode sense 10, 05, writable", Floppy, "writable", "5a 00 05 00000000 0008", "00262400 00000000"},
		{"mode sense 10, 05", CD, "cd", "5a 00 05 00000000 00ff", "sense 05/24/00"},
		{"mode sense 10, 1A", CD, "cd", "5a 00 1a 00000000 00ff", "0012 0180 00000000 1a0a0000 00000000 00000000"},
		{"mode sense 10, 1D", CD, "cd", "5a 00 1d 00000000 00ff", "0012 0180 00000000 1d0a0000 00000000 00000000"},
		{"mode sense 10, 2A", CD, "cd", "5a 00 2a 00000000 00ff", "0020 0180 00000000 2a180000 00002000 00000000 00800000 00000000 00000000 0000"},
		{"mode sense 10, 3F", CD, "cd", "5a 00 3f 00000000 00ff", "0028 0180 00000000 010600ff 00000000 2a180000 00000200 00000000 00800000 00000000 00000000 0000"},
		// As the MeshCommander family has it, but page 03h with the two bytes that it lacks there.
		{"mode sense 10, 3F", Floppy, "floppy", "5a 00 3f 00000000 00ff", `005e 2480 00000000 010a0001 00000000 02000000
			031600a0 00000000 00120200 00000000 0000a000 00000000 051e04b0 02120200 00500000 00000000 00000000 28000000 00000000 02d00000
			080a0000 00000000 00000000 0b060000 00112431`},
		{"mode sense 10, other", Floppy, "floppy", "5a 00 1c 00000000 00ff", "sense 05/24/00"},
	} {
		t.Run(fmt.Sprintf("%v %s %s", tt.drive, tt.medium, tt.name), func(t *testing.T) {
			u := unit{drive: tt.drive}
			if err := u.insert(testMedium(tt.medium), nothing); err != nil {
				t.Fatal(err)
			}
			var cdb [12]byte
			copy(cdb[:], wiretest.Hex(t, tt.cdb))
			r := u.command(&cdb)
			got := hex.EncodeToString(r.data)
			switch {
			case r.sense != senseNone:
				got = fmt.Sprintf("sense %02x/%02x/%02x", r.sense.Key, r.sense.ASC, r.sense.ASCQ)
			case r.want != noRequest:
				got = fmt.Sprintf("%s %d %d", r.want, r.lba, r.blocks)
			}
			want := tt.want
			if b, err := hex.DecodeString(string(bytes.Join(bytes.Fields([]byte(want)), nil))); err == nil {
				want = hex.EncodeToString(b)
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func testMedium(name string) *Medium {
	switch name {
	case "floppy":
		return &Medium{Image: blank{}, Size: floppySize}
	case "writable":
		return &Medium{Image: blank{}, Size: floppySize, Writer: blank{}}
	case "ls120":
		return &Medium{Image: blank{}, Size: 0x3C300 * 512}
	case "cd":
		return &Medium{Image: blank{}, Size: 6 << 30}
	case "small": // 52 seconds and 25 frames, with the two seconds before the first block
		return &Medium{Image: blank{}, Size: (50*75 + 25) * 2048}
	}
	return nil
}

func TestInquiry(t *testing.T) {
	for _, drive := range []Drive{Floppy, CD} {
		u := unit{drive: drive}
		r := u.command(&[12]byte{scsiInquiry, 4: 96})
		if len(r.data) != 36 || r.data[4] != 31 || r.data[1] != 0x80 || (r.data[0] == 5) != (drive == CD) {
			t.Errorf("%v: %q", drive, r.data)
		}
	}
}

func TestAttention(t *testing.T) {
	tur, read := &[12]byte{scsiTestUnitReady}, &[12]byte{scsiRead10, 8: 1}
	u := unit{drive: CD}
	expect := func(what string, cdb *[12]byte, want Sense) {
		t.Helper()
		if r := u.command(cdb); r.sense != want {
			t.Errorf("%s: %v, want %v", what, r.sense, want)
		}
	}
	u.insert(testMedium("cd"), attached)
	expect("read before anything", read, senseNone)
	expect("first test", tur, SenseAttention)
	expect("inquiry", &[12]byte{scsiInquiry, 4: 36}, senseNone)
	expect("second test", tur, senseNone)
	u.insert(nil, nothing)
	expect("out", tur, SenseNotReady)
	expect("out", read, SenseNotReady)
	u.insert(testMedium("cd"), changed)
	expect("changed", read, SenseAttention) // not a block of the new one unawares
	expect("changed", read, senseNone)
	u.insert(testMedium("cd"), changed)
	expect("changed again", tur, SenseAttention)
	expect("changed again", tur, senseNone)
	expect("unknown", &[12]byte{0xFF}, SenseOpcode)
	if r := u.command(&[12]byte{scsiRequestSense, 4: 18}); r.data[2] != 5 || r.data[12] != 0x20 {
		t.Errorf("% x", r.data)
	}
}

func TestMediumSize(t *testing.T) {
	for _, tt := range []struct {
		drive  Drive
		size   int64
		blocks uint64
	}{
		{Floppy, 1, 1}, {Floppy, 512, 1}, {Floppy, 513, 2}, {CD, 2049, 2}, {CD, 5 << 30, 5 << 19},
		{CD, 8 << 40, 1 << 32}, {CD, 8<<40 + 1, 0}, {Floppy, 2 << 40, 1 << 32}, {Floppy, 2<<40 + 1, 0}, {CD, 0, 0}, {CD, -1, 0},
	} {
		m := &Medium{Image: blank{}, Size: tt.size}
		if got, err := m.blocks(tt.drive); got != tt.blocks || (err != nil) != (tt.blocks == 0) {
			t.Errorf("%v of %d bytes: %d blocks, %v", tt.drive, tt.size, got, err)
		}
	}
}

// Every command has an answer, and none asks for what the medium has not got.
func FuzzCommand(f *testing.F) {
	for _, op := range []byte{0x00, 0x03, 0x08, 0x0A, 0x12, 0x1A, 0x1B, 0x23, 0x25, 0x28, 0x2A, 0x43, 0x46, 0x4A, 0x51, 0x5A, 0xA8, 0xAC} {
		f.Add(true, "cd", append([]byte{op}, make([]byte, 11)...))
		f.Add(false, "writable", append([]byte{op}, bytes.Repeat([]byte{0xFF}, 11)...))
	}
	f.Fuzz(func(t *testing.T, cd bool, medium string, b []byte) {
		u := unit{drive: Floppy}
		if cd {
			u.drive = CD
		}
		u.insert(testMedium(medium), nothing)
		var cdb [12]byte
		copy(cdb[:], b)
		r := u.command(&cdb)
		if r.lba+r.blocks > u.blocks || r.want == writeData && !u.writable() || len(r.data) > len(u.buf) ||
			r.sense != senseNone && (r.data != nil || r.want != noRequest) {
			t.Fatalf("% x: %+v", cdb, r)
		}
	})
}
