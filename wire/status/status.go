// Package status is how AMT firmware says yes and no: the PT_STATUS numbers and the error made of them.
//
// The same numbers come back as ReturnValue of the vendor's own WS-Man methods (AMT_*, IPS_*), as the Status element of
// the old SOAP services, as the status of host interface commands (AMTHI), and in the detail text of some SOAP faults
// ("AMT-STATUS 2068"). Standard DMTF methods (CIM_*) have small tables of their own (2 may be "unspecified error"
// there), and return a PT_STATUS as 32768 + number. Sources: Intel AMT SDK status codes; intel/lms
// StatusCodeDefinitions.h; spec wsman.md section 10, amthi.md section 4.
//
// The package knows the numbers, not the methods: a method's own table comes with its caller. SOAP faults and HTTP
// codes are not its business.
package status

import "strconv"

// A Status is a return value as sent. Zero is success.
type Status uint32

// vendorBase is added to a PT_STATUS by methods whose low numbers are the DMTF's.
const vendorBase = 32768

// PT returns the PT_STATUS inside a vendor return value (32768 + number), and any other value as it is.
func (s Status) PT() Status {
	if s >= vendorBase && s-vendorBase <= URLRequired {
		return s - vendorBase
	}
	return s
}

// String returns the meaning by PT_STATUS: "not ready"; "not ready (32768 + 2)"; "unknown (99)". A method with a table
// of its own may mean something else by the number; see [Error.Text].
func (s Status) String() string {
	pt := s.PT()
	text := pt.text()
	switch {
	case text == "":
		return "unknown (" + strconv.FormatUint(uint64(s), 10) + ")"
	case pt != s:
		return text + " (32768 + " + strconv.FormatUint(uint64(pt), 10) + ")"
	}
	return text
}
