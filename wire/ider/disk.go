package ider

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/outband/outband/wire/redir"
)

// maxRead is how many bytes one READ asks for.
const maxRead = 64 << 10

// A Disk reads a drive of a [Device] as a host does: it is what the BIOS of a virtual machine has behind its own drive.
// It is an io.ReaderAt. Safe for concurrent use; set ReadAhead before.
type Disk struct {
	// ReadAhead is how many bytes to fetch when something is not at hand; they are kept until the medium changes. A BIOS
	// reads 2048 bytes at a time, and each command costs a round trip. 0 reads what is asked for, each time anew.
	// It is rounded to 2048 bytes, 64 KiB at most.
	ReadAhead int

	ctx    context.Context
	device *Device
	drive  Drive
	blocks int64

	mu      sync.Mutex // guards what follows
	windows []window
	hand    int // the window to be replaced next
}

// A window is a piece of the disk that is at hand.
type window struct {
	at   int64
	data []byte
}

const maxWindows = 16

// Disk waits until the drive is ready, and asks for its size. All reads end when ctx does. An error may be a [Sense]:
// [SenseNotReady] if there is no medium.
func (d *Device) Disk(ctx context.Context, drive Drive) (*Disk, error) {
	var err error
	for range 3 { // a new medium is told once
		if _, err = d.Command(ctx, drive, [12]byte{scsiTestUnitReady}, nil, nil); !errors.Is(err, SenseAttention) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%v: %w", drive, err)
	}
	var capacity [8]byte
	n, err := d.Command(ctx, drive, [12]byte{scsiReadCapacity}, nil, capacity[:])
	switch {
	case err != nil:
		return nil, fmt.Errorf("%v: read capacity: %w", drive, err)
	case n < len(capacity) || int(binary.BigEndian.Uint32(capacity[4:])) != drive.BlockSize():
		return nil, fmt.Errorf("%v: %w: capacity % x", drive, redir.ErrProtocol, capacity[:n])
	}
	return &Disk{ctx: ctx, device: d, drive: drive, blocks: int64(binary.BigEndian.Uint32(capacity[:])) + 1}, nil
}

// Eject asks the console to take the medium out. Whether it does is its business.
func (d *Device) Eject(ctx context.Context, drive Drive) error {
	const loadEject = 2 // and not start
	if _, err := d.Command(ctx, drive, [12]byte{0: scsiStartStop, 4: loadEject}, nil, nil); err != nil {
		return fmt.Errorf("%v: eject: %w", drive, err)
	}
	return nil
}

// Size returns the size in bytes, whole blocks.
func (k *Disk) Size() int64 { return k.blocks * int64(k.drive.BlockSize()) }

// ReadAt reads any bytes. The error is io.EOF beyond the end, may be a [Sense], or says why the session has ended. A
// console that changes the medium makes it fail with [SenseAttention] once.
func (k *Disk) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= k.Size() {
			return n, io.EOF
		}
		var got int
		switch {
		case k.ReadAhead > 0:
			got, err = k.fromWindow(p[n:], at)
		default:
			got, err = k.direct(p[n:], at)
		}
		n += got
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// direct reads some bytes with one command: right into p if it holds whole blocks, else one block by way of another.
func (k *Disk) direct(p []byte, at int64) (n int, err error) {
	size := int64(k.drive.BlockSize())
	if at%size == 0 && int64(len(p)) >= size {
		n := min(int64(len(p)), maxRead, k.Size()-at) / size * size
		return int(n), k.read(p[:n], at)
	}
	var block [2048]byte
	start := at / size * size
	if err := k.read(block[:size], start); err != nil {
		return 0, err
	}
	return copy(p, block[at-start:size]), nil
}

// fromWindow reads some bytes from what is at hand, or is then.
func (k *Disk) fromWindow(p []byte, at int64) (n int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	size := int64(min((k.ReadAhead+2047)/2048*2048, maxRead))
	start := at / size * size
	for i := range k.windows {
		if w := &k.windows[i]; w.at == start {
			return copy(p, w.data[at-start:]), nil
		}
	}
	if len(k.windows) < maxWindows {
		k.windows = append(k.windows, window{})
		k.hand = len(k.windows) - 1
	} else {
		k.hand = (k.hand + 1) % maxWindows
	}
	w := &k.windows[k.hand]
	w.at = -1 // until it is full
	if cap(w.data) == 0 {
		w.data = make([]byte, size)
	}
	w.data = w.data[:min(size, k.Size()-start)]
	if err := k.read(w.data, start); err != nil {
		if errors.Is(err, SenseAttention) {
			k.windows = nil
		}
		return 0, err
	}
	w.at = start
	return copy(p, w.data[at-start:]), nil
}

// read reads whole blocks with one READ(10).
func (k *Disk) read(p []byte, at int64) error {
	n, err := k.device.Command(k.ctx, k.drive, k.cdb(scsiRead10, at, len(p)), nil, p)
	if err == nil && n != len(p) {
		err = fmt.Errorf("%w: %d bytes of %d", redir.ErrProtocol, n, len(p))
	}
	if err != nil {
		return fmt.Errorf("%v: read at %d: %w", k.drive, at, err)
	}
	return nil
}

func (k *Disk) cdb(op byte, at int64, n int) (cdb [12]byte) {
	size := int64(k.drive.BlockSize())
	cdb[0] = op
	binary.BigEndian.PutUint32(cdb[2:], uint32(at/size))
	binary.BigEndian.PutUint16(cdb[7:], uint16(int64(n)/size))
	return cdb
}

// WriteAt writes whole blocks. A medium that cannot be written gives [SenseProtected].
func (k *Disk) WriteAt(p []byte, off int64) (n int, err error) {
	size := int64(k.drive.BlockSize())
	if off < 0 || off%size != 0 || int64(len(p))%size != 0 {
		return 0, fmt.Errorf("%v: %d bytes at %d are not whole blocks of %d", k.drive, len(p), off, size)
	}
	k.mu.Lock()
	k.windows = nil
	k.mu.Unlock()
	for n < len(p) {
		piece := p[n:min(len(p), n+maxWrite*int(size))]
		at := off + int64(n)
		if _, err := k.device.Command(k.ctx, k.drive, k.cdb(scsiWrite10, at, len(piece)), piece, nil); err != nil {
			return n, fmt.Errorf("%v: write at %d: %w", k.drive, at, err)
		}
		n += len(piece)
	}
	return n, nil
}
