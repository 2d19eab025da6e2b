package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/wire/tlv"
)

// RecoveryOptions say how a recovery boot goes about it. The zero value trusts a server whose certificate leads to one of
// the machine's trusted roots. Source: spec power-and-boot.md section 5.
type RecoveryOptions struct {
	// For a boot from a URL.
	KeepRoots  bool          // do not hand the machine's trusted roots to the BIOS, which has its own then
	ServerName string        // the server's certificate must bear it; "": not checked
	ServerHash []byte        // of the server's certificate: 32, 48 or 64 octets of SHA-2
	ImageHash  []byte        // of the image, likewise
	Timeout    time.Duration // for the server; 0: as the BIOS has it; whole seconds

	Number int // for a local boot: which option of the BIOS, 1..10; 0: the first that fits
}

// maxServerName is how long a name may be.
const maxServerName = 256

// check holds the options against what AMT takes. Errors wrap [ErrUsage].
func (r *RecoveryOptions) check() error {
	hash := func(what string, h []byte) error {
		switch len(h) {
		case 0, 32, 48, 64:
			return nil
		}
		return fmt.Errorf("%w: the hash of the %s has %d octets; SHA-256, SHA-384 and SHA-512 have 32, 48 and 64", ErrUsage, what, len(h))
	}
	if err := hash("certificate", r.ServerHash); err != nil {
		return err
	}
	if err := hash("image", r.ImageHash); err != nil {
		return err
	}
	switch {
	case len(r.ServerName) > maxServerName || strings.IndexFunc(r.ServerName, func(c rune) bool { return c <= ' ' || c > '~' }) >= 0:
		return fmt.Errorf("%w: the server's name is not plain, or has more than %d characters", ErrUsage, maxServerName)
	case r.Timeout < 0 || r.Timeout > 65535*time.Second || r.Timeout%time.Second != 0:
		return fmt.Errorf("%w: timeout %v is not in 0..65535 whole seconds", ErrUsage, r.Timeout)
	}
	return nil
}

// params returns the parameters, in the order of their types.
func (r *RecoveryOptions) params() (out []tlv.Param) {
	digest := func(sha256 uint16, h []byte) {
		if len(h) > 0 { // 32, 48, 64 octets: three types in a row
			out = append(out, tlv.Param{Vendor: tlv.Intel, Type: sha256 + uint16(len(h)/16-2), Value: h})
		}
	}
	digest(tlv.ImageSHA256, r.ImageHash)
	sync := uint8(1)
	if r.KeepRoots {
		sync = 0
	}
	out = append(out, tlv.Octet(tlv.SyncRootCA, sync))
	if r.ServerName != "" {
		out = append(out, tlv.Text(tlv.ServerName, r.ServerName), tlv.Word(tlv.NameMethod, 1)) // the full name
	}
	digest(tlv.ServerSHA256, r.ServerHash)
	return append(out, tlv.Word(tlv.RequestTimeout, uint16(r.Timeout/time.Second)))
}
