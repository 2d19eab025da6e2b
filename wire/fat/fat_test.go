package fat

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"
)

// A medium is octets that can be written over. Beyond its octets it reads as zeros, up to size.
type medium struct {
	b    []byte
	size int64
}

func (m *medium) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 || at >= m.size {
		return 0, io.EOF
	}
	n := len(b)
	if int64(n) > m.size-at {
		n = int(m.size - at)
	}
	clear(b[:n])
	if at < int64(len(m.b)) {
		copy(b[:n], m.b[at:])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (m *medium) WriteAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > m.size {
		return 0, io.ErrShortWrite
	}
	if end := at + int64(len(b)); end > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, end-int64(len(m.b)))...)
	}
	return copy(m.b[at:], b), nil
}

// recorded returns a volume of testdata.
func recorded(t testing.TB, name string) *medium {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".img.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return &medium{b, int64(len(b))}
}

// pattern is the content of Setup.bin in testdata.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/256)
	}
	return b
}

// What mkfs.fat and mtools wrote is read, and written over.
func TestForeign(t *testing.T) {
	for _, tt := range []struct {
		name  string
		kind  Type
		label string
		parts int
	}{
		{"fat12", FAT12, "KEY12", 2}, {"fat16", FAT16, "KEY16", 2}, {"fat32", FAT32, "KEY32", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := recorded(t, tt.name)
			v, err := Open(m, m.size)
			if err != nil {
				t.Fatal(err)
			}
			if v.Type() != tt.kind || v.Label() != tt.label || v.Start() != 0 {
				t.Errorf("got %v, label %q, at %d; want %v, %q, 0", v.Type(), v.Label(), v.Start(), tt.kind, tt.label)
			}
			list, err := v.Root()
			var names []string
			for _, e := range list {
				names = append(names, e.Name)
			}
			if want := []string{"SETUP.BIN", "MID.TXT", "SYSTEM~1"}; err != nil || !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(want))) {
				t.Errorf("root: got %q, %v; want %q", names, err, want)
			}
			e, err := v.Find("setup.bin")
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Read(e, 5000)
			if err != nil || !bytes.Equal(got, pattern(5000)) {
				t.Errorf("read %d octets, %v", len(got), err)
			}
			if _, err := v.Read(e, 4999); !errors.Is(err, ErrTooLong) {
				t.Errorf("limit: got %v", err)
			}
			if x, err := v.Extents(e, 5000); err != nil || len(x) != tt.parts {
				t.Errorf("extents: got %v, %v; want %d", x, err, tt.parts)
			}
			got[0], got[4999] = 'A', 'Z'
			before := bytes.Clone(m.b)
			if err := v.Overwrite(m, e, got); err != nil {
				t.Fatal(err)
			}
			changed := 0
			for i := range before {
				if before[i] != m.b[i] {
					changed++
				}
			}
			if again, err := v.Read(e, 5000); err != nil || !bytes.Equal(again, got) || changed != 2 {
				t.Errorf("overwritten: %v, %d octets of the medium changed, want 2", err, changed)
			}
			if err := v.Overwrite(m, e, got[:4999]); !errors.Is(err, ErrSize) {
				t.Errorf("shorter: got %v", err)
			}
			if _, err := v.Find("other.bin"); !errors.Is(err, ErrNotFound) {
				t.Errorf("other file: got %v", err)
			}
		})
	}
}

// What is written is read back; the first file is the first entry, in one piece, on a partition at 1 MiB.
func TestWrite(t *testing.T) {
	long := pattern(70_000)
	for _, tt := range []struct {
		name string
		o    Options
		kind Type
	}{
		{"FAT16, 8 MiB", Options{Size: 8 << 20}, FAT16},
		{"FAT16 up to 33 MiB", Options{Size: 34<<20 - 1}, FAT16},
		{"FAT32 from 33 MiB", Options{Size: 34 << 20}, FAT32},
		{"FAT32, 64 MiB", Options{Size: 64 << 20, Label: "amt setup", Serial: 7, Time: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)}, FAT32},
		{"FAT16, 64 MiB", Options{Size: 64 << 20, Type: FAT16}, FAT16},
		{"FAT16, 1 GiB", Options{Size: 1 << 30, Type: FAT16}, FAT16},
		{"FAT32, 300 MiB", Options{Size: 300 << 20}, FAT32},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &medium{size: tt.o.Size}
			m.b = bytes.Repeat([]byte{0xff}, 1<<20) // what was there before does not matter
			if err := Write(m, tt.o, File{"setup.bin", long}, File{"EMPTY", nil}, File{"b.txt", []byte("b")}); err != nil {
				t.Fatal(err)
			}
			v, err := Open(m, m.size)
			if err != nil {
				t.Fatal(err)
			}
			if v.Type() != tt.kind || v.Start() != 1<<20 {
				t.Errorf("got %v at %d, want %v at 1 MiB", v.Type(), v.Start(), tt.kind)
			}
			list, err := v.Root()
			if err != nil || len(list) != 3 || list[0].Name != "SETUP.BIN" || list[1].Name != "EMPTY" || list[2].Name != "B.TXT" {
				t.Fatalf("root: %v, %v", list, err)
			}
			for i, want := range [][]byte{long, nil, []byte("b")} {
				got, err := v.Read(list[i], 1<<20)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: got %d octets, %v; want %d", list[i].Name, len(got), err, len(want))
				}
				if x, err := v.Extents(list[i], 1<<20); err != nil || len(x) != min(1, len(want)) {
					t.Errorf("%s is at %v, %v; want one piece", list[i].Name, x, err)
				}
			}
		})
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		file string
		n    int
		err  error
	}{
		{"no size", Options{}, "A", 1, ErrSize},
		{"too small for FAT16", Options{Size: 3 << 20}, "A", 1, ErrSize},
		{"too small for FAT32", Options{Size: 32 << 20, Type: FAT32}, "A", 1, ErrSize},
		{"too large for FAT16", Options{Size: 4 << 30, Type: FAT16}, "A", 1, ErrSize},
		{"too large", Options{Size: MaxSize + 1}, "A", 1, ErrSize},
		{"FAT12", Options{Size: 8 << 20, Type: FAT12}, "A", 1, ErrSize},
		{"long name", Options{Size: 8 << 20}, "setupfile.bin", 1, ErrName},
		{"two points", Options{Size: 8 << 20}, "a.b.c", 1, ErrName},
		{"path", Options{Size: 8 << 20}, "a/b", 1, ErrName},
		{"long label", Options{Size: 8 << 20, Label: "twelve chars"}, "A", 1, ErrName},
		{"too much", Options{Size: 8 << 20}, "A", 8 << 20, ErrTooLong},
	} {
		m := &medium{size: tt.o.Size}
		if err := Write(m, tt.o, File{tt.file, make([]byte, tt.n)}); !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.err)
		}
		if len(m.b) != 0 {
			t.Errorf("%s: refused, and %d octets were written", tt.name, len(m.b))
		}
	}
}

// Damage is told, and nothing hangs: chains in circles, clusters outside, files longer than their chain, tables too short.
func TestDamaged(t *testing.T) {
	fresh := func() *medium {
		m := &medium{size: 8 << 20}
		if err := Write(m, Options{Size: m.size}, File{"SETUP.BIN", pattern(5000)}); err != nil {
			t.Fatal(err)
		}
		return m
	}
	const volume = 1 << 20
	rootAt := func(m *medium) int64 {
		v, err := Open(m, m.size)
		if err != nil {
			t.Fatal(err)
		}
		return volume + v.rootAt()
	}
	for _, tt := range []struct {
		name   string
		damage func(m *medium)
		err    error
	}{
		{"no signature", func(m *medium) { m.b[510] = 0 }, ErrNoVolume},
		{"no partition", func(m *medium) { m.b[446+4] = 0 }, ErrNoVolume},
		{"GUID partitions", func(m *medium) { m.b[446+4] = 0xee }, ErrNoVolume},
		{"partition beyond the medium", func(m *medium) { m.b[446+11] = 1 }, ErrNoVolume},
		{"volume longer than the partition", func(m *medium) { m.b[446+13]-- }, ErrNoVolume},
		{"sectors of 500 octets", func(m *medium) { m.b[volume+11] = 0xf4 }, ErrNoVolume},
		{"clusters of no sector", func(m *medium) { m.b[volume+13] = 0 }, ErrNoVolume},
		{"short table", func(m *medium) { m.b[volume+22] = 1 }, ErrNoVolume},
		{"circle", func(m *medium) { m.b[volume+512+4] = 2; m.b[rootAt(m)+30] = 0x40 }, ErrDamaged},
		{"cluster outside", func(m *medium) { m.b[volume+512+5] = 0xee }, ErrDamaged},
		{"first cluster 0", func(m *medium) { m.b[rootAt(m)+26] = 0 }, ErrDamaged},
		{"longer than its chain", func(m *medium) { m.b[rootAt(m)+30] = 1 }, ErrDamaged},
		{"longer than is read", func(m *medium) { m.b[rootAt(m)+31] = 0xff }, ErrTooLong},
	} {
		m := fresh()
		tt.damage(m)
		v, err := Open(m, m.size)
		if err == nil {
			var e Entry
			if e, err = v.Find("SETUP.BIN"); err == nil {
				_, err = v.Read(e, 64<<20)
			}
		}
		if tt.name == "circle" { // is no mistake of the chain as such: it ends with the file
			if err != nil && !errors.Is(err, tt.err) {
				t.Errorf("%s: got %v", tt.name, err)
			}
			continue
		}
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.err)
		}
	}
}

// A directory in a circle ends.
func TestEndlessDirectory(t *testing.T) {
	m := &medium{size: 40 << 20}
	if err := Write(m, Options{Size: m.size, Type: FAT32}, File{"SETUP.BIN", pattern(500)}); err != nil {
		t.Fatal(err)
	}
	v, err := Open(m, m.size)
	if err != nil {
		t.Fatal(err)
	}
	table, root := v.start+v.reserved*v.sector, v.clusterAt(v.rootCluster)
	copy(m.b[table+8:], []byte{2, 0, 0, 0})
	for i := range v.cluster / entrySize {
		copy(m.b[root+i*entrySize:], "FILE    BIN ")
	}
	if _, err := v.Root(); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want %v", err, ErrDamaged)
	}
}

// FuzzOpen reads whatever is on a medium; octets that are not given are zeros.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"fat12", "fat16", "fat32"} {
		m := recorded(f, name)
		f.Add(m.b[:min(len(m.b), 64<<10)], uint32(m.size))
	}
	m := &medium{size: 8 << 20}
	if err := Write(m, Options{Size: m.size}, File{"SETUP.BIN", pattern(1024)}); err != nil {
		f.Fatal(err)
	}
	f.Add(m.b[1<<20:1<<20+64<<10], uint32(7<<20))
	f.Fuzz(func(t *testing.T, b []byte, size uint32) {
		m := &medium{b, int64(size % (64 << 20))}
		v, err := Open(m, m.size)
		if err != nil {
			return
		}
		list, err := v.Root()
		if err != nil {
			return
		}
		for i, e := range list {
			if i == 4 {
				break
			}
			got, err := v.Read(e, 1<<16)
			if err != nil {
				continue
			}
			if int64(len(got)) != e.Size {
				t.Fatalf("%s: %d octets, the entry says %d", e.Name, len(got), e.Size)
			}
			if err := v.Overwrite(m, e, got); err != nil {
				t.Fatalf("%s: writing back what was read: %v", e.Name, err)
			}
		}
	})
}
