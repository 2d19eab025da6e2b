package ider

import (
	"math/bits"
	"time"
)

// Stats counts what a console's session has done. Times are from the arrival of a command to the end of its answer.
type Stats struct {
	Commands   int64
	Reads      int64
	Read       int64 // bytes
	Writes     int64
	Written    int64 // bytes
	Sequential int64 // reads that began where the one before had ended, on the same drive

	Total     time.Duration // of all commands
	Slowest   time.Duration
	SlowestOp uint8 // operation code of the slowest command

	histogram [40]int64 // by power of two of microseconds
	drive     Drive     // of the last read
	next      uint64    // block after it
}

// Mean is the mean time of a command.
func (s *Stats) Mean() time.Duration {
	if s.Commands == 0 {
		return 0
	}
	return s.Total / time.Duration(s.Commands)
}

// Percentile is the time in which a share of the commands was done (0.99), rounded up to a power of two microseconds,
// but never more than Slowest.
func (s *Stats) Percentile(share float64) time.Duration {
	var sum int64
	for i, n := range s.histogram {
		if sum += n; sum > 0 && float64(sum) >= share*float64(s.Commands) {
			return min(time.Microsecond<<i, s.Slowest)
		}
	}
	return s.Slowest
}

func (s *Session) record(op uint8, want request, drive Drive, lba, blocks uint64, bytes int64, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.stats
	t.Commands++
	t.Total += took
	t.histogram[min(bits.Len64(uint64(took.Microseconds())), len(t.histogram)-1)]++
	if took > t.Slowest {
		t.Slowest, t.SlowestOp = took, op
	}
	switch want {
	case readData:
		t.Reads++
		t.Read += bytes
		if t.drive == drive && t.next == lba {
			t.Sequential++
		}
		t.drive, t.next = drive, lba+blocks
	case writeData:
		t.Writes++
		t.Written += bytes
	}
}
