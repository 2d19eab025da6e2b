package heci

// Registers in BAR0, 32 bits each. Source: hw-me-regs.h.
const (
	regHostBuffer = 0x000 // H_CB_WW: writing puts a slot into the host's buffer
	regHostCSR    = 0x004 // H_CSR
	regMEBuffer   = 0x008 // ME_CB_RW: reading takes a slot out of the ME's buffer
	regMECSR      = 0x00C // ME_CSR_HA: the ME's CSR in the host's view, read only
	regPowerGate  = 0x010 // H_HPG_CSR: power gating. 0, as ME_CSR_HA says that there is none
	regTrace      = 0x030 // ME_TRC: trace status, from PCH15
	regD0i3       = 0x800 // H_D0I3C: sleep states. 0, as HFS1 says that there are none
)

// Bits of a CSR.
const (
	csrEnable    uint32 = 1 << 0 // IE: interrupts enabled
	csrStatus    uint32 = 1 << 1 // IS: interrupt pending; writing 1 clears
	csrGenerate  uint32 = 1 << 2 // IG: written by the host, rings the ME
	csrReady     uint32 = 1 << 3 // RDY: the side is there
	csrReset     uint32 = 1 << 4 // RST
	csrReadAt           = 8      // RP, 8 bits
	csrWriteAt          = 16     // WP, 8 bits
	csrDepthAt          = 24     // slots of the buffer, 8 bits
	csrHostKeeps        = csrEnable | csrReady | csrReset
)

// Depth is the size of each buffer in slots of four bytes.
const Depth = 128

// slotLen is the bytes of a slot.
const slotLen = 4

// A ring is a circular buffer. Pointers are free-running: they count to 255 and go on with 0.
type ring struct {
	slots       [Depth]uint32
	read, write uint8
}

func (r *ring) filled() int { return int(r.write - r.read) }
func (r *ring) free() int   { return Depth - r.filled() }

// put adds a slot. It returns false if there is no room.
func (r *ring) put(slot uint32) bool {
	if r.free() <= 0 {
		return false
	}
	r.slots[r.write%Depth] = slot
	r.write++
	return true
}

// take removes a slot; 0 if there is none.
func (r *ring) take() uint32 {
	if r.filled() == 0 {
		return 0
	}
	slot := r.slots[r.read%Depth]
	r.read++
	return slot
}

// first returns the oldest slot without removing it. There is one.
func (r *ring) first() uint32 { return r.slots[r.read%Depth] }

func (r *ring) clear() { r.read, r.write = 0, 0 }

// csr returns pointers and depth as a CSR has them.
func (r *ring) csr() uint32 {
	return uint32(r.read)<<csrReadAt | uint32(r.write)<<csrWriteAt | Depth<<csrDepthAt
}
