package smbios

import "bytes"

// AMT is structure 130: what the BIOS says about AMT. Source: MeshAgent; the rest of it is not documented.
type AMT struct {
	Supported bool `json:"supported"`
	Enabled   bool `json:"enabled"`
	IDER      bool `json:"ider"`
	SOL       bool `json:"sol"`
	KVM       bool `json:"kvm"`
}

// parseAMT reads it; ok is false if another maker has put something else under the number.
func parseAMT(s *Structure) (v AMT, ok bool) {
	if len(s.Data) < headerSize+8 || !bytes.HasPrefix(s.Data[headerSize:], []byte("$AMT")) {
		return v, false
	}
	on := func(at int) bool { return s.u8(headerSize+at) != 0 }
	return AMT{Supported: on(4), Enabled: on(5), IDER: on(6), SOL: on(7), KVM: on(14)}, true
}

// VPro is structure 131: what the platform has of vPro. Source: MeshAgent; Intel AMT Implementation and Reference Guide,
// "vPro verification table".
type VPro struct {
	TXT  *bool  `json:"txt,omitempty"` // trusted execution is switched on; nil: it is not there
	VMX  *bool  `json:"vmx,omitempty"` // virtualization is switched on; nil: it is not there
	MEBx string `json:"mebx,omitempty"`
	ME   string `json:"me,omitempty"` // version of the management engine
}

// parseVPro reads it; ok is false if another maker has put something else under the number.
func parseVPro(s *Structure) (v VPro, ok bool) {
	const size, mark = headerSize + 60, headerSize + 52
	if len(s.Data) < size || !bytes.HasPrefix(s.Data[mark:], []byte("vPro")) {
		return v, false
	}
	cpu := s.u8(headerSize)
	if cpu&4 != 0 {
		v.TXT = new(cpu&8 != 0)
	}
	if cpu&0x10 != 0 {
		v.VMX = new(cpu&0x20 != 0)
	}
	v.MEBx = s.version4(headerSize+4, headerSize+6, headerSize+8, headerSize+10)
	v.ME = s.version4(headerSize+26, headerSize+24, headerSize+30, headerSize+28)
	return v, true
}
