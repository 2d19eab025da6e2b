package conformance

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/outband/outband/console"
)

// signedOctets puts together what an export's signature is of, by the layout in the documentation of auditlog.Signature.
func signedOctets(t testing.TB, file string) (octets, value []byte) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := console.ReadAuditExport(f)
	if err != nil {
		t.Fatal(err)
	}
	s := x.Signature
	for _, r := range x.Records {
		octets = append(octets, r...)
	}
	for _, n := range []uint32{s.Count, uint32(s.Start.Unix()), uint32(s.End.Unix()), uint32(s.Generated.Unix()), uint32(s.Mechanism)} {
		octets = binary.BigEndian.AppendUint32(octets, n)
	}
	octets = append(octets, s.UUID...)
	return append(octets, s.FQDN...), s.Value
}

func write(t testing.TB, file string, octets []byte) {
	t.Helper()
	if err := os.WriteFile(file, octets, 0o600); err != nil {
		t.Fatal(err)
	}
}
