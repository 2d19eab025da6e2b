package nbd

import (
	"bytes"
	"context"
	"testing"

	"github.com/outband/outband/internal/wiretest"
)

// Whatever a client says, the server ends, and touches nothing beyond its disk.
func FuzzServe(f *testing.F) {
	for _, text := range []string{
		"", "00000003 49484156454f5054 00000008 00000000 49484156454f5054 00000007 00000008 00000000 0001 0003 25609513 0000 0000 0000000000000001 0000000000000010 00000010",
		"00000001 49484156454f5054 00000001 00000000 25609513 0000 0001 0000000000000001 0000000000000010 00000002 abcd 25609513 0000 0002 0000000000000001 0000000000000010 00000002",
		"00000003 49484156454f5054 00000003 00000000 49484156454f5054 00000006 00000006 00000000 0000",
	} {
		f.Add(wiretest.Hex(f, text))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		disk := &memory{data: make([]byte, 4096)}
		s := &script{in: bytes.NewReader(in)}
		Serve(context.Background(), s, Export{Disk: disk, BlockSize: 512})
		if len(disk.data) != 4096 {
			t.Errorf("the disk has %d bytes now", len(disk.data))
		}
		if most := 64 + 128*len(in) + 4096*len(in)/requestLen; s.out.Len() > most {
			t.Errorf("%d bytes out for %d in", s.out.Len(), len(in))
		}
	})
}

// Whatever a server says, the client ends.
func FuzzConnect(f *testing.F) {
	const greeting = "4e42444d41474943 49484156454f5054 0003"
	for _, text := range []string{
		"", greeting, greeting + "0003e889045565a9 00000007 80000006 00000003 616263",
		greeting + "0003e889045565a9 00000007 00000003 0000000c 0000 0000000000011800 0007 0003e889045565a9 00000007 00000003 0000000e 0003 00000800 00001000 02000000" +
			"0003e889045565a9 00000007 00000001 00000000 67446698 00000000 0000000000000001 00000000",
	} {
		f.Add(wiretest.Hex(f, text))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := Connect(context.Background(), &script{in: bytes.NewReader(in)}, "")
		if err != nil {
			return
		}
		if c.Size() < 0 {
			t.Errorf("size %d", c.Size())
		}
		c.ReadAt(make([]byte, 4), 0)
		c.Close()
	})
}
