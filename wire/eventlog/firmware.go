package eventlog

import "fmt"

// firmware words an event of the BIOS: data 0 is 40h if data 1 is a number of the tables, AAh for AMT's own events,
// EBh if the rest is not valid.
func (r Record) firmware() string {
	d := r.Data
	if d[0] == 0xEB {
		return "system firmware: data not valid"
	}
	switch {
	case r.Offset == 0:
		return "firmware error: " + pick(firmwareErrors[:], d[1])
	case r.Offset == 3 && d[0] == own && d[1] == 0x30:
		return "recovery boot error: " + pick(recoveryErrors[:], d[2])
	case r.Offset == 3 && d[0] == own && d[1] == 0x40:
		return "erase error: " + pick(eraseErrors[:], d[2])
	case r.Offset == 3:
		return fmt.Sprintf("vendor's firmware error, data %x", d)
	case r.Offset == 5 && d[0] == own && d[1] == 0x30:
		if d[2] == 1 {
			return "recovery boot: boot option added, " + recoverySource(d[3])
		}
		return "recovery boot: " + pick(recoveryProgress[:], d[2])
	case r.Offset == 5 && d[0] == own && d[1] == 0x40:
		return "erase: " + eraseProgress(d[2], d[3])
	case r.Offset == 5:
		return fmt.Sprintf("vendor's firmware progress, data %x", d)
	}
	return "firmware: " + pick(firmwareProgress[:], d[1])
}

// pick returns an entry of a table that is indexed by number, or the number.
func pick(table []string, n byte) string {
	if int(n) < len(table) && table[n] != "" {
		return table[n]
	}
	return fmt.Sprintf("unknown (%d)", n)
}

// By IPMI Platform Event Trap Format 1.0 table 6, offset 00h.
var firmwareErrors = [...]string{
	"unspecified",
	"no memory",
	"no usable memory",
	"disk failed",
	"system board failed",
	"diskette drive failed",
	"disk controller failed",
	"keyboard failed",
	"removable boot medium missing",
	"video controller failed",
	"no video device",
	"BIOS ROM corrupt",
	"processor voltages do not match",
	"processor speeds do not match",
}

// By the same table, offset 02h.
var firmwareProgress = [...]string{
	"unspecified",
	"initialising memory",
	"initialising disks",
	"initialising secondary processors",
	"user authentication",
	"entering setup",
	"configuring USB",
	"configuring PCI",
	"initialising option ROMs",
	"initialising video",
	"initialising cache",
	"initialising SM bus",
	"initialising keyboard controller",
	"initialising embedded controller",
	"docking station attached",
	"docking station enabled",
	"docking station ejected",
	"docking station disabled",
	"calling the operating system's wake-up vector",
	"starting the operating system",
	"initialising system board",
	"", // reserved
	"initialising floppy",
	"testing keyboard",
	"testing pointing device",
	"initialising primary processor",
}

var recoveryErrors = [...]string{
	"",
	"no network",
	"server name not resolved",
	"connection failed",
	"boot application missing",
	"TLS failed",
	"digest authentication failed",
	"image verification failed",
	"file not found",
}

var recoveryProgress = [...]string{
	"parameters received",
	"", // see recoverySource
	"server name resolved",
	"connected",
	"download done",
	"about to boot",
	"boot services left",
}

func recoverySource(n byte) string {
	switch n {
	case 2:
		return "HTTPS"
	case 4:
		return "local pre-boot application"
	case 8:
		return "Windows recovery"
	}
	return fmt.Sprintf("source %d", n)
}

var eraseErrors = [...]string{
	"",
	"SSD not erased",
	"TPM cannot be erased",
	"attempt counter at its limit",
}

func eraseProgress(step, what byte) string {
	device := fmt.Sprintf("device %d", what)
	switch what {
	case 2:
		device = "SSD"
	case 3:
		device = "TPM"
	case 5:
		device = "BIOS settings, by the golden configuration"
	}
	switch step {
	case 1:
		return "started, " + device
	case 2:
		return "finished, " + device
	case 3:
		return "platform erase begins"
	case 4:
		return "reserved parameters cleared"
	case 5:
		return "all settings decremented"
	}
	return fmt.Sprintf("unknown (%d)", step)
}
