package asset

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// MaxTableData is the limit of AMT_AssetTable.TableData, in octets.
const MaxTableData = 64 << 10

// A Table is the TableData of AMT_AssetTable. Its type is told beside it, in TableType.
type Table struct {
	Number  uint32 // recorded: 10 for type 131, 11 for type 130
	Version uint32 // 1
	Data    []byte
}

const tableHeader = 12

// ParseTableData reads TableData. Errors wrap [ErrShort], [ErrMalformed] or [ErrTooLong].
func ParseTableData(b []byte) (Table, error) {
	if len(b) > MaxTableData {
		return Table{}, fmt.Errorf("asset: table: %w: %d of at most %d octets", ErrTooLong, len(b), MaxTableData)
	}
	if len(b) < tableHeader {
		return Table{}, fmt.Errorf("asset: table: %w (%d of %d octets)", ErrShort, len(b), tableHeader)
	}
	if n := binary.LittleEndian.Uint32(b[4:]); int64(n) != int64(len(b)-8) {
		return Table{}, fmt.Errorf("asset: table: %w: says %d octets, has %d", ErrMalformed, n, len(b)-8)
	}
	return Table{Number: binary.LittleEndian.Uint32(b), Version: binary.LittleEndian.Uint32(b[8:]), Data: bytes.Clone(b[tableHeader:])}, nil
}

// Append appends TableData.
func (t Table) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, t.Number)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Data)+4))
	b = binary.LittleEndian.AppendUint32(b, t.Version)
	return append(b, t.Data...)
}

// AMT reads a table of type 130. The error wraps [ErrShort].
func (t Table) AMT() (AMT, error) { return parseAMT(t.Data) }

// VPro reads a table of type 131. Errors wrap [ErrShort] or [ErrOther].
func (t Table) VPro() (VPro, error) { return parseVPro(t.Data) }
