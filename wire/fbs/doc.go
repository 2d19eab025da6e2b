// Package fbs writes and plays recordings of RFB sessions in the format FBS 001.000, which rfbproxy, the players of
// TightVNC and vnc2flv know: the line "FBS 001.000\n", and then blocks of what the server sent. A block is the number of
// its bytes (4), the bytes, zeros up to a multiple of 4, and the milliseconds since the beginning (4). Integers are
// big-endian. The stream in the blocks begins with the server's version and is what a viewer would have read.
//
// A recording here is of RFB 3.3 without password, at 32 bits per pixel, in ZRLE and with the pseudo encoding
// DesktopSize where the screen changes its size. Played is what [rfb.Client] reads: Raw and ZRLE of any pixel format.
//
// Sources: rfbproxy(1) and its source; RFC 6143.
//
// The package opens no files and logs nothing. What is typed is not recorded.
package fbs

import "errors"

const (
	magic  = "FBS 001.000\n"
	family = "FBS 001.00" // later ones have the same blocks: 001.001 and 001.002 keep an index in files beside
)

// Sizes of blocks in bytes.
const (
	MaxBlock = 16 << 20 // that is read; longer ones have not been seen
	ourBlock = 64 << 10 // that is written: a picture may be several, with one time
)

// Errors that others wrap.
var (
	ErrFormat = errors.New("not a recording of RFB (FBS 001.000)")
	ErrCut    = errors.New("the recording is cut off") // inside a block: what was there was played
)
