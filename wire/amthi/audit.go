package amthi

// AuditRecord is how the machine was set up: command 50. The firmware refuses with DataMissing if it was not by TLS.
type AuditRecord struct {
	TLSMode       uint8 // as TLSMode
	SecureDNS     bool
	HostInitiated bool
	Algorithm     HashAlgorithm // 32 bits here
	Hash          []byte        // of the root certificate
	Serials       [3][16]byte   // of the CA certificates
	MoreSerials   bool          // the chain was longer
	DefaultHash   bool          // the root hash is the maker's
	TimeValid     bool
	Server        string    // address, as text
	Time          [7]uint16 // year, month, day of week, day, hour, minute, second
	ServerFQDN    string
}

func (v AuditRecord) Append(b []byte) []byte {
	b = appendBool(appendBool(append(b, v.TLSMode), v.SecureDNS), v.HostInitiated)
	b = appendFixed(u32(b, uint32(v.Algorithm)), v.Hash, hashLen)
	for _, s := range v.Serials {
		b = append(b, s[:]...)
	}
	b = appendBool(appendBool(appendBool(b, v.MoreSerials), v.DefaultHash), v.TimeValid)
	b = appendPadded(b, v.Server, addressLen)
	for _, t := range v.Time {
		b = u16(b, t)
	}
	return appendText(b, v.ServerFQDN)
}

func auditRecord(r *reader) AuditRecord {
	v := AuditRecord{TLSMode: r.u8(), SecureDNS: r.bool(), HostInitiated: r.bool()}
	algorithm := r.u32()
	if algorithm > 0xff {
		r.fail("hash algorithm %d", algorithm)
	}
	v.Algorithm = HashAlgorithm(algorithm)
	v.Hash = v.Algorithm.trim(r.take(hashLen))
	for i := range v.Serials {
		v.Serials[i] = [16]byte(r.take(16))
	}
	v.MoreSerials, v.DefaultHash, v.TimeValid = r.bool(), r.bool(), r.bool()
	v.Server = r.padded(addressLen)
	for i := range v.Time {
		v.Time[i] = r.u16()
	}
	v.ServerFQDN = r.text()
	return v
}
