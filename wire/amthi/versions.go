package amthi

import "strconv"

// What the firmware is: command 1A.

// CodeVersions are the versions of the BIOS and of the parts of the firmware.
type CodeVersions struct {
	BIOS     string // at most 64 characters
	Versions []CodeVersion
}

// A CodeVersion is one part's, such as AMT, 16.1.27. At most 19 characters each.
type CodeVersion struct{ Name, Value string }

// Names that firmware uses, in its order: Flash, Netstack, AMTApps, AMT, Sku, VendorID, Build Number, Recovery Version,
// Recovery Build Num, Legacy Mode.
const (
	VersionAMT   = "AMT"
	VersionBuild = "Build Number"
	VersionSKU   = "Sku"
)

const (
	biosLen     = 65
	fixedLen    = 20
	maxVersions = 50 // of the vendor's header
)

// Get returns the value of a part, "" if it is not there.
func (v CodeVersions) Get(name string) string {
	for _, part := range v.Versions {
		if part.Name == name {
			return part.Value
		}
	}
	return ""
}

// SKU returns what kind of product this is. ok is false if the firmware does not say. The bits are those of AMT 5 and
// newer.
func (v CodeVersions) SKU() (s SKU, ok bool) {
	n, err := strconv.ParseUint(v.Get(VersionSKU), 10, 32)
	return SKU(n), err == nil
}

func (v CodeVersions) Append(b []byte) []byte {
	parts := v.Versions[:min(len(v.Versions), maxVersions)]
	b = u32(appendPadded(b, v.BIOS, biosLen), uint32(len(parts)))
	for _, part := range parts {
		b = appendShort(appendShort(b, part.Name), part.Value)
	}
	return b
}

func codeVersions(r *reader) CodeVersions {
	v := CodeVersions{BIOS: r.padded(biosLen)}
	n := r.u32()
	if n > maxVersions {
		r.fail("%d versions", n)
		return v
	}
	for range n {
		if r.err != nil {
			break
		}
		v.Versions = append(v.Versions, CodeVersion{Name: r.short(), Value: r.short()})
	}
	return v
}

// appendShort writes text of at most 19 characters: a length and 20 bytes.
func appendShort(b []byte, s string) []byte {
	s = s[:min(len(s), fixedLen-1)]
	return appendPadded(u16(b, uint16(len(s))), s, fixedLen)
}

func (r *reader) short() string {
	n := r.u16()
	field := r.take(fixedLen)
	if n > fixedLen {
		r.fail("text of %d bytes in a field of %d", n, fixedLen)
		return ""
	}
	return cut(field[:n])
}

// A SKU is a bit mask of products. Names by one source each.
type SKU uint32

// The bits since AMT 5.
const (
	SKUAMT        SKU = 0x0008 // AMT, "vPro"
	SKUStandard   SKU = 0x0010 // Standard Manageability
	SKUAntiTheft  SKU = 0x2000
	SKUCorporate  SKU = 0x4000
	SKULevelThree SKU = 0x8000 // upgrade, before 8.0
)
